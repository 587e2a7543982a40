"""A recommendation down to the rows it rests on: each number with the SQL that gives it again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tierwise import prices
from tierwise.evidence.estimate import Estimate, NotEnoughData
from tierwise.evidence.retention import Certificate
from tierwise.price_overrides import Rates
from tierwise.recommend.levers.lever import sql_moment, sql_text
from tierwise.recommend.recommendation import JudgedEvidence, Recommendation, Scope, TokenUse
from tierwise.routing.escalation import DEFAULT_CHECKS
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
class Interval:
    """The bounds of a number, which come from draws or from bets on single rows, and how to get them again."""

    name: str
    low: float
    value: float
    high: float
    level: float
    """Confidence: of the two bounds together where they are drawn, of each where they come from bets."""
    n: int
    method: str
    seed: int | None
    """Of the draws; None where nothing is drawn."""
    sql: str
    """One read-only statement that gives the rows it is worked out from."""
    command: str
    """Works out the same interval again."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What can be worked out again by hand, and what cannot."""

    figures: tuple[Figure, ...]
    intervals: tuple[Interval, ...]
    notes: tuple[str, ...]
    """Why a number has no statement."""


def explain(item: Recommendation) -> Explanation:
    """The statements behind `item`, for the rows that were there when it was worked out.

    Rows that arrive later, such as a score given late to an early pair, change what the statements give.
    """
    figures = [*_traffic(item), *_pairs(item)]
    notes: list[str] = []
    saving = _saving(item)
    if isinstance(saving, Figure):
        figures.append(saving)
    else:
        notes.append(f"the saving has no statement: {saving}")
    proof = item.certificate
    if item.judged is not None and item.judged.waiting:
        notes.append(
            f"the quality kept rests on the {item.judged.counted:,} pairs before the first that waits for review, and "
            "which pairs wait is drawn by a hash"
        )
    elif item.judged is None and isinstance(proof, Certificate) and proof.n != item.pair_count:
        notes.append(
            f"{item.pair_count - proof.n:,} pairs, drawn at random, chose between several models and are not in the "
            "quality kept"
        )
    return Explanation(tuple(figures), tuple(_intervals(item)), tuple(notes))


def _intervals(item: Recommendation) -> list[Interval]:
    seed = 0 if item.seed is None else item.seed
    command = f"tierwise recommend {item.id} --as-of {item.as_of.isoformat()} --seed {seed} --json"
    calls = (
        "SELECT start_time, coalesce(conversation_id, trace_id) AS conversation, input_tokens, output_tokens, "
        f"cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_usd\nFROM traffic()\nWHERE {_scope(item)}"
    )
    shadowed = f"{_shadowed(item)}\nSELECT conversation, weight, strong_s, weak_s FROM shadowed WHERE checked"
    found: list[Interval] = []
    drawn: list[tuple[str, Estimate | NotEnoughData, str]] = [
        ("window_saving", item.window_saving, calls),
        ("net_saving", item.net_saving, calls),
        ("saving_share", item.saving_share, calls),
    ]
    if isinstance(item.latency, LatencyChange):
        drawn += [
            ("p50 change, s", item.latency.p50_change, shadowed),
            ("p95 change, s", item.latency.p95_change, shadowed),
        ]
    for name, bounds, sql in drawn:
        if isinstance(bounds, Estimate):
            found.append(
                Interval(
                    name,
                    bounds.low,
                    bounds.value,
                    bounds.high,
                    bounds.confidence_level,
                    bounds.n,
                    bounds.method,
                    seed,
                    sql,
                    command,
                )
            )
    proof = item.certificate
    if isinstance(proof, Certificate) and proof.value is not None and item.evaluation is not None:
        pairs = f"{_scored(item)}\nSELECT conversation, weight, weak, strong FROM pair"
        found.append(
            Interval(
                "quality kept",
                proof.low,
                proof.value,
                proof.high,
                1.0 - proof.alpha,
                proof.n,
                proof.method,
                None,
                pairs,
                command,
            )
        )
    return found


def _scope(item: Recommendation, *, table: str = "", since: bool = True) -> str:
    """The conditions on a call of the recommendation's scope, a row of `traffic()`."""
    at = f"{table}." if table else ""
    lines = [
        f"{at}provider = {sql_text(item.scope.provider)}",
        *_use_case(item.scope, at),
        f"{at}requested_model = {sql_text(item.scope.request_model)}",
        f"{at}start_time < {sql_moment(item.as_of)}",
    ]
    if since and item.since is not None:
        lines.append(f"{at}start_time >= {sql_moment(item.since)}")
    return "\n  AND ".join(lines)


def _use_case(scope: Scope, at: str) -> list[str]:
    named = scope.members or (scope.use_case_id,)
    lines = [
        f"{at}observed_use_case_id = {sql_text(named[0])}"
        if len(named) == 1
        else f"{at}observed_use_case_id IN ({', '.join(map(sql_text, named))})"
    ]
    return lines if scope.tenant is None else [*lines, f"{at}tenant = {sql_text(scope.tenant)}"]


def _traffic(item: Recommendation) -> list[Figure]:
    where = f"FROM traffic()\nWHERE {_scope(item)}"
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
    """The calls that the target answered too, by the model versions that answer now.

    In a cascade a cheap answer that fails a check is followed by the requested model's: then `failed` is true and
    `weak_s` the time of both.
    """
    cascade = item.rule_kind == "cascade"
    checks = ", ".join(sql_text(name) for name in DEFAULT_CHECKS)
    verdict = f"""\
verdict AS (
    SELECT trace_id AS weak_trace_id, span_id AS weak_span_id, bool_or(score < 0.5 AND name IN ({checks})) AS failed
    FROM (
        SELECT trace_id, span_id, name, arg_max(score, time) AS score FROM evaluations
        WHERE source = 'structural' AND score IS NOT NULL GROUP BY ALL
    )
    GROUP BY ALL
),
"""
    columns = (
        "* EXCLUDE (failed) REPLACE (CASE WHEN failed THEN weak_s + strong_s ELSE weak_s END AS weak_s), "
        "failed IS NOT NULL AS checked, coalesce(failed, false) AS failed"
        if cascade
        else "*, true AS checked, false AS failed"
    )
    joined = " LEFT JOIN verdict USING (weak_trace_id, weak_span_id)" if cascade else ""
    return f"""\
WITH {verdict if cascade else ""}every AS (
    SELECT strong.start_time, strong.trace_id, strong.span_id, weak.trace_id AS weak_trace_id,
           weak.span_id AS weak_span_id, coalesce(strong.conversation_id, strong.trace_id) AS conversation,
           1.0 / coalesce(nullif(weak.shadow_propensity, 0), 1.0) AS weight, weak.cost_usd AS weak_cost_usd,
           strong.duration_s AS strong_s, weak.duration_s AS weak_s,
           strong.response_model AS strong_version, weak.response_model AS weak_version
    FROM traffic() AS strong
    JOIN llm_calls AS weak
        ON weak.shadow_of_trace_id = strong.trace_id AND weak.shadow_of_span_id = strong.span_id
    WHERE {_scope(item, table="strong", since=False)}
      AND strong.request_model = strong.requested_model
      AND weak.request_model = {sql_text(item.target)}
),
shadowed AS (
    SELECT {columns} FROM every{joined}
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
            f"{shadowed}\nSELECT coalesce(sum(weak_cost_usd), 0) + {_judge_cost(item)} FROM shadowed{since}",
        )
    ]
    if item.evaluation is not None:
        scored = _scored(item)
        found.append(Figure("pair_count", item.pair_count, f"{scored}\nSELECT count(*) FROM pair"))
        proof = item.certificate
        if item.judged is not None:
            found += _judged(item.judged, shadowed)
        elif isinstance(proof, Certificate) and proof.value is not None and proof.n == item.pair_count:
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


def _scored(item: Recommendation) -> str:
    """The pairs with a score of the evaluation that counts on both sides."""
    return f"""{_shadowed(item)},
score AS (
    SELECT trace_id, span_id, arg_max(score, time) AS score FROM evaluations
    WHERE score IS NOT NULL AND name = {sql_text(item.evaluation)} AND source = {sql_text(item.evaluation_source)}
    GROUP BY ALL
),
pair AS (
    SELECT conversation, weight{_review_weight(item)} AS weight, strong.score AS strong,
           CASE WHEN failed THEN strong.score ELSE weak.score END AS weak
    FROM shadowed
    JOIN score AS strong USING (trace_id, span_id)
    JOIN score AS weak ON weak.trace_id = weak_trace_id AND weak.span_id = weak_span_id
)"""


def _judge_cost(item: Recommendation) -> str:
    """What the judge's own calls cost in the window, as an expression."""
    since = "" if item.since is None else f" AND start_time >= {sql_moment(item.since)}"
    return (
        f"(SELECT coalesce(sum(cost_usd), 0) FROM traffic() WHERE use_case_name = "
        f"{sql_text(f'judge of {item.scope.label}')} AND start_time < {sql_moment(item.as_of)}{since})"
    )


def _review_weight(item: Recommendation) -> str:
    """The factor by which a person's score weighs more for how rarely such a pair was drawn for review."""
    if item.evaluation_source != "human":
        return ""
    return """ / coalesce((
        SELECT arg_max(propensity, reviewed_at) FROM reviews
        WHERE shadow_trace_id = weak_trace_id AND shadow_span_id = weak_span_id
          AND undone_at IS NULL AND verdict <> 'skip'
    ), 1.0)"""


def _judged(evidence: JudgedEvidence, shadowed: str) -> list[Figure]:
    pairs = f"""{shadowed},
judged AS (
    SELECT trace_id, span_id, arg_max(score, time) AS score FROM evaluations
    WHERE score IS NOT NULL AND name = {sql_text(evidence.judge)} AND source = 'judge'
    GROUP BY ALL
),
standing AS (
    SELECT * FROM reviews WHERE undone_at IS NULL
    QUALIFY row_number() OVER (PARTITION BY shadow_trace_id, shadow_span_id ORDER BY reviewed_at) = 1
),
pair AS (
    SELECT weight, strong.score AS strong, weak.score AS weak, verdict, propensity,
           (verdict IN ('strong', 'both_good'))::INTEGER AS strong_human,
           (verdict IN ('weak', 'both_good'))::INTEGER AS weak_human
    FROM shadowed
    JOIN judged AS strong USING (trace_id, span_id)
    JOIN judged AS weak ON weak.trace_id = weak_trace_id AND weak.span_id = weak_span_id
    LEFT JOIN standing ON shadow_trace_id = weak_trace_id AND shadow_span_id = weak_span_id
)"""
    found = [Figure("judged pairs", evidence.pairs, f"{pairs}\nSELECT count(*) FROM pair")]
    if evidence.waiting:
        # Which pairs count is up to the draw, which is no statement.
        return found
    found.append(
        Figure("reviewed pairs", evidence.reviewed, f"{pairs}\nSELECT count(*) FROM pair WHERE verdict <> 'skip'")
    )
    if evidence.certificate.value is not None:
        corrected = "sum(weight * ({0} + coalesce(({0}_human - {0}) / propensity, 0)))"
        value = f"{corrected.format('weak')} / {corrected.format('strong')}"
        found.append(Figure("quality kept", evidence.certificate.value, f"{pairs}\nSELECT {value} FROM pair"))
    return found


def _quantile(shadowed: str, column: str, share: float) -> str:
    return f"""{shadowed},
timed AS (
    SELECT {column} AS duration_s, weight FROM shadowed
    WHERE checked AND strong_s IS NOT NULL AND weak_s IS NOT NULL ORDER BY start_time DESC LIMIT {MOST_PAIRS}
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
    FROM traffic()
    WHERE {_scope(item)} AND request_model = requested_model
),
call AS (
    SELECT *, cache_read_tokens * coalesce(
        sum(sent_before) OVER ()::DOUBLE / nullif(sum(cache_read_tokens) OVER (), 0)::DOUBLE, 0
    ) AS warm_tokens
    FROM turn
)
SELECT {item.share!r} * sum(
    cost_usd::DOUBLE * {1.0 - (item.strong_share or 0.0)!r}
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
