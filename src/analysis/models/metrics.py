"""How good a predicted risk of leaving is: ranking, calibration, and what it earns.

Everywhere `risk` holds probabilities and `gone` whether each of the same customers left. The order
of rows decides nothing: customers of equal risk count as alike, wherever a border falls among them.
What cannot be measured (one class, no rows) is nan, or an empty frame. Intervals are 95 %.
"""

from typing import TypeAlias

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import rankdata

from analysis.statistics import wilson

BINS = 10  # groups of equal count, for calibration and lift
MIN_CASES = 30  # leavers, and stayers, below which a group of customers tells nothing of the model
Z = 1.96  # standard errors on either side, as in wilson
CERTAIN = 1e-6  # risks are no nearer to 0 and 1 than this where their logit is taken
SIMULATED = 50_000  # customers up to which every outcome is drawn; of more, the totals of groups
POINTS = 200  # of a profit curve, as many as a chart can show
STEPS = 100  # of Newton's method, which takes about six; without an end there is no estimate
STRIDE = 5.0  # longest step: logits further off are certain, and the likelihood is flat there
WORST_CONDITION = 1e12  # of the information matrix; beyond it rounding tells more than the data

Outcomes: TypeAlias = np.ndarray | pd.Series


def measure(risk: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """All figures for the report: keys as in auc, brier and calibration, and ece
    (expected_calibration_error), ece_limit (calibration_error_limit, seed 0) and base (share that
    left).
    """
    ece = {
        "ece": expected_calibration_error(risk, gone),
        "ece_limit": calibration_error_limit(risk, seed=0),
    }
    return (
        auc(risk, gone)
        | brier(risk, gone)
        | calibration(risk, gone)
        | ece
        | {"base": _mean(_left(gone))}
    )


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
        enough = min(gone.sum(), (~gone).sum()) >= MIN_CASES
        told = auc(risk, gone) | brier(risk, gone) | calibration(risk, gone) if enough else {}
        rows.append(
            {by: name, "customers": len(group), "base": gone.mean(), "mean_risk": risk.mean()}
            | told
        )
    return pd.DataFrame(rows, columns=[by, "customers", "base", "mean_risk", *figures])


# Ranking
def auc(risk: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """Area under the ROC curve: the chance that a leaver had a higher risk than a stayer, equal
    risks counting half.

    Keys: auc, auc_low, auc_high (DeLong 1988, within 0 and 1; nan with a single leaver or stayer).
    A perfect ranking has no spread to estimate an error from, so its interval is a point however
    few the customers.
    """
    leavers, stayers = _placements(risk, _left(gone))
    area = _mean(leavers)
    low, high = np.clip(_around(area, np.sqrt(_variance(leavers) + _variance(stayers))), 0, 1)
    return {"auc": area, "auc_low": float(low), "auc_high": float(high)}


def auc_difference(risk: np.ndarray, other: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """AUC of `risk` less that of `other` for the same customers. Keys: difference, low, high
    (paired, DeLong 1988).
    """
    mine, others = (_placements(which, _left(gone)) for which in (risk, other))
    leavers, stayers = (a - b for a, b in zip(mine, others, strict=True))
    difference = _mean(leavers)
    low, high = _around(difference, np.sqrt(_variance(leavers) + _variance(stayers)))
    return {"difference": difference, "low": low, "high": high}


def _placements(risk: np.ndarray, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each leaver the share of stayers below, for each stayer the share of leavers above, equal
    risks counting half; both empty with one class. By midranks (Sun & Xu 2014), in n log n.
    """
    if gone.all() or not gone.any():
        return np.empty(0), np.empty(0)
    ranks = rankdata(risk)
    below = ranks[gone] - rankdata(risk[gone])
    above = gone.sum() - (ranks[~gone] - rankdata(risk[~gone]))
    return below / (~gone).sum(), above / gone.sum()


def precision_at(risk: np.ndarray, gone: Outcomes, count: int) -> dict[str, float]:
    """How many of the `count` customers at highest risk left. Of those of equal risk at the border
    as many count as there is room for, with the mean of their outcomes.

    Keys: count (no more than there are customers), precision (share that left), low, high (Wilson
    interval of it), recall (share of all leavers that are among them), base (share of all customers
    that left).
    """
    left, count = _left(gone), min(max(count, 0), len(risk))
    if not count:
        return (
            {"count": 0}
            | dict.fromkeys(("precision", "low", "high", "recall"), float("nan"))
            | {"base": _mean(left)}
        )
    border = -np.partition(-risk, count - 1)[count - 1]
    above, at = left[risk > border], left[risk == border]
    caught = float(above.sum() + (count - len(above)) * at.mean())
    low, high = wilson(caught / count, count)
    recall = caught / float(left.sum()) if left.any() else float("nan")
    shares = {
        "precision": caught / count,
        "low": float(low),
        "high": float(high),
        "recall": recall,
        "base": _mean(left),
    }
    return {"count": count} | shares


# Calibration
def brier(risk: np.ndarray, gone: Outcomes) -> dict[str, float]:
    """Brier score and its parts over BINS groups of equal count (Murphy 1973).

    Keys: brier, brier_base (of giving everyone the base rate), skill (1 - brier / brier_base),
    reliability, resolution and uncertainty, of which brier = reliability - resolution +
    uncertainty. For that to hold though risks differ within a group, resolution is the generalised
    one: less their variance there, plus twice their covariance with the outcome (Stephenson, Coelho
    & Jolliffe 2008).
    """
    left = _left(gone)
    if not len(left):
        return dict.fromkeys(
            ("brier", "brier_base", "skill", "reliability", "resolution", "uncertainty"),
            float("nan"),
        )
    score, base = float(np.mean((risk - left) ** 2)), float(left.mean())
    groups, uncertainty = _groups(risk, left), base * (1 - base)
    weight, n = groups.customers / len(left), groups.customers
    predicted, actual = groups.risk / n, groups.gone / n
    variance, covariance = (
        groups.squares / n - predicted**2,
        groups.of_leavers / n - predicted * actual,
    )
    return {
        "brier": score,
        "brier_base": uncertainty,
        "skill": 1 - score / uncertainty if uncertainty else float("nan"),
        "reliability": float((weight * (predicted - actual) ** 2).sum()),
        "resolution": float((weight * ((actual - base) ** 2 - variance + 2 * covariance)).sum()),
        "uncertainty": uncertainty,
    }


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
    """Whether risks are too extreme or too high as a whole: the outcome regressed on their logits
    (Cox 1958).

    Keys: slope (1 is right; below, risks are too extreme), slope_low, slope_high; intercept (0 is
    right; below, risks are too high; fitted with the slope held at 1), intercept_low,
    intercept_high (Wald intervals). The slope is nan where risks are all equal or tell leavers from
    stayers without a fault, both are with one class.
    """
    left, logits = _left(gone), logit(np.clip(risk, CERTAIN, 1 - CERTAIN))
    figures: dict[str, float] = {}
    for name, (estimate, error) in {
        "slope": _slope(logits, left),
        "intercept": _intercept(logits, left),
    }.items():
        low, high = _around(estimate, error)
        figures |= {name: estimate, f"{name}_low": low, f"{name}_high": high}
    return figures


def _slope(logits: np.ndarray, gone: np.ndarray) -> tuple[float, float]:
    """With its standard error, beside an intercept of its own."""
    if not _overlap(logits, gone):
        return float("nan"), float("nan")
    distinct, leavers, customers = _counts(logits, gone)
    # with mean 0 and variance 1 Newton's method neither knows nor fears the units of the logits
    centred = distinct - np.average(distinct, weights=customers)
    scale = np.sqrt(np.average(centred**2, weights=customers))
    columns = np.column_stack([np.ones(len(distinct)), centred / scale])
    slope, error = _last_coefficient(columns, leavers, customers, np.zeros(len(distinct)))
    return float(slope / scale), float(error / scale)


def _intercept(logits: np.ndarray, gone: np.ndarray) -> tuple[float, float]:
    """With its standard error, the slope held at 1."""
    if gone.all() or not gone.any():
        return float("nan"), float("nan")
    distinct, leavers, customers = _counts(logits, gone)
    return _last_coefficient(np.ones((len(distinct), 1)), leavers, customers, distinct)


def _counts(logits: np.ndarray, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different logits in order, and how many left and how many customers there are at each."""
    distinct, place = np.unique(logits, return_inverse=True)
    return distinct, np.bincount(place, gone), np.bincount(place)


def _overlap(logits: np.ndarray, gone: np.ndarray) -> bool:
    """Whether some leaver is below some stayer and the other way round; without, the likelihood of
    the slope has no maximum (Albert & Anderson 1984).
    """
    if gone.all() or not gone.any():
        return False
    leavers, stayers = logits[gone], logits[~gone]
    return bool(leavers.min() < stayers.max() and stayers.min() < leavers.max())


def _last_coefficient(
    columns: np.ndarray, leavers: np.ndarray, customers: np.ndarray, offset: np.ndarray
) -> tuple[float, float]:
    """Of a logistic regression of counts on `columns` the last coefficient and its standard error,
    by Newton's method; nan where it does not converge. A step that lowers the likelihood is halved.
    """

    def likelihood(b: np.ndarray) -> float:
        at = offset + columns @ b
        return float(leavers @ at - customers @ np.logaddexp(0, at))

    b = np.zeros(columns.shape[1])
    for _ in range(STEPS):
        chance = expit(offset + columns @ b)
        information = (columns.T * (customers * chance * (1 - chance))) @ columns
        if not np.linalg.cond(information) < WORST_CONDITION:
            break
        step = np.linalg.solve(information, columns.T @ (leavers - customers * chance))
        step /= max(1.0, np.abs(step).max() / STRIDE)
        reached = likelihood(b)
        while likelihood(b + step) < reached - 1e-12 * abs(reached):  # rounding is no loss
            step /= 2
        b = b + step
        if np.abs(step).max() < 1e-8:
            return float(b[-1]), float(np.sqrt(np.linalg.inv(information)[-1, -1]))
    return float("nan"), float("nan")


def expected_calibration_error(risk: np.ndarray, gone: Outcomes, bins: int = BINS) -> float:
    """How far the mean risk and the share that left are apart, in the mean over groups of equal
    count.
    """
    groups = _groups(risk, _left(gone), bins)
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
    starts, shares = _sharing(ordered, BINS)
    expected = np.add.reduceat(ordered, starts)
    if len(risk) <= SIMULATED:  # one draw at a time, for little memory
        outcomes = (chance.random(len(ordered)) < ordered for _ in range(draws))
        totals = np.array([np.add.reduceat(left, starts, dtype=np.int64) for left in outcomes])
    else:
        spread = np.sqrt(np.add.reduceat(ordered * (1 - ordered), starts))
        totals = chance.normal(expected, spread, (draws, len(starts)))
    return float(np.quantile(np.abs((totals - expected) @ shares).sum(axis=1) / len(risk), share))


def deciles(risk: np.ndarray, gone: Outcomes) -> pd.DataFrame:
    """Customers in ten groups of equal count by predicted risk, the highest first.

    Columns: decile, customers, predicted (mean risk), actual (share that left), low, high (Wilson
    interval of actual), lift (actual over the share of all that left), caught (share of all leavers
    caught down to here). Of customers of equal risk at a border each group gets its part of the
    leavers, so that these are not whole numbers there.
    """
    left = _left(gone)
    groups = _groups(risk, left)
    predicted = (groups.risk / groups.customers).cummin()  # falls anyway, but for rounding
    actual = (groups.gone / groups.customers).clip(0, 1)
    low, high = wilson(actual, groups.customers)
    table = pd.DataFrame(
        {
            "decile": np.arange(1, len(groups) + 1),
            "customers": groups.customers,
            "predicted": predicted,
        }
    )
    table = table.assign(actual=actual, low=low, high=high)
    return table.assign(lift=actual / _mean(left), caught=groups.gone.cumsum() / left.sum())


def means(deciles: pd.DataFrame) -> dict[str, float]:
    """Share of leavers over all deciles. Keys: predicted, actual."""
    if deciles.empty:
        return {"predicted": float("nan"), "actual": float("nan")}
    return {
        which: float(np.average(deciles[which], weights=deciles.customers))
        for which in ("predicted", "actual")
    }


def extremes(deciles: pd.DataFrame) -> dict[str, float]:
    """Share that left in the decile of highest (top) and lowest (bottom) risk."""
    if deciles.empty:
        return {"top": float("nan"), "bottom": float("nan")}
    return {"top": float(deciles.actual.iloc[0]), "bottom": float(deciles.actual.iloc[-1])}


def _groups(risk: np.ndarray, gone: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Groups of equal count by risk, the highest first. Columns: customers, and the totals of risk,
    gone, squares (of risk) and of_leavers (risk of those who left).
    """
    names = ["risk", "gone", "squares", "of_leavers"]
    if not len(risk):
        return pd.DataFrame(columns=["customers", *names], dtype=float)
    order = np.argsort(-risk)
    risk, gone = risk[order], gone[order]
    starts, shares = _sharing(risk, bins)
    totals = [
        np.add.reduceat(np.asarray(column, float), starts) @ shares
        for column in (risk, gone, risk**2, risk * gone)
    ]
    edges = _edges(len(risk), bins)
    return pd.DataFrame({"customers": np.diff(edges)} | dict(zip(names, totals, strict=True)))


def _edges(customers: int, bins: int) -> np.ndarray:
    """Where groups of equal count, as far as whole customers allow, begin and end."""
    groups = min(bins, customers)
    return np.arange(groups + 1) * customers // groups


def _sharing(ordered: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """How groups share customers, so that those of equal risk at a border are all treated alike.

    The sorted risks fall into runs: either in one group as a whole, or of equal risks over a
    border. Returned are where the runs start, and the share of each run (rows) in each group
    (columns), with which a total of the run is split.
    """
    edges = _edges(len(ordered), bins)
    changes = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1, [len(ordered)]])
    before = changes[np.searchsorted(changes, edges, side="right") - 1]
    after = changes[np.searchsorted(changes, edges, side="left")]
    cuts = np.unique([before, after])
    starts, ends = cuts[:-1], cuts[1:]
    common = np.minimum.outer(ends, edges[1:]) - np.maximum.outer(starts, edges[:-1])
    return starts, np.clip(common, 0, None) / (ends - starts)[:, None]


# What it earns
def profit_curve(
    risk: np.ndarray,
    gone: Outcomes,
    value: float | np.ndarray | pd.Series,
    cost: float | np.ndarray | pd.Series,
    success: float,
) -> pd.DataFrame:
    """What contacting the most promising customers earns, for ever more of them, in the money of
    `value` and `cost`.

    A contact costs `cost` and keeps one who would leave, and with them `value`, with probability
    `success`. First come the highest risks; where `value` differs by customer, and with it perhaps
    `cost`, the highest expected gains. Those who tie count with their mean. Columns, from nobody to
    all in at most POINTS rows: contacted (customers), share, threshold (lowest risk contacted, or
    tied with one who is; nan for nobody), profit (with the outcomes that came), expected (with the
    risks in their place).
    """
    if not len(risk):
        return pd.DataFrame(
            columns=["contacted", "share", "threshold", "profit", "expected"], dtype=float
        )
    worth = success * np.asarray(value, float)
    cost = np.asarray(cost, float)
    promise = risk * worth - cost if worth.ndim else risk
    _, place, tied = np.unique(-promise, return_inverse=True, return_counts=True)
    ends = np.append(0, tied.cumsum())
    contacted = np.linspace(0, len(risk), min(POINTS, len(risk) + 1)).round().astype(int)
    lowest = np.full(len(tied), np.inf)
    np.minimum.at(lowest, place, risk)
    lowest = np.append(np.nan, np.minimum.accumulate(lowest))

    def earned(chance: np.ndarray) -> np.ndarray:
        gains = np.bincount(place, worth * chance - cost)
        return np.interp(contacted, ends, np.append(0, gains.cumsum()))

    curve = {
        "contacted": contacted,
        "share": contacted / len(risk),
        "threshold": lowest[np.searchsorted(ends, contacted)],
    }
    return pd.DataFrame(curve | {"profit": earned(_left(gone)), "expected": earned(risk)})


def best_threshold(cost: float, success: float, value: float) -> float:
    """The risk above which a contact pays; infinite where none ever does, and never below 0."""
    worth = success * value
    return max(cost / worth, 0.0) if worth > 0 else float("inf")


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
