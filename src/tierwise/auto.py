"""`import tierwise.auto`: observe every call of the openai and anthropic SDKs in this process, and load the policy.

A setting or a policy file that cannot be used raises here, at the start of the program. Nothing else does, here or
later. OpenTelemetry is set up at the first call, if the program has not done so by then.
"""

from __future__ import annotations

from tierwise.errors import PolicyError, SettingsError
from tierwise.firewall import report, reraises
from tierwise.instrumentation import instrument

try:
    instrument()
except (SettingsError, PolicyError):
    raise
except Exception as error:
    if reraises():
        raise
    report("starting", error)
