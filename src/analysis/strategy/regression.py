"""Least squares whose errors hold where customers differ in how much they vary, or belong together
by whoever looks after them.

The error of a coefficient is HC2 (MacKinnon & White 1985) or, for clusters, CR2, with the degrees
of freedom of Bell & McCaffrey (2002; Imbens & Kolesár 2016): with two groups and nothing else these
are Welch's error and nearly his degrees.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

DEPENDENT = (
    1e-7  # of a column's length, what is left of it beside the columns before; less is rounding
)
# a leverage so near to 1: the row alone decides its fitted value, and tells nothing of the error
CERTAIN = 1e-9
RIDGE = 1e-11  # of the columns' squares, below what rounding leaves sure


class Estimate(NamedTuple):
    """A coefficient with its standard error and degrees of freedom; nan where it cannot be told."""

    value: float
    error: float
    df: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Low and high, by Student's t."""
        half = self.error * float(stats.t.ppf((1 + level) / 2, self.df))
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Two-sided p of no effect."""
        return (
            float(2 * stats.t.sf(abs(self.value) / self.error, self.df))
            if self.error > 0
            else float("nan")
        )


UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"))


def independent(columns: np.ndarray) -> np.ndarray:
    """The columns that are no sum of multiples of those before them, in order."""
    kept: list[int] = []
    basis = np.empty((len(columns), 0))
    for place, column in enumerate(columns.T):
        left = column - basis @ (basis.T @ column)
        left -= basis @ (basis.T @ left)  # twice is enough (Kahan)
        if (size := np.linalg.norm(left)) > DEPENDENT * max(
            np.linalg.norm(column), np.finfo(float).tiny
        ):
            kept.append(place)
            basis = np.column_stack([basis, left / size])
    return columns[:, kept]


def coefficient(
    outcome: np.ndarray, columns: np.ndarray, place: int, clusters: np.ndarray | None = None
) -> Estimate:
    """The coefficient of column `place` in the regression of `outcome` on independent `columns`;
    `clusters` names each row's.

    Without an error (all residuals zero) or with as many columns as rows it is UNKNOWN.
    """
    rows, width = columns.shape
    if rows <= width:
        return UNKNOWN
    q, r = np.linalg.qr(columns)
    fitted = q.T @ outcome
    residuals = outcome - q @ fitted
    weights = q @ np.linalg.solve(r.T, np.eye(width)[place])
    parts = (
        _by_row(q, weights, residuals)
        if clusters is None
        else _by_cluster(q, weights, residuals, clusters)
    )
    scores, own, shared = parts
    error = float(np.sqrt((scores**2).sum()))
    if not error > 1e-12 * np.linalg.norm(outcome) * np.linalg.norm(weights):
        return UNKNOWN
    return Estimate(float(np.linalg.solve(r, fitted)[place]), error, _degrees(own, shared))


def t_of(outcome: np.ndarray, columns: np.ndarray, place: int) -> float:
    """The same coefficient over its HC2 error, quickly, for many fits of well scaled columns; 0
    where there is no error.
    """
    gram = columns.T @ columns
    inverse = np.linalg.inv(
        gram + RIDGE * np.trace(gram) * np.eye(len(gram))
    )  # columns that happen to be dependent do no harm
    solved = columns @ inverse
    value = solved.T @ outcome
    left = np.maximum(1 - (solved * columns).sum(axis=1), CERTAIN)
    error = float(np.sqrt((solved[:, place] ** 2 * (outcome - columns @ value) ** 2 / left).sum()))
    return float(value[place]) / error if error > 0 else 0.0


Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def _by_row(q: np.ndarray, weights: np.ndarray, residuals: np.ndarray) -> Parts:
    """Of each row its share in the coefficient's error, and what the degrees of freedom need."""
    left = 1 - (q**2).sum(axis=1)
    adjusted = np.where(left > CERTAIN, weights / np.sqrt(np.maximum(left, CERTAIN)), 0)
    return adjusted * residuals, adjusted**2, q * adjusted[:, None]


def _by_cluster(
    q: np.ndarray, weights: np.ndarray, residuals: np.ndarray, clusters: np.ndarray
) -> Parts:
    """The same of each cluster, whose residuals are multiplied by (I - H)^(-1/2), through the
    singular values of its rows.
    """
    parts: list[tuple[float, float, np.ndarray]] = []
    order = np.argsort(clusters, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1):
        left, sizes, _ = np.linalg.svd(q[rows], full_matrices=False)
        free = 1 - sizes**2
        factor = np.where(free > CERTAIN, 1 / np.sqrt(np.maximum(free, CERTAIN)), 0)
        adjusted = weights[rows] + left @ ((factor - 1) * (left.T @ weights[rows]))
        parts.append((adjusted @ residuals[rows], adjusted @ adjusted, adjusted @ q[rows]))
    scores, own, shared = zip(*parts, strict=True)
    return np.array(scores), np.array(own), np.array(shared)


def _degrees(own: np.ndarray, shared: np.ndarray) -> float:
    """Twice the squared mean of the error's square over its variance, were all rows alike:
    trace(P)² / trace(P²) of P = diag(own) - shared shared'.
    """
    crossed = (shared**2).sum(axis=1)
    trace = own.sum() - crossed.sum()
    squares = (own**2).sum() - 2 * (own * crossed).sum() + ((shared.T @ shared) ** 2).sum()
    return float(trace**2 / squares)
