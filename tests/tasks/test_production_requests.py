"""Requests shaped as applications send them: instructions, tools, schemas and data, labelled by hand."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from tierwise.tasks import TASKS, infer
from tierwise.tasks.taxonomy import SUB_TAGS

REQUESTS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "production_requests.jsonl").read_text("utf-8").splitlines()
]
RIGHT_AT_LEAST = 0.89
"""Words of the lexicon were chosen with part of the requests in view: it guards what works, and estimates nothing."""


def is_right(row: dict[str, Any]) -> bool:
    found = infer(row["request"], memory=None)
    return found.task_type == row["task_type"] and row.get("sub_tag", found.sub_tag) == found.sub_tag


def test_production_requests_are_told():
    """The share of application-shaped requests whose task is found does not fall."""
    wrong = [row for row in REQUESTS if not is_right(row)]

    assert len(wrong) <= (1 - RIGHT_AT_LEAST) * len(REQUESTS), [row["request"]["messages"][0] for row in wrong]


def test_no_task_type_is_lost():
    """Of every task type, more than half of the requests are found."""
    right: dict[str, list[bool]] = defaultdict(list)
    for row in REQUESTS:
        right[row["task_type"]].append(is_right(row))

    assert {task: found for task, found in right.items() if 2 * sum(found) <= len(found)} == {}


def test_requests_cover_the_taxonomy():
    """Every task type that words can tell has requests, under names of the table."""
    labels = {row["task_type"] for row in REQUESTS}

    assert labels == set(TASKS) - {"embedding", "unknown"}
    assert {row["sub_tag"] for row in REQUESTS if "sub_tag" in row} <= set(SUB_TAGS)
