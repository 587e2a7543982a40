"""The patches: `request` of the SDKs' base clients, and anthropic's own span. The only file that touches wrapt.

Every method of every client class of both SDKs, sync and async, raw and streaming, comes to `SyncAPIClient.request` or
`AsyncAPIClient.request`, once per logical call and outside its retries. They are patched on the class, when the SDK
is imported, so that it is not imported by us and clients made earlier take part. Client classes on which another
instrumentation has put a wrapper of the base class's method are patched too: theirs leads past the base class.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Any

import wrapt
from opentelemetry.trace import NonRecordingSpan

from tierwise.firewall import firewall, swallow
from tierwise.instrumentation import calls
from tierwise.instrumentation.anthropic import ANTHROPIC
from tierwise.instrumentation.observation import span_being_made
from tierwise.instrumentation.openai import OPENAI
from tierwise.instrumentation.runtime import Runtime
from tierwise.instrumentation.sdk import Sdk
from tierwise.instrumentation.sdk_support import has_known_shape, is_supported

_SDKS: Mapping[str, Sdk] = {"openai._base_client": OPENAI, "anthropic._base_client": ANTHROPIC}

_runtime: Runtime | None = None
"""Set while instrumentation is active. A wrapper can outlive its removal, inside one that somebody put over it; without
a runtime it passes calls through."""

_generation = 0
"""Of patches. Counts removals, so that a wrapper that outlived one leaves the call to the wrapper that came after."""

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
            # Versions so old that they have no such module are noticed here.
            wrapt.register_post_import_hook(_check_version, _SDKS[name].name)
    for name in _SDKS:
        if (module := sys.modules.get(name)) is not None:
            _patch_if_active(module)


def deactivate() -> None:
    """Undo every patch that nobody else has patched over."""
    global _runtime, _generation
    _runtime = None
    _generation += 1
    for owner, name, original, wrapper in _patched:
        if vars(owner).get(name) is wrapper:
            setattr(owner, name, original)
    _patched.clear()
    _patched_below.cache_clear()


def _patch_if_active(module: ModuleType) -> None:
    if _runtime is None or any(owner is module for owner, *_ in _patched):
        return
    with firewall(f"patching {module.__name__}"):
        sdk = _SDKS[module.__name__]
        if not is_supported(sdk.name) or not has_known_shape(module):
            return
        for base, make_wrapper in ((module.SyncAPIClient, _sync_wrapper), (module.AsyncAPIClient, _async_wrapper)):
            for owner in (base, *_wrapped_by_others(base)):
                _patch(owner, "request", make_wrapper(sdk, owner))
        if hasattr(module, "start_api_call_span"):
            _patch(module, "start_api_call_span", _replace_native_span)


def _check_version(package: ModuleType) -> None:
    with firewall("checking an SDK's version"):
        is_supported(package.__name__)


def _patch(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    original = vars(owner)[name]
    if any(known is owner and known_name == name for known, known_name, *_ in _patched):
        return
    replacement = wrapt.FunctionWrapper(original, wrapper)
    setattr(owner, name, replacement)
    _patched.append((owner, name, original, replacement))
    _patched_below.cache_clear()


def _wrapped_by_others(base: type) -> Iterator[type]:
    """Subclasses on which somebody wrapped `request`; an override that is no wrapper calls the base class's itself."""
    for kind in base.__subclasses__():
        if hasattr(vars(kind).get("request"), "__wrapped__"):
            yield kind
        yield from _wrapped_by_others(kind)


def _sync_wrapper(sdk: Sdk, owner: type) -> Callable[..., Any]:
    generation = _generation

    def request(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        runtime = _runtime
        try:
            if generation != _generation or _is_observed_below(owner, client):
                runtime = None
        except Exception as error:
            runtime = None
            swallow("looking for other patches", error)
        if runtime is None:
            return wrapped(*args, **kwargs)
        return calls.call(runtime, sdk, wrapped, client, args, kwargs)

    return request


def _async_wrapper(sdk: Sdk, owner: type) -> Callable[..., Any]:
    generation = _generation

    def request(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        runtime = _runtime
        try:
            if generation != _generation or _is_observed_below(owner, client):
                runtime = None
        except Exception as error:
            runtime = None
            swallow("looking for other patches", error)
        if runtime is None:
            return wrapped(*args, **kwargs)
        return calls.call_async(runtime, sdk, wrapped, client, args, kwargs)

    return request


def _is_observed_below(owner: type, client: Any) -> bool:
    """Whether a subclass of `owner` is patched as well, so that this client's call was observed there already."""
    return any(
        isinstance(client, kind) and _leads_to(vars(kind).get("request"), wrapper)
        for kind, wrapper in _patched_below(owner)
    )


@cache
def _patched_below(owner: type) -> tuple[tuple[type, Any], ...]:
    return tuple(
        (known, wrapper)
        for known, name, _, wrapper in _patched
        if name == "request" and known is not owner and issubclass(known, owner)
    )


def _leads_to(function: Any, wrapper: Any) -> bool:
    """Whether `wrapper` is still in place, under whatever others were put over it since."""
    while function is not None and function is not wrapper:
        function = getattr(function, "__wrapped__", None)
    return function is wrapper


def _replace_native_span(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """anthropic traces its calls itself from 2.0 on; inside a call of ours that would be a second span for one call."""
    runtime = _runtime
    try:
        if runtime is not None and (span := span_being_made()) is not None:
            if runtime.owns_provider or not kwargs.get("propagation", True):
                return None
            # The app does its own tracing, and anthropic would send the trace's context along: it sends that of ours.
            return NonRecordingSpan(span.get_span_context())
    except Exception as error:
        swallow("replacing anthropic's span", error)
    return wrapped(*args, **kwargs)
