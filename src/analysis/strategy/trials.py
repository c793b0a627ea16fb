"""Campaigns planned so that they can be measured: who is held back, drawn by lot within strata, and
how small an effect will show. What was known of everybody at that moment is frozen, so that nothing
that came later can slip into the measurement.
"""

import datetime as dt
import hashlib

import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from scipy import stats
from statsmodels.regression.linear_model import OLS

from analysis.report.text import N_
from analysis.schema import TABLES
from analysis.statistics import lots
from analysis.strategy.campaign_members import COVARIATES, MOST_COMPARED, outcomes
from analysis.strategy.effects import MIN_ARM, MIN_CLUSTERS, covariate_columns

# customers; nobody withholds service from a handful of accounts, and they would prove nothing
EXEMPT_BELOW = 30
FEWEST_OWNERS = 2 * MIN_CLUSTERS  # of fewer nothing can be proven
# what strata are made of: what is expected of a customer says most of what will come
LAYERS = ("tier", "forecast", "clv")
BANDS = 3  # of a number, by rank: low, middle, high
SMALLEST_STRATUM = 20  # customers; a tenth held back of fewer leaves one or none to compare with
OTHERS = "others"  # the customers of strata smaller than that, together


def seed_of(campaign_id: str, seed: int) -> int:
    """A seed for each campaign: one for all would hold the same customers back every time."""
    key = str(seed).encode()
    return int.from_bytes(hashlib.blake2b(campaign_id.encode(), digest_size=6, key=key).digest())


def strata(people: pd.DataFrame) -> pd.Series:
    """The stratum of each row: the LAYERS there are, joined; numbers become BANDS of about equal
    count. Strata below SMALLEST_STRATUM customers are one, OTHERS.
    """
    parts = [_banded(people[name]) for name in LAYERS if name in people]
    if not parts:
        return pd.Series("all", people.index, name="stratum", dtype="str")
    joined = parts[0].str.cat(parts[1:], sep=" / ")
    size = joined.map(joined.value_counts())
    return joined.where(size >= SMALLEST_STRATUM, OTHERS).rename("stratum").astype("str")


def _banded(column: pd.Series) -> pd.Series:
    """Numbers as the band of their rank, equal ones together; anything else as text."""
    if not is_numeric_dtype(column) or is_bool_dtype(column):
        return column.astype("str").fillna("–")
    band = np.ceil((column.rank(pct=True) * BANDS).round(9))
    return band.map("{:.0f}".format).where(column.notna(), "–").astype("str")


def draw(chosen: pd.DataFrame, strata: pd.Series, control_share: float, seed: int) -> pd.Series:
    """The arm of each row of `chosen` (customer_id), treat or control, by lot within `strata`.

    As many are held back as the share comes to, rounded, by largest remainder of strata. Everybody
    is exempt where nobody is to be held back or there are fewer than EXEMPT_BELOW. ValueError for a
    share that is none or leaves nobody to treat.
    """
    if not _possible(control_share) or len(chosen) < EXEMPT_BELOW:
        return _arms(chosen, "exempt")
    rows = chosen[["customer_id"]].assign(stratum=strata, lot=lots(chosen.customer_id, seed))
    held = rows.stratum.map(_held(rows.stratum.value_counts(), control_share, seed))
    place = rows.sort_values(["lot", "customer_id"]).groupby("stratum").cumcount()
    return _arms(chosen, np.where(place.reindex(rows.index) < held, "control", "treat"))


def draw_by_owner(
    chosen: pd.DataFrame, owners: pd.Series, control_share: float, seed: int
) -> pd.Series:
    """The same where `owners` (by row) deliver the action to all of their customers or none: one
    lot for all of an owner's, at least MIN_CLUSTERS owners in either arm.

    Exempt is who has no owner, and everybody where there are fewer than FEWEST_OWNERS, or than
    EXEMPT_BELOW customers who have one.
    """
    names = pd.Series(sorted(owners.dropna().unique()), dtype="str")
    few = len(names) < FEWEST_OWNERS or owners.notna().sum() < EXEMPT_BELOW
    if not _possible(control_share) or few:
        return _arms(chosen, "exempt")
    wanted = np.floor(control_share * len(names) + 0.5)
    count = int(np.clip(wanted, MIN_CLUSTERS, len(names) - MIN_CLUSTERS))
    held = names.iloc[np.argsort(lots(names, seed), kind="stable")[:count]]
    arms = np.select([owners.isna(), owners.isin(held)], ["exempt", "control"], "treat")
    return _arms(chosen, arms)


def _possible(control_share: float) -> bool:
    if not 0 <= control_share < 1:
        raise ValueError(
            f"control_share: {control_share:g} is no share that leaves somebody to treat; give 0 to"
            " below 1"
        )
    return control_share > 0


def _arms(chosen: pd.DataFrame, arms: str | np.ndarray) -> pd.Series:
    return pd.Series(arms, chosen.index, name="arm", dtype="str")


def _held(sizes: pd.Series, share: float, seed: int) -> pd.Series:
    """How many each stratum gives, by largest remainder, equal ones by lot."""
    total = int(np.clip(np.floor(sizes.sum() * share + 0.5), 1, sizes.sum() - 1))
    whole = np.floor(sizes * share + 1e-9).astype(int)
    order = (sizes * share - whole).round(9).to_frame("left")
    order["lot"] = lots(pd.Series(sizes.index, dtype="str"), seed)
    last = order.sort_values(["left", "lot"], ascending=False).index
    return whole.add(pd.Series(np.arange(len(last)) < total - whole.sum(), last).astype(int))


# How small an effect shows
def smallest_detectable(
    n_treat: float, n_control: float, sd: float, reduction: float = 0.0, df: float = np.inf
) -> float:
    """The smallest effect that arms of these sizes prove (at 5 %) in four cases of five, in units
    of the outcome; nan with an empty arm. `df`: degrees of freedom, of owners two less than there
    are.
    """
    if min(n_treat, n_control) < 1:
        return float("nan")
    errors = stats.t.ppf(0.975, df) + stats.t.ppf(0.8, df)
    return float(errors * sd * np.sqrt((1 - reduction) * (1 / n_treat + 1 / n_control)))


def effective(sizes: pd.Series, alike: float) -> float:
    """How many customers apart groups of these sizes are worth, whose customers correlate so much
    (Kish 1965).
    """
    return float(sizes.sum() / (1 - alike + alike * (sizes**2).sum() / sizes.sum()))


def likeness(values: np.ndarray, groups: pd.Series) -> float:
    """The correlation of values within groups, by analysis of variance; 0 where it is below or
    cannot be told. Who is in no group does not count.
    """
    known = groups.notna().to_numpy()
    by_group = pd.Series(values[known]).groupby(groups[known].to_numpy())
    sizes, rows = by_group.size(), int(known.sum())
    if not 1 < len(sizes) < rows:
        return 0.0
    size = (rows - (sizes**2).sum() / rows) / (len(sizes) - 1)
    squares = (sizes * (by_group.mean() - values[known].mean()) ** 2).sum()
    between = squares / (len(sizes) - 1)
    within = (rows * values[known].var() - squares) / (rows - len(sizes))
    total = between + (size - 1) * within
    return float(np.clip((between - within) / total, 0, 1)) if total > 0 else 0.0


def a_window_ago(transactions: Table, as_of: dt.date, window_days: int, seed: int) -> pd.DataFrame:
    """What those with a line before the last `window_days` days did in them, as from outcomes; at
    most MOST_COMPARED customers, by lot.
    """
    before = as_of - dt.timedelta(days=window_days)
    people = transactions.filter(_.day < before).select("customer_id").distinct().to_pandas()
    lot = people.assign(lot=lots(people.customer_id, seed))
    some = lot.nsmallest(MOST_COMPARED, "lot")
    return outcomes(transactions, _members(some, before), window_days, as_of)


def yardstick(
    facts: pd.DataFrame, past: pd.DataFrame, owners: pd.Series | None = None
) -> dict[str, float]:
    """How orders vary between those of `past` (from a_window_ago) who had then been silent for
    about as long as the chosen now are (`facts`, from `known`), whose own last window would
    mislead: who is chosen for long silence has no orders in it.

    Keys: customers, mean, sd, reduction (share of the variance that what was known before explains,
    adjusted R²), alike (what is left correlates so much within `owners`, by customer_id); nan of
    fewer than MIN_ARM.
    """
    shortest, longest = facts.recency_days.quantile([0.05, 0.95])
    alike = past[past.recency_days.between(shortest, longest) & past.orders.notna()]
    if len(alike) < MIN_ARM:
        return {"customers": len(alike)} | dict.fromkeys(
            ("mean", "sd", "reduction", "alike"), float("nan")
        )
    y = alike.orders.to_numpy(float)
    before = np.column_stack([np.ones(len(y)), covariate_columns(alike, COVARIATES)])
    fit = OLS(y, before).fit()
    explained = fit.rsquared_adj if y.std() > 0 else 0.0
    found = {"mean": y.mean(), "sd": y.std(ddof=1), "reduction": np.clip(explained, 0, 1)}
    found["alike"] = 0.0 if owners is None else likeness(fit.resid, alike.customer_id.map(owners))
    return {"customers": len(alike)} | {name: float(value) for name, value in found.items()}


def _members(chosen: pd.DataFrame, day: dt.date) -> pd.DataFrame:
    """The chosen customers as if all had been treated on a day."""
    ids = chosen[["customer_id"]].reset_index(drop=True)
    return ids.assign(campaign_id="", arm="treat", day=pd.Timestamp(day))


# What is kept of the plan
def known(
    transactions: Table, chosen: pd.DataFrame, as_of: dt.date, window_days: int
) -> pd.DataFrame:
    """What is known of the chosen when the plan is made, the day itself included: customer_id and
    the covariates of outcomes.
    """
    tomorrow = as_of + dt.timedelta(days=1)
    past = transactions.filter(_.day <= as_of)
    end = tomorrow + dt.timedelta(days=window_days)
    found = outcomes(past, _members(chosen, tomorrow), window_days, end)
    return found[["customer_id", *COVARIATES]]


def planned(
    chosen: pd.DataFrame,
    transactions: Table,
    as_of: dt.date,
    window_days: int,
    seed: int,
    owners: pd.Series | None = None,
) -> pd.DataFrame:
    """The table `trial_design` of all campaigns of a plan.

    `chosen`: customer_id, campaign_id, arm, control_share, expected_effect and smallest_effect
    (alike within a campaign; orders per customer); where known, forecast and the columns of
    `strata`; `by_owner`, whether owners were drawn, who are `owners` by customer_id.
    """
    columns = list(TABLES["trial_design"].columns)
    tables, past = [], a_window_ago(transactions, as_of, window_days, seed)
    for name, people in chosen.groupby("campaign_id"):
        facts = known(transactions, people, as_of, window_days)
        usual = yardstick(facts, past, owners)
        of = owners if "by_owner" in people and people.by_owner.all() else None
        table = people.assign(
            stratum=strata(people),
            day=pd.Timestamp(as_of),
            seed=seed_of(str(name), seed),
            detectable_effect=_detectable(people, usual, of) or float("nan"),
        )
        whole = table.merge(facts, "left", "customer_id", validate="one_to_one")
        tables.append(whole.reindex(columns=columns).sort_values("customer_id"))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _detectable(people: pd.DataFrame, usual: dict[str, float], owners: pd.Series | None) -> float:
    """smallest_detectable of the arms, drawn customer by customer, or owner by owner."""
    treat, control = ((people.arm == arm).sum() for arm in ("treat", "control"))
    if owners is None or not min(treat, control):
        return smallest_detectable(treat, control, usual["sd"], usual["reduction"])
    sizes = people.groupby(["arm", people.customer_id.map(owners)]).size()
    treat, control = (effective(sizes[arm], usual["alike"]) for arm in ("treat", "control"))
    df = len(sizes[["treat", "control"]]) - 2
    return smallest_detectable(treat, control, usual["sd"], usual["reduction"], df)


def foretold(design: pd.DataFrame, customers: pd.Series) -> pd.DataFrame:
    """What each campaign of `trial_design` will be able to prove, the surest first.

    Columns: campaign_id, treated, control, exempt (customers), expected_effect (that the plan
    counts on), smallest_effect (the least worth finding), detectable_effect (orders per customer),
    needed (customers in both arms to prove the expected effect, with MIN_ARM in either; empty where
    it takes more than all `customers` there are for it, counted by campaign_id), enough.
    """
    arms = pd.crosstab(design.campaign_id, design.arm)
    table = arms.reindex(columns=["treat", "control", "exempt"], fill_value=0)
    table = table.rename_axis(columns=None).rename(columns={"treat": "treated"})
    effects = ["expected_effect", "smallest_effect", "detectable_effect"]
    table = table.join(design.groupby("campaign_id")[effects].first())
    expected = table.expected_effect.where(table.expected_effect > 0)
    ratio = (table.detectable_effect / expected) ** 2
    smaller = table[["treated", "control"]].min(axis=1)
    times = ratio.where(ratio.isna(), np.maximum(ratio, MIN_ARM / smaller.where(smaller > 0)))
    needed = np.ceil((table.treated + table.control) * times - 1e-9)
    table = table.assign(
        needed=needed.where(needed <= customers.reindex(table.index)), enough=times <= 1
    )
    return table.loc[times.sort_values(kind="stable").index].reset_index()


def telling(table: pd.DataFrame) -> list[tuple[str, dict[str, object]]]:
    """Sentences with their values, of a table as from foretold."""
    drawn, exempt = table[table.control > 0], table[table.exempt > 0]
    enough, unknown = drawn[drawn.enough], drawn[drawn.detectable_effect.isna()]
    said: list[tuple[str, dict[str, object]]] = []
    if len(enough):
        text = N_(
            "Planned campaigns that are large enough to prove the effect that the plan counts on:"
            " {campaigns:int}; {control:int} customers are held back by lot in them."
        )
        said.append((text, {"campaigns": len(enough), "control": int(enough.control.sum())}))
    for name in unknown.campaign_id:
        text = N_(
            "How small an effect campaign {campaign:word} can prove is not known: too few customers"
            " have been silent for as long before to tell how orders vary."
        )
        said.append((text, {"campaign": name}))
    for row in drawn[~drawn.enough & drawn.detectable_effect.notna()].to_dict("records"):
        text = (
            N_(
                "Campaign {campaign_id:word} is too small to prove the effect that the plan counts"
                " on, {expected_effect:short} extra orders per customer: with {customers:int}"
                " customers, {control:int} of them held back, {detectable_effect:short} would be"
                " found in four cases of five; a proof takes {needed:int} customers."
            )
            if row["needed"] > 0
            else N_(
                "A proof of what campaign {campaign_id:word} is counted on to bring,"
                " {expected_effect:short} extra orders per customer, cannot be had: it would take"
                " more customers than there are for it. With {customers:int} customers,"
                " {control:int} of them held back, {detectable_effect:short} would be found in four"
                " cases of five."
            )
        )
        said.append((text, {"customers": row["treated"] + row["control"]} | row))
    partly = int(exempt.exempt[exempt.control > 0].sum())
    exempt = exempt[exempt.control == 0]
    if partly:
        text = N_(
            "Customers who are exempt from being held back in campaigns that hold others back:"
            " {customers:int}. They are in no measurement, and what it brings with them will not be"
            " known."
        )
        said.append((text, {"customers": partly}))
    if len(exempt):
        text = N_(
            "In {campaigns:int} planned campaigns nobody is held back ({customers:int} customers),"
            " so what they bring cannot be proven."
        )
        said.append((text, {"campaigns": len(exempt), "customers": int(exempt.exempt.sum())}))
    return said
