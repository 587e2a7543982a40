from __future__ import annotations

from pathlib import Path

import pytest

from tierwise import settings
from tierwise.errors import SettingsError


def test_variables_beat_the_file(tmp_path: Path) -> None:
    """An environment variable wins over tierwise.toml, which wins over the default."""
    file = tmp_path / "tierwise.toml"
    file.write_text('endpoint = "http://10.0.0.1:4318/"\npolicy = "from-file.toml"\n', encoding="utf-8")

    loaded = settings.load({"TIERWISE_POLICY": "from-env.toml"}, file=file)

    assert loaded.endpoint == "http://10.0.0.1:4318"
    assert loaded.policy == "from-env.toml"
    assert loaded.policy_poll_s == settings.Settings().policy_poll_s


def test_empty_variable_is_not_set() -> None:
    """A variable set to nothing counts as unset."""
    assert settings.load({"TIERWISE_MODE": " "}).mode is None


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("TIERWISE_MODE", "on", "off, shadow, enforce"),
        ("TIERWISE_CAPTURE_CONTENT", "maybe", "true, false"),
        ("TIERWISE_POLICY_POLL_S", "0", "seconds from 0.05 to 3600"),
        ("TIERWISE_POLICY_POLL_S", "soon", "seconds from 0.05 to 3600"),
        ("TIERWISE_CONTENT_MESSAGE_BYTES", "0", "bytes from 1 to 16777216"),
        ("TIERWISE_CONTENT_CALL_BYTES", "64k", "bytes from 1 to 16777216"),
        ("TIERWISE_ENDPOINT", "localhost:4318", "http:// or https:// URL"),
        ("TIERWISE_EXPORT_PROFILE", "langfuse, jaeger", "langfuse, mlflow, openlit, phoenix, sentry"),
        ("TIERWISE_TRACE_URL", "https://apm.example.com/trace", "with {trace_id} in it"),
    ],
)
def test_bad_value_names_the_way_out(variable: str, value: str, allowed: str) -> None:
    """A value we cannot use is refused with the variable's name, the value and what is allowed."""
    with pytest.raises(SettingsError) as caught:
        settings.load({variable: value})

    assert variable in str(caught.value)
    assert repr(value) in str(caught.value)
    assert allowed in str(caught.value)


def test_unknown_key_in_the_file(tmp_path: Path) -> None:
    """A misspelt key is refused with the known ones, rather than ignored."""
    file = tmp_path / "tierwise.toml"
    file.write_text('endpiont = "http://x"\n', encoding="utf-8")

    with pytest.raises(SettingsError, match=r"unknown setting 'endpiont'; known settings: .*endpoint"):
        settings.load({}, file=file)


def test_export_profiles(tmp_path: Path) -> None:
    """Profiles are named with commas in the variable, and as a list or a text in the file."""
    file = tmp_path / "tierwise.toml"
    file.write_text('export_profile = ["sentry", "phoenix"]\n', encoding="utf-8")

    assert settings.load({}, file=file).export_profile == ("sentry", "phoenix")
    assert settings.load({"TIERWISE_EXPORT_PROFILE": " MLflow,,openlit,mlflow"}).export_profile == (
        "mlflow",
        "openlit",
    )
    assert settings.load({}).export_profile == ()


def test_structural_checks(tmp_path: Path) -> None:
    """Checks are named as profiles are, and one that needs more than request and answer is refused."""
    assert settings.load({"TIERWISE_STRUCTURAL_CHECKS": "Schema, refusal"}).structural_checks == ("schema", "refusal")
    assert settings.load({}).structural_checks == ()
    with pytest.raises(SettingsError, match="allowed: language, refusal, schema, truncation"):
        settings.load({"TIERWISE_STRUCTURAL_CHECKS": "agreement"})


def test_token_is_not_printed() -> None:
    """The token does not show in a settings' repr, which may land in a log."""
    assert "s3cret" not in repr(settings.load({"TIERWISE_TOKEN": "s3cret"}))


def test_data_follows_xdg(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default store lies under XDG_DATA_HOME."""
    monkeypatch.setenv("XDG_DATA_HOME", "/data")

    assert settings.Settings().db == "duckdb:/data/tierwise/tierwise.duckdb"
