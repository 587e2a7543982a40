"""What calls would have cost on another model: its prices, with the token counts that model needs for the same work."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from tierwise.savings.pairs import Pairs
from tierwise.savings.rates import PriceOverrides, rate_columns
from tierwise.savings.resample import resample_counts, unit_sums, units_of
from tierwise.savings.traffic import Flags, Floats, Ints, Labels, Traffic

MIN_PAIRS = 20
"""Below this many pairs the token ratios are a stated prior, not a measurement."""

OUTPUT_PRIOR = (0.5, 2.0)
"""Output tokens of one model over another's for the same request; ratios of totals on real data lie within it."""
CLAUDE_TOKENIZER_PRIOR = (0.70, 1.0)
"""From a Claude of version 4.7 or later to an earlier one: the newer tokenizer takes 1.0 to 1.35 times the tokens and,
measured, up to 1.47 times."""
OTHER_TOKENIZER_PRIOR = (0.7, 1.4)


@dataclass(frozen=True, slots=True)
class TokenRatios:
    """Tokens that one model takes over those another takes, for the same requests."""

    input: float
    output: float
    input_draws: Floats
    """Shape (draws,): what the input ratio may be, from the bootstrap or from the prior."""
    output_draws: Floats
    """Shape (draws,), drawn together with `input_draws`."""
    pairs: int
    measured: bool
    """False: too few pairs, the ratios are a prior."""
    assumption: str
    """In words, with the numbers."""

    def inverse(self) -> TokenRatios:
        """The ratios of going back."""
        return replace(
            self,
            input=1.0 / self.input,
            output=1.0 / self.output,
            input_draws=1.0 / self.input_draws,
            output_draws=1.0 / self.output_draws,
        )


def token_ratios(
    pairs: Pairs,
    *,
    provider: str,
    strong_model: str,
    weak_model: str,
    draws: int,
    rng: np.random.Generator,
) -> TokenRatios:
    """The ratios of weak over strong: of totals over the pairs, or a wide prior while there are fewer than MIN_PAIRS.

    A ratio of totals, not a mean of ratios: applied to the total tokens of a slice it gives that slice's total.

    Args:
        pairs: those of one slice; weighted by 1 / propensity and drawn again by conversation.
    """
    counted = pairs.with_tokens()
    n = len(counted)
    if n < MIN_PAIRS:
        return _prior(n, provider, strong_model, weak_model, draws, rng)
    weight = counted.weight[:, None]
    tokens = np.stack(
        [
            counted.weak_input_tokens,
            counted.strong_input_tokens,
            counted.weak_output_tokens,
            counted.strong_output_tokens,
        ],
        axis=1,
    )
    unit, units = units_of(counted.block, counted.blocks, rng=rng)
    sums = unit_sums(weight * tokens, unit, units)
    totals = sums.sum(axis=0)
    drawn = resample_counts(units, draws=draws, rng=rng) @ sums
    input_ratio, output_ratio = float(totals[0] / totals[1]), float(totals[2] / totals[3])
    return TokenRatios(
        input=input_ratio,
        output=output_ratio,
        input_draws=drawn[:, 0] / drawn[:, 1],
        output_draws=drawn[:, 2] / drawn[:, 3],
        pairs=n,
        measured=True,
        assumption=(
            f"{weak_model} takes {input_ratio:.2f} times the input and {output_ratio:.2f} times the output tokens of "
            f"{strong_model}, measured on {n:,} pairs"
        ),
    )


def _prior(
    pairs: int, provider: str, strong_model: str, weak_model: str, draws: int, rng: np.random.Generator
) -> TokenRatios:
    input_range = input_prior(provider, strong_model, weak_model)
    # Ratios are spread evenly on a log scale, so that twice and half are equally far from 1.
    input_draws = np.exp(rng.uniform(*np.log(input_range), size=draws))
    output_draws = np.exp(rng.uniform(*np.log(OUTPUT_PRIOR), size=draws))
    inputs = f"{input_range[0]:.2f} to {input_range[1]:.2f} times" if input_range[0] < input_range[1] else "1.00 times"
    return TokenRatios(
        input=float(np.sqrt(input_range[0] * input_range[1])),
        output=float(np.sqrt(OUTPUT_PRIOR[0] * OUTPUT_PRIOR[1])),
        input_draws=input_draws,
        output_draws=output_draws,
        pairs=pairs,
        measured=False,
        assumption=(
            f"token counts of {weak_model} are assumed, not measured ({pairs} of {MIN_PAIRS} pairs): {inputs} the "
            f"input and {OUTPUT_PRIOR[0]:.1f} to {OUTPUT_PRIOR[1]:.1f} times the output tokens of {strong_model}"
        ),
    )


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


def input_prior(provider: str, strong_model: str, weak_model: str) -> tuple[float, float]:
    """The range that the input-token ratio weak over strong is assumed to lie in before it is measured."""
    strong, weak = tokenizer_family(provider, strong_model), tokenizer_family(provider, weak_model)
    if strong == weak:
        return 1.0, 1.0
    low, high = CLAUDE_TOKENIZER_PRIOR
    if (strong, weak) == ("claude from 4.7", "claude before 4.7"):
        return low, high
    if (strong, weak) == ("claude before 4.7", "claude from 4.7"):
        return 1.0 / high, 1.0 / low
    return OTHER_TOKENIZER_PRIOR


@dataclass(frozen=True, slots=True)
class Repriced:
    """The cost of calls on another model, still open in its token ratios; every array has shape (n,), in USD.

    cost = input_ratio * per_input + output_ratio * per_output + fixed
    """

    per_input: Floats
    per_output: Floats
    fixed: Floats
    known: Flags
    """False where the model has no price for the call, or the call no token counts; the amounts are 0 there."""

    def cost(self, ratios: TokenRatios) -> Floats:
        return ratios.input * self.per_input + ratios.output * self.per_output + self.fixed


def reprice(
    traffic: Traffic,
    model: str | Labels,
    *,
    input_ratio: float = 1.0,
    cache_kept: float = 0.0,
    at_ns: int | Ints | None = None,
    overrides: PriceOverrides | None = None,
) -> Repriced:
    """What the calls of `traffic` cost on `model`.

    Args:
        model: one for all calls, or one a call.
        input_ratio: decides which side of a long-context threshold a call falls on.
        cache_kept: share in [0, 1] of cache reads that the model's own cache serves too. The others are misses: the
            tokens are written to its cache, where writing is sold, or billed as fresh input.
        at_ns: date of the prices; None: each call's own start.
        overrides: what-if prices.
    """
    n = len(traffic)
    models = Labels((model,), np.zeros(n, dtype=np.int32)) if isinstance(model, str) else model
    rate = rate_columns(
        traffic.provider,
        models,
        traffic.service_tier,
        input_tokens=traffic.input_tokens * input_ratio,
        at_ns=traffic.start_ns if at_ns is None else np.broadcast_to(np.asarray(at_ns, dtype=np.int64), (n,)),
        overrides=overrides,
    )
    reads, writes, hour_writes = traffic.cache_read_tokens, traffic.cache_write_tokens, traffic.cache_write_1h_tokens
    fresh = traffic.input_tokens - reads - writes
    searches = np.where(traffic.web_searches > 0, traffic.web_searches * rate.web_search, 0.0)
    per_input = (
        fresh * rate.input
        + reads * (cache_kept * rate.cache_read + (1.0 - cache_kept) * rate.cache_miss)
        + (writes - hour_writes) * rate.cache_write
        + hour_writes * rate.cache_write_1h
    )
    reasoning = traffic.reasoning_tokens
    per_output = (traffic.output_tokens - reasoning) * rate.output + reasoning * rate.reasoning
    known = np.isfinite(per_input) & np.isfinite(per_output) & np.isfinite(searches)
    return Repriced(
        np.where(known, per_input, 0.0), np.where(known, per_output, 0.0), np.where(known, searches, 0.0), known
    )
