"""Values as logs write them: times in a dozen spellings, counts in texts, JSON inside of CSV cells."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

from tierwise.attributes import MOST_USD, usd

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS_NS = ((10**11, 1_000_000_000), (10**14, 1_000_000), (10**17, 1_000), (2**63, 1))
"""(numbers below it, nanoseconds of one): seconds until the year 5138, then milli-, micro- and nanoseconds."""


def text(value: object) -> str | None:
    """`value` if it is a text that says something; a number as its digits."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def number(value: object) -> float | None:
    """A finite number, also one that is written as a text."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float | str | Decimal):
        try:
            found = float(value)
        except (ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None
    return None


def count(value: object) -> int | None:
    """A whole number of at least 0, also one that a spreadsheet or a data frame made a `12.0` of."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if value >= 0 else None
    found = number(value)
    return int(found) if found is not None and found >= 0 and found == int(found) else None


def money(value: object) -> Decimal | None:
    """An amount in USD of at least 0."""
    found = number(value)
    return usd(found) if found is not None and 0 <= found < MOST_USD else None


def moment_ns(value: object) -> int | None:
    """A moment as nanoseconds since 1970; what names no zone is UTC.

    Takes ISO 8601, `2024-05-29 13:46:19.963000`, and seconds, milli-, micro- or nanoseconds since 1970.
    """
    if isinstance(value, datetime):
        return _of_datetime(value)
    if isinstance(value, str):
        written = value.strip()
        if not written.replace(".", "", 1).isdecimal():
            try:
                return _of_datetime(datetime.fromisoformat(written.removesuffix(" UTC")))
            except ValueError:
                return None
        value = int(written) if written.isdecimal() else number(written)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**63:
        return None
    unit_ns = next((unit for below, unit in _UNITS_NS if value < below), 1)
    # An integer keeps its last digit; a float of seconds has none below a microsecond.
    moment = value * unit_ns if isinstance(value, int) else round(value * 1e6) * unit_ns // 1_000_000
    return moment if 0 < moment < 2**63 else None


def _of_datetime(value: datetime) -> int | None:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    since = aware - _EPOCH
    moment = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    return moment if 0 < moment < 2**63 else None


def structured(value: object) -> Any:
    """`value`, decoded where it is a text that holds a JSON object or list, as cells of CSV do."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def mapping(value: object) -> Mapping[str, Any]:
    """`value` as a mapping, decoded where it is JSON text; empty when it is anything else."""
    found = structured(value)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def first(row: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of `names` that the row has and that is not null or an empty text."""
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            return value
    return None


def hex_id(value: object, digits: int) -> str | None:
    """A trace or span id of that many hexadecimal digits; dashes, as in a UUID, do not matter."""
    if not isinstance(value, str):
        return None
    written = value.replace("-", "").removeprefix("0x").lower()
    if len(written) != digits or not written.strip("0") or not set(written) <= set("0123456789abcdef"):
        return None
    return written
