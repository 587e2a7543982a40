"""What every observed call shares: settings, router, tracer and meters."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace

from tierwise import prices
from tierwise import semconv as sc
from tierwise.call import Call
from tierwise.firewall import firewall
from tierwise.instrumentation.content_capture import ContentCapture
from tierwise.instrumentation.events import CallEvents
from tierwise.instrumentation.export import set_up_exporting
from tierwise.instrumentation.metrics import Meters, is_real, meters_of
from tierwise.instrumentation.shadow_call import ShadowRunner
from tierwise.settings import Settings

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider

    from tierwise.routing.live import Router
    from tierwise.routing.shadow import ShadowDraw


class Runtime:
    """Built by `instrument()`, dropped by `uninstrument()`."""

    def __init__(
        self,
        settings: Settings,
        router: Router | None,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
        content: ContentCapture | None = None,
    ) -> None:
        self.settings = settings
        self.router = router
        self.content = content or ContentCapture()
        self.captures_content = self.content.needs_text
        self.events: CallEvents | None = None
        if self.content.emits_events:
            self.events = CallEvents(settings, self.content, logger_provider=logger_provider)
        self.shadows = ShadowRunner()
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._meters: Meters | None = None
        self._meters_looked_up_until_ns = 0

    @cached_property
    def owns_provider(self) -> bool:
        """Whether spans go through a TracerProvider of our making.

        Settled at the first call, so that an app may set up OpenTelemetry after importing us.
        """
        if self._tracer_provider is not None:
            return False
        with firewall("setting up export"):
            return set_up_exporting(self.settings)
        return False

    @property
    def has_observed(self) -> bool:
        """Whether a call was observed."""
        return "tracer" in vars(self)

    @cached_property
    def tracer(self) -> trace.Tracer:
        """Makes the spans of calls.

        With the first of them the price list begins to load: an app that calls no model need not carry it.
        """
        _ = self.owns_provider
        prices.warm_up()
        return trace.get_tracer(sc.SCOPE_NAME, version("tierwise"), self._tracer_provider)

    @cached_property
    def provider(self) -> trace.TracerProvider:
        """Whose spans calls are."""
        _ = self.owns_provider
        return self._tracer_provider or trace.get_tracer_provider()

    def meters(self, now_ns: int) -> Meters | None:
        """The instruments; None while the app has no MeterProvider. One that it sets up later is found in a second."""
        if now_ns >= self._meters_looked_up_until_ns:
            provider = self._meter_provider or metrics.get_meter_provider()
            self._meters = meters_of(provider, version("tierwise")) if is_real(provider) else None
            self._meters_looked_up_until_ns = now_ns + 1_000_000_000
        return self._meters

    def deliver(self, timeout_s: float) -> bool:
        """Have finished spans sent now; False when that took longer or the exporter failed."""
        provider = self._tracer_provider or trace.get_tracer_provider()
        # The API's provider of an app without OpenTelemetry has nothing to flush.
        force_flush = getattr(provider, "force_flush", None)
        spans_sent = force_flush is None or bool(force_flush(max(1, int(timeout_s * 1000))))
        return (self.events is None or self.events.flush()) and spans_sent

    def deployment(self, provider: str, model: str) -> str:
        """What to ask `provider` for to reach `model`: the name in the policy's deployments, else the model's own."""
        policy = None if self.router is None else self.router.policy
        return (None if policy is None else policy.deployments.name_of(provider, model)) or model

    def shadow_spent(self, call: Call, draw: ShadowDraw) -> None:
        """Book what a shadow call cost; one that failed cost nothing."""
        if self.router is None:
            return
        if call.cost is not None:
            self.router.spent(call.cost.total_usd, draw)
        else:
            self.router.spent(Decimal(0) if call.error_type is not None else None, draw)
