"""The user's own prices, discounts and surcharges, read from a TOML file.

[[model]]
provider = "openai"
model = "my-finetune"
input_usd_per_mtok = 1.5
output_usd_per_mtok = 6
cache_read_usd_per_mtok = 0.15     # optional, as are cache_write_usd_per_mtok and web_search_usd_per_thousand

[[discount]]
provider = "anthropic"             # and optionally a model
percent = 12

[[surcharge]]
provider = "anthropic"
region = "us"                      # where the provider says it processed the call; optionally a model, too
percent = 10

[[unit]]
provider = "openai"
model = "sora-2"                   # optional
unit = "output_video_seconds"      # what an unpriced call's reason names
usd = 0.10                         # each
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from tierwise.errors import SettingsError

_TABLES = frozenset({"discount", "model", "surcharge", "unit"})
_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token of each class (per search for `web_search`), for one request size; None: not sold separately."""

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    reasoning: Decimal | None = None
    web_search: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Overrides:
    """The user's own prices, discounts and surcharges."""

    models: dict[tuple[str, str], Rates]
    discounts: dict[tuple[str, str | None], Decimal]
    """(provider, model or None for all) → factor in (0, 1]."""
    surcharges: dict[tuple[str, str | None, str], Decimal]
    """(provider, model or None for all, region) → factor of at least 1, for tokens."""
    units: dict[tuple[str, str | None, str], Decimal]
    """(provider, model or None for all, unit) → USD each."""
    digest: str


def read_overrides(path: Path) -> Overrides:
    """The overrides in `path`.

    Raises:
        SettingsError: the file is missing, not TOML, or holds a value we cannot use.
    """
    try:
        data = path.read_bytes()
        table = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: the price file cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error
    if unknown := table.keys() - _TABLES:
        known = ", ".join(f"[[{name}]]" for name in sorted(_TABLES))
        raise SettingsError(f"{path}: unknown table {min(unknown)!r}; known tables: {known}")
    models: dict[tuple[str, str], Rates] = {}
    for entry in table.get("model", ()):
        where = f"{path}: [[model]] {entry.get('model', '?')}"
        key = _text(entry, "provider", where), _text(entry, "model", where)
        models[key] = Rates(
            input=_rate(entry, "input_usd_per_mtok", _MILLION, where),
            output=_rate(entry, "output_usd_per_mtok", _MILLION, where),
            cache_read=_optional_rate(entry, "cache_read_usd_per_mtok", _MILLION, where),
            cache_write=_optional_rate(entry, "cache_write_usd_per_mtok", _MILLION, where),
            web_search=_optional_rate(entry, "web_search_usd_per_thousand", _THOUSAND, where),
        )
    discounts: dict[tuple[str, str | None], Decimal] = {}
    for entry in table.get("discount", ()):
        where = f"{path}: [[discount]]"
        percent = _rate(entry, "percent", Decimal(1), where)
        if percent >= 100:
            raise SettingsError(f"{where}: percent is {percent}; allowed: 0 to below 100")
        discounts[_text(entry, "provider", where), entry.get("model")] = 1 - percent / 100
    surcharges: dict[tuple[str, str | None, str], Decimal] = {}
    for entry in table.get("surcharge", ()):
        where = f"{path}: [[surcharge]]"
        percent = _rate(entry, "percent", Decimal(1), where)
        surcharge_key = _text(entry, "provider", where), entry.get("model"), _text(entry, "region", where)
        surcharges[surcharge_key] = 1 + percent / 100
    units: dict[tuple[str, str | None, str], Decimal] = {}
    for entry in table.get("unit", ()):
        where = f"{path}: [[unit]] {entry.get('unit', '?')}"
        unit_key = _text(entry, "provider", where), entry.get("model"), _text(entry, "unit", where)
        units[unit_key] = _rate(entry, "usd", Decimal(1), where)
    return Overrides(models, discounts, surcharges, units, hashlib.sha256(data).hexdigest()[:8])


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{where}: {key} is {value!r}; a text is needed")
    return value


def _optional_rate(entry: dict[str, Any], key: str, per: Decimal, where: str) -> Decimal | None:
    return _rate(entry, key, per, where) if key in entry else None


def _rate(entry: dict[str, Any], key: str, per: Decimal, where: str) -> Decimal:
    value = entry.get(key)
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal(-1)
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise SettingsError(f"{where}: {key} is {value!r}; a number of at least 0 is needed")
    return amount / per
