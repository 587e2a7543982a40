"""The patches: `request` of the SDKs' base clients, and anthropic's own span. The only file that touches wrapt.

Every method of every client class of both SDKs, sync and async, raw and streaming, comes to `SyncAPIClient.request` or
`AsyncAPIClient.request`, once per logical call and outside its retries. They are patched on the class, when the SDK
is imported, so that it is not imported by us and clients made earlier take part.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import wrapt
from opentelemetry.trace import NonRecordingSpan

from tierwise.firewall import firewall
from tierwise.instrumentation import calls
from tierwise.instrumentation.anthropic import ANTHROPIC
from tierwise.instrumentation.observation import span_being_made
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.runtime import Runtime
from tierwise.instrumentation.sdk import Sdk

_SDKS: Mapping[str, Sdk] = {"openai._base_client": OPENAI, "anthropic._base_client": ANTHROPIC}

_runtime: Runtime | None = None
"""Set while instrumentation is active. The SDKs cache bound methods (`with_raw_response` of a client), so a wrapper can
outlive its removal; without a runtime it passes calls through."""

_patched: list[tuple[Any, str, Any, Any]] = []
"""(owner, name, original, wrapper)."""
_hooks_registered = False


def active_runtime() -> Runtime | None:
    """The runtime in force; None while nothing is instrumented."""
    return _runtime


def activate(runtime: Runtime) -> None:
    """Patch the SDKs, now or when they are imported; with patches in place, only the runtime changes."""
    global _runtime, _hooks_registered
    _runtime = runtime
    if not _hooks_registered:
        _hooks_registered = True
        for name in _SDKS:
            wrapt.register_post_import_hook(_patch_if_active, name)
    for name in _SDKS:
        if (module := sys.modules.get(name)) is not None:
            _patch_if_active(module)


def deactivate() -> None:
    """Undo every patch that nobody else has patched over."""
    global _runtime
    _runtime = None
    for owner, name, original, wrapper in _patched:
        if vars(owner).get(name) is wrapper:
            setattr(owner, name, original)
    _patched.clear()


def _patch_if_active(module: ModuleType) -> None:
    if _runtime is None or any(owner is module for owner, *_ in _patched):
        return
    with firewall(f"patching {module.__name__}"):
        sdk = _SDKS[module.__name__]
        _patch(module.SyncAPIClient, "request", _sync_wrapper(sdk))
        _patch(module.AsyncAPIClient, "request", _async_wrapper(sdk))
        if hasattr(module, "start_api_call_span"):
            _patch(module, "start_api_call_span", _replace_native_span)


def _patch(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    original = vars(owner)[name]
    if any(known is owner and known_name == name for known, known_name, *_ in _patched):
        return
    replacement = wrapt.FunctionWrapper(original, wrapper)
    setattr(owner, name, replacement)
    _patched.append((owner, name, original, replacement))


def _sync_wrapper(sdk: Sdk) -> Callable[..., Any]:
    def request(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        runtime = _runtime
        if runtime is None:
            return wrapped(*args, **kwargs)
        return calls.call(runtime, sdk, wrapped, client, args, kwargs)

    return request


def _async_wrapper(sdk: Sdk) -> Callable[..., Any]:
    def request(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        runtime = _runtime
        if runtime is None:
            return wrapped(*args, **kwargs)
        return calls.call_async(runtime, sdk, wrapped, client, args, kwargs)

    return request


def _replace_native_span(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """anthropic traces its calls itself from 2.0 on; inside a call of ours that would be a second span for one call."""
    runtime, span = _runtime, span_being_made()
    if runtime is None or span is None:
        return wrapped(*args, **kwargs)
    if runtime.owns_provider or not kwargs.get("propagation", True):
        return None
    # The app does its own tracing, and anthropic would send the trace's context along: it sends that of our span.
    return NonRecordingSpan(span.get_span_context())
