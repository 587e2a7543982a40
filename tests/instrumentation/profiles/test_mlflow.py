from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tierwise.instrumentation.profiles.mlflow import translate


def test_cost(attributes: Mapping[str, Any]) -> None:
    """MLflow gets input with all of its cache parts, output, and a total with what is billed beside the tokens."""
    (cost,) = translate(attributes).values()

    assert json.loads(str(cost)) == {"input_cost": 0.4625, "output_cost": 0.5, "total_cost": 0.9725}
