"""Leavers against the risk that each customer had, by account owner.

Who has a difficult portfolio is not blamed for it, and small portfolios are not ranked by luck:
intervals are exact, what a portfolio shows is drawn towards that of all, and what stands out must
do so among all groups.
"""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

NOBODY = "without_owner"  # a word: of customers whose profile names nobody who looks after them
EDGE = 1e-6  # no risk is nearer to 0 or 1
ALARM = 0.05  # chance that anybody at all is said to differ where nobody does
# More customers than EXACT, with a variance of leavers from SPREAD on, leave as a normal count.
EXACT, SPREAD = 1_000, 100
STEEP = 60.0  # log odds beyond which all leave, or none
FINE = 1e-7  # log odds within which the ends of intervals are known
RETENTION = ["measured", "actual", "foretold_left", "expected_left", "ratio", "low", "high"]
RETENTION += ["shrunk", "p", "beyond_chance"]


def retention(held: pd.DataFrame, owners: pd.Series) -> pd.DataFrame:
    """Leavers against the risk that was foretold, by owner. `held`: customer_id, risk, left;
    `owners` by customer_id (NOBODY for who is not in it).

    Given how many left in all: that the forecast of all went astray is no owner's doing. If all
    owners are alike, an owner's leavers then follow the Poisson-binomial distribution of the own
    risks times that of the others' (with two owners of equal risks Fisher's). Columns: the owner
    (index), measured (customers), actual (left), foretold_left (sum of risks), expected_left (given
    how many left in all; sums to them), ratio (actual over expected), low, high (95 % interval,
    mid-P: for other odds of leaving than with the others), p (two-sided, mid-P), shrunk,
    beyond_chance (`standing_out`). nan of an owner with nobody to compare with, or where nobody or
    everybody left.
    """
    known = held.dropna(subset=["risk", "left"])
    of = known.customer_id.map(owners).astype(object).fillna(NOBODY).to_numpy()
    chance, gone = np.clip(known.risk.to_numpy(float), EDGE, 1 - EDGE), known.left.to_numpy(bool)
    found, columns = _measured(chance, gone, of), [*RETENTION, "variance"]
    table = pd.DataFrame.from_dict(found, "index", columns=columns).rename_axis("owner")
    table["foretold_left"] = pd.Series(chance).groupby(of).sum()
    table["shrunk"] = shrunk(table)
    table["beyond_chance"] = table.index.isin(standing_out(table.p, chance, gone, of))
    return table[RETENTION].astype({"measured": "int64", "actual": "int64"})


def _measured(chance: np.ndarray, gone: np.ndarray, of: np.ndarray) -> dict[str, dict[str, float]]:
    """The figures of each owner, the log odds of the risks moved by as much for all that they
    foretell as many leavers as there were.
    """
    if 0 < gone.sum() < len(gone):
        odds = logit(chance)
        by = brentq(lambda by: expit(odds + by).sum() - gone.sum(), -STEEP, STEEP)
        chance = expit(odds + by)
    return {name: _of_owner(chance, gone, of == name) for name in sorted(set(of))}


def _of_owner(chance: np.ndarray, gone: np.ndarray, mine: np.ndarray) -> dict[str, float]:
    counts, logs = among(chance[mine], chance[~mine], int(gone.sum()))
    actual, (expected, variance) = int(gone[mine].sum()), moments(counts, logs)
    found = {"measured": int(mine.sum()), "actual": actual, "expected_left": expected}
    if len(counts) < 2:
        return found
    ends = (moments(counts, logs + tilt * counts)[0] for tilt in tilts(counts, logs, actual))
    found |= {name: end / expected for name, end in zip(("low", "high"), ends, strict=True)}
    below = _below(counts, logs, actual)
    found |= {"ratio": actual / expected, "variance": variance / expected**2}
    return found | {"p": min(1.0, 2 * min(below, 1 - below))}


# How many leave. Not scipy's poisson_binom: its probabilities vanish below 1e-308, and are tilted
# here; and of many customers it takes time with the square of their number, however few may leave.
def leavers(risk: np.ndarray, most: int) -> np.ndarray:
    """Log probability (but for a constant) of each number of leavers up to `most`
    (Poisson-binomial).
    """
    logs = np.full(min(len(risk), most) + 1, -np.inf)
    if len(risk) > EXACT and (variance := (risk * (1 - risk)).sum()) >= SPREAD:
        return -((np.arange(len(logs)) - risk.sum()) ** 2) / (2 * variance)
    logs[0] = 0
    for stays, goes in zip(np.log1p(-risk), np.log(risk), strict=True):
        logs[1:] = np.logaddexp(logs[1:] + stays, logs[:-1] + goes)
        logs[0] += stays
    return logs


def among(mine: np.ndarray, others: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """How many of `mine` may be among `total` leavers, and the log probability (but for a constant)
    if risks are true.
    """
    counts = np.arange(max(0, total - len(others)), min(len(mine), total) + 1)
    return counts, leavers(mine, total)[counts] + leavers(others, total)[total - counts]


def _chances(logs: np.ndarray) -> np.ndarray:
    found = np.exp(logs - logs.max())
    return found / found.sum()


def moments(counts: np.ndarray, logs: np.ndarray) -> tuple[float, float]:
    """Mean and variance of counts whose log probabilities are known up to a constant."""
    chance = _chances(logs)
    mean = float(counts @ chance)
    return mean, float((counts - mean) ** 2 @ chance)


def _below(counts: np.ndarray, logs: np.ndarray, actual: int) -> float:
    """Probability of fewer, and half of that of as many (mid-P)."""
    chance = _chances(logs)
    return float(chance[counts < actual].sum() + chance[counts == actual].sum() / 2)


def tilts(counts: np.ndarray, logs: np.ndarray, actual: int) -> tuple[float, float]:
    """The log odds ratios to the others that the count does not contradict: the 95 % interval, by
    mid-P.
    """

    def end(share: float) -> float:
        def beyond(tilt: float) -> float:
            return _below(counts, logs + tilt * counts, actual) - share

        return float(brentq(beyond, -STEEP, STEEP, xtol=FINE))

    low = -STEEP if actual == counts[0] else end(0.975)
    return low, STEEP if actual == counts[-1] else end(0.025)


# Among all owners
def shrunk(table: pd.DataFrame) -> pd.Series:
    """Each ratio drawn towards 1, the more the less its own customers say (empirical Bayes).

    Prior: true ratios lie normally around 1, with the variance that is left of the observed ones
    when chance is taken away (DerSimonian & Laird 1986, around the known mean 1); without any all
    are 1. Columns: ratio, variance (of it by chance).
    """
    known = table.dropna(subset=["ratio", "variance"])
    weight, between = 1 / known.variance, 0.0
    if len(known):
        beyond = float((weight * (known.ratio - 1) ** 2).sum() - len(known))
        between = max(0.0, beyond / weight.sum())
    return 1 + (table.ratio - 1) * between / (between + table.variance)


def standing_out(p: pd.Series, chance: np.ndarray, gone: np.ndarray, of: np.ndarray) -> list[str]:
    """The owners who differ beyond chance, step by step (Holm 1979): any false alarm at all has a
    probability of ALARM.

    Who is found is taken out before the others are tested again, so that nobody stands out only
    beside somebody who does. Of the last two nobody can tell which of them differs: both do.
    """
    found: list[str] = []
    while p.min() * len(p) < ALARM:
        found += [p.idxmin()] if len(p) > 2 else list(p.index)
        rest = ~np.isin(of, found)
        again = _measured(chance[rest], gone[rest], of[rest])
        p = pd.Series({name: row.get("p", np.nan) for name, row in again.items()}, dtype=float)
    return found
