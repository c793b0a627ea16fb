"""Intervals that say how sure a figure is."""

from typing import TypeVar

import numpy as np
import pandas as pd

Shares = TypeVar("Shares", float, pd.Series)


def wilson(share: Shares, n: Shares, z: float = 1.96) -> tuple[Shares, Shares]:
    """95 % interval of a share of n, or of each of several (Wilson 1927)."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return middle - half, middle + half
