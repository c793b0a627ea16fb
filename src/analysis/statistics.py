"""Intervals that say how sure a figure is, and chance that stays the same from run to run."""

import hashlib
from typing import TypeVar

import numpy as np
import pandas as pd

Shares = TypeVar("Shares", float, pd.Series)


def lots(customer_ids: pd.Series, seed: int) -> np.ndarray:
    """A lot between 0 and 1 for each customer, the same whoever else there is and in any order."""
    key = str(seed).encode()
    drawn = (hashlib.blake2b(who.encode(), digest_size=8, key=key) for who in customer_ids)
    numbers = (int.from_bytes(lot.digest()) for lot in drawn)
    return np.fromiter(numbers, float, len(customer_ids)) / 2**64


def wilson(share: Shares, n: Shares, z: float = 1.96) -> tuple[Shares, Shares]:
    """95 % interval of a share of n, or of each of several (Wilson 1927)."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return middle - half, middle + half


def net_share(more: int, less: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % score interval of the share of n that is one thing less the share that is the opposite
    (Tango 1998); never beyond -1 and 1, nan of nobody.
    """
    if not n:
        return np.nan, np.nan
    return _least_net(more, less, n, z), -_least_net(less, more, n, z)


def _least_net(more: int, less: int, n: int, z: float) -> float:
    """The smallest difference that the counts do not contradict."""
    from scipy.optimize import brentq  # a run waits for it before its first notebook

    def beyond(difference: float) -> float:
        linear = (2 * n - more + less) * difference - more - less
        rest = difference * (1 - difference)
        root = np.sqrt(max(linear**2 + 8 * n * less * rest, 0))
        variance = (root - linear) / (2 * n) + rest  # of the likeliest shares so far apart
        return more - less - n * difference - z * np.sqrt(n * max(variance, 0))

    return -1.0 if less == n else float(brentq(beyond, -1, (more - less) / n - 1e-12))
