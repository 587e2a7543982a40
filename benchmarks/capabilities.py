"""Make `src/tierwise/routing/capabilities.json` from LiteLLM's model table (MIT), and print what it holds.

    pip download litellm==1.109.1 --no-deps -d DIR
    python benchmarks/capabilities.py --litellm DIR/litellm-1.109.1-*.whl --as-of 2026-11-24

Only what `tierwise.routing.compat` asks about is kept, of OpenAI's and Anthropic's chat and responses models and of the
names those models have on Bedrock and Vertex AI. A flag the table leaves open counts as "no": a request that needs the
feature then stays where it is.
"""

from __future__ import annotations

import argparse
import json
import re
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parents[1] / "src" / "tierwise" / "routing" / "capabilities.json"
LICENCE = OUTPUT.with_name("capabilities.LICENSE.txt")
TABLE = "litellm/model_prices_and_context_window_backup.json"

_APIS = {"/v1/chat/completions": "chat_completions", "/v1/responses": "responses"}
_SPECIAL = re.compile(r"audio|search|computer-use|research|codex|daybreak|cyber|rosalind|-law|chat|discovery|mythos")
"""Models for a purpose of their own, or whose name moves between models: never proposed in place of another."""
_BEDROCK_NAME = re.compile(r"(?:[a-z-]+\.)?(?:anthropic|openai)\.(?P<model>.+?)(?:-v\d+)?(?::\d+)?")


def capabilities(table: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """One entry a model, by name."""
    entries: dict[str, dict[str, Any]] = {}
    for model, row in table.items():
        provider = row.get("litellm_provider")
        if provider not in ("openai", "anthropic") or row.get("mode") not in ("chat", "responses"):
            continue
        if not row.get("max_input_tokens") or not row.get("max_output_tokens") or model.startswith("ft:"):
            continue
        entry = _openai(model, row) if provider == "openai" else _anthropic(row)
        entry |= {"provider": provider, "input": row["max_input_tokens"], "output": row["max_output_tokens"]}
        entry["general"] = not _SPECIAL.search(model)
        if "deprecation_date" in row:
            entry["retires"] = row["deprecation_date"]
        entries[model] = entry
    return dict(sorted(entries.items()))


def _features(row: dict[str, Any], names: dict[str, str]) -> set[str]:
    return {feature for feature, key in names.items() if row.get(key) is True}


_COMMON = {
    "tools": "supports_function_calling",
    "tool_choice": "supports_tool_choice",
    "images": "supports_vision",
    "pdf": "supports_pdf_input",
    "web_search": "supports_web_search",
    "reasoning": "supports_reasoning",
}


def _openai(model: str, row: dict[str, Any]) -> dict[str, Any]:
    can = _features(
        row,
        _COMMON
        | {
            "structured_output": "supports_response_schema",
            "parallel_tools": "supports_parallel_function_calling",
            "audio_input": "supports_audio_input",
            "audio_output": "supports_audio_output",
        },
    )
    if "tool_choice" in can:
        can.add("forced_tools")
    if row.get("supports_system_messages") is not False:
        can.add("system")
    can |= {"prefill", "mid_system"}  # any position of any role is accepted by the chat and responses APIs
    if "reasoning" not in can:
        can.add("sampling")
    listed = row.get("supported_endpoints")
    if listed:
        apis = [_APIS[endpoint] for endpoint in listed if endpoint in _APIS]
    elif row["mode"] == "responses":
        apis = ["responses"]
    else:
        # Rows without a list are older chat models, which the Responses API serves as well, but for these two families.
        apis = ["chat_completions"] if re.search(r"audio|search", model) else ["chat_completions", "responses"]
    entry: dict[str, Any] = {"apis": sorted(apis), "can": sorted(can)}
    if "reasoning" in can:
        entry["efforts"] = row.get("reasoning_effort_levels") or _efforts(row)
        if "default_reasoning_effort" in row:
            entry["default_effort"] = row["default_reasoning_effort"]
    return entry


def _efforts(row: dict[str, Any]) -> list[str]:
    levels = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]
    usual = {"low", "medium", "high"}
    return [level for level in levels if row.get(f"supports_{level}_reasoning_effort", level in usual)]


def _anthropic(row: dict[str, Any]) -> dict[str, Any]:
    can = _features(
        row,
        _COMMON
        | {
            "structured_output": "supports_native_structured_output",
            "prefill": "supports_assistant_prefill",
            "mid_system": "supports_mid_conversation_system",
            "always_thinks": "thinking_always_on",
        },
    )
    can |= {"system", "parallel_tools"}
    if row.get("supports_forced_tool_use", "always_thinks" not in can):
        can.add("forced_tools")
    if row.get("supports_sampling_params") is not False:
        can.add("sampling")
    thinking: list[str] = []
    if row.get("supports_adaptive_thinking"):
        thinking.append("adaptive")
    if "reasoning" in can and (row.get("supports_legacy_thinking") or not thinking):
        thinking.append("enabled")
    if "always_thinks" not in can:
        thinking.append("disabled")
    entry: dict[str, Any] = {"apis": ["messages"], "can": sorted(can), "thinking": sorted(thinking)}
    if row.get("supports_output_config"):
        entry["efforts"] = _efforts(row)
    return entry


def platform_names(table: dict[str, dict[str, Any]], models: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Names on Bedrock and Vertex AI of models in `models`: provider → name there → name here."""
    names: dict[str, dict[str, str]] = {"aws.bedrock": {}, "gcp.vertex_ai": {}}
    for key, row in table.items():
        provider = str(row.get("litellm_provider"))
        if provider.startswith("bedrock"):
            name = key.removeprefix("bedrock_mantle/")
            found = _BEDROCK_NAME.fullmatch(name)
            base = found["model"].replace("@", "-") if found else ""
            if base in models:
                names["aws.bedrock"][name] = base
        elif provider == "vertex_ai-anthropic_models":
            name = key.removeprefix("vertex_ai/")
            base = name.removesuffix("@default").replace("@", "-")
            if base in models:
                names["gcp.vertex_ai"][name] = base
    return {provider: dict(sorted(known.items())) for provider, known in names.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--litellm", type=Path, required=True, help="LiteLLM wheel")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True, help="day the wheel was the newest")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()

    version = arguments.litellm.name.split("-")[1]
    with zipfile.ZipFile(arguments.litellm) as wheel:
        table = json.loads(wheel.read(TABLE))
        licence = wheel.read(f"litellm-{version}.dist-info/licenses/LICENSE").decode()
    table.pop("sample_spec", None)
    models = capabilities(table)
    names = platform_names(table, models)
    document: dict[str, Any] = {
        "source": f"litellm {version}, {TABLE}",
        "as_of": arguments.as_of.isoformat(),
        "licence": f"MIT, see {LICENCE.name}",
        "models": models,
        "platform_names": names,
    }
    lines = json.dumps(document, indent=1, ensure_ascii=False)
    # One line a model: a person can read a change of the table as a diff.
    compact = re.sub(r"\n {3,}", " ", lines).replace("\n  }", " }")
    arguments.output.write_text(compact + "\n", encoding="utf-8")
    arguments.output.with_name(LICENCE.name).write_text(licence, encoding="utf-8")
    print(f"{len(models)} models, {sum(map(len, names.values()))} platform names")
    print(f"{arguments.output.stat().st_size / 1024:.1f} KiB written to {arguments.output}")


if __name__ == "__main__":
    main()
