from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tierwise import settings
from tierwise.destinations import Destination, parse
from tierwise.errors import SettingsError


def parsed(value: Any) -> tuple[Destination, ...]:
    return parse(value, "forward", profiles=("langfuse", "phoenix"))


def test_urls_with_commas() -> None:
    """A text is endpoints alone, without the slash at their end."""
    assert parsed("http://a:4318/, grpcs://b:4317") == (Destination("http://a:4318"), Destination("grpcs://b:4317"))


def test_a_table_has_everything(tmp_path: Path) -> None:
    """A table gives headers, profile, signals, trust, patience and caps."""
    ca = tmp_path / "ca.pem"
    ca.write_text("")

    (destination,) = parsed(
        [
            {
                "endpoint": "https://apm.example.com/otlp",
                "headers": {"Authorization": "Bearer x"},
                "profile": ["langfuse"],
                "signals": ["traces"],
                "ca": str(ca),
                "timeout_s": 5,
                "backlog_mb": 64,
                "backlog_hours": 2,
            }
        ]
    )

    assert destination == Destination(
        "https://apm.example.com/otlp",
        headers={"authorization": "Bearer x"},
        profile=("langfuse",),
        signals=("traces",),
        ca=str(ca),
        timeout_s=5.0,
        backlog_bytes=64 * 1024 * 1024,
        backlog_age_s=7200.0,
    )
    assert "Bearer" not in repr(destination)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ftp://a", "allowed: http://…, https://…, grpc://…, grpcs://…"),
        ("localhost:4318", "allowed"),
        ("http://a:99999", "is no URL"),
        ('http://a"b', "characters"),
        ("http://user:secret@a:4318", "give them under headers"),
        ("http://a:4318/v1/traces", "without /v1/traces"),
        ("http://a/?x=1", "query"),
        ("grpc://a", "grpc://HOST:PORT"),
        ("grpc://a:1/path", "grpc://HOST:PORT"),
        ("http://a:1,http://a:1/", "twice"),
        (3, r"\[\[forward\]\]"),
        ([{}], "endpoint is None"),
        ([{"endpoint": "http://a", "header": {}}], "unknown key 'header'; known keys: endpoint, headers"),
        ([{"endpoint": "http://a", "headers": ["x"]}], "no table of texts"),
        ([{"endpoint": "http://a", "headers": {"a b": "x"}}], "no name of a header"),
        ([{"endpoint": "http://a", "headers": {"a": "x\r\ny"}}], "'a' holds characters"),
        ([{"endpoint": "http://a", "profile": "datadog"}], "allowed: langfuse, phoenix"),
        ([{"endpoint": "http://a", "profile": 3}], "allowed: langfuse, phoenix"),
        ([{"endpoint": "http://a", "signals": ["metrics"]}], "allowed: traces, logs"),
        ([{"endpoint": "http://a", "ca": "x.pem"}], "without TLS"),
        ([{"endpoint": "https://a", "ca": "no-such.pem"}], "no such file"),
        ([{"endpoint": "http://a", "timeout_s": 0}], "timeout_s is 0; allowed: 0.1 to 60"),
        ([{"endpoint": "http://a", "timeout_s": True}], "timeout_s is True"),
        ([{"endpoint": "http://a", "backlog_mb": 1}], "allowed: 32 to"),
        ([{"endpoint": "http://a", "backlog_hours": "day"}], "backlog_hours is 'day'"),
    ],
)
def test_what_cannot_be_used_is_refused(value: Any, message: str) -> None:
    """An unusable value is named, with what is allowed; a secret in a URL is not repeated."""
    with pytest.raises(SettingsError, match=message) as caught:
        parsed(value)

    assert "secret" not in str(caught.value)


def test_variable_beats_the_file(tmp_path: Path) -> None:
    """TIERWISE_FORWARD stands in for the tables of the settings file."""
    file = tmp_path / "tierwise.toml"
    file.write_text('[[forward]]\nendpoint = "http://file:4318"\nprofile = "phoenix"\n')

    from_file = settings.load({}, file=file).forward
    from_variable = settings.load({"TIERWISE_FORWARD": "http://variable:4318"}, file=file).forward

    assert from_file == (Destination("http://file:4318", profile=("phoenix",)),)
    assert from_variable == (Destination("http://variable:4318"),)


@pytest.mark.parametrize(("text", "size"), [("20GB", 20 * 10**9), ("500 mb", 500 * 10**6), ("1.5TB", 1_500 * 10**9)])
def test_retention_size_has_a_unit(text: str, size: int) -> None:
    """A size of the data is given with its unit."""
    assert settings.load({"TIERWISE_RETENTION_SIZE": text}).retention_size == size


@pytest.mark.parametrize(
    ("name", "text"),
    [("RETENTION_SIZE", "20"), ("RETENTION_SIZE", "1MB"), ("RETENTION_DAYS", "0"), ("RETENTION_DAYS", "month")],
)
def test_unusable_retention_is_refused(name: str, text: str) -> None:
    """A retention that would delete everything at once, or is no number, is refused."""
    with pytest.raises(SettingsError, match=f"TIERWISE_{name} is '{text}'"):
        settings.load({f"TIERWISE_{name}": text})
