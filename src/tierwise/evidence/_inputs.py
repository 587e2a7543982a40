"""Checked arrays from what callers pass: every complaint names the value, its place and the way out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


def numbers(name: str, values: npt.ArrayLike) -> Floats:
    """`values` as a finite float array, shape (n,)."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; pass one number per row, shape (n,)")
    bad = ~np.isfinite(array)
    if bad.any():
        at = int(bad.argmax())
        raise ValueError(f"{name} is {array[at]} at position {at}; leave out rows without a number")
    return array


def bounded(name: str, values: npt.ArrayLike, lower: float, upper: float) -> Floats:
    """`values` as floats, shape (n,), all within [lower, upper]."""
    array = numbers(name, values)
    outside = (array < lower) | (array > upper)
    if outside.any():
        at = int(outside.argmax())
        raise ValueError(f"{name} is {array[at]} at position {at}, outside [{lower}, {upper}]; rescale it")
    return array


def scores(name: str, values: npt.ArrayLike) -> Floats:
    """Quality scores, shape (n,), in [0, 1]."""
    array = numbers(name, values)
    outside = (array < 0.0) | (array > 1.0)
    if outside.any():
        at = int(outside.argmax())
        raise ValueError(
            f"{name} is {array[at]} at position {at}; scores are in [0, 1]: divide grades by the top of their scale"
        )
    return array


def weights(values: npt.ArrayLike | None, n: int) -> Floats:
    """Positive weights, shape (n,); all 1 when None."""
    if values is None:
        return np.ones(n)
    array = numbers("weight", values)
    same_length(n, weight=array)
    if (array <= 0.0).any():
        at = int((array <= 0.0).argmax())
        raise ValueError(f"weight is {array[at]} at position {at}; a weight is 1 / propensity, so it is above 0")
    return array


def cluster_codes(cluster: npt.ArrayLike | None, n: int) -> tuple[Codes, int]:
    """A code 0..k-1 per row and k; clusters are numbered by first appearance, and None puts each row in its own."""
    if cluster is None:
        return np.arange(n), n
    array = np.asarray(cluster)
    if array.ndim != 1:
        raise ValueError(f"cluster has shape {array.shape}; pass one id per row, shape (n,)")
    same_length(n, cluster=array)
    _, first, code = np.unique(array, return_index=True, return_inverse=True)
    by_appearance = np.empty(len(first), dtype=np.intp)
    by_appearance[np.argsort(first)] = np.arange(len(first))
    return by_appearance[code], len(first)


def grouped_sums(code: Codes, values: Floats, groups: int) -> Floats:
    """The sum of `values` in each group 0..groups-1, shape (groups,)."""
    return np.bincount(code, values, minlength=groups).astype(np.float64, copy=False)


def same_length(n: int, **arrays: npt.NDArray[np.generic]) -> None:
    """Refuse arrays that do not have n rows."""
    for name, array in arrays.items():
        if len(array) != n:
            raise ValueError(f"{name} has {len(array)} rows where the others have {n}; pass one row per pair to each")


def probability(name: str, value: float) -> float:
    """A number strictly between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} is {value}; it lies strictly between 0 and 1 (0.05 means 5%)")
    return value


def effective_size(weight: Floats) -> float:
    """Kish's effective sample size, (sum w)^2 / sum w^2: how many equally weighted rows carry as much; 0 when empty."""
    if not len(weight):
        return 0.0
    return float(weight.sum() ** 2 / (weight @ weight))
