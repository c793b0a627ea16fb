"""What being drawn for a campaign changed: the adjusted difference of two arms with its interval,
by segment, and whether the arms were alike before.

Everybody counts by the arm drawn, reached or not (intention to treat): those who could be reached
differ from the others.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests

from analysis.strategy.campaign_members import COVARIATES
from analysis.strategy.regression import cr2, hc2, independent

MIN_ARM = 30  # customers; fewer in an arm prove nothing
# Customers (or clusters) of the smaller arm for each covariate; more only add noise.
PER_COVARIATE = 10
REDRAWS = 1999  # of the arms, to see what t chance brings
LEAST_REDRAWS = 399
WORK = 10_000_000  # customers times redraws: of many chance is nearly normal and needs fewer
UNTOLD = dict.fromkeys(("effect", "low", "high", "p", "error"), float("nan"))


def covariate_columns(
    frame: pd.DataFrame, covariates: Sequence[str], most: int | None = None
) -> np.ndarray:
    """The covariates that the frame has and that vary, centred, in standard deviations; what is
    missing is the mean, with a column that says so. At most `most` columns, the first ones.
    """
    columns = [np.empty((len(frame), 0))]
    for name in covariates:
        if name in frame and frame[name].notna().any():
            values = frame[name].astype(float)
            both = np.column_stack([values.fillna(values.mean()), values.isna()])
            columns.append(both[:, both.std(axis=0) > 1e-9 * np.abs(both).max(axis=0)])
    wide = np.hstack(columns)
    scaled = (wide - wide.mean(axis=0)) / wide.std(axis=0) if wide.size else wide
    return independent(scaled)[:, :most]


def with_both_arms(frame: pd.DataFrame, outcome: str, strata: str | None = None) -> pd.DataFrame:
    """The rows that tell something, in the same order whatever that of the frame: of known outcome
    and arm, in strata of both arms.
    """
    rows = frame[frame[outcome].notna() & frame.arm.isin(["treat", "control"])]
    if strata is not None:
        rows = rows.assign(**{strata: rows[strata].fillna("–")})
        rows = rows[rows.groupby(strata).arm.transform("nunique") == 2]
    if "customer_id" in rows:
        return rows.sort_values("customer_id", ignore_index=True)
    return rows.reset_index(drop=True)


def effect(
    frame: pd.DataFrame,
    outcome: str,
    covariates: Sequence[str] = COVARIATES,
    strata: str | None = None,
    cluster: str | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, float]:
    """What being drawn to be treated changed in the outcome of a customer, on average: effect, low,
    high (interval of `level`), p, error, treated, control (customers); nan where that cannot be
    told.

    `frame`: a customer a row, arm (treat or control), the outcome, covariates from before;
    `strata`, `cluster`: columns. The difference of the arms, adjusted by covariates interacted with
    the arm (Lin 2013; with the outcome's own past it is CUPED, Deng et al. 2013) and by stratum.
    With unequal shares, strata weigh by how surely they tell. How large a t chance brings is told
    by drawing the arms anew within strata (Wu & Ding 2021): Student's t gives three times too many
    false alarms where a tenth is held back and most spend nothing. By cluster it is CR2's t.
    """
    rows = with_both_arms(frame, outcome, strata)
    treat, y = (rows.arm == "treat").to_numpy(float), rows[outcome].to_numpy(float)
    counts = {"treated": int(treat.sum()), "control": int(len(treat) - treat.sum())}
    if min(counts.values()) < 2:
        return UNTOLD | counts
    units, clusters = min(counts.values()), None
    if cluster is not None:
        alone = "–" + pd.Series(rows.index.astype("str"))  # who has none is a cluster of one
        clusters = pd.factorize(rows[cluster].where(rows[cluster].notna(), alone))[0]
        units = min(len(np.unique(clusters[treat == arm])) for arm in (0, 1))
    layers = np.zeros(len(rows), int)
    if strata is not None:
        layers = pd.factorize(rows[strata], sort=True)[0]
    known = covariate_columns(rows, covariates, units // PER_COVARIATE)
    return contrast(y, treat, known, layers, clusters, seed, level) | counts


def contrast(
    y: np.ndarray,
    treat: np.ndarray,
    known: np.ndarray,
    layers: np.ndarray,
    clusters: np.ndarray | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, float]:
    """The same of arrays: outcome, arm (1 treated), columns as from covariate_columns, and the
    numbers (from 0) of strata that hold both arms. Keys: effect, error, low, high, p.
    """
    strata = np.eye(layers.max() + 1)[layers]
    columns = independent(np.hstack([strata, treat[:, None], known, known * treat[:, None]]))
    place = strata.shape[1]
    if clusters is not None:
        found = cr2(y, columns, place, clusters)
        low, high = found.interval(level)
        return {
            "effect": found.value, "error": found.error, "low": low, "high": high, "p": found.p
        }  # fmt: skip
    value, error = hc2(y, columns, place)
    if len(y) <= columns.shape[1] or not error > 0:
        return UNTOLD
    chance = redrawn(y, treat, known, layers, seed)
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


def redrawn(
    y: np.ndarray, treat: np.ndarray, known: np.ndarray, layers: np.ndarray, seed: int
) -> np.ndarray:
    """The t of the same regression in many drawings of the arms within strata, ascending: REDRAWS,
    of many customers as many as WORK allows, but LEAST_REDRAWS.
    """
    order = np.argsort(layers, kind="stable")
    y, arms, known, layers = y[order], treat[order], known[order], layers[order]
    strata, random = np.eye(layers.max() + 1)[layers], np.random.default_rng(seed)
    found = np.empty(int(np.clip(WORK // len(y), min(LEAST_REDRAWS, REDRAWS), REDRAWS)))
    for number in range(len(found)):
        mixed = arms[np.argsort(layers + random.random(len(arms)))][:, None]
        columns = np.hstack([strata, mixed, known, known * mixed])
        value, error = hc2(y, columns, strata.shape[1])
        found[number] = value / error if error > 0 else 0.0
    return np.sort(found)


# Many looks
def holm(p: pd.Series) -> pd.Series:
    """p-values corrected so that any false alarm at all among them has the probability they say
    (Holm 1979); nan stays nan.
    """
    known = p.dropna()
    corrected = multipletests(known, method="holm")[1] if len(known) else known
    return pd.Series(corrected, known.index, dtype=float).reindex(p.index)


def uplift(
    frame: pd.DataFrame,
    outcome: str,
    covariates: Sequence[str] = COVARIATES,
    by: str = "segment",
    seed: int = 0,
) -> pd.DataFrame:
    """The effect in each segment, the largest first; nan where an arm has fewer than MIN_ARM
    customers.

    Columns: `by`, treated, control, effect, low, high (all of them hold together with 95 %, Šidák
    1967), error, p, p_holm. That segments are each beyond chance or not does not say that they
    differ: see `differ`.
    """
    groups = dict(tuple(frame[frame.arm.isin(["treat", "control"])].groupby(by, observed=True)))
    sizes = {
        name: group.arm.value_counts().reindex(["treat", "control"], fill_value=0)
        for name, group in groups.items()
    }
    large = [name for name, counts in sizes.items() if counts.min() >= MIN_ARM]
    level = 0.95 ** (1 / max(len(large), 1))
    rows = []
    for name, group in groups.items():
        found = {"treated": sizes[name].treat, "control": sizes[name].control}
        if name in large:
            found |= effect(group, outcome, covariates, seed=seed, level=level)
        rows.append({by: name} | found)
    columns = [by, "treated", "control", "effect", "low", "high", "error", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table.p.astype(float))
    return table.sort_values(["effect", by], ascending=[False, True], ignore_index=True)


def differ(segments: pd.DataFrame) -> float:
    """p of segments (from `uplift`) that all have the same effect (Cochran's Q); nan of fewer than
    two.
    """
    known = segments[segments.error > 0].astype({"effect": float, "error": float})
    if len(known) < 2:
        return float("nan")
    combined = combine_effects(known.effect.to_numpy(), known.error.to_numpy() ** 2, "dl")
    return float(combined.test_homogeneity().pvalue)


# Were the arms alike before
def balance(
    frame: pd.DataFrame, covariates: Sequence[str] = COVARIATES, weights: pd.Series | None = None
) -> pd.DataFrame:
    """How far the arms differ in each covariate, before anything was done; `weights` by row of the
    frame.

    Columns: covariate, mean_treated, mean_control, smd (their difference in standard deviations,
    those of the arms before any weighting averaged; beyond 0.1 is worth a look).
    """
    treat = frame.arm == "treat"
    weight = pd.Series(1.0, frame.index) if weights is None else weights
    rows = []
    for name in covariates:
        if name in frame and frame[name].notna().any():
            values = frame[name].astype(float)
            arms = [arm & values.notna() for arm in (treat, frame.arm == "control")]
            treated, control = (
                np.average(values[arm], weights=weight[arm]) if weight[arm].sum() > 0 else np.nan
                for arm in arms
            )
            spread = np.sqrt(np.mean([values[arm].var() for arm in arms]))
            smd = (treated - control) / spread if spread > 0 else np.nan
            rows.append((name, treated, control, smd))
    return pd.DataFrame(rows, columns=["covariate", "mean_treated", "mean_control", "smd"])


def imbalance(
    frame: pd.DataFrame, covariates: Sequence[str] = COVARIATES, strata: str | None = None
) -> float:
    """p of differences as large as these in all covariates together, had the arms been drawn by lot
    within strata (Hansen & Bowers 2008). A tiny one says that they were not. nan without covariates
    or with one arm.
    """
    rows = with_both_arms(frame.assign(_one=1.0), "_one", strata)
    known, treat = covariate_columns(rows, covariates), (rows.arm == "treat").to_numpy(float)
    if not known.shape[1] or treat.std() == 0:
        return float("nan")
    layers = pd.factorize(rows[strata])[0] if strata else np.zeros(len(rows), int)
    moved, spread = np.zeros(known.shape[1]), np.zeros((known.shape[1], known.shape[1]))
    for layer in np.unique(layers):
        inside, arms = known[layers == layer], treat[layers == layer]
        inside = inside - inside.mean(axis=0)
        moved += inside.T @ arms
        spread += inside.T @ inside * arms.var(ddof=1)
    rank = np.linalg.matrix_rank(spread, hermitian=True)
    distance = moved @ np.linalg.pinv(spread, hermitian=True) @ moved
    return float(stats.chi2.sf(distance, rank)) if rank else float("nan")
