"""MLflow: the cost of a call, which MLflow otherwise takes from a list of its own.

`mlflow.llm.cost` wins over MLflow's own figure, which knows no one-hour cache writes and no service tiers on spans that
come by OTLP.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from tierwise.attributes import from_attributes
from tierwise.call import AttributeValue

_DEFAULT_EXPERIMENT_ID = "0"
"""The experiment that every MLflow server has."""


def translate(attributes: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """`mlflow.llm.cost` of a priced call; MLflow is left to its own list for an unpriced one."""
    cost = from_attributes(attributes).cost
    if cost is None:
        return {}
    input_usd = cost.input_usd + cost.cache_read_usd + cost.cache_write_usd
    figures = {"input_cost": input_usd, "output_cost": cost.output_usd, "total_cost": cost.total_usd}
    return {"mlflow.llm.cost": json.dumps({name: float(usd) for name, usd in figures.items()})}


def headers() -> dict[str, str]:
    """The header that says which experiment spans belong to; MLflow takes none without it."""
    return {"x-mlflow-experiment-id": os.environ.get("MLFLOW_EXPERIMENT_ID") or _DEFAULT_EXPERIMENT_ID}
