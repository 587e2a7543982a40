"""Every exception tierwise raises on purpose.

    TierwiseError
    ├── SettingsError          a TIERWISE_* variable or tierwise.toml holds a value we cannot use
    ├── PolicyError            a policy file is refused, with line, value and way out
    ├── MissingExtra           a part of tierwise that is not installed was asked for
    ├── StoreError
    │   ├── StoreLocked        another process holds the file
    │   ├── StoreTooNew        the file was written by a newer tierwise
    │   ├── QueryError         a query is refused, failed or ran past its limits
    │   └── Conflict           somebody else changed the policy or the recommendation first
    ├── CollectorUnavailable   no collector answers where one is expected
    └── MalformedPayload       bytes that are not the OTLP they claim to be

None of these reaches an instrumented call: in the user's process everything of ours runs behind
`tierwise.firewall.firewall`. Only a bad policy file at start-up is allowed to raise there.
"""

from __future__ import annotations


class TierwiseError(Exception):
    """Base of everything below; catch it to handle any tierwise error."""


class SettingsError(TierwiseError):
    """A setting holds a value we cannot use; the message names the setting, the value and what is allowed."""


class PolicyError(TierwiseError):
    """A policy is refused as a whole; the message gives the place, the value and the way out."""


class MissingExtra(TierwiseError):
    """A part of tierwise that is not installed was asked for."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs packages that are not installed: pip install 'tierwise[{extra}]'")
        self.feature = feature
        self.extra = extra


class StoreError(TierwiseError):
    """The store could not do what was asked."""


class StoreLocked(StoreError):
    """Another process holds the DuckDB file; the message says how to reach its data."""


class StoreTooNew(StoreError):
    """The file's schema is newer than this tierwise knows; upgrading tierwise is the way out."""


class QueryError(StoreError):
    """A query is refused, failed, or ran past its row, time or memory limit."""


class Conflict(StoreError):
    """Somebody else changed the record first; read it again and decide again."""


class CollectorUnavailable(TierwiseError):
    """No collector answers at the given address."""


class MalformedPayload(TierwiseError):
    """Bytes that are not the OTLP they claim to be."""
