"""How account owners, or teams, fare: what they look after, what they did, and whether more of
their customers left than their risk foretold.

Who has a difficult portfolio is not blamed for it: leavers are held against the risk that each of
the own customers had a horizon ago. And small portfolios are not ranked by luck: intervals are
exact, what a portfolio shows is drawn towards that of all, and what stands out must do so among all
owners.
"""

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from ibis import _
from scipy.optimize import brentq
from scipy.special import expit, logit

from analysis.models import history
from analysis.models.history import Records
from analysis.report import privacy
from analysis.report.text import N_
from analysis.schema import UNKNOWN
from analysis.strategy import complaints, feedback

if TYPE_CHECKING:  # it takes a second to import, which the page of the strategy would wait for
    from analysis.models.churn import Trial

NOBODY = "without_owner"
FOLLOW_UP = "follow_up"  # of the care calendar: a visit or a call; a greeting is none
EDGE = 1e-6  # no risk is nearer to 0 or 1
ALARM = 0.05  # chance that anybody at all is said to differ where nobody does
EXACT, SPREAD = (
    1_000,
    100,
)  # more customers than so many, with a variance of leavers from so many on, leave as a normal count does
TINY = 1e-300
STEEP, FINE = (
    60.0,
    1e-7,
)  # log odds beyond which all leave, or none; and within which the ends of intervals are known
SCORED = ["customer_id", "day", "risk", "left"]
RETENTION = [
    "measured",
    "actual",
    "foretold_left",
    "expected_left",
    "ratio",
    "low",
    "high",
    "shrunk",
    "p",
    "beyond_chance",
]


def predicted(trial: "Trial") -> pd.DataFrame:
    """What was foretold a horizon ago, and what came: the customers at the measured origin who were
    not lost then.

    Columns: customer_id, day (of the origin), risk (the champion's), left. Empty without a measured
    origin.
    """
    if (origin := trial.measured) is None:
        types = {"customer_id": "str", "day": "datetime64[s]", "risk": float, "left": bool}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
    table = pd.DataFrame(
        {
            "customer_id": origin.held.customer_id,
            "day": origin.day,
            "risk": origin.risks[trial.champion],
        }
    )
    return table.assign(left=origin.gone)[origin.active].reset_index(drop=True)[SCORED]


# Who looks after whom
def groups(records: Records, customer_ids: pd.Series, by: str = "owner") -> pd.Series:
    """The owner of each customer, by customer_id, or the class of another column of the profiles;
    as `nobody` where none is recorded.     Empty where the profiles know none at all.

    Owners are named as privacy.shown_staff does, and numbered where two would have one name. E-mail
    addresses are the same whatever the case of their letters.
    """
    if records.profiles is None or by not in records.profiles.columns:
        return pd.Series(dtype="str", name=by)
    rows = records.profiles.select(
        "customer_id", group=_[by].cast("string").strip().nullif("")
    ).to_pandas()
    said = rows.set_index("customer_id").group
    if not said.notna().any():
        return pd.Series(dtype="str", name=by)
    said = said.where(~said.str.contains("@", na=False), said.str.lower())
    names = shown(said.dropna().unique()) if by == "owner" else {}
    index = pd.Index(customer_ids, name="customer_id")
    return (
        said.map(lambda name: names.get(name, name), na_action="ignore")
        .reindex(index)
        .fillna(nobody(by))
        .rename(by)
    )


def nobody(by: object) -> str:
    """What customers without an owner, or without a class, are called."""
    return NOBODY if by == "owner" else UNKNOWN


def shown(owners: np.ndarray) -> dict[str, str]:
    """What each owner is called in reports: no two the same."""
    names = pd.Series({owner: privacy.shown_staff(owner) for owner in sorted(owners)}, dtype=object)
    number = names.groupby(names).cumcount() + 1
    twice = names.duplicated(keep=False)
    return dict(names.where(~twice, names + " " + number.astype(str)))


# Retention against risk
def retention(held: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Leavers against the risk that was foretold, by group. `held`: customer_id, risk, left;
    `groups` by customer_id (`nobody` for who is not in it).

    Given how many left in all: that the forecast of all went astray is no owner's doing. If all
    owners are alike, a group's leavers then follow the Poisson-binomial distribution of its own
    risks times that of the others' (with two groups of equal risks Fisher's). Columns: the group
    (index), measured (customers), actual (left), foretold_left (sum of risks), expected_left (given
    how many left in all; sums to them), ratio (actual over expected), low, high (95 % interval,
    mid-P: for other odds of leaving than with the others), p (two-sided, mid-P), shrunk (see
    `shrunk`), beyond_chance (`standing_out`). nan of a group with nobody to compare it with, or
    where nobody or everybody left.
    """
    known = held.dropna(subset=["risk", "left"])
    of = known.customer_id.map(groups).astype(object).fillna(nobody(groups.name)).to_numpy()
    chance, gone = np.clip(known.risk.to_numpy(float), EDGE, 1 - EDGE), known.left.to_numpy(bool)
    level = _levelled(chance, gone)
    rows = {name: _measured(chance, level, gone, of == name) for name in sorted(set(of))}
    table = pd.DataFrame.from_dict(rows, "index", columns=[*RETENTION[:7], "p", "variance"])
    table["shrunk"] = shrunk(table)
    table["beyond_chance"] = table.index.isin(standing_out(table.p, chance, gone, of))
    return table.rename_axis(groups.name or "owner")[RETENTION].astype(
        {"measured": "int64", "actual": "int64"}
    )


def _levelled(chance: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """The risks, their log odds moved by as much for all that they foretell as many leavers as
    there were.
    """
    if not 0 < gone.sum() < len(gone):
        return chance
    return expit(
        logit(chance)
        + brentq(lambda shift: expit(logit(chance) + shift).sum() - gone.sum(), -STEEP, STEEP)
    )


def _measured(
    chance: np.ndarray, level: np.ndarray, gone: np.ndarray, mine: np.ndarray
) -> dict[str, float]:
    counts, logs = shares_of(level[mine], level[~mine], int(gone.sum()))
    actual, (expected, variance) = int(gone[mine].sum()), moments(counts, logs)
    found = {
        "measured": int(mine.sum()),
        "actual": actual,
        "foretold_left": float(chance[mine].sum()),
        "expected_left": expected,
    }
    if len(counts) < 2:
        return found | dict.fromkeys(("ratio", "low", "high", "p", "variance"), float("nan"))
    low, high = (
        moments(counts, logs + tilt * counts)[0] / expected for tilt in tilts(counts, logs, actual)
    )
    sure = {
        "ratio": actual / expected,
        "low": low,
        "high": high,
        "p": _two_sided(counts, logs, actual),
    }
    return found | sure | {"variance": variance / expected**2}


def leavers(risk: np.ndarray, most: int) -> np.ndarray:
    """Log probability (but for a constant) of each number of leavers up to `most`
    (Poisson-binomial). Logarithms, so that nothing vanishes however unlikely: it is tilted later.
    """
    if _many(risk):
        return _normal(risk, most)
    logs = np.full(min(len(risk), most) + 1, -np.inf)
    logs[0] = 0
    for stays, goes in zip(np.log1p(-risk), np.log(risk), strict=True):
        logs[1:] = np.logaddexp(logs[1:] + stays, logs[:-1] + goes)
        logs[0] += stays
    return logs


def together(risk: np.ndarray, most: int) -> np.ndarray:
    """The same of all others, whose risks are levelled and never tilted: sums of products are many
    times faster than logarithms, and lose only what is less likely than TINY.
    """
    if _many(risk):
        return _normal(risk, most)
    chances = np.ones(1)
    for one in risk:
        chances = np.convolve(chances, (1 - one, one))[: most + 1]
    return np.log(np.maximum(chances, TINY))


def _many(risk: np.ndarray) -> bool:
    return len(risk) > EXACT and float((risk * (1 - risk)).sum()) >= SPREAD


def _normal(risk: np.ndarray, most: int) -> np.ndarray:
    return -((np.arange(min(len(risk), most) + 1) - risk.sum()) ** 2) / (
        2 * (risk * (1 - risk)).sum()
    )


def shares_of(mine: np.ndarray, others: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """How many of `mine` may be among `total` leavers, and the log probability (but for a constant)
    if risks are true.
    """
    counts = np.arange(max(0, total - len(others)), min(len(mine), total) + 1)
    logs = leavers(mine, total)[counts] + together(others, total)[total - counts]
    return counts, logs


def _chances(logs: np.ndarray) -> np.ndarray:
    """Probabilities of logarithms up to a constant."""
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


def _two_sided(counts: np.ndarray, logs: np.ndarray, actual: int) -> float:
    below = _below(counts, logs, actual)
    return min(1.0, 2 * min(below, 1 - below))


def tilts(
    counts: np.ndarray, logs: np.ndarray, actual: int, alpha: float = 0.05
) -> tuple[float, float]:
    """The log odds ratios to the others that the count does not contradict: the 95 % interval, by
    mid-P.
    """

    def beyond(tilt: float, share: float) -> float:
        return _below(counts, logs + tilt * counts, actual) - share

    low = (
        -STEEP
        if actual == counts[0]
        else brentq(beyond, -STEEP, STEEP, args=(1 - alpha / 2,), xtol=FINE)
    )
    high = (
        STEEP
        if actual == counts[-1]
        else brentq(beyond, -STEEP, STEEP, args=(alpha / 2,), xtol=FINE)
    )
    return float(low), float(high)


def shrunk(table: pd.DataFrame) -> pd.Series:
    """The ratio of each group drawn towards 1, the more the less its own says (empirical Bayes).

    Prior: true ratios lie normally around 1, with the variance that is left of the observed ones
    when chance is taken away (DerSimonian & Laird 1986, around the known mean 1); without any all
    are 1. Columns: ratio, variance (of it by chance).
    """
    known = table.dropna(subset=["ratio", "variance"])
    weight = 1 / known.variance
    between = (
        max(0.0, float((weight * (known.ratio - 1) ** 2).sum() - len(known)) / weight.sum())
        if len(known)
        else 0.0
    )
    return 1 + (table.ratio - 1) * between / (between + table.variance)


def standing_out(p: pd.Series, chance: np.ndarray, gone: np.ndarray, of: np.ndarray) -> list[str]:
    """The groups that differ beyond chance, step by step (Holm 1979): any false alarm at all has a
    probability of ALARM.

    Who is found is taken out before the others are tested again, so that nobody stands out only
    beside somebody who does. Of the last two nobody can tell which of them differs: both do.
    """
    found: list[str] = []
    while p.notna().any() and p.min() * len(p) < ALARM:
        found += [p.idxmin()] if len(p) > 2 else list(p.index)
        rest = ~np.isin(of, found)
        level = _levelled(chance[rest], gone[rest])
        p = pd.Series(
            {
                name: _p(level, gone[rest], of[rest] == name)
                for name in p.index.drop(found, errors="ignore")
            },
            dtype=float,
        )
    return found


def _p(level: np.ndarray, gone: np.ndarray, mine: np.ndarray) -> float:
    counts, logs = shares_of(level[mine], level[~mine], int(gone.sum()))
    return _two_sided(counts, logs, int(gone[mine].sum())) if len(counts) > 1 else float("nan")


# The table
def scorecard(
    records: Records,
    customers: pd.DataFrame,
    matrix: pd.DataFrame,
    churn: pd.DataFrame,
    held: pd.DataFrame,
    as_of: dt.date,
    days: int = 91,
    window_days: int = 365,
    due: pd.DataFrame | None = None,
    by: str = "owner",
) -> pd.DataFrame:
    """One row per owner (or class of another column `by` of the profiles), those with most revenue
    first; empty where the profiles know none. Customers without are one row, `nobody`, the last.
    `customers`, `matrix`, `churn`: the tables; `held` as from `predicted`; `due`: customer_id,
    overdue_days, and what where other things than contacts are due, too.

    Columns: `by`; customers; strategic (of them); revenue (value window); value_at_risk (money,
    expected loss of those not lost); follow_ups (days with a contact by somebody in the last `days`
    days, of each customer); follow_ups_due, overdue; open_tickets (of a year); answers,
    satisfaction (customers who answered in a year, and the mean of their last scores, 0 to 1);
    new_customers (first order within the last `window_days` days, 0: of all history); orders_each
    (in the value window, of those who ever ordered); mean_risk (today, of those not lost); and
    those of `retention`. What is not recorded is nan.
    """
    of = groups(records, matrix.customer_id, by)
    parts = [
        portfolio(customers, matrix, churn, of, as_of, window_days),
        _activity(records, of, as_of, days),
        _due(due, of),
        retention(held, of),
    ]
    table = pd.concat([part.rename_axis(by) for part in parts], axis=1)
    table = (
        table[table.customers.notna()] if len(of) else table.head(0)
    )  # of nobody's a past customer who is unknown now
    table = table.astype({"customers": "int64", "strategic": "int64", "new_customers": "int64"})
    table["beyond_chance"] = table.beyond_chance.eq(True)
    table["standing"] = standing(table)
    order = table.assign(last=table.index == nobody(by), name=table.index).sort_values(
        ["last", "revenue", "customers", "name"], ascending=[True, False, False, True]
    )
    return table.loc[order.index].reset_index(names=by)


def portfolio(
    customers: pd.DataFrame,
    matrix: pd.DataFrame,
    churn: pd.DataFrame,
    of: pd.Series,
    as_of: dt.date,
    window_days: int,
) -> pd.DataFrame:
    """Customers and their worth by group, as in `scorecard`."""
    keyed = [frame.set_index("customer_id") for frame in (customers, churn)]
    people = (
        matrix[["customer_id", "tier", "revenue"]]
        .set_index("customer_id")
        .join(
            [
                keyed[0][["orders", "first_order", "window_orders"]],
                keyed[1][["churn_risk", "expected_loss", "lost"]],
            ]
        )
    )
    kept, bought = people.lost.eq(False), people.orders > 0
    since = (
        pd.Timestamp(as_of) - pd.Timedelta(days=window_days) if window_days else pd.Timestamp.min
    )
    facts = pd.DataFrame(
        {
            "strategic": people.tier == "strategic",
            "new_customers": (
                pd.to_datetime(people.first_order).between(since, pd.Timestamp(as_of), "right")
            ),
            "revenue": people.revenue,
            "value_at_risk": people.expected_loss.where(kept),
            "orders_each": people.window_orders.where(bought),
            "mean_risk": people.churn_risk.where(kept),
        }
    )
    grouped = facts.groupby(of.reindex(facts.index).to_numpy())
    sums = (
        grouped[["strategic", "new_customers"]]
        .sum()
        .join(grouped[["revenue", "value_at_risk"]].sum(min_count=1))
    )
    return (
        grouped.size()
        .to_frame("customers")
        .join([sums, grouped[["orders_each", "mean_risk"]].mean()])
    )


def _activity(records: Records, of: pd.Series, as_of: dt.date, days: int) -> pd.DataFrame:
    """follow_ups, open_tickets, answers, satisfaction by group; nan where there are no such
    records.
    """
    table = pd.DataFrame(
        index=sorted(of.unique()),
        columns=["follow_ups", "open_tickets", "answers", "satisfaction"],
        dtype=float,
    )
    if records.interactions is not None:
        recent = history.staff_contacts(records.interactions, as_of).filter(
            _.day > as_of - dt.timedelta(days=days)
        )
        contacts = (
            recent.group_by("customer_id")
            .agg(days=_.day.nunique())
            .to_pandas()
            .set_index("customer_id")
            .days
        )
        table["follow_ups"] = contacts.reindex(of.index).fillna(0).groupby(of).sum()
    if records.feedback is not None:
        log = records.feedback.filter(_.day > as_of - dt.timedelta(days=feedback.YEAR))
        said = history.opinions(log, as_of).to_pandas().set_index("customer_id").reindex(of.index)
        if complaints.closing_recorded(records.feedback, as_of):
            table["open_tickets"] = said.open_tickets.fillna(0).groupby(of).sum()
        if "satisfaction" in said:
            table["answers"], table["satisfaction"] = (
                said.satisfaction.groupby(of).agg(what) for what in ("count", "mean")
            )
    return table


def _due(due: pd.DataFrame | None, of: pd.Series) -> pd.DataFrame:
    """follow_ups_due, overdue (of them) by group; nan where nobody says what is due."""
    table = pd.DataFrame(
        index=sorted(of.unique()), columns=["follow_ups_due", "overdue"], dtype=float
    )
    if due is not None:
        due = due[due.what == FOLLOW_UP] if "what" in due else due
        mine = due.customer_id.map(of)
        table["follow_ups_due"] = mine.value_counts().reindex(table.index).fillna(0)
        table["overdue"] = mine[due.overdue_days > 0].value_counts().reindex(table.index).fillna(0)
    return table.astype(float)


def standing(table: pd.DataFrame) -> pd.Series:
    """A word of the catalogue: more_left or fewer_left than the risks said, beyond chance;
    as_expected; unmeasured.
    """
    told = {
        "unmeasured": table.p.isna(),
        "as_expected": ~table.beyond_chance,
        "more_left": table.ratio > 1,
    }
    found = np.select(
        [test.to_numpy(bool) for test in told.values()], list(told), default="fewer_left"
    )
    return pd.Series(found, table.index, dtype="str")


# What the report says
def verdicts(
    card: pd.DataFrame, held: pd.DataFrame, horizon_days: int
) -> list[tuple[str, dict[str, object]]]:
    """What is said of owners, as keys of findings with their values: those who differ beyond
    chance, else that nobody does, and who is the furthest away.
    """
    if card.empty:
        return [
            (
                N_(
                    "No profile records who looks after the customer, so there is no scorecard of"
                    " account owners."
                ),
                {},
            )
        ]
    known = card[card.p.notna()]
    if known.empty:
        return [
            (
                N_(
                    "Whether {owners:int} account owners keep their customers cannot be measured:"
                    " the log is too short, or there is nobody to compare with."
                ),
                {"owners": len(card)},
            )
        ]
    day = pd.Timestamp(held.day.max())
    sums = {
        "owners": len(known),
        "all_left": int(known.actual.sum()),
        "all_measured": int(known.measured.sum()),
    }
    common = sums | {
        "all_foretold": float(known.foretold_left.sum()),
        "day": day,
        "days": horizon_days,
    }
    notable = known[known.beyond_chance].sort_values("p")
    said = [
        (
            N_(
                "{owner:word}: {actual:int} of {measured:int} customers left in the {days:int} days"
                " from {day:date}, where their own risks let expect {expected_left:int}:"
                " {ratio:number} times as many (95 % sure: {low:number} to {high:number}). That is"
                " beyond chance, with {owners:int} compared."
            )
            if row.ratio > 1
            else N_(
                "{owner:word} kept more than expected: {actual:int} of {measured:int} customers"
                " left in the {days:int} days from {day:date}, where their own risks let expect"
                " {expected_left:int}: {ratio:number} times as many (95 % sure: {low:number} to"
                " {high:number}). That is beyond chance, with {owners:int} compared."
            )
        )
        for row in notable.itertuples()
    ]
    told = [
        (key, _values(row) | common) for key, (_, row) in zip(said, notable.iterrows(), strict=True)
    ]
    furthest = known.loc[known.p.idxmin()]
    return [
        (
            N_(
                "Of {all_measured:int} customers on {day:date}, {all_left:int} left in the"
                " {days:int} days after it; their risks had said {all_foretold:int}. Owners are"
                " compared after this is made even."
            ),
            common,
        ),
        *(
            told
            or [
                (
                    N_(
                        "No account owner differs beyond chance from what the customers' own risks"
                        " foretold, with {owners:int} compared. The furthest from it is"
                        " {owner:word}: {actual:int} of {measured:int} left where"
                        " {expected_left:int} were expected, {ratio:number} times as many (95 %"
                        " sure: {low:number} to {high:number})."
                    ),
                    _values(furthest) | common,
                )
            ]
        ),
    ]


def _values(row: pd.Series) -> dict[str, object]:
    names = ["measured", "actual", "expected_left", "ratio", "low", "high"]
    return {"owner": str(row.iloc[0])} | {name: float(row[name]) for name in names}
