from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from tierwise import cli
from tierwise.routing.policy import parse
from tierwise.routing.rules import known_kinds
from tierwise.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code_blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for indent, code in re.findall(
            rf"^( *)```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
        ):
            yield page.name, re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    """docs/cli.md has a section for each command, with the examples its help shows."""
    section = text_of("docs/cli.md").partition(f"## tierwise {name}\n")[2].partition("\n## ")[0]

    for line in cli.load(name).EXAMPLES.splitlines():
        assert line.strip() in section


@pytest.mark.parametrize("item", fields(Settings), ids=lambda item: item.name)
def test_every_setting_is_documented(item: object) -> None:
    """docs/settings.md has a row for each setting."""
    assert f"| `TIERWISE_{item.name.upper()}` |" in text_of("docs/settings.md")  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", known_kinds())
def test_every_rule_kind_is_documented(kind: str) -> None:
    """docs/policy.md has a row for each rule kind."""
    assert f"| `{kind}` |" in text_of("docs/policy.md")


@pytest.mark.parametrize(("page", "code"), [block for block in code_blocks("toml") if "[[rule]]" in block[1]])
def test_policies_in_the_docs_are_valid(page: str, code: str) -> None:
    """Every policy shown in the docs is one that tierwise accepts."""
    assert parse(code, origin=page).rules


@pytest.mark.parametrize(("page", "code"), list(code_blocks("python")))
def test_python_in_the_docs_compiles(page: str, code: str) -> None:
    """Every Python example is Python."""
    compile(code, page, "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link in the docs names a file of the repository."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "path",
    sorted(
        set(
            re.findall(
                r"`((?:src|docs|collector|dashboards|benchmarks)/[\w./-]+\.\w+)`",
                "".join(page.read_text(encoding="utf-8") for page in PAGES),
            )
        )
    ),
)
def test_files_named_in_the_docs_exist(path: str) -> None:
    """A file that the docs name is there."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize("code", [code for page, code in code_blocks("python") if page == "testing.md"])
def test_the_testing_examples_run(code: str) -> None:
    """The examples of docs/testing.md do what they say."""
    exec(compile(code, "docs/testing.md", "exec"), {})  # noqa: S102
