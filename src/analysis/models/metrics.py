"""How good a predicted risk of leaving is: ranking, calibration, and what it earns.

Everywhere `risk` holds probabilities and `gone` whether each of the same customers left. The order
of rows decides nothing: customers of equal risk count as alike, wherever a border falls among them.
What cannot be measured (one class, no rows) is nan, or an empty frame. Intervals are 95 %.
"""

import warnings
from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import rankdata

from analysis.statistics import wilson

BINS = 10  # groups of equal count as far as ties allow, for calibration and lift
MIN_CASES = 30  # leavers, and stayers, below which a group of customers tells nothing of the model
Z = 1.96  # standard errors on either side, as in wilson
CERTAIN = 1e-6  # risks are no nearer to 0 and 1 than this where their logit is taken
SIMULATED = 50_000  # customers up to which every outcome is drawn; of more, the totals of groups
POINTS = 200  # of a profit curve, as many as a chart can show

Outcomes: TypeAlias = np.ndarray | pd.Series


def measure(risk: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """All figures for the report: keys as in auc, brier and calibration, and ece
    (expected_calibration_error), ece_limit (calibration_error_limit, seed 0), mean_risk and base
    (share that left).
    """
    return {
        **auc(risk, gone),
        **brier(risk, gone),
        **calibration(risk, gone),
        "ece": expected_calibration_error(risk, gone),
        "ece_limit": calibration_error_limit(risk, seed=0),
        "mean_risk": _mean(risk),
        "base": _mean(_left(gone)),
    }


def stability(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    """How the model did in each group of customers, or at each origin: `frame` has the columns
    risk, gone and `by`.

    Columns: `by`, customers, base (share that left), mean_risk, auc, auc_low, auc_high, brier,
    skill, slope, slope_low, slope_high. With fewer than MIN_CASES leavers or stayers all from auc
    on are nan.
    """
    figures = ["auc", "auc_low", "auc_high", "brier", "skill", "slope", "slope_low", "slope_high"]
    rows = []
    for name, group in frame.groupby(by, observed=True, dropna=False):
        risk, gone = group.risk.to_numpy(float), _left(group.gone)
        row = {by: name, "customers": len(group), "base": gone.mean(), "mean_risk": risk.mean()}
        if min(gone.sum(), (~gone).sum()) >= MIN_CASES:
            row |= auc(risk, gone) | brier(risk, gone) | calibration(risk, gone)
        rows.append(row)
    return pd.DataFrame(rows, columns=[by, "customers", "base", "mean_risk", *figures])


# Ranking
def auc(risk: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """Area under the ROC curve: the chance that a leaver had a higher risk than a stayer, equal
    risks counting half.

    Keys: auc, auc_low, auc_high (DeLong 1988, within 0 and 1; nan with a single leaver or stayer).
    A perfect ranking has no spread to estimate an error from, so its interval is a point however
    few the customers.
    """
    left = _left(gone)
    if left.all() or not left.any():
        return dict.fromkeys(("auc", "auc_low", "auc_high"), float("nan"))
    ranks = rankdata(risk)  # of leavers and stayers among all and among their own (Sun & Xu 2014)
    below = (ranks[left] - rankdata(risk[left])) / (~left).sum()
    above = 1 - (ranks[~left] - rankdata(risk[~left])) / left.sum()
    area = _mean(below)
    low, high = np.clip(_around(area, np.sqrt(_variance(below) + _variance(above))), 0, 1)
    return {"auc": area, "auc_low": float(low), "auc_high": float(high)}


def precision_at(risk: np.ndarray, gone: Outcomes, count: int) -> dict[str, float]:
    """How many of the `count` customers at highest risk left. Of those of equal risk at the border
    as many count as there is room for, with the mean of their outcomes.

    Keys: count (no more than there are customers), precision (share that left), low, high (Wilson
    interval of it), recall (share of all leavers that are among them), base (share of all customers
    that left).
    """
    left, count = _left(gone), min(max(count, 0), len(risk))
    shares = dict.fromkeys(("precision", "low", "high", "recall"), float("nan"))
    if count:
        border = -np.partition(-risk, count - 1)[count - 1]
        above, at = left[risk > border], left[risk == border]
        caught = float(above.sum() + (count - len(above)) * at.mean())
        low, high = wilson(caught / count, count)
        shares |= {"precision": caught / count, "low": float(low), "high": float(high)}
        shares |= {"recall": caught / float(left.sum())} if left.any() else {}
    return {"count": count} | shares | {"base": _mean(left)}


# Calibration
def brier(risk: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """Keys: brier (mean squared error), brier_base (of giving everyone the base rate), skill (1 -
    brier / brier_base).
    """
    left = _left(gone)
    score, base = _mean((risk - left) ** 2), _mean(left) * (1 - _mean(left))
    skill = 1 - score / base if base else float("nan")
    return {"brier": score, "brier_base": base, "skill": skill}


def brier_difference(risk: np.ndarray, other: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """Brier score of `risk` less that of `other` for the same customers: below 0, `risk` is better.

    Keys: difference, low, high (normal interval of the mean of paired differences; nan with a
    single customer).
    """
    paired = (risk - _left(gone)) ** 2 - (other - _left(gone)) ** 2
    difference = _mean(paired)
    low, high = _around(difference, np.sqrt(_variance(paired)))
    return {"difference": difference, "low": low, "high": high}


def calibration(risk: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """Whether risks are too extreme: the outcome regressed on their logits (Cox 1958).

    Keys: slope (1 is right; below, risks are too extreme), slope_low, slope_high (Wald interval).
    nan where risks are all equal or tell leavers from stayers without a fault.
    """
    left, logits = _left(gone), logit(np.clip(risk, CERTAIN, 1 - CERTAIN))
    slope, error = _slope(logits, left)
    low, high = _around(slope, error)
    return {"slope": slope, "slope_low": low, "slope_high": high}


def _slope(logits: np.ndarray, gone: np.ndarray) -> tuple[float, float]:
    """With its standard error, beside an intercept of its own. Unless some leaver is below some
    stayer and the other way round, the likelihood has no maximum (Albert & Anderson 1984).
    """
    leavers, stayers = logits[gone], logits[~gone]
    mixed = len(leavers) and len(stayers) and leavers.min() < stayers.max()
    if not mixed or stayers.min() >= leavers.max():
        return float("nan"), float("nan")
    # loaded only where a slope is asked for: each notebook waits for its imports
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    distinct, place = np.unique(logits, return_inverse=True)
    left, customers = np.bincount(place, gone), np.bincount(place)
    # with mean 0 and variance 1 the fit neither knows nor fears the units of the logits
    centred = distinct - np.average(distinct, weights=customers)
    scale = np.sqrt(np.average(centred**2, weights=customers))
    columns = np.column_stack([centred / scale, np.ones(len(distinct))])
    counts = np.column_stack([left, customers - left])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not converge is nan
        fit = GLM(counts, columns, family=Binomial()).fit(tol=1e-12)
    if not fit.converged:
        return float("nan"), float("nan")
    return float(fit.params[0] / scale), float(fit.bse[0] / scale)


def expected_calibration_error(risk: np.ndarray, gone: Outcomes) -> float:
    """How far the mean risk and the share that left are apart, in the mean over the customers of
    `deciles`.
    """
    groups = _groups(risk, _left(gone))
    return float((groups.risk - groups.gone).abs().sum() / len(risk)) if len(risk) else float("nan")


def calibration_error_limit(
    risk: np.ndarray, seed: int, draws: int = 1000, share: float = 0.95
) -> float:
    """What expected_calibration_error stays below with probability `share` if the risks are true,
    since chance alone makes some: the quantile of `draws` simulated outcomes.

    Of more than SIMULATED customers the totals are drawn as normal with their exact variance:
    thousands of customers are in each group, and one where hardly anybody can leave or stay, so
    that its total is not normal, adds next to nothing.
    """
    if not len(risk):
        return float("nan")
    ordered, chance = -np.sort(-risk), np.random.default_rng(seed)
    starts = _starts(ordered)
    expected = np.add.reduceat(ordered, starts)
    if len(risk) <= SIMULATED:  # one draw at a time, for little memory
        outcomes = (chance.random(len(ordered)) < ordered for _ in range(draws))
        totals = np.array([np.add.reduceat(left, starts, dtype=np.int64) for left in outcomes])
    else:
        spread = np.sqrt(np.add.reduceat(ordered * (1 - ordered), starts))
        totals = chance.normal(expected, spread, (draws, len(starts)))
    return float(np.quantile(np.abs(totals - expected).sum(axis=1) / len(risk), share))


def deciles(risk: np.ndarray, gone: Outcomes) -> pd.DataFrame:
    """Customers in ten groups by predicted risk, the highest first: of equal count, but that
    customers of equal risk stay together, so that groups may be larger and fewer.

    Columns: decile, customers, predicted (mean risk), actual (share that left), low, high (Wilson
    interval of actual), lift (actual over the share of all that left), caught (share of all leavers
    caught down to here).
    """
    left = _left(gone)
    groups = _groups(risk, left)
    predicted = (groups.risk / groups.customers).cummin()  # falls anyway, but for rounding
    actual = (groups.gone / groups.customers).clip(0, 1)
    low, high = wilson(actual, groups.customers)
    return pd.DataFrame(
        {
            "decile": np.arange(1, len(groups) + 1),
            "customers": groups.customers,
            "predicted": predicted,
            "actual": actual,
            "low": low,
            "high": high,
            "lift": actual / _mean(left),
            "caught": groups.gone.cumsum() / left.sum(),
        }
    )


def _groups(risk: np.ndarray, gone: np.ndarray) -> pd.DataFrame:
    """The groups of `deciles`. Columns: customers, and the totals of risk and gone."""
    if not len(risk):
        return pd.DataFrame(columns=["customers", "risk", "gone"], dtype=float)
    order = np.argsort(-risk)
    starts = _starts(risk[order])
    totals = {"risk": np.add.reduceat(risk[order], starts)}
    totals["gone"] = np.add.reduceat(gone[order], starts, dtype=np.int64)
    return pd.DataFrame({"customers": np.diff(np.append(starts, len(risk)))} | totals)


def _starts(ordered: np.ndarray) -> np.ndarray:
    """Where the groups of these risks start, the highest first: equal ones are in the tenth in
    which the middle of them lies.
    """
    runs = np.flatnonzero(np.diff(ordered, prepend=np.inf))
    ends = np.append(runs[1:], len(ordered))
    tenths = (runs + ends) * BINS // (2 * len(ordered))
    return runs[np.flatnonzero(np.diff(tenths, prepend=-1))]


# What it earns
def profit_curve(
    risk: np.ndarray, gone: Outcomes, value: np.ndarray | pd.Series, cost: float, success: float
) -> pd.DataFrame:
    """What contacting the most promising customers earns, for ever more of them, in the money of
    `value` and `cost`.

    A contact costs `cost` and keeps one who would leave, and with them `value`, with probability
    `success`. First come the highest expected gains; those who tie count with their mean. Columns,
    from nobody to all in at most POINTS rows: contacted (customers), profit (with the outcomes that
    came), expected (with the risks in their place).
    """
    if not len(risk):
        return pd.DataFrame(columns=["contacted", "profit", "expected"], dtype=float)
    worth = success * np.asarray(value, float)
    _, place, tied = np.unique(-risk * worth, return_inverse=True, return_counts=True)
    contacted = np.linspace(0, len(risk), min(POINTS, len(risk) + 1)).round().astype(int)

    def earned(chance: np.ndarray) -> np.ndarray:
        gains = np.bincount(place, worth * chance - cost)
        return np.interp(contacted, np.append(0, tied.cumsum()), np.append(0, gains.cumsum()))

    return pd.DataFrame(
        {"contacted": contacted, "profit": earned(_left(gone)), "expected": earned(risk)}
    )


# Figures that may be missing
def _left(gone: Outcomes) -> np.ndarray:
    return np.asarray(gone, dtype=bool)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _variance(values: np.ndarray) -> float:
    """Of the mean of the values."""
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else float("nan")


def _around(middle: float, error: float) -> tuple[float, float]:
    return float(middle - Z * error), float(middle + Z * error)
