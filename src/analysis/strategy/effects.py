"""What being drawn for a campaign changed: the adjusted difference of two arms with its interval,
by segment, and whether the arms were alike before.

Everybody counts by the arm drawn, reached or not (intention to treat): those who could be reached
differ from the others.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests

from analysis.strategy.campaign_members import COVARIATES
from analysis.strategy.regression import EXACT, UNTOLD, hc2, independent

ARMS = ["treat", "control"]
MIN_ARM = 30  # customers; fewer in an arm prove nothing
# Clusters; with four in either arm the rarest of all drawings is one of 70, with three one of 20,
# and no interval of 95 % has an end.
MIN_CLUSTERS = 4
PER_COVARIATE = 10  # customers of the smaller arm for each covariate; more only add noise
REDRAWS = 1999  # of the arms, to see what t chance brings
LEAST_REDRAWS = 399
AT_ONCE = 2_000_000  # clusters times redraws, in memory
WORK = 10_000_000  # customers times redraws: of many chance is nearly normal and needs fewer


def covariate_columns(
    frame: pd.DataFrame, covariates: Sequence[str], most: int | None = None
) -> np.ndarray:
    """The covariates that the frame has and that vary, centred, in standard deviations; what is
    missing is the mean, with a column that says so. At most `most` columns, the first ones.
    """
    columns = [np.empty((len(frame), 0))]
    for name in _known(frame, covariates):
        values = frame[name].astype(float)
        both = np.column_stack([values.fillna(values.mean()), values.isna()])
        columns.append(both[:, both.std(axis=0) > 1e-9 * np.abs(both).max(axis=0)])
    wide = np.hstack(columns)
    scaled = (wide - wide.mean(axis=0)) / wide.std(axis=0) if wide.size else wide
    return independent(scaled)[:, :most]


def _known(frame: pd.DataFrame, covariates: Sequence[str]) -> list[str]:
    return [name for name in covariates if name in frame and frame[name].notna().any()]


def in_arms(frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
    """The rows of an arm, in the same order whatever that of the frame, and who is treated (1)."""
    rows = frame[frame.arm.isin(ARMS)].sort_values("customer_id", ignore_index=True)
    return rows, (rows.arm == "treat").to_numpy(float)


def effect(
    frame: pd.DataFrame,
    outcome: str,
    covariates: Sequence[str] = COVARIATES,
    cluster: str | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, float]:
    """What being drawn to be treated changed in the outcome of a customer, on average: effect, low,
    high (interval of `level`), p, error, treated, control (customers); nan where that cannot be
    told.

    `frame`: a customer a row, arm (treat or control), the outcome, covariates from before. The
    difference of the arms, adjusted by covariates interacted with the arm (Lin 2013; with the
    outcome's own past it is CUPED, Deng et al. 2013). How large a t chance brings is told by
    drawing the arms anew (Wu & Ding 2021): Student's t gives three times too many false alarms
    where a tenth is held back and most spend nothing.

    `cluster`: a column whose groups were drawn, each with all of its customers (see by_cluster).
    Who stands in the other arm than most of the group came to it later, and is left out.
    """
    rows, treat = in_arms(frame[frame[outcome].notna()])
    clusters = None
    if cluster is not None:
        alone = "–" + pd.Series(rows.index.astype("str"))  # who has none is a cluster of one
        groups = rows[cluster].fillna(alone)
        drawn = treat == (pd.Series(treat).groupby(groups).transform("mean") >= 0.5)
        rows, treat, clusters = rows[drawn], treat[drawn], pd.factorize(groups[drawn])[0]
    counts = {"treated": int(treat.sum()), "control": int(len(treat) - treat.sum())}
    smaller = min(counts.values())
    if smaller < 2:
        return UNTOLD | counts
    known = covariate_columns(rows, covariates, smaller // PER_COVARIATE)
    y = rows[outcome].to_numpy(float)
    if clusters is not None:
        return by_cluster(y, treat, known, clusters, seed, level) | counts
    return contrast(y, treat, known, seed, level) | counts


def contrast(
    y: np.ndarray, treat: np.ndarray, known: np.ndarray, seed: int = 0, level: float = 0.95
) -> dict[str, float]:
    """The same of arrays: outcome, arm (1 treated), columns as from covariate_columns. Keys:
    effect, error, low, high, p.
    """
    columns = independent(_interacted(treat, known))
    value, error = hc2(y, columns, 1)
    if len(y) <= columns.shape[1] or not error > 0:
        return UNTOLD
    chance = redrawn(y, treat, known, seed)
    # Where redraws are too few for a level, the outermost ones are stretched as a normal's tail.
    wanted = (1 - level) / 2 * (len(chance) + 1)
    tail = max(int(wanted + 1e-9), 1)
    reach, last = stats.norm.isf(np.array([wanted, tail]) / (len(chance) + 1))
    further = max(1.0, float(reach / last)) * error
    beyond = min((chance >= value / error).sum(), (chance <= value / error).sum()) + 1
    return {
        "effect": value,
        "error": error,
        "low": value - further * chance[-tail],
        "high": value - further * chance[tail - 1],
        "p": min(1.0, 2 * float(beyond) / (len(chance) + 1)),
    }


def _interacted(treat: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(treat)), treat, known, known * treat[:, None]])


def redrawn(y: np.ndarray, treat: np.ndarray, known: np.ndarray, seed: int) -> np.ndarray:
    """The t of the same regression in many drawings of the arms, ascending."""
    random = np.random.default_rng(seed)
    found = np.empty(redraws(len(y)))
    for number in range(len(found)):
        mixed = treat[np.argsort(random.random(len(treat)))]
        value, error = hc2(y, _interacted(mixed, known), 1)
        found[number] = value / error if error > 0 else 0.0
    return np.sort(found)


def by_cluster(
    y: np.ndarray,
    treat: np.ndarray,
    known: np.ndarray,
    clusters: np.ndarray,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, float]:
    """The same where all of a cluster (its number by row) are in one arm, by drawing clusters anew:
    exact however few they are and whatever is spent, where an effect is the same for all.

    The statistic is the correlation of outcome and arm beside the covariates. An effect lies in the
    interval unless the outcome without it correlates with the arms more than with nearly all others
    (Rosenbaum 2002, 2.6.2); `error` is the interval's, as if normal. UNTOLD with fewer than
    MIN_CLUSTERS in an arm.
    """
    sizes = np.bincount(clusters)
    own = np.bincount(clusters, treat) / sizes
    q = np.linalg.qr(independent(np.column_stack([np.ones(len(y)), known]))).Q
    left = y - q @ (q.T @ y)
    if min(own.sum(), len(own) - own.sum()) < MIN_CLUSTERS or _nothing(left, y):
        return UNTOLD
    sums = np.bincount(clusters, left)
    shared = np.array([np.bincount(clusters, column) for column in q.T]).T

    def compared(arms: np.ndarray) -> np.ndarray:
        """How arms (a row each) go with the outcome, and with the arms that were drawn."""
        inner = arms @ shared
        lengths = np.sqrt(np.maximum(arms @ sizes - (inner**2).sum(axis=1), EXACT * len(y)))
        alike = arms @ (own * sizes) - inner @ (own @ shared)
        return np.array([arms @ sums, alike]) / lengths

    found, alike = np.hstack([compared(own[None]), *map(compared, others(own, seed))])
    apart = (alike[0] - alike)[1:]
    same = apart <= EXACT * alike[0]
    # The effect from which on the other arms correlate less than the drawn ones.
    ends = (found[0] - found[1:]) / np.where(same, 1, apart)
    low, high = np.sort(np.where(same, -np.inf, ends)), np.sort(np.where(same, np.inf, ends))
    last = max(int((1 - level) / 2 * len(found) + 1e-9), 1) - 1
    beyond = 1 + min((low <= 0).sum(), (high >= 0).sum())
    return {
        "effect": float(found[0] / alike[0]),
        "error": float((high[-1 - last] - low[last]) / 2 / stats.norm.isf((1 - level) / 2)),
        "low": float(low[last]),
        "high": float(high[-1 - last]),
        "p": min(1.0, 2 * float(beyond) / len(found)),
    }


def others(own: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Other arms of as many clusters, a row each, in parts: all there are, if redraws of them are
    enough for that, else by lot.
    """
    treated, times = int(own.sum()), redraws(len(own))
    if comb(len(own), treated) <= times:
        chosen = np.array([*combinations(range(len(own)), treated)])
        every = (chosen[:, :, None] == np.arange(len(own))).any(axis=1).astype(float)
        yield every[(every != own).any(axis=1)]
        return
    random = np.random.default_rng(seed)
    for part in np.array_split(np.arange(times), -(-times * len(own) // AT_ONCE)):
        yield random.permuted(np.tile(own, (len(part), 1)), axis=1)


def _nothing(left: np.ndarray, y: np.ndarray) -> bool:
    """Whether what is left of the outcome is rounding."""
    return not np.linalg.norm(left) > EXACT * np.linalg.norm(y)


def redraws(units: int) -> int:
    """How often arms of so many are drawn anew: REDRAWS, of many as often as WORK allows, but
    LEAST_REDRAWS.
    """
    return int(np.clip(WORK // units, min(LEAST_REDRAWS, REDRAWS), REDRAWS))


# Many looks
def holm(p: pd.Series) -> pd.Series:
    """p-values corrected so that any false alarm at all among them has the probability they say
    (Holm 1979); nan stays nan.
    """
    known = p.dropna()
    corrected = multipletests(known, method="holm")[1] if len(known) else known
    return pd.Series(corrected, known.index, dtype=float).reindex(p.index)


def uplift(
    frame: pd.DataFrame, outcome: str, covariates: Sequence[str] = COVARIATES, seed: int = 0
) -> pd.DataFrame:
    """The effect in each segment, the largest first; nan where an arm has fewer than MIN_ARM
    customers. Where groups were drawn, they are the column `group`.

    Columns: segment, treated, control, effect, low, high (all of them hold together with 95 %,
    Šidák 1967), error, p, p_holm. That segments are each beyond chance or not does not say that
    they differ: see `differ`.
    """
    sizes = pd.crosstab(frame.segment, frame.arm).reindex(columns=ARMS, fill_value=0)
    large = sizes.index[sizes.min(axis=1) >= MIN_ARM]
    level = 0.95 ** (1 / max(len(large), 1))
    cluster = "group" if "group" in frame else None
    found = {
        name: effect(frame[frame.segment == name], outcome, covariates, cluster, seed, level)
        for name in large
    }
    effects = pd.DataFrame.from_dict(found, "index", columns=list(UNTOLD)).reindex(sizes.index)
    table = sizes.set_axis(["treated", "control"], axis=1).join(effects.astype(float))
    table = table.assign(p_holm=holm(table.p)).reset_index()
    return table.sort_values(["effect", "segment"], ascending=[False, True], ignore_index=True)


def differ(segments: pd.DataFrame) -> float:
    """p of segments (from `uplift`) that all have the same effect (Cochran's Q); nan of fewer than
    two.
    """
    known = segments[segments.error > 0]
    if len(known) < 2:
        return float("nan")
    combined = combine_effects(known.effect.to_numpy(), known.error.to_numpy() ** 2, "dl")
    return float(combined.test_homogeneity().pvalue)


# Were the arms alike before
def balance(frame: pd.DataFrame, covariates: Sequence[str] = COVARIATES) -> pd.DataFrame:
    """How far the arms differ in each covariate, before anything was done.

    Columns: covariate, mean_treated, mean_control, smd (their difference in standard deviations,
    those of the arms averaged; beyond 0.1 is worth a look).
    """
    known = _known(frame, covariates)
    treated, control = (frame.loc[frame.arm == arm, known].astype(float) for arm in ARMS)
    table = pd.DataFrame({"mean_treated": treated.mean(), "mean_control": control.mean()})
    spread = np.sqrt((treated.var() + control.var()) / 2)
    table["smd"] = (table.mean_treated - table.mean_control) / spread.where(spread > 0)
    return table.reset_index(names="covariate")


def imbalance(frame: pd.DataFrame, covariates: Sequence[str] = COVARIATES) -> float:
    """p of differences as large as these in all covariates together, had the arms been drawn by lot
    (Hansen & Bowers 2008). A tiny one says that they were not. nan without covariates or with one
    arm.
    """
    rows, treat = in_arms(frame)
    known = covariate_columns(rows, covariates)
    if not known.shape[1] or treat.std() == 0:
        return float("nan")
    moved = known.T @ treat
    spread = known.T @ known * treat.var(ddof=1)
    distance = moved @ np.linalg.pinv(spread, hermitian=True) @ moved
    return float(stats.chi2.sf(distance, np.linalg.matrix_rank(spread, hermitian=True)))
