"""A campaign that held nobody back: its treated against similar untreated customers. No proof, as
they may differ in what nobody recorded.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

from analysis.strategy.campaign_members import COVARIATES
from analysis.strategy.effects import covariate_columns, in_arms
from analysis.strategy.regression import UNKNOWN, UNTOLD, Estimate

LEAST_OVERLAP = 20.0  # effective customers in either arm; fewer have nothing in common to compare


def propensity(
    frame: pd.DataFrame, covariates: Sequence[str] = COVARIATES
) -> tuple[np.ndarray, np.ndarray]:
    """The chance of each row to have been treated, by logistic regression on the covariates and
    their ranks, and the columns of that regression.
    """
    there = frame[[name for name in covariates if name in frame]]
    both = there.join(there.rank(pct=True), rsuffix="_rank")
    names = [name for column in there for name in (column, f"{column}_rank")]
    columns = np.column_stack([np.ones(len(frame)), covariate_columns(both, names)])
    # Arms that do not overlap have no best fit; their weights will say so.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        model = GLM((frame.arm == "treat").to_numpy(float), columns, family=Binomial())
        return model.fit(tol=1e-12).fittedvalues, columns


def compared(
    frame: pd.DataFrame, outcome: str, covariates: Sequence[str] = COVARIATES
) -> dict[str, float]:
    """The difference between treated and similar untreated customers: effect, low, high (95 %), p,
    error, treated, control (customers), effective (what the smaller arm is worth after weighting).
    All is nan but the counts where the arms hardly overlap.

    Each row weighs by the chance of the arm it was not in (Li, Morgan & Zaslavsky 2018): those who
    might have been in either count most, and the means of the covariates become equal. The interval
    counts in that the weights were estimated.
    """
    rows, treat = in_arms(frame[frame[outcome].notna()])
    y = rows[outcome].to_numpy(float)
    counts = {"treated": int(treat.sum()), "control": int(len(treat) - treat.sum())}
    if min(counts.values()) < LEAST_OVERLAP:
        return UNTOLD | {"effective": float("nan")} | counts
    chance, columns = propensity(rows, covariates)
    weights = np.where(treat == 1, 1 - chance, chance)
    effective = min(_effective(weights[treat == arm]) for arm in (0, 1))
    overlap = effective >= LEAST_OVERLAP
    found = _weighted(y, treat, chance, columns).told() if overlap else UNTOLD
    return found | {"effective": effective} | counts


def _effective(weights: np.ndarray) -> float:
    """How many customers the weighted ones are worth (Kish 1965), at most twice what the weights
    come to, which at even odds are a half in either arm.
    """
    total = float(weights.sum())
    return min(total**2 / float((weights**2).sum()), 2 * total) if total > 0 else 0.0


def _weighted(
    y: np.ndarray, treat: np.ndarray, chance: np.ndarray, columns: np.ndarray
) -> Estimate:
    """The weighted difference with the error of its influence function, the logistic regression's
    share included.
    """
    arms = treat * (1 - chance), (1 - treat) * chance
    sums = [weight.sum() for weight in arms]
    means = [float(weight @ y / total) for weight, total in zip(arms, sums, strict=True)]
    own = arms[0] * (y - means[0]) / sums[0] - arms[1] * (y - means[1]) / sums[1]
    both = chance * (1 - chance)
    moved = treat * (means[0] - y) / sums[0] + (1 - treat) * (means[1] - y) / sums[1]
    information = (columns.T * both) @ columns
    scores = columns * (treat - chance)[:, None]
    slope = np.linalg.pinv(information, hermitian=True) @ (columns.T @ (both * moved))
    error = float(np.sqrt(((own + scores @ slope) ** 2).sum()))
    return Estimate(means[0] - means[1], error, len(y)) if error > 0 else UNKNOWN
