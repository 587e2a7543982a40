"""A recommendation down to the rows it rests on: each number with the SQL that gives it again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tierwise import prices
from tierwise.evidence.estimate import NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.price_overrides import Rates
from tierwise.recommend.levers.lever import sql_moment, sql_text
from tierwise.recommend.recommendation import Recommendation, TokenUse
from tierwise.savings.cells import price_changed
from tierwise.savings.latency import MOST_PAIRS, LatencyChange

_LARGEST_REQUEST = 10_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a recommendation and how to get it from the store."""

    name: str
    value: Decimal | float | int
    sql: str
    """One read-only statement with one row of one column; `tierwise sql` runs it."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What can be worked out again by hand, and what cannot."""

    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    """Why a number has no statement, and where the intervals come from."""


def explain(item: Recommendation) -> Explanation:
    """The statements behind `item`, for the rows that were there when it was worked out.

    Rows that arrive later, such as a score given late to an early pair, change what the statements give.
    """
    figures = [*_traffic(item), *_pairs(item)]
    notes = [
        (
            "intervals are drawn: conversations are resampled and token counts drawn with a seed, and bounds on "
            "quality come from a betting process over the pairs; neither is one statement"
        )
    ]
    saving = _saving(item)
    if isinstance(saving, Figure):
        figures.append(saving)
    else:
        notes.append(f"the saving has no statement: {saving}")
    proof = item.certificate
    if isinstance(proof, Certificate) and proof.n != item.pair_count:
        notes.append(
            f"{item.pair_count - proof.n:,} pairs, drawn at random, chose between several models and are not in the "
            "quality kept"
        )
    return Explanation(tuple(figures), tuple(notes))


def _scope(item: Recommendation, *, table: str = "", since: bool = True) -> str:
    """The conditions on a call of the recommendation's scope."""
    at = f"{table}." if table else ""
    lines = [
        f"{at}shadow_of_span_id IS NULL",
        f"{at}provider = {sql_text(item.scope.provider)}",
        f"{at}use_case_id = {sql_text(item.scope.use_case_id)}",
        f"{at}requested_model = {sql_text(item.scope.request_model)}",
        f"{at}start_time < {sql_moment(item.as_of)}",
    ]
    if since and item.since is not None:
        lines.append(f"{at}start_time >= {sql_moment(item.since)}")
    return "\n  AND ".join(lines)


def _traffic(item: Recommendation) -> list[Figure]:
    where = f"FROM llm_calls\nWHERE {_scope(item)}"
    found = [
        Figure("calls", item.calls, f"SELECT count(*)\n{where}"),
        Figure("spend_usd", item.spend_usd, f"SELECT sum(cost_usd)\n{where}"),
    ]
    if item.priced_share is not None:
        found.append(
            Figure("priced_share", item.priced_share, f"SELECT count(cost_usd)::DOUBLE / count(*)::DOUBLE\n{where}")
        )
    return found


def _shadowed(item: Recommendation) -> str:
    """The calls that the target answered too, by the model versions that answer now."""
    return f"""\
WITH every AS (
    SELECT strong.start_time, strong.trace_id, strong.span_id, weak.trace_id AS weak_trace_id,
           weak.span_id AS weak_span_id, coalesce(strong.conversation_id, strong.trace_id) AS conversation,
           1.0 / coalesce(nullif(weak.shadow_propensity, 0), 1.0) AS weight, weak.cost_usd AS weak_cost_usd,
           strong.duration_s AS strong_s, weak.duration_s AS weak_s,
           strong.response_model AS strong_version, weak.response_model AS weak_version
    FROM llm_calls AS strong
    JOIN llm_calls AS weak
        ON weak.shadow_of_trace_id = strong.trace_id AND weak.shadow_of_span_id = strong.span_id
    WHERE {_scope(item, table="strong", since=False)}
      AND strong.request_model = strong.requested_model
      AND weak.request_model = {sql_text(item.target)}
),
shadowed AS (
    SELECT * FROM every
    WHERE coalesce(strong_version = (SELECT arg_max(strong_version, start_time) FROM every), true)
      AND coalesce(weak_version = (SELECT arg_max(weak_version, start_time) FROM every), true)
)"""


def _pairs(item: Recommendation) -> list[Figure]:
    shadowed = _shadowed(item)
    since = "" if item.since is None else f"\nWHERE start_time >= {sql_moment(item.since)}"
    found = [
        Figure(
            "evaluation_cost_usd",
            item.evaluation_cost_usd,
            f"{shadowed}\nSELECT coalesce(sum(weak_cost_usd), 0) FROM shadowed{since}",
        )
    ]
    if item.evaluation is not None:
        scored = f"""{shadowed},
score AS (
    SELECT trace_id, span_id, arg_max(score, time) AS score FROM evaluations
    WHERE score IS NOT NULL AND name = {sql_text(item.evaluation)} AND source = {sql_text(item.evaluation_source)}
    GROUP BY ALL
),
pair AS (
    SELECT conversation, weight, weak.score AS weak, strong.score AS strong
    FROM shadowed
    JOIN score AS strong USING (trace_id, span_id)
    JOIN score AS weak ON weak.trace_id = weak_trace_id AND weak.span_id = weak_span_id
)"""
        found.append(Figure("pair_count", item.pair_count, f"{scored}\nSELECT count(*) FROM pair"))
        proof = item.certificate
        if isinstance(proof, Certificate) and proof.value is not None and proof.n == item.pair_count:
            found.append(
                Figure(
                    "quality kept",
                    proof.value,
                    f"{scored},\nmean AS (\n    SELECT avg(weight * weak) AS weak, avg(weight * strong) AS strong "
                    "FROM pair GROUP BY conversation\n)\nSELECT sum(weak) / sum(strong) FROM mean",
                )
            )
    if isinstance(item.latency, LatencyChange):
        change = item.latency
        for model, name, share, value in (
            ("strong", "p50", 0.5, change.strong_p50_s),
            ("weak", "p50", 0.5, change.weak_p50_s),
            ("strong", "p95", 0.95, change.strong_p95_s),
            ("weak", "p95", 0.95, change.weak_p95_s),
        ):
            asked = item.scope.request_model if model == "strong" else item.target
            found.append(Figure(f"{name} of {asked}, s", value, _quantile(shadowed, f"{model}_s", share)))
    return found


def _quantile(shadowed: str, column: str, share: float) -> str:
    return f"""{shadowed},
timed AS (
    SELECT {column} AS duration_s, weight FROM shadowed
    WHERE strong_s IS NOT NULL AND weak_s IS NOT NULL ORDER BY start_time DESC LIMIT {MOST_PAIRS}
),
reached AS (
    SELECT duration_s, sum(weight) OVER (ORDER BY duration_s) AS so_far, sum(weight) OVER () AS in_all FROM timed
)
SELECT min(duration_s) FROM reached WHERE so_far >= {share} * in_all"""


def _saving(item: Recommendation) -> Figure | str:
    """The saving in the window as one statement, or why it is none."""
    saving, tokens = item.window_saving, item.tokens
    if isinstance(saving, NotEnoughData) or tokens is None or item.since is None:
        return "there is none"
    if item.price_version != prices.price_version():
        return f"it was worked out with {item.price_version}, and the prices here are {prices.price_version()}"
    model = item.scope.request_model
    if price_changed(item.scope.provider, model, None, since=item.since, until=item.as_of):
        return f"the price of {model} changed in the window, and billed costs are brought to today's prices first"
    steps = _steps(item, 0, _LARGEST_REQUEST)
    if steps is None:
        return f"{item.target} has no price"
    return Figure("window_saving", saving.value, _saving_sql(item, tokens, steps))


def _steps(item: Recommendation, low: int, high: int) -> list[tuple[int, Rates]] | None:
    """The input sizes above which other prices hold, and these, smallest first; None without a price."""
    first, last = _rates(item, low), _rates(item, high)
    if first is None or last is None:
        return None
    if first == last:
        return [(low, first)]
    if high - low == 1:
        return [(low, first), (high, last)]
    middle = (low + high) // 2
    found = [*(_steps(item, low, middle) or ()), *(_steps(item, middle, high) or ())]
    return [step for place, step in enumerate(found) if place == 0 or step[1] != found[place - 1][1]]


def _rates(item: Recommendation, input_tokens: int) -> Rates | None:
    at_ns = int(item.as_of.timestamp() * 1e9)
    return prices.rates(item.scope.provider, item.target, input_tokens=input_tokens, at_ns=at_ns)


def _saving_sql(item: Recommendation, tokens: TokenUse, steps: list[tuple[int, Rates]]) -> str:
    def rate(name: str, *otherwise: str) -> str:
        """The price of a class by size of the request, or that of the first class sold in its place."""

        def of(rates: Rates) -> str:
            sold = (getattr(rates, each) for each in (name, *otherwise))
            return f"{next((value for value in sold if value is not None), Decimal(0)):f}"

        cases = [
            f"WHEN input_tokens * {tokens.input!r} >= {size} THEN {of(rates)}" for size, rates in reversed(steps[1:])
        ]
        return f"(CASE {' '.join(cases)} ELSE {of(steps[0][1])} END)" if cases else of(steps[0][1])

    return f"""\
WITH turn AS (
    SELECT *, least(cache_read_tokens, coalesce(lag(input_tokens) OVER (
        PARTITION BY coalesce(conversation_id, trace_id), request_model ORDER BY start_time
    ), 0)) AS sent_before
    FROM llm_calls
    WHERE {_scope(item)} AND request_model = requested_model
),
call AS (
    SELECT *, cache_read_tokens * coalesce(
        sum(sent_before) OVER ()::DOUBLE / nullif(sum(cache_read_tokens) OVER (), 0)::DOUBLE, 0
    ) AS warm_tokens
    FROM turn
)
SELECT sum(
    cost_usd::DOUBLE
    - {tokens.input!r} * (
        (input_tokens - cache_read_tokens - cache_write_tokens) * {rate("input")}
        + warm_tokens * {rate("cache_read", "input")}
        + (cache_read_tokens - warm_tokens) * {rate("cache_write", "input")}
        + (cache_write_tokens - cache_write_1h_tokens) * {rate("cache_write", "input")}
        + cache_write_1h_tokens * {rate("cache_write_1h", "cache_write", "input")}
    )
    - {tokens.output_slope!r} * (
        (output_tokens - reasoning_tokens) * {rate("output")} + reasoning_tokens * {rate("reasoning", "output")}
    )
    - {tokens.output_per_call!r} * {rate("output")}
    - web_searches * {rate("web_search")}
)
FROM call
WHERE cost_usd IS NOT NULL AND decision IS DISTINCT FROM 'refused'"""
