"""How many tokens one model takes for the requests of another, from pairs where there are any and a prior where not.

Each level is shrunk towards the one above by the size of its error (empirical Bayes; Efron and Morris, JASA 70, 1975):
a use case towards all pairs of the two models, these towards a stated prior. So three pairs say a little, three hundred
say nearly everything, and there is no number of pairs at which the answer jumps.

Inside a use case output tokens follow a line rather than a ratio: `per_call + slope * tokens`. A model that rambles
does so on short answers too, and the regression estimator is never worse than the ratio estimator in large samples
(Cochran, Sampling Techniques, 3rd ed., section 7.3).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tierwise.savings.pairs import Pairs
from tierwise.savings.traffic import Floats, Ints, Labels

MIN_PAIRS = 20
"""Below this many pairs the token counts are said to be assumed: the prior still counts for much."""

OUTPUT_PRIOR = (0.5, 2.0)
"""Output tokens of one model over another's for the same request; ratios of totals on real data lie within it."""
CLAUDE_TOKENIZER_PRIOR = (0.70, 1.0)
"""From a Claude of version 4.7 or later to an earlier one: the newer tokenizer takes 1.0 to 1.35 times the tokens and,
measured, up to 1.47 times."""
OTHER_TOKENIZER_PRIOR = (0.7, 1.4)

_USE_CASE_SPREAD = 0.25
"""Standard deviation, on a log scale, of use cases' ratios around that of all pairs of two models."""
_INPUT_SPREAD = 0.1
"""Even one tokenizer meets different system text and tool definitions behind two models."""
_ASSUMED = 10.0
"""A conversation's relative error starts at that of the level above, at first 1, as if this many had shown it: a few
look alike by chance."""
_SLOPE_PAIRS = 10.0
"""A ratio, elasticity 1, counts as if this many pairs had shown it."""
_SMALLEST = 0.01


@dataclass(frozen=True, slots=True)
class TokenRatios:
    """Tokens that one model takes for requests, from those another takes; arrays have shape (draws,).

    input = `input` * input tokens;     output = calls * `output_per_call` + `output_slope` * output tokens
    """

    input: float
    output: float
    """Output tokens over output tokens, on the mean pair."""
    output_slope: float
    output_per_call: float
    input_draws: Floats
    """What the input ratio may be, given pairs and prior."""
    slope_draws: Floats
    per_call_draws: Floats
    """Drawn together with `slope_draws`."""
    pairs: int
    """Of the use case itself."""
    pairs_in_all: int
    """Of the two models."""
    assumption: str
    """In words, with the numbers."""

    @property
    def measured(self) -> bool:
        """False: so few pairs that the ratios are nearer to a prior."""
        return self.pairs_in_all >= MIN_PAIRS


@dataclass(frozen=True, slots=True)
class _Sample:
    """Pairs as tokens of the model that calls come from and of the one they go to; arrays have shape (n,)."""

    from_input: Floats
    to_input: Floats
    from_output: Floats
    to_output: Floats
    weight: Floats
    block: Ints
    use_case: list[str | None]

    def __len__(self) -> int:
        return len(self.weight)


def token_ratios(
    pairs: Pairs,
    *,
    provider: str,
    from_model: str,
    to_model: str,
    use_cases: Mapping[str | None, float],
    draws: int,
    rng: np.random.Generator,
) -> dict[str | None, TokenRatios]:
    """The ratios for calls that go from one model to the other, for each of `use_cases`.

    Args:
        pairs: of any models; those between the two count, in either direction, weighted by 1 / propensity. Pairs of one
            conversation are one observation.
        use_cases: the mean number of output tokens of a call of each; what a line is drawn through without pairs.
    """
    sample = _sample(pairs, from_model, to_model)
    whole = _Whole(sample, provider, from_model, to_model, draws, rng)
    rows: dict[str | None, list[int]] = {}
    for row, name in enumerate(sample.use_case):
        rows.setdefault(name, []).append(row)
    return {
        name: whole.of_use_case(np.array(rows.get(name, ()), dtype=np.intp), mean) for name, mean in use_cases.items()
    }


def _sample(pairs: Pairs, from_model: str, to_model: str) -> _Sample:
    forward = pairs.take(pairs.between(from_model, to_model)).with_tokens()
    back = pairs.take(pairs.between(to_model, from_model)).with_tokens()
    back = back.take((back.weak_input_tokens > 0) & (back.weak_output_tokens > 0))

    def names(use_case: Labels) -> list[str | None]:
        return [use_case.values[code] for code in use_case.codes]

    return _Sample(
        from_input=np.concatenate([forward.strong_input_tokens, back.weak_input_tokens]),
        to_input=np.concatenate([forward.weak_input_tokens, back.strong_input_tokens]),
        from_output=np.concatenate([forward.strong_output_tokens, back.weak_output_tokens]),
        to_output=np.concatenate([forward.weak_output_tokens, back.strong_output_tokens]),
        weight=np.concatenate([forward.weight, back.weight]),
        block=np.concatenate([forward.block, forward.blocks + back.block]),
        use_case=[*names(forward.use_case_id), *names(back.use_case_id)],
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a ratio."""

    value: float
    error: float
    """Of one conversation, relative."""
    draws: Floats
    share: float
    """How much pairs count for in it, in [0, 1]; the rest is the prior."""


class _Whole:
    """All pairs of two models: the elasticity inside use cases, and the ratio that use cases are shrunk to."""

    def __init__(
        self, sample: _Sample, provider: str, from_model: str, to_model: str, draws: int, rng: np.random.Generator
    ) -> None:
        self._sample = sample
        self._names = from_model, to_model
        self._rng = rng
        self._draws = draws
        self._input_range = input_prior(provider, from_model, to_model)
        self._elasticity, self._elasticity_error = 1.0, 0.0
        self._level = self._of_all(sample.from_output, sample.to_output, OUTPUT_PRIOR, assumed=1.0, least_spread=0.0)
        self._input = self._of_all(
            sample.from_input, sample.to_input, self._input_range, assumed=0.1, least_spread=_INPUT_SPREAD
        )
        if len(sample):
            self._elasticity, self._elasticity_error = _elasticity(sample)

    def _of_all(
        self, base: Floats, wanted: Floats, limits: tuple[float, float], *, assumed: float, least_spread: float
    ) -> _Known:
        """The ratio of totals of `wanted` over `base` on all pairs, shrunk to a prior between `limits`."""
        low, high = np.log(limits)
        # Spread evenly on a log scale, so that twice and half are equally far from 1.
        drawn = np.exp(self._rng.uniform(low, high, self._draws)) if low < high else np.full(self._draws, limits[0])
        prior = _Known(math.exp(0.5 * (low + high)), assumed, drawn, 0.0)
        spread = max(float(high - low) / math.sqrt(12.0), least_spread)
        return self._shrunk(base, wanted, np.arange(len(base)), prior, spread)

    def _shrunk(self, base: Floats, wanted: Floats, rows: Ints, to: _Known, spread: float) -> _Known:
        """The ratio of totals over `rows`, pulled to `to`, around which it lies with a relative `spread`."""
        n = len(rows)
        if not n:
            return to
        weight = self._sample.weight[rows]
        own = float((weight * wanted[rows]).sum() / (weight * base[rows]).sum())
        error, conversations = _relative_error(wanted, own * base, self._sample, rows, assumed=to.error)
        variance = error * error / conversations
        share = spread * spread / (spread * spread + variance)
        # Own error and what is left of the prior's add up to the variance of the posterior.
        drawn = own * (1.0 + math.sqrt(variance) * self._rng.standard_normal(self._draws))
        drawn = np.maximum(share * drawn + (1.0 - share) * to.draws, _SMALLEST)
        return _Known(share * own + (1.0 - share) * to.value, error, drawn, share + (1.0 - share) * to.share)

    def _around(self, known: _Known, spread: float) -> _Known:
        """Where a use case may lie when this is known of all."""
        return replace(known, draws=known.draws * np.exp(spread * self._rng.standard_normal(self._draws)))

    def of_use_case(self, rows: Ints, mean: float) -> TokenRatios:
        """The ratios of the use case with the pairs in `rows`: through its mean pair, or the `mean` call without."""
        sample, n = self._sample, len(rows)
        level, inputs = self._level, self._input
        if len(sample):
            if n:
                mean = float(sample.weight[rows] @ sample.from_output[rows] / sample.weight[rows].sum())
            bent = (1.0 - self._elasticity) * mean + self._elasticity * sample.from_output
            level = self._shrunk(bent, sample.to_output, rows, self._around(level, _USE_CASE_SPREAD), _USE_CASE_SPREAD)
            inputs = self._shrunk(
                sample.from_input, sample.to_input, rows, self._around(inputs, _INPUT_SPREAD), _INPUT_SPREAD
            )
        bend = self._elasticity + self._elasticity_error * self._rng.standard_normal(self._draws)
        bend = np.clip(bend, 0.0, 1.0)
        return TokenRatios(
            input=inputs.value,
            output=level.value,
            output_slope=level.value * self._elasticity,
            output_per_call=level.value * (1.0 - self._elasticity) * mean,
            input_draws=inputs.draws,
            slope_draws=level.draws * bend,
            per_call_draws=level.draws * (1.0 - bend) * mean,
            pairs=n,
            pairs_in_all=len(sample),
            assumption=self._in_words(inputs.value, level.value, n, level.share),
        )

    def _in_words(self, inputs: float, output: float, n: int, share: float) -> str:
        from_model, to_model = self._names
        in_all = len(self._sample)
        if in_all < MIN_PAIRS:
            low, high = self._input_range
            read = f"{low:.2f} to {high:.2f} times" if low < high else "1.00 times"
            return (
                f"token counts of {to_model} are assumed, not measured ({in_all} of {MIN_PAIRS} pairs): {read} the "
                f"input and {OUTPUT_PRIOR[0]:.1f} to {OUTPUT_PRIOR[1]:.1f} times the output tokens of {from_model}"
            )
        others = f" and {in_all - n:,} of other use cases" if n and in_all > n else ""
        where = f"{n:,} pairs{others}" if n else f"{in_all:,} pairs of other use cases"
        return (
            f"{to_model} takes {inputs:.2f} times the input and {output:.2f} times the output tokens of {from_model}, "
            f"measured on {where}, which count for {share:.0%} beside what was assumed before"
        )


def _elasticity(sample: _Sample) -> tuple[float, float]:
    """How much longer an answer is, in percent, when the other model's is one percent longer; and its error.

    Least squares inside use cases, between a constant (0) and a ratio (1): outside, the number of tokens could come out
    negative. Use cases apart differ in level, which says nothing about the calls of one.
    """
    codes = {name: code for code, name in enumerate(dict.fromkeys(sample.use_case))}
    use_case = np.array([codes[name] for name in sample.use_case])
    size = np.bincount(use_case, sample.weight)
    across, along = (
        tokens / (np.bincount(use_case, sample.weight * tokens) / size)[use_case] - 1.0
        for tokens in (sample.from_output, sample.to_output)
    )
    weight = sample.weight / sample.weight.mean()
    spread = float(weight @ across**2)
    if spread <= 0.0:
        return 1.0, 0.0
    fitted = float(weight @ (across * along)) / spread
    sums = np.bincount(sample.block, weight * across * (along - fitted * across))
    error = math.sqrt(float(sums @ sums)) / spread
    trusted = len(sample) / (len(sample) + _SLOPE_PAIRS)
    return float(np.clip(trusted * fitted + 1.0 - trusted, 0.0, 1.0)), error


def _relative_error(
    actual: Floats, expected: Floats, sample: _Sample, rows: Ints, *, assumed: float
) -> tuple[float, int]:
    """A conversation's error relative to what was expected of it, and how many there are in `rows`.

    Over the root of their number it is the error of the total. Pairs of one conversation may depend on each other, so
    their errors are added up first.
    """
    weight = sample.weight[rows]
    total = float((weight * expected[rows]).sum())
    _, block = np.unique(sample.block[rows], return_inverse=True)
    sums = np.bincount(block, weight * (actual[rows] - expected[rows]))
    n = len(sums)
    seen = n * float(sums @ sums) / (total * total)
    return math.sqrt((n * seen + _ASSUMED * assumed * assumed) / (n + _ASSUMED)), n


_CLAUDE_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?")
_OLDER_OPENAI = re.compile(r"gpt-(?:3\.5|4(?!o|\.1|\.5))|text-|davinci|babbage")


def tokenizer_family(provider: str, model: str) -> str:
    """Which tokenizer a model counts with; models of one family count the same text the same."""
    claude = _CLAUDE_VERSION.search(model)
    if claude:
        version = int(claude[1]), int(claude[2] or 0)
        return "claude from 4.7" if version >= (4, 7) else "claude before 4.7"
    if provider in ("openai", "azure.ai.openai"):
        return "cl100k" if _OLDER_OPENAI.search(model) else "o200k"
    return f"{provider}/{model}"


def input_prior(provider: str, from_model: str, to_model: str) -> tuple[float, float]:
    """The range that the input-token ratio, to over from, is assumed to lie in before it is measured."""
    before, after = tokenizer_family(provider, from_model), tokenizer_family(provider, to_model)
    if before == after:
        return 1.0, 1.0
    low, high = CLAUDE_TOKENIZER_PRIOR
    if (before, after) == ("claude from 4.7", "claude before 4.7"):
        return low, high
    if (before, after) == ("claude before 4.7", "claude from 4.7"):
        return 1.0 / high, 1.0 / low
    return OTHER_TOKENIZER_PRIOR
