"""Errors of least squares that hold where customers differ in how much they vary (HC2, MacKinnon &
White 1985), or belong together by whoever looks after them (CR2, with the degrees of freedom of
Bell & McCaffrey 2002): of two groups and nothing else these are Welch's.
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


def cr2(outcome: np.ndarray, columns: np.ndarray, place: int, clusters: np.ndarray) -> Estimate:
    """The coefficient of column `place` of independent columns; the residuals of each cluster (its
    number by row) are multiplied by (I - H)^(-1/2). UNKNOWN without an error or enough rows.
    """
    rows, width = columns.shape
    if rows <= width:
        return UNKNOWN
    q, r = np.linalg.qr(columns)
    fitted = q.T @ outcome
    residuals = outcome - q @ fitted
    weights = q @ np.linalg.solve(r.T, np.eye(width)[place])
    adjusted = np.zeros(rows)
    for number in np.unique(clusters):
        own = clusters == number
        left, sizes, _ = np.linalg.svd(q[own], full_matrices=False)
        free = 1 - sizes**2
        factor = np.where(free > CERTAIN, 1 / np.sqrt(np.maximum(free, CERTAIN)), 0)
        adjusted[own] = weights[own] + left @ ((factor - 1) * (left.T @ weights[own]))
    scores = np.bincount(clusters, adjusted * residuals)
    error = float(np.sqrt((scores**2).sum()))
    if not error > EXACT * np.linalg.norm(outcome) * np.linalg.norm(weights):
        return UNKNOWN
    own = np.bincount(clusters, adjusted**2)
    shared = np.array([np.bincount(clusters, adjusted * column) for column in q.T]).T
    # Twice the squared mean of the error's square over its variance, were all rows alike:
    # trace(P)² / trace(P²) of P = diag(own) - shared shared'.
    crossed = (shared**2).sum(axis=1)
    trace = own.sum() - crossed.sum()
    squares = (own**2).sum() - 2 * (own * crossed).sum() + ((shared.T @ shared) ** 2).sum()
    value = float(np.linalg.solve(r, fitted)[place])
    return Estimate(value, error, float(trace**2 / squares))
