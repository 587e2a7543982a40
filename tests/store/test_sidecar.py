from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tierwise.errors import CollectorUnavailable
from tierwise.ingest.serve import running_collector
from tierwise.settings import Settings
from tierwise.store import open_store
from tierwise.store.sidecar import collector_of, remove_sidecar, sidecar_path, write_sidecar


def test_running_collector_is_found(tmp_path: Path) -> None:
    """While a collector holds a file, the file's URL leads through it; afterwards to the file itself."""
    path = tmp_path / "calls.duckdb"
    with running_collector(path) as collector:
        assert collector_of(path) == collector.url
        assert open_store(f"duckdb:{path}").url == collector.url

    assert collector_of(path) is None
    assert not sidecar_path(path).exists()
    store = open_store(f"duckdb:{path}")
    assert store.url == f"duckdb:{path}"
    store.close()


def test_collector_with_tls_is_found_by_the_file(tmp_path: Path) -> None:
    """The note says which certificate to trust, so on its own machine the collector needs no known issuer."""
    path, files = tmp_path / "calls.duckdb", Path(__file__).parents[1] / "ingest" / "certificates"
    settings = Settings(tls_cert=str(files / "valid.pem"), tls_key=str(files / "key.pem"))
    with running_collector(path, settings=settings) as collector:
        assert collector_of(path) == collector.url
        store = open_store(f"duckdb:{path}")

        assert store.url.startswith("https://")
        assert store.query("overview_totals").num_rows == 1
        with pytest.raises(CollectorUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            open_store(collector.url)


def test_note_that_outlived_its_collector_is_ignored(tmp_path: Path) -> None:
    """A note whose collector does not answer is as good as none."""
    path = tmp_path / "calls.duckdb"
    write_sidecar(path, "http://127.0.0.1:9")

    store = open_store(f"duckdb:{path}")

    assert store.url == f"duckdb:{path}"
    store.close()


def test_another_collector_on_the_port_is_not_taken_for_it(tmp_path: Path) -> None:
    """A note is believed only when the process that wrote it answers."""
    with running_collector(tmp_path / "other.duckdb") as other:
        path = tmp_path / "calls.duckdb"
        sidecar_path(path).write_text(json.dumps({"url": other.url, "pid": os.getpid() + 1}))

        assert collector_of(path) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"url": 1, "pid": "x"}', '{"url": "", "pid": 1}', "not json"])
def test_note_that_makes_no_sense_is_ignored(tmp_path: Path, text: str) -> None:
    """A damaged note leads nowhere and breaks nothing."""
    path = tmp_path / "calls.duckdb"
    sidecar_path(path).write_text(text)

    assert collector_of(path) is None


def test_removing_twice_is_fine(tmp_path: Path) -> None:
    """A note that is gone already can be removed."""
    remove_sidecar(tmp_path / "calls.duckdb")
