"""What campaigns brought: customers who were treated against those held back by lot, always by the
arm drawn.

Who was drawn to be treated counts as treated, reached or not (intention to treat): those who could
be reached differ from the others. Where nobody was held back, similar customers stand for them, and
the result is said to be no proof.
"""

import datetime as dt
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table
from scipy import stats

from analysis.customers import order_days
from analysis.draws import lots
from analysis.intake.dataset import Dataset
from analysis.report.text import N_
from analysis.schema import TABLES
from analysis.strategy.regression import UNKNOWN, Estimate, coefficient, independent, t_of

COVARIATES = ("orders_before", "money_before", "orders_year", "money_year", "recency_days")
YEAR = 365  # days
WINDOW_DAYS = 45  # after the treatment that count, where the campaign does not say when it ends
MIN_ARM = 30  # customers; fewer in an arm prove nothing
# customers (or clusters) of the smaller arm for each covariate; more covariates than that only add
# noise
PER_COVARIATE = 10
REDRAWS = 1999  # of the arms, to see what t chance brings
LEAST_REDRAWS = 399
# customers times redraws in all; with many customers chance is nearly normal and needs fewer
WORK = 10_000_000
LEAST_OVERLAP = 20.0  # effective customers in either arm; fewer have nothing in common to compare
MOST_COMPARED = 20_000  # untreated customers, drawn by lot
FEWEST_OWNERS = 10  # of several customers each, all in one arm: then it was owners who were drawn
ALARM = 0.05
OVERLAP = 0.5  # of the treated; beyond it two campaigns are hardly two
BROKEN = (
    0.001  # p of the arms being so unlike by lot; checked of every campaign, so not the usual 0.05
)
FOUND = 2.8  # standard errors that an effect must have to be found in four cases of five
OUTCOME = "orders"  # the verdict goes by it: it varies less than money, and is fixed before looking
SIDES = ("effect", "low", "high")
RESULTS = (*SIDES, "p", "error", "plain", "plain_low", "plain_high", "reduction", "mean_control")


# Outcomes
def outcomes(
    transactions: Table, members: pd.DataFrame, window_days: int | Mapping[str, int], as_of: dt.date
) -> pd.DataFrame:
    """What each member (campaign_id, customer_id, day, arm, any other columns) did in the
    `window_days` days after its day, and before it. `window_days` may differ by campaign_id.
    Members whose window reaches beyond `as_of`, or who were treated before the log begins, are left
    out.

    Adds orders, money (net) of the window; from strictly before the day orders_before, money_before
    (as many days), orders_year, money_year (365 days), recency_days (since the last order; empty
    without one). Money is empty where the log has none. What happens on the day itself is on
    neither side. Sorted by campaign_id, customer_id.
    """
    windows = (
        members.campaign_id.map(window_days) if isinstance(window_days, Mapping) else window_days
    )
    dated = members.assign(
        day=pd.to_datetime(members.day).astype("datetime64[s]"), window_days=windows
    )
    over = dated.day + pd.to_timedelta(dated.window_days, unit="D") <= pd.Timestamp(as_of)
    seen = dated.day >= pd.Timestamp(transactions.day.min().execute())
    dated = dated[over & seen].sort_values(["campaign_id", "customer_id"], ignore_index=True)
    counted = _counted(transactions, dated, as_of).reindex(dated.index)
    counts, money = (
        ["orders", "orders_before", "orders_year"],
        ["money", "money_before", "money_year"],
    )
    known = bool(transactions.amount.notnull().any().execute())
    counted[counts] = counted[counts].fillna(0)
    counted[money] = counted[money].fillna(0) if known else np.nan
    return pd.concat([dated, counted[["orders", "money", *COVARIATES]].astype(float)], axis=1)


def _counted(transactions: Table, members: pd.DataFrame, as_of: dt.date) -> pd.DataFrame:
    """The sums of `outcomes`, by the row of `members` (index), of those with any line."""
    ends = {
        "treated_on": members.day,
        **{
            name: members.day + pd.to_timedelta(days, unit="D")
            for name, days in _ends(members).items()
        },
    }
    spans = pd.DataFrame({"customer_id": members.customer_id, "place": members.index, **ends})
    dates = {name: ibis._[name].cast("date") for name in ends}
    days = order_days(transactions, as_of).join(ibis.memtable(spans).mutate(**dates), "customer_id")
    after = (days.day > days.treated_on) & (days.day <= days.until)
    before, year = (
        (days.day < days.treated_on) & (days.day >= days[name]) for name in ("since", "since_year")
    )
    sums = days.group_by("place").agg(
        orders=_.bought.count(where=after),
        money=_.net.sum(where=after).cast("float64"),
        orders_before=_.bought.count(where=before),
        money_before=_.net.sum(where=before).cast("float64"),
        orders_year=_.bought.count(where=year),
        money_year=_.net.sum(where=year).cast("float64"),
        treated_on=_.treated_on.max(),
        last=_.bought.max(where=_.bought < _.treated_on),
    )
    told = sums.mutate(recency_days=_.treated_on.delta(_.last, unit="day")).drop(
        "treated_on", "last"
    )
    return told.to_pandas().set_index("place").astype(float)


def _ends(members: pd.DataFrame) -> dict[str, pd.Series | int]:
    """Days from the treatment to where each span ends or begins."""
    return {"until": members.window_days, "since": -members.window_days, "since_year": -YEAR}


# Effects
def matrix(frame: pd.DataFrame, covariates: Sequence[str], most: int | None = None) -> np.ndarray:
    """The covariates that the frame has and that vary, centred, in standard deviations, as columns;
    what is missing is the mean, with a column that says so. At most `most` columns, the first ones.
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


def effect(
    frame: pd.DataFrame,
    outcome: str,
    covariates: Sequence[str] = COVARIATES,
    strata: str | None = None,
    cluster: str | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, float]:
    """What being drawn to be treated changed in the outcome of a customer, on average; nan where
    that cannot be told.

    `frame`: a customer a row, arm (treat or control), the outcome, covariates from before;
    `strata`, `cluster`: columns. The difference of the arms, adjusted by covariates interacted with
    the arm (Lin 2013; with the outcome's own past it is CUPED, Deng et al. 2013) and by stratum;
    strata that lack an arm tell nothing. With unequal shares, strata weigh by how surely they tell.
    Errors are HC2. How large a t chance brings is told by drawing the arms anew within strata (Wu &
    Ding 2021): Student's t gives three times too many false alarms where a tenth is held back and
    most spend nothing. By cluster errors are CR2, with t and the degrees of freedom of Bell &
    McCaffrey.

    Keys: effect, low, high (interval of `level`), p, error, plain, plain_low, plain_high (the bare
    difference of means), reduction (share of its variance that the adjustment removed), treated,
    control (customers), mean_control.
    """
    rows = _with_both_arms(frame, outcome, strata)
    treat, y = (rows.arm == "treat").to_numpy(float), rows[outcome].to_numpy(float)
    counts = {"treated": int(treat.sum()), "control": int(len(treat) - treat.sum())}
    if min(counts.values()) < 2:
        return dict.fromkeys(RESULTS, float("nan")) | counts
    clusters = (
        None
        if cluster is None
        else pd.factorize(
            rows[cluster].where(rows[cluster].notna(), "–" + pd.Series(rows.index.astype("str")))
        )[0]
    )
    units = (
        counts.values()
        if clusters is None
        else [len(np.unique(clusters[treat == arm])) for arm in (0, 1)]
    )
    layers = (
        np.zeros(len(rows), int) if strata is None else pd.factorize(rows[strata], sort=True)[0]
    )
    known, none = matrix(rows, covariates, min(units) // PER_COVARIATE), np.empty((len(rows), 0))
    told = contrast(y, treat, known, layers, clusters, seed, level)
    bare = contrast(y, treat, none, 0 * layers, clusters, seed, level)
    plain = {"plain": bare["effect"], "plain_low": bare["low"], "plain_high": bare["high"]}
    reduction = 1 - (told["error"] / bare["error"]) ** 2
    return (
        told
        | plain
        | {"reduction": reduction, "mean_control": float(y[treat == 0].mean())}
        | counts
    )


def _with_both_arms(frame: pd.DataFrame, outcome: str, strata: str | None) -> pd.DataFrame:
    """The rows that tell something, in the same order whatever that of the frame."""
    rows = frame[frame[outcome].notna() & frame.arm.isin(["treat", "control"])]
    if strata is not None:
        rows = rows.assign(**{strata: rows[strata].fillna("–")})
        rows = rows[rows.groupby(strata).arm.transform("nunique") == 2]
    return (
        rows.sort_values("customer_id", ignore_index=True)
        if "customer_id" in rows
        else rows.reset_index(drop=True)
    )


def contrast(
    y: np.ndarray,
    treat: np.ndarray,
    known: np.ndarray,
    layers: np.ndarray,
    clusters: np.ndarray | None = None,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, float]:
    """The same of arrays: outcome, arm (1 treated), columns as from `matrix`, and the numbers (from
    0) of strata that hold both arms. Keys: effect, error, low, high, p. Where redraws are too few
    for a level, the outermost ones are stretched as a normal's tail would be.
    """
    strata = np.eye(layers.max() + 1)[layers]
    columns = np.hstack([strata, treat[:, None], known, known * treat[:, None]])
    found = coefficient(y, independent(columns), strata.shape[1], clusters)
    told = {"effect": found.value, "error": found.error}
    if clusters is not None or not found.error > 0:
        low, high = found.interval(level)
        return told | {"low": low, "high": high, "p": found.p}
    chance = redrawn(y, treat, known, layers, seed)
    wanted = (1 - level) / 2 * (len(chance) + 1)
    tail = max(int(wanted + 1e-9), 1)
    further = max(
        1.0,
        float(
            stats.norm.isf(wanted / (len(chance) + 1)) / stats.norm.isf(tail / (len(chance) + 1))
        ),
    )
    t = found.value / found.error
    beyond = min((chance >= t).sum(), (chance <= t).sum()) + 1
    low, high = (found.value - further * found.error * chance[place] for place in (-tail, tail - 1))
    return told | {"low": low, "high": high, "p": min(1.0, 2 * float(beyond) / (len(chance) + 1))}


def redrawn(
    y: np.ndarray, treat: np.ndarray, known: np.ndarray, layers: np.ndarray, seed: int
) -> np.ndarray:
    """The t of the same regression in many drawings of the arms within strata, ascending: REDRAWS,
    of many customers as many as WORK allows, but LEAST_REDRAWS.
    """
    order = np.argsort(layers, kind="stable")
    y, arms, known, strata = (
        y[order],
        treat[order],
        known[order],
        np.eye(layers.max() + 1)[layers[order]],
    )
    random = np.random.default_rng(seed)
    wanted = int(np.clip(WORK // len(arms), min(LEAST_REDRAWS, REDRAWS), REDRAWS))
    found, layers = np.empty(wanted), layers[order]
    for number in range(wanted):
        mixed = arms[np.argsort(layers + random.random(len(arms)))][:, None]
        columns = np.hstack([strata, mixed, known, known * mixed])
        found[number] = t_of(y, columns, strata.shape[1])
    return np.sort(found)


def holm(p: pd.Series) -> pd.Series:
    """p-values corrected so that any false alarm at all among them has the probability they say
    (Holm 1979).
    """
    ordered = p.dropna().sort_values()
    return (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1).reindex(p.index)


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
    groups = list(frame[frame.arm.isin(["treat", "control"])].groupby(by, observed=True))
    looked = sum(
        group.arm.value_counts().reindex(["treat", "control"]).fillna(0).min() >= MIN_ARM
        for _, group in groups
    )
    level = 0.95 ** (1 / max(looked, 1))
    rows = []
    for name, group in groups:
        told = effect(group, outcome, covariates, seed=seed, level=level)
        small = min(told["treated"], told["control"]) < MIN_ARM
        rows.append({by: name} | told | (dict.fromkeys(RESULTS, float("nan")) if small else {}))
    columns = [by, "treated", "control", "effect", "low", "high", "error", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_holm"] = holm(table.p)
    return table.sort_values(["effect", by], ascending=[False, True], ignore_index=True)


def differ(segments: pd.DataFrame) -> float:
    """p of segments (from `uplift`) that all have the same effect (Cochran's Q); nan of fewer than
    two.
    """
    known = segments[segments.error > 0]
    weight = 1 / known.error**2
    spread = (
        (weight * (known.effect - (weight * known.effect).sum() / weight.sum()) ** 2).sum()
        if len(known)
        else 0.0
    )
    return float(stats.chi2.sf(spread, len(known) - 1)) if len(known) > 1 else float("nan")


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
            known = values.notna()
            treated, control = (
                _mean(values[arm & known], weight[arm & known])
                for arm in (treat, frame.arm == "control")
            )
            spread = np.sqrt((values[treat].var() + values[frame.arm == "control"].var()) / 2)
            rows.append(
                (name, treated, control, (treated - control) / spread if spread > 0 else np.nan)
            )
    return pd.DataFrame(rows, columns=["covariate", "mean_treated", "mean_control", "smd"])


def _mean(values: pd.Series, weights: pd.Series) -> float:
    return float((values * weights).sum() / weights.sum()) if weights.sum() > 0 else float("nan")


def imbalance(
    frame: pd.DataFrame, covariates: Sequence[str] = COVARIATES, strata: str | None = None
) -> float:
    """p of differences as large as these in all covariates together, had the arms been drawn by lot
    within strata (Hansen & Bowers 2008). A tiny one says that they were not. nan without covariates
    or with one arm.
    """
    rows = _with_both_arms(frame.assign(_one=1.0), "_one", strata)
    known, treat = matrix(rows, covariates), (rows.arm == "treat").to_numpy(float)
    if not known.shape[1] or treat.std() == 0:
        return float("nan")
    moved, spread = np.zeros(known.shape[1]), np.zeros((known.shape[1], known.shape[1]))
    for layer in np.unique(
        codes := pd.factorize(rows[strata])[0] if strata else np.zeros(len(rows), int)
    ):
        inside = known[codes == layer] - known[codes == layer].mean(axis=0)
        arms = treat[codes == layer]
        moved += inside.T @ arms
        spread += inside.T @ inside * arms.mean() * (1 - arms.mean()) * len(arms) / (len(arms) - 1)
    rank = np.linalg.matrix_rank(spread, hermitian=True)
    return (
        float(stats.chi2.sf(moved @ np.linalg.pinv(spread, hermitian=True) @ moved, rank))
        if rank
        else float("nan")
    )


# Without a control group
def propensity(
    frame: pd.DataFrame, covariates: Sequence[str] = COVARIATES
) -> tuple[np.ndarray, np.ndarray]:
    """The chance of each row to have been treated, by logistic regression on the covariates and
    their ranks, and the columns of that regression.
    """
    from sklearn.linear_model import LogisticRegression

    ranks = frame[[name for name in covariates if name in frame]].rank(pct=True)
    both = ranks.rename(columns="{}_rank".format).join(frame[list(ranks)])
    known = matrix(both, [name for column in ranks for name in (column, f"{column}_rank")])
    treat = (frame.arm == "treat").to_numpy()
    if not known.shape[1]:
        return np.full(len(frame), treat.mean()), np.ones((len(frame), 1))
    with (
        warnings.catch_warnings()
    ):  # arms that do not overlap have no best fit; their weights will say so
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-9, max_iter=100).fit(
            known, treat
        )
    return model.predict_proba(known)[:, 1], np.column_stack([np.ones(len(frame)), known])


def overlap_weights(frame: pd.DataFrame, covariates: Sequence[str] = COVARIATES) -> pd.Series:
    """Of each row the chance of the arm it was not in (Li, Morgan & Zaslavsky 2018): those who
    might have been in either count most, and the means of the covariates become equal.
    """
    chance, _ = propensity(frame, covariates)
    return pd.Series(np.where(frame.arm == "treat", 1 - chance, chance), frame.index)


def observational(
    frame: pd.DataFrame, outcome: str, covariates: Sequence[str] = COVARIATES
) -> dict[str, float]:
    """The difference between treated and similar untreated customers: no proof, since they may
    differ in what nobody recorded.

    Weighted by overlap, with a 95 % interval that counts in that the weights were estimated. Keys
    as of `effect`, and effective (customers that the smaller arm is worth after weighting),
    smd_before, smd_after (largest absolute difference in a covariate, in standard deviations). All
    is nan but the counts where the arms hardly overlap.
    """
    rows = _with_both_arms(frame, outcome, None)
    treat, y = (rows.arm == "treat").to_numpy(float), rows[outcome].to_numpy(float)
    counts = {"treated": int(treat.sum()), "control": int(len(treat) - treat.sum())}
    nothing = (
        dict.fromkeys((*RESULTS, "effective", "smd_before", "smd_after"), float("nan")) | counts
    )
    if min(counts.values()) < LEAST_OVERLAP:
        return nothing
    chance, columns = propensity(rows, covariates)
    weights = np.where(treat == 1, 1 - chance, chance)
    worth = [_effective(weights[treat == arm]) for arm in (0, 1)]
    if not min(worth) >= LEAST_OVERLAP:
        return nothing | {"effective": min(worth)}
    found = _weighted(y, treat, chance, columns)
    low, high = found.interval()
    bare = coefficient(y, np.column_stack([np.ones(len(y)), treat]), 1)
    sides = bare.interval()
    smd = [
        balance(rows, covariates, w).smd.abs().max() for w in (None, pd.Series(weights, rows.index))
    ]
    told = {"effect": found.value, "low": low, "high": high, "p": found.p, "error": found.error}
    told |= {"plain": bare.value, "plain_low": sides[0], "plain_high": sides[1]}
    told |= {"mean_control": float(np.average(y[treat == 0], weights=weights[treat == 0]))}
    return (
        nothing
        | told
        | {
            "effective": min(worth),
            "smd_before": float(smd[0]),
            "smd_after": float(smd[1]),
        }
    )


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
    given = treat * (1 - chance), (1 - treat) * chance
    means = [float(weight @ y / weight.sum()) for weight in given]
    own = given[0] * (y - means[0]) / given[0].sum() - given[1] * (y - means[1]) / given[1].sum()
    both = chance * (1 - chance)
    slope = columns.T @ (
        both
        * (treat * (means[0] - y) / given[0].sum() + (1 - treat) * (means[1] - y) / given[1].sum())
    )
    information = (columns.T * both) @ columns
    scores = columns * (treat - chance)[:, None]
    influence = own + scores @ (np.linalg.pinv(information, hermitian=True) @ slope)
    error = float(np.sqrt((influence**2).sum()))
    return Estimate(means[0] - means[1], error, len(y)) if error > 0 else UNKNOWN


# What it was worth
def returns(effect: Mapping[str, float], cost: float, margin: float) -> dict[str, float]:
    """What a campaign earned, of its effect on money per treated customer (as from `effect`):
    profit, profit_low, profit_high (effect times margin times the treated, less `cost` of all),
    return_on_cost (profit per money spent), break_even (effect at which the profit is none).
    """
    factor = margin * effect["treated"]
    profit, low, high = (effect[name] * factor - cost for name in ("effect", "low", "high"))
    return {
        "profit": profit,
        "profit_low": low,
        "profit_high": high,
        "return_on_cost": profit / cost if cost > 0 else float("nan"),
        "break_even": cost / factor if factor > 0 else float("nan"),
    }


def margin_of(transactions: Table, as_of: dt.date, settings: Dataset) -> float:
    """Profit per money sold: as the dataset file says, else of the lines whose cost is known, else
    1: all of the revenue.
    """
    if settings.margin or "cost" not in transactions.columns:
        return settings.margin or 1.0
    known = transactions.filter(_.day <= as_of, _.cost.notnull(), _.amount > 0)
    sums = (
        known.agg(sold=_.amount.sum().cast("float64"), cost=_.cost.sum().cast("float64"))
        .to_pandas()
        .iloc[0]
    )
    return float(np.clip(1 - sums.cost / sums.sold, 0, 1)) if sums.sold > 0 else 1.0


# All campaigns of a company
def members(campaigns: Table, as_of: dt.date) -> pd.DataFrame:
    """Who was in which campaign by the day, once: campaign_id, customer_id, day (the first), end,
    kind, channel, cost, arm (treat where no other is said). Who stands in both arms of a campaign
    is in neither; who is exempt is left out.
    """
    past = campaigns.filter(_.day <= as_of)
    absent = {
        n: ibis.null(t)
        for n, t in {
            "end": "date",
            "kind": "string",
            "channel": "string",
            "cost": "float64",
        }.items()
    }
    past = past.mutate(
        **{name: value for name, value in absent.items() if name not in past.columns}
    )
    arm = (
        past.arm.lower().strip().fill_null("treat")
        if "arm" in past.columns
        else ibis.literal("treat")
    )
    once = (
        past.mutate(arm=arm)
        .group_by("campaign_id", "customer_id")
        .agg(
            day=_.day.min(),
            end=_.end.max(),
            kind=_.kind.max(),
            channel=_.channel.max(),
            cost=_.cost.sum().cast("float64"),
            arm=_.arm.max(),
            arms=_.arm.nunique(),
        )
    )
    found = (
        once.filter(_.arms == 1, _.arm != "exempt")
        .drop("arms")
        .to_pyarrow()
        .to_pandas(date_as_object=False)
    )
    found["arm"] = np.where(found.arm == "control", "control", "treat")
    dates = {"day": "datetime64[s]", "end": "datetime64[s]"}
    return found.astype(dates).sort_values(["campaign_id", "customer_id"], ignore_index=True)


def windows(members: pd.DataFrame, settings: Dataset) -> dict[str, int]:
    """The days after the treatment that count, by campaign_id: from the day to the end, WINDOW_DAYS
    where that is not known; at most horizon_days.
    """
    days = (members.end - members.day).dt.days.groupby(members.campaign_id).median()
    return (
        days.where(days >= 1, WINDOW_DAYS).clip(upper=settings.horizon_days).astype(int).to_dict()
    )


def measured(
    campaigns: Table,
    transactions: Table,
    profiles: Table | None,
    as_of: dt.date,
    settings: Dataset,
    design: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row per campaign, in the order of their days. `design`: the table trial_design of earlier
    plans, whose strata and forecasts then count.

    Columns: campaign_id, kind, channel, day (first), end, window_days; treated, control, incomplete
    (customers whose window is not over or not in the log), proof (random, observational, too_small,
    not_over, before_log: the log begins later); outcome (the verdict goes by it), orders_effect,
    orders_low, orders_high (95 %, per treated customer), p, p_holm (of all random campaigns
    together), detectable (an effect so large would have been found in four cases of five),
    reduction; money_effect, money_low, money_high (as orders), total (money, of all treated), cost,
    profit, profit_low, profit_high; imbalance (p, of random ones), smd_before, smd_after, effective
    (of observational ones), also_reached (share of the treated whom another campaign reached within
    the window), verdict (see `verdict`).
    """
    people = members(campaigns, as_of)
    if people.empty:
        return nothing()
    margin, days = margin_of(transactions, as_of, settings), windows(people, settings)
    everybody = _with_comparison(
        _with_plan(_with_owner(people, profiles), design), transactions, as_of, settings.seed
    )
    everybody["campaigns_before"] = _others(everybody, people, -YEAR, 0)
    known = outcomes(transactions, everybody, days, as_of)
    of = dict(tuple(known.groupby("campaign_id")))
    rows = []
    for name, own in people.groupby("campaign_id"):
        also = float((_others(own[own.arm == "treat"], people, 0, days[str(name)] + 1) > 0).mean())
        row = _facts(own, days[str(name)], as_of) | {"campaign_id": name, "also_reached": also}
        rows.append(row | _judged(of.get(name, known.iloc[:0]), row, margin, settings.seed))
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table["p_holm"] = holm(table.p.where(table.proof == "random").astype(float))
    return table.sort_values(["day", "campaign_id"], ignore_index=True)


COLUMNS = list(TABLES["campaign_effects"].columns)


def nothing() -> pd.DataFrame:
    """The same of a company without campaigns: no rows."""
    return pd.DataFrame(columns=COLUMNS)


def _facts(own: pd.DataFrame, window_days: int, as_of: dt.date) -> dict[str, Any]:
    """What is known of a campaign before it is measured."""
    treated = own[own.arm == "treat"]
    over = own.day.min() + pd.Timedelta(days=window_days) <= pd.Timestamp(as_of)
    words = {
        name: own[name].dropna().max() if own[name].notna().any() else np.nan
        for name in ("kind", "channel")
    }
    dates = {
        "day": own.day.min(),
        "end": own.end.max(),
        "window_days": window_days,
        "outcome": OUTCOME,
    }
    return (
        words
        | dates
        | {
            "cost": treated.cost.sum(min_count=1),
            "members": len(own),
            "held_back": len(own) > len(treated),
            "over": bool(over),
        }
    )


def _judged(
    known: pd.DataFrame, facts: Mapping[str, Any], margin: float, seed: int
) -> dict[str, Any]:
    """What the members whose window is over tell; `known` holds those in comparison, too, as
    control.
    """
    drawn = known[~known.compared] if "compared" in known else known
    left = {"incomplete": facts["members"] - len(drawn)}
    counts = drawn.arm.value_counts().reindex(["treat", "control"]).fillna(0).astype(int)
    sizes = {"treated": int(counts.treat), "control": int(counts.control)}
    proof = _proof(sizes, facts, known)
    row: dict[str, Any] = sizes | left | {"proof": proof, "verdict": verdict(proof)}
    if proof == "random":
        strata = "stratum" if "stratum" in drawn and drawn.stratum.notna().any() else None
        columns = (*COVARIATES[:4], "forecast", *COVARIATES[4:])
        by = {
            outcome: effect(drawn, outcome, columns, strata, _clusters(drawn), seed)
            for outcome in (OUTCOME, "money")
        }
        row |= {
            "imbalance": (
                imbalance(drawn, COVARIATES, strata) if _clusters(drawn) is None else float("nan")
            )
        }
    elif proof == "observational":
        by = {
            outcome: observational(known, outcome, (*COVARIATES, "campaigns_before"))
            for outcome in (OUTCOME, "money")
        }
        row |= {
            name: by[OUTCOME][name] for name in ("control", "effective", "smd_before", "smd_after")
        }
    else:
        return row
    return row | _told(by[OUTCOME], by["money"], facts["cost"], margin, proof)


def _proof(sizes: Mapping[str, int], facts: Mapping[str, Any], known: pd.DataFrame) -> str:
    """How a campaign can be measured."""
    if not sum(sizes.values()):
        return "before_log" if facts["over"] else "not_over"
    enough = sizes["treated"] >= MIN_ARM
    if facts["held_back"]:
        return "random" if enough and sizes["control"] >= MIN_ARM else "too_small"
    return "observational" if enough and (known.arm == "control").sum() >= MIN_ARM else "too_small"


def _told(
    main: dict[str, float], money: dict[str, float], cost: float, margin: float, proof: str
) -> dict[str, Any]:
    worth = returns(money, cost, margin)
    row: dict[str, Any] = {"p": main["p"], "reduction": main["reduction"], "cost": cost}
    row |= {f"orders_{name}": main[name] for name in SIDES} | {
        f"money_{name}": money[name] for name in SIDES
    }
    row |= {"total": money["effect"] * money["treated"], "detectable": FOUND * main["error"]}
    row |= {name: worth[name] for name in ("profit", "profit_low", "profit_high")}
    return row | {"verdict": verdict(proof, main["low"], main["high"], worth["profit_high"])}


def verdict(
    proof: str, low: float = np.nan, high: float = np.nan, profit_high: float = np.nan
) -> str | float:
    """In a word of the catalogue: harms (fewer orders beyond chance), does_not_work (even the upper
    end of the profit is a loss), works (more orders beyond chance), not_proven (all else, and
    whatever had no control group); nan where the window is not over or not in the log.
    """
    if proof in ("not_over", "before_log"):
        return float("nan")
    if proof == "random" and high < 0:
        return "harms"
    if proof == "random" and profit_high < 0:
        return "does_not_work"
    return "works" if proof == "random" and low > 0 else "not_proven"


def _with_owner(people: pd.DataFrame, profiles: Table | None) -> pd.DataFrame:
    if profiles is None or "owner" not in profiles.columns:
        return people
    owners = profiles.select("customer_id", "owner").to_pandas().set_index("customer_id").owner
    return people.assign(owner=people.customer_id.map(owners))


def _with_plan(people: pd.DataFrame, design: pd.DataFrame | None) -> pd.DataFrame:
    """With stratum and forecast as frozen when the campaign was planned."""
    if design is None or design.empty:
        return people
    return people.merge(
        design[["campaign_id", "customer_id", "stratum", "forecast"]],
        "left",
        ["campaign_id", "customer_id"],
    )


def _clusters(drawn: pd.DataFrame) -> str | None:
    """The column owner where owners were drawn: all their customers share an arm."""
    if "owner" not in drawn:
        return None
    by_owner = drawn.groupby("owner").arm
    several = by_owner.size() > 1
    return "owner" if several.sum() >= FEWEST_OWNERS and (by_owner.nunique() < 2).all() else None


def _with_comparison(
    people: pd.DataFrame, transactions: Table, as_of: dt.date, seed: int
) -> pd.DataFrame:
    """With the untreated beside the members of campaigns that held nobody back: customers who had a
    line by its day, as control, `compared`; of many, MOST_COMPARED drawn by lot.
    """
    treated_only = ~people.campaign_id.isin(people.campaign_id[people.arm == "control"])
    parts = [people.assign(compared=False)]
    if treated_only.any():
        first = (
            transactions.filter(_.day <= as_of)
            .group_by("customer_id")
            .agg(first=_.day.min())
            .to_pandas()
        )
        first = first.assign(
            first=pd.to_datetime(first["first"]), lot=lots(first.customer_id, seed)
        ).sort_values("lot")
        for name, own in people[treated_only].groupby("campaign_id"):
            day = own.day.sort_values().iloc[len(own) // 2]
            others = first[(first["first"] < day) & ~first.customer_id.isin(own.customer_id)].head(
                MOST_COMPARED
            )
            parts.append(
                others[["customer_id"]].assign(
                    campaign_id=name, day=day, arm="control", compared=True
                )
            )
    return pd.concat(parts, ignore_index=True)


def _others(rows: pd.DataFrame, people: pd.DataFrame, first: int, until: int) -> pd.Series:
    """How many other campaigns reached each row's customer from `first` to before `until` days
    after its day, by row.
    """
    reached = people[people.arm == "treat"][["customer_id", "campaign_id", "day"]]
    keyed = rows[["customer_id", "campaign_id", "day"]].reset_index(names="place")
    pairs = keyed.merge(reached, on="customer_id", suffixes=("", "_other"))
    days = (pairs.day_other - pairs.day).dt.days
    counted = pairs[
        (pairs.campaign_id != pairs.campaign_id_other) & (days >= first) & (days < until)
    ]
    return counted.groupby("place").size().reindex(rows.index).fillna(0).astype(float)


# In words
def telling(table: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """Message keys with their values, of a table as from `measured`: the strongest campaign that is
    proven, those that are not or that harm, how many stand together, and what could not be
    measured.
    """
    if table.empty:
        return [(N_("No campaigns are on record."), {})]
    random, said = table[table.proof == "random"], list[tuple[str, dict[str, Any]]]()
    proven = random[random.verdict == "works"].sort_values(
        ["orders_low", "campaign_id"], ascending=[False, True]
    )
    for row in proven.head(1).to_dict("records"):
        said.append(
            (
                (
                    N_(
                        "Campaign {campaign:text} works: {orders_effect:number} more orders per"
                        " treated customer within {window_days:int} days (95 % sure:"
                        " {orders_low:number} to {orders_high:number}; {treated:int} treated,"
                        " {control:int} held back by lot). It cost {cost:money} and earned"
                        " {profit:money} more than that (95 % sure: {profit_low:money} to"
                        " {profit_high:money})."
                    )
                    if pd.notna(row["profit"])
                    else N_(
                        "Campaign {campaign:text} works: {orders_effect:number} more orders per"
                        " treated customer within {window_days:int} days (95 % sure:"
                        " {orders_low:number} to {orders_high:number}; {treated:int} treated,"
                        " {control:int} held back by lot). What it earned is not known, for want of"
                        " money or costs."
                    )
                ),
                _named(row),
            )
        )
    if len(random) and proven.empty:
        said.append(
            (
                N_(
                    "Of {campaigns:int} campaigns with a control group none is proven to work; an"
                    " effect of {detectable:number} orders per customer or more would have been"
                    " found in four cases of five in the best of them."
                ),
                {"campaigns": len(random), "detectable": random.detectable.min()},
            )
        )
    said += [
        (
            N_(
                "Campaign {campaign:text} harms: {orders_effect:number} orders per treated customer"
                " within {window_days:int} days (95 % sure: {orders_low:number} to"
                " {orders_high:number}; {treated:int} treated, {control:int} held back by lot)."
            ),
            _named(row),
        )
        for row in random[random.verdict == "harms"].to_dict("records")
    ]
    said += [
        (
            N_(
                "Campaign {campaign:text} does not pay: {orders_effect:number} orders per treated"
                " customer within {window_days:int} days (95 % sure: {orders_low:number} to"
                " {orders_high:number}) against a cost of {cost:money}; even at the best that is"
                " left a loss of {loss:money} or more."
            ),
            _named(row),
        )
        for row in random[random.verdict == "does_not_work"].to_dict("records")
    ]
    if len(proven):
        said += [
            (
                N_(
                    "Campaign {campaign:text} is not proven: {orders_effect:number} orders per"
                    " treated customer within {window_days:int} days (95 % sure:"
                    " {orders_low:number} to {orders_high:number}), which chance may explain;"
                    " {treated:int} were treated, {control:int} held back by lot."
                ),
                _named(row),
            )
            for row in random[random.verdict == "not_proven"].to_dict("records")
        ]
    if len(random) > 1:
        stand = int(((random.p_holm <= ALARM) & (random.orders_effect > 0)).sum())
        said.append(
            (
                N_(
                    "With all {campaigns:int} campaigns with a control group looked at together,"
                    " {stand:int} of them still show more orders beyond chance (Holm)."
                ),
                {"campaigns": len(random), "stand": stand},
            )
        )
    return said + _unproven(table)


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()} | {
        "campaign": row["campaign_id"],
        "loss": -row["profit_high"],
    }


def overlapping(table: pd.DataFrame) -> list[str]:
    """The campaigns that share more than OVERLAP of their treated with another one in the same
    days.
    """
    return table.campaign_id[table.also_reached > OVERLAP].tolist()


def broken(table: pd.DataFrame) -> list[str]:
    """The campaigns whose arms differed before more than lots explain."""
    return table.campaign_id[table.imbalance < BROKEN].tolist()


def _unproven(table: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """What is said of campaigns without a control group, with too few customers, and of those not
    over.
    """
    said: list[tuple[str, dict[str, Any]]] = []
    seen = table[(table.proof == "observational") & table.orders_effect.notna()]
    if count := int((table.proof == "observational").sum()):
        above, below = int((seen.orders_low > 0).sum()), int((seen.orders_high < 0).sum())
        said.append(
            (
                N_(
                    "{campaigns:int} campaigns held nobody back by lot, so what they brought cannot"
                    " be proven. Against similar untreated customers, those treated ordered more"
                    " beyond chance in {above:int} of them and less in {below:int}; in {none:int}"
                    " there are no similar customers to compare with."
                ),
                {"campaigns": count, "above": above, "below": below, "none": count - len(seen)},
            )
        )
    if count := int((table.proof == "too_small").sum()):
        said.append(
            (
                N_(
                    "{campaigns:int} campaigns have too few customers to be measured: it takes"
                    " {least:int} treated and {least:int} to compare with."
                ),
                {"campaigns": count, "least": MIN_ARM},
            )
        )
    if count := int((table.proof == "not_over").sum()):
        said.append(
            (
                N_(
                    "{campaigns:int} campaigns are not over yet and are measured once their days"
                    " are complete."
                ),
                {"campaigns": count},
            )
        )
    if count := int((table.proof == "before_log").sum()):
        said.append(
            (
                N_(
                    "{campaigns:int} campaigns began before the order log does and cannot be"
                    " measured."
                ),
                {"campaigns": count},
            )
        )
    return said


def caveats(table: pd.DataFrame, margin: float) -> list[tuple[str, dict[str, Any]]]:
    """What to bear in mind of these campaigns: keys of caveats with their values."""
    if table.empty:
        return []
    said: list[tuple[str, dict[str, Any]]] = [
        (
            N_(
                "Profit is the money that the campaign brought times {margin:percent}, the share of"
                " revenue that is profit, less its cost. Money varies more than orders, so the"
                " verdict goes by orders."
            ),
            {"margin": margin},
        )
    ]
    if (table.proof == "observational").any():
        said.append(
            (
                N_(
                    "Without customers held back by lot, similar untreated customers stand for"
                    " them, weighted so that both are alike in orders, money and days before. They"
                    " may still differ in what nobody recorded, which is often why they were"
                    " chosen: such a difference is a hint, not proof."
                ),
                {},
            )
        )
    if len(table) > 1:
        said.append(
            (
                N_(
                    "Of twenty campaigns that do nothing, one seems to do something by chance. With"
                    " many looked at, only those that also stand together should count."
                ),
                {},
            )
        )
    if mixed := overlapping(table):
        said.append(
            (
                N_(
                    "{campaigns:int} campaigns share more than half of their treated customers with"
                    " another one in the same days; what each of them did alone cannot be told."
                ),
                {"campaigns": len(mixed)},
            )
        )
    if odd := broken(table):
        said.append(
            (
                N_(
                    "In {campaigns:int} campaigns with a control group the arms differed before the"
                    " campaign more than lots explain ({names:text}): check how they were drawn."
                ),
                {"campaigns": len(odd), "names": ", ".join(odd)},
            )
        )
    return said


# A closer look at one campaign
FEW_ORDERS = 5  # order days of the year before, from which a customer orders often


def clearest(table: pd.DataFrame) -> str:
    """The campaign with a control group whose effect is surest, as from measured; empty where there
    is none.
    """
    drawn = table[(table.proof == "random") & table.p.notna()]
    return (
        str(drawn.sort_values(["p", "day"], ascending=[True, False]).campaign_id.iloc[0])
        if len(drawn)
        else ""
    )


def close_up(
    campaign_id: str,
    campaigns: Table | None,
    transactions: Table,
    as_of: dt.date,
    settings: Dataset,
) -> pd.DataFrame:
    """The members of one campaign as from outcomes, and `segment`: how often they ordered in the
    year before it, which it cannot have changed (no_orders_before, some_orders_before,
    many_orders_before). Empty without the campaign.
    """
    if campaigns is None or not campaign_id:
        return pd.DataFrame(columns=["arm", "segment", OUTCOME, *COVARIATES])
    people = members(campaigns, as_of)
    own = people[people.campaign_id == campaign_id]
    known = outcomes(transactions, own, windows(own, settings), as_of)
    often = [known.orders_year == 0, known.orders_year < FEW_ORDERS]
    return known.assign(
        segment=np.select(often, ["no_orders_before", "some_orders_before"], "many_orders_before")
    )
