"""A store with three weeks of made-up traffic: enough of everything that the dashboard shows, the same every time.

invoice-extraction   the cheap model is as good, and there are pairs enough to prove it
ticket-triage        a rule is in force with a holdout: its saving can be verified
contract-summary     a handful of pairs: not proved yet
support-replies      conversations with prompt caching, no pairs at all
code-review          reasoning tokens; the cheap model is worse
(no use case)        a model without a price, token counts estimated
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tierwise.recommend import Scope, actions, recommendation_id, to_rule
from tierwise.recommend.kept_levers import refresh_levers
from tierwise.routing.policy import Policy, ShadowPlan, dump
from tierwise.store.duckdb import DuckDBStore

DAYS = 21

ENFORCED_FOR_DAYS = 11
TRIAGE = Scope("uc_triage", "ticket-triage", "classification", "openai", "gpt-6.1-sol")
TRIAGE_ID = recommendation_id(TRIAGE, "gpt-6-luna")
INVOICE_ID = recommendation_id(
    Scope("uc_invoice", "invoice-extraction", "extraction", "anthropic", "claude-opus-5-5"), "claude-haiku-5-5"
)
SHADOWS = ShadowPlan(
    sample=0.2,
    daily_budget_usd=Decimal(5),
    candidates={
        "claude-opus-5-5": ("claude-haiku-5-5",),
        "claude-sonnet-5-5": ("claude-haiku-5-5",),
        "gpt-6.1-sol": ("gpt-6-luna",),
    },
)


@dataclass(frozen=True, slots=True)
class Work:
    """One use case: what it sends where, and how good the cheaper candidate is at it."""

    use_case_id: str | None
    name: str | None
    task_type: str
    service: str
    tenant: str | None
    provider: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    input_usd: float | None
    """Per million tokens; None: no price is known."""
    output_usd: float | None
    cached_share: float = 0.0
    reasoning_share: float = 0.0
    turns: int = 1
    """Calls a conversation."""
    weak_model: str | None = None
    weak_input_usd: float = 0.0
    weak_output_usd: float = 0.0
    shadow_share: float = 0.0
    strong_quality: float = 0.0
    """Mean score of the requested model's answers; 0: nothing is scored."""
    weak_quality: float = 0.0
    routed: bool = False
    """Under a rule for ENFORCED_FOR_DAYS."""


WORK = (
    Work(
        "uc_invoice", "invoice-extraction", "extraction", "billing-api", "acme", "anthropic", "claude-opus-5-5",
        calls=2600, input_tokens=2400, output_tokens=320, input_usd=4.0, output_usd=20.0,
        weak_model="claude-haiku-5-5", weak_input_usd=0.1, weak_output_usd=0.5, shadow_share=0.3,
        strong_quality=0.96, weak_quality=0.962,
    ),
    Work(
        "uc_triage", "ticket-triage", "classification", "helpdesk", "acme", "openai", "gpt-6.1-sol",
        calls=3200, input_tokens=900, output_tokens=40, input_usd=2.0, output_usd=10.0,
        weak_model="gpt-6-luna", weak_input_usd=0.1, weak_output_usd=0.5, shadow_share=0.25,
        strong_quality=0.93, weak_quality=0.93, routed=True,
    ),
    Work(
        "uc_contract", "contract-summary", "summarization", "legal-desk", "globex", "anthropic", "claude-opus-5-5",
        calls=420, input_tokens=9000, output_tokens=700, input_usd=4.0, output_usd=20.0,
        weak_model="claude-haiku-5-5", weak_input_usd=0.1, weak_output_usd=0.5, shadow_share=0.06,
        strong_quality=0.9, weak_quality=0.88,
    ),
    Work(
        "uc_support", "support-replies", "conversation", "helpdesk", "globex", "openai", "gpt-6.1-sol",
        calls=1500, input_tokens=5200, output_tokens=260, input_usd=2.0, output_usd=10.0, cached_share=0.7, turns=5,
    ),
    Work(
        "uc_review", "code-review", "code_generation", "ci", None, "anthropic", "claude-sonnet-5-5",
        calls=700, input_tokens=6400, output_tokens=1500, input_usd=2.0, output_usd=10.0, reasoning_share=0.5,
        weak_model="claude-haiku-5-5", weak_input_usd=0.1, weak_output_usd=0.5, shadow_share=0.2,
        strong_quality=0.88, weak_quality=0.61,
    ),
    Work(
        None, None, "unknown", "notebooks", None, "openai", "gpt-6.2-sol",
        calls=160, input_tokens=1200, output_tokens=400, input_usd=None, output_usd=None,
    ),
)  # fmt: skip

# Every number below comes from a hash of (use case, call, what it is for), so the rows are the same every time.
_CALLS = """
INSERT INTO llm_calls BY NAME
WITH drawn AS (
    SELECT
        i,
        md5($work || 'trace' || i // $turns) AS trace_id,
        left(md5($work || 'span' || i), 16) AS span_id,
        now()::TIMESTAMP - to_seconds((i + 0.5) / $calls * $days * 86400) AS called_at,
        hash($work || 'size' || i) % 1000 / 1000.0 AS size,
        hash($work || 'time' || i) % 1000 / 1000.0 AS slow,
        hash($work || 'arm' || i // $turns) % 1000 / 1000.0 AS draw
    FROM range($calls) AS numbers(i)
),
arms AS (
    SELECT
        *,
        CASE WHEN NOT $routed OR called_at < now()::TIMESTAMP - to_days($enforced_for_days) THEN NULL
             WHEN draw < 0.1 THEN 'holdout'
             WHEN draw < 0.9 THEN 'canary' ELSE 'control' END AS arm
    FROM drawn
),
sized AS (
    SELECT
        *,
        coalesce(arm = 'canary', false) AS cheap,
        ($input_tokens * (0.6 + 0.8 * size))::BIGINT AS input_tokens,
        ($output_tokens * (0.5 + slow))::BIGINT AS output_tokens
    FROM arms
),
priced AS (
    SELECT
        *,
        (input_tokens * $cached_share * (i % $turns > 0)::INTEGER)::BIGINT AS cache_read_tokens,
        if(cheap, $weak_input_usd, $input_usd) / 1e6 AS input_rate,
        if(cheap, $weak_output_usd, $output_usd) / 1e6 AS output_rate,
        called_at + to_seconds((0.3 + 2.2 * slow) * if(cheap, 0.5, 1)) AS end_at
    FROM sized
)
SELECT
    trace_id, span_id,
    called_at::TIMESTAMP_NS AS start_time,
    end_at::TIMESTAMP_NS AS end_time,
    epoch_us(end_at - called_at) / 1e6 AS duration_s,
    $service AS service_name, 'tierwise' AS instrumentation, 'chat' AS operation, $provider AS provider,
    if(cheap, $weak_model, $model) AS request_model, $model AS requested_model,
    if(cheap, $weak_model, $model) AS response_model, 'resp_' || span_id AS response_id,
    false AS stream, ['stop'] AS finish_reasons, if(size > 0.997, 'RateLimitError', NULL) AS error_type,
    input_tokens, output_tokens, cache_read_tokens, 0 AS cache_write_tokens, 0 AS cache_write_1h_tokens,
    (output_tokens * $reasoning_share)::BIGINT AS reasoning_tokens, 0 AS web_searches,
    $input_usd IS NULL AS usage_estimated, false AS usage_partial,
    (input_tokens - 0.9 * cache_read_tokens) * input_rate + output_tokens * output_rate AS cost_usd,
    (input_tokens - cache_read_tokens) * input_rate AS cost_input_usd, output_tokens * output_rate AS cost_output_usd,
    0.1 * cache_read_tokens * input_rate AS cost_cache_read_usd,
    if($input_usd IS NULL, NULL, 0) AS cost_cache_write_usd, if($input_usd IS NULL, NULL, 0) AS cost_other_usd,
    if($input_usd IS NULL, NULL, 'local') AS cost_source,
    if($input_usd IS NULL, NULL, 'genai-prices 0.2.3') AS price_version,
    $input_usd IS NOT NULL AS priced, if($input_usd IS NULL, 'unknown_model', NULL) AS unpriced_reason,
    $task_type AS task_type, if($task_type = 'unknown', NULL, 0.91) AS task_confidence, 'inferred' AS task_source,
    if(size < 0.5, 'low', 'medium') AS complexity, $use_case_id AS use_case_id, $name AS use_case_name,
    $tenant AS tenant, if($turns > 1, 'conversation-' || i // $turns, NULL) AS conversation_id,
    if(arm IS NULL, NULL, 2) AS policy_version, if(arm IS NULL, NULL, $rule_id) AS rule_id, arm,
    CASE WHEN cheap THEN 'routed' WHEN arm IS NOT NULL THEN 'unchanged' END AS decision,
    CASE arm WHEN 'holdout' THEN 0.1 WHEN 'canary' THEN 0.81 WHEN 'control' THEN 0.09 END AS propensity
FROM priced
"""

_SHADOWS = """
INSERT INTO llm_calls BY NAME
SELECT
    md5('shadow' || trace_id) AS trace_id, left(md5('shadow' || span_id), 16) AS span_id,
    end_time AS start_time,
    make_timestamp_ns((epoch_ns(end_time) + 0.45e9 * duration_s)::BIGINT) AS end_time, 0.45 * duration_s AS duration_s,
    service_name, instrumentation, operation, provider, $weak_model AS request_model, $weak_model AS requested_model,
    $weak_model AS response_model, 'resp_shadow_' || span_id AS response_id, stream, finish_reasons,
    input_tokens, (output_tokens * 1.1)::BIGINT AS output_tokens, 0 AS cache_read_tokens, 0 AS cache_write_tokens,
    0 AS cache_write_1h_tokens, 0 AS reasoning_tokens, 0 AS web_searches, false AS usage_estimated,
    false AS usage_partial,
    (input_tokens * $weak_input_usd + output_tokens * 1.1 * $weak_output_usd) / 1e6 AS cost_usd,
    input_tokens * $weak_input_usd / 1e6 AS cost_input_usd,
    output_tokens * 1.1 * $weak_output_usd / 1e6 AS cost_output_usd,
    0 AS cost_cache_read_usd, 0 AS cost_cache_write_usd, 0 AS cost_other_usd, 'local' AS cost_source,
    'genai-prices 0.2.3' AS price_version, true AS priced, task_type, task_confidence, task_source, complexity,
    use_case_id, use_case_name, tenant, conversation_id,
    trace_id AS shadow_of_trace_id, span_id AS shadow_of_span_id, $shadow_share AS shadow_propensity
FROM llm_calls
WHERE use_case_id = $use_case_id AND shadow_of_span_id IS NULL AND request_model = requested_model
  AND hash(span_id || 'shadow') % 1000 < 1000 * $shadow_share
"""

_SCORES = """
INSERT INTO evaluations BY NAME
SELECT
    trace_id, span_id, 'answer_correct' AS name, 'check' AS source,
    (hash(coalesce(shadow_of_span_id, span_id) || 'score') % 1000
        < 1000 * if(request_model = $weak_model, $weak_quality, $strong_quality))::INTEGER::DOUBLE AS score,
    end_time AS time
FROM llm_calls
WHERE use_case_id = $use_case_id
"""


def populate(store: DuckDBStore) -> None:
    """Fill an empty store with calls, pairs, recommendations, and the policy that puts ticket-triage in force."""
    rule_id = to_rule_id(TRIAGE_ID)
    extra = {"days": DAYS, "enforced_for_days": ENFORCED_FOR_DAYS, "rule_id": rule_id}
    for work in WORK:
        values: dict[str, Any] = {name: getattr(work, name) for name in Work.__slots__}
        with store.cursor() as cursor:
            _execute(cursor, _CALLS, {**values, **extra, "work": work.name or "none"})
            if work.weak_model is not None:
                _execute(cursor, _SHADOWS, values)
            if work.strong_quality:
                _execute(cursor, _SCORES, values)
    watching = Policy(mode="shadow", shadow=SHADOWS)
    store.put_policy(dump(watching), who="ada", why="Gather evidence", based_on=None)
    found = {item.id: item for item in actions.refresh(store, now=datetime.now(UTC))}
    refresh_levers(store, now=datetime.now(UTC))
    rule = to_rule(found[TRIAGE_ID], share=0.9, holdout=0.1)
    enforcing = replace(watching, mode="enforce", rules=(rule,))
    store.put_policy(dump(enforcing), who="grace", why="Pairs show equal quality", based_on=1)
    store.set_recommendation_state(TRIAGE_ID, "enforced", who="grace", why="Pairs show equal quality")
    with store.cursor() as cursor:
        # The arms of the rule began when the policy did.
        cursor.execute("UPDATE policies SET created_at = created_at - to_days(?)", [ENFORCED_FOR_DAYS])


def to_rule_id(recommendation_id: str) -> str:
    """The id of the rule that carries out the ticket-triage recommendation."""
    return f"ticket-triage-{recommendation_id.removeprefix('rec_')[:6]}"


def _execute(cursor: Any, statement: str, values: dict[str, Any]) -> None:
    cursor.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})


def create(path: Path) -> str:
    """Write a populated store to `path`; its URL."""
    store = DuckDBStore.open(path)
    populate(store)
    store.close()
    return f"duckdb:{path}"
