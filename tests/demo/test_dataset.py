from __future__ import annotations

from collections import Counter
from dataclasses import replace
from importlib import resources

import pytest

from tierwise.demo import dataset
from tierwise.demo.dataset import DATASETS, Prompt, grade, load

ZEROEVAL_MODELS = {
    "claude-3-opus-20240229",
    "claude-3-5-haiku-20241022",
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
}
MMLU_PRO_MODELS = {"gemini-1.5-pro-002", "gemini-1.5-flash-002"}


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return load()


def test_every_data_set_is_there_in_full(prompts: list[Prompt]) -> None:
    """The counts are those of data/README.md."""
    assert Counter(prompt.dataset for prompt in prompts) == {
        "gsm8k": 1319,
        "crux": 800,
        "math_hard": 721,
        "mmlu_pro": 1350,
    }
    subjects = Counter(prompt.category for prompt in prompts if prompt.dataset == "mmlu_pro")
    assert set(subjects.values()) == {225}
    assert len(subjects) == 6


def test_every_prompt_has_all_its_models_answers(prompts: list[Prompt]) -> None:
    """Each prompt is a pair for its strong and weak models: none is missing, none is empty, all are scored."""
    for prompt in prompts:
        models = MMLU_PRO_MODELS if prompt.dataset == "mmlu_pro" else ZEROEVAL_MODELS
        assert set(prompt.answers) == models
        assert all(answer.response.strip() and answer.score in (0.0, 1.0) for answer in prompt.answers.values())
        assert all(answer.input_tokens > 0 and answer.output_tokens > 0 for answer in prompt.answers.values())


def test_prompts_are_unique_and_in_a_fixed_order(prompts: list[Prompt]) -> None:
    """No prompt comes twice, and loading again gives the same list."""
    keys = [(prompt.dataset, prompt.prompt_id) for prompt in prompts]

    assert len(set(keys)) == len(keys)
    assert load() == prompts
    assert [prompt.dataset for prompt in load(["mmlu_pro", "crux"])] == ["mmlu_pro"] * 1350 + ["crux"] * 800


def test_files_are_read_once_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading one data set does not read the others, and loading it again reads nothing."""
    dataset._prompts.cache_clear()
    read: list[str] = []
    records = dataset._records

    def noting_records(file_name: str) -> object:
        read.append(file_name)
        return records(file_name)

    monkeypatch.setattr(dataset, "_records", noting_records)

    load(["crux"])
    load(["crux"])

    assert read == ["crux.jsonl.gz"]


def test_an_unknown_data_set_is_named_with_the_known_ones() -> None:
    """The message says what there is instead."""
    with pytest.raises(ValueError, match="called trivia; there are gsm8k, crux, math_hard, mmlu_pro"):
        load(["trivia"])


@pytest.mark.parametrize(
    ("name", "at_least"), [("gsm8k", 0.99), ("crux", 0.97), ("math_hard", 0.95), ("mmlu_pro", 0.99)]
)
def test_grade_agrees_with_the_recorded_scores(prompts: list[Prompt], name: str, at_least: float) -> None:
    """Graded from the text alone, nearly every answer gets its recorded score; crux's scorer missed nested braces."""
    compared = [
        grade(prompt, answer.response) == answer.score
        for prompt in prompts
        if prompt.dataset == name
        for answer in prompt.answers.values()
    ]

    assert sum(compared) / len(compared) >= at_least


def test_grade_follows_the_prompt_s_own_reference(prompts: list[Prompt]) -> None:
    """The same text is right for its prompt and wrong once the reference is another."""
    prompt = next(prompt for prompt in prompts if prompt.dataset == "gsm8k" and prompt.reference == "# 18")
    text = '{"answer": "18 dollars"}'

    assert grade(prompt, text) == 1.0
    assert grade(replace(prompt, reference="# 19"), text) == 0.0


def test_licences_and_origin_ship_with_the_data() -> None:
    """The licence, a notice for each source, and a page about every file lie beside the data, in at most 3 MB."""
    data = resources.files("tierwise.demo") / "data"
    readme = (data / "README.md").read_text()
    licences = {entry.name for entry in (data / "LICENSES").iterdir()}
    files = [entry for entry in data.iterdir() if entry.name.endswith(".gz")]

    assert licences == {"Apache-2.0.txt", "NOTICE-MMLU-Pro.txt", "NOTICE-ZeroEval.txt"}
    assert {entry.name for entry in files} == {f"{name}.jsonl.gz" for name in DATASETS}
    assert all(f"`{entry.name}`" in readme for entry in files)
    assert sum(len(entry.read_bytes()) for entry in files) <= 3_000_000
