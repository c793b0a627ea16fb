"""Errors of least squares that hold where customers differ in how much they vary (HC2, MacKinnon &
White 1985): of two groups and nothing else these are Welch's.
"""

from typing import NamedTuple

import numpy as np
from numpy.linalg import matrix_rank
from scipy import stats

DEPENDENT = 1e-7  # of a column's length beside those before; less is rounding
CERTAIN = 1e-9  # a leverage so near to 1: the row alone decides its fitted value, and tells nothing
RIDGE = 1e-11  # of the columns' squares, below what rounding leaves sure
EXACT = 1e-9  # an error so far below the outcome is rounding


class Estimate(NamedTuple):
    """A coefficient with its standard error and degrees of freedom; nan where it cannot be told."""

    value: float = float("nan")
    error: float = float("nan")
    df: float = float("nan")

    def told(self, level: float = 0.95) -> dict[str, float]:
        """effect, error, low, high (interval of `level`, by Student's t), p (two-sided)."""
        half = self.error * float(stats.t.ppf((1 + level) / 2, self.df))
        return {
            "effect": self.value,
            "error": self.error,
            "low": self.value - half,
            "high": self.value + half,
            "p": float(2 * stats.t.sf(abs(self.value / self.error), self.df)),
        }


UNKNOWN = Estimate()
UNTOLD = UNKNOWN.told()


def independent(columns: np.ndarray) -> np.ndarray:
    """The columns that are no sum of multiples of those before them, in order."""
    kept: list[int] = []
    lengths = np.linalg.norm(columns, axis=0)
    triangle = np.linalg.qr(columns / np.where(lengths > 0, lengths, 1)).R
    for place in range(columns.shape[1]):
        more = [*kept, place]
        kept = more if matrix_rank(triangle[:, more], tol=DEPENDENT) == len(more) else kept
    return columns[:, kept]


def hc2(outcome: np.ndarray, columns: np.ndarray, place: int) -> tuple[float, float]:
    """The coefficient of column `place` and its HC2 error, quick enough for thousands of fits; an
    error of 0 where all rows lie on the line. Columns that happen to be dependent do no harm.
    """
    gram = columns.T @ columns
    inverse = np.linalg.inv(gram + RIDGE * np.trace(gram) * np.eye(len(gram)))
    solved = columns @ inverse
    values, weights = solved.T @ outcome, solved[:, place]
    left = np.maximum(1 - (solved * columns).sum(axis=1), CERTAIN)
    error = float(np.sqrt((weights**2 * (outcome - columns @ values) ** 2 / left).sum()))
    sure = error > EXACT * np.linalg.norm(outcome) * np.linalg.norm(weights)
    return float(values[place]), error if sure else 0.0
