"""What a model is called where it is deployed: Azure and Bedrock let their customers choose the names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tierwise.routing.document import TableReader


@dataclass(frozen=True, slots=True)
class Deployments:
    """Names of deployments, by provider and model. Empty where nothing is deployed under a name of its own."""

    names: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """`gen_ai.provider.name` → model → deployment: the name of an Azure deployment, or the id or ARN of a Bedrock
    inference profile."""
    _models: Mapping[str, Mapping[str, str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        models = {
            provider: {deployment: model for model, deployment in names.items()}
            for provider, names in self.names.items()
        }
        object.__setattr__(self, "_models", models)

    def __bool__(self) -> bool:
        return bool(self.names)

    def model_of(self, provider: str, name: str) -> str:
        """The model that a request for `name` reaches; `name` itself where it is no deployment of the table."""
        return self._models.get(provider, {}).get(name, name)

    def name_of(self, provider: str, model: str) -> str | None:
        """What to ask `provider` for to reach `model`; None where only the table could say and does not.

        Azure knows no model by its own name, only deployments; every other provider does.
        """
        named = self.names.get(provider, {}).get(model)
        return named if named is not None or provider == _NAMED_ONLY else model

    def describe(self) -> list[str]:
        """One plain sentence a provider."""
        return [
            f"At {provider} {', '.join(f'{model} is deployed as {name}' for model, name in sorted(names.items()))}."
            for provider, names in sorted(self.names.items())
        ]


_NAMED_ONLY = "azure.ai.openai"


def read_deployments(table: TableReader) -> Deployments:
    """The `[deployments]` table: a table a provider, each `model = "deployment"`."""
    names: dict[str, Mapping[str, str]] = {}
    for provider in table.values:
        of_provider = table.table(provider, subject=f'[deployments."{provider}"]')
        deployed: dict[str, str] = {}
        for model in of_provider.values:
            deployed[model] = of_provider.text(model)
            if list(deployed.values()).count(deployed[model]) > 1:
                of_provider.fail(f"deploys two models as {deployed[model]!r}; a deployment is of one model", model)
        names[provider] = deployed
    return Deployments(names)
