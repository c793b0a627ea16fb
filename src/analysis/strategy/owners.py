"""How account owners fare: what they look after, what they did, and whether more of their customers
left than their risk foretold.
"""

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
from ibis import _

from analysis.customers import has_ordered
from analysis.models import history
from analysis.models.history import Records
from analysis.report import privacy
from analysis.report.text import N_
from analysis.segments.segmentation import first_that_holds
from analysis.strategy.complaints import closing_recorded
from analysis.strategy.retention import NOBODY, retention

if TYPE_CHECKING:  # it takes a second to import, which the page of the strategy would wait for
    from analysis.models.churn import Trial

BY_ORDERS = "expected_rule"  # of churn_models.CHURN_MODELS
FORETOLD = {"customer_id": "str", "day": "datetime64[s]", "risk": "float64", "left": "bool"}


def predicted(trial: "Trial") -> pd.DataFrame:
    """What was foretold a horizon ago, and what came: the customers at the measured origin who were
    not lost then.

    Columns: customer_id, day (of the origin), risk, left. The risk is that by orders alone (without
    it the champion's): contacts and complaints, which the champion goes by, are what owners do.
    Empty without a measured origin.
    """
    if (origin := trial.measured) is None:
        return pd.DataFrame(columns=list(FORETOLD)).astype(FORETOLD)
    risk = origin.risks.get(BY_ORDERS, origin.risks[trial.champion])
    table = origin.held[["customer_id"]].assign(day=origin.day, risk=risk, left=origin.gone)
    return table[origin.active].reset_index(drop=True)


def looking_after(
    records: Records, customer_ids: pd.Series, then: dt.date | None = None
) -> pd.Series:
    """The owner of each customer, by customer_id, NOBODY where none is recorded; empty where the
    profiles know none at all. Profiles say who it is today; on an earlier day it is the owner who
    last spoke to the customer by then, where contacts say who did.

    Owners are named as privacy.shown_staff does, and numbered where two would have one name. E-mail
    addresses are the same whatever the case of their letters.
    """
    people = records.profile_columns("owner").set_index("customer_id")
    said = people.get("owner", pd.Series(dtype="str")).astype("str").str.strip()
    said = said.mask(said == "").dropna()
    if said.empty:
        return said
    said = said.where(~said.str.contains("@"), said.str.lower())
    if then and "owner" in getattr(records.interactions, "columns", ()):
        talks = history.staff_contacts(records.interactions, then).filter(_.owner.notnull())
        last = talks.group_by("customer_id").agg(owner=_.owner.argmax(_.day)).to_pandas()
        spoke = last.set_index("customer_id").owner.str.strip()
        spoke = spoke.where(~spoke.str.contains("@"), spoke.str.lower())
        said = spoke[spoke.isin(said)].combine_first(said)  # others who speak to them are no owners
    names = pd.Series({name: privacy.shown_staff(name) for name in sorted(said.unique())})
    number = (names.groupby(names).cumcount() + 1).astype("str")
    said = said.map(names.where(~names.duplicated(keep=False), names + " " + number))
    return said.reindex(pd.Index(customer_ids, name="customer_id")).fillna(NOBODY)


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
) -> pd.DataFrame:
    """The table `scorecard`: a row for each owner, those with most revenue first, customers without
    (NOBODY) the last; no rows where the profiles know no owner.

    `customers`, `matrix`, `churn`: the tables; `held` as from `predicted`; `due`: the table `care`.
    follow_ups are of the last `days` days, new_customers of the last `window_days` (0: of all
    history), tickets and answers of a year. What is not recorded is nan.
    """
    of = looking_after(records, matrix.customer_id)
    parts = [
        _portfolio(customers, matrix, churn, of, as_of, window_days),
        _activity(records, of, as_of, days, due),
        retention(held, looking_after(records, held.customer_id, _day(held))),
    ]
    table = pd.concat(parts, axis=1)
    # of nobody's a past customer who is unknown now
    table = table[table.customers.notna() & bool(len(of))]
    table = table.astype({"customers": "int64", "strategic": "int64", "new_customers": "int64"})
    table["beyond_chance"] = table.beyond_chance.eq(True)
    table["standing"] = standing(table)
    order = table.assign(last=table.index == NOBODY, name=table.index).sort_values(
        ["last", "revenue", "customers", "name"], ascending=[True, False, False, True]
    )
    return table.loc[order.index].reset_index(names="owner")


def _day(held: pd.DataFrame) -> dt.date | None:
    return pd.Timestamp(held.day.iloc[0]).date() if len(held) else None


def _portfolio(
    customers: pd.DataFrame,
    matrix: pd.DataFrame,
    churn: pd.DataFrame,
    of: pd.Series,
    as_of: dt.date,
    window_days: int,
) -> pd.DataFrame:
    """Customers and their worth by owner."""
    facts = matrix[["customer_id", "tier", "revenue"]].set_index("customer_id")
    ordered = customers.set_index("customer_id")[["orders", "first_order", "window_orders"]]
    leaving = churn.set_index("customer_id")[["churn_risk", "expected_loss", "lost"]]
    facts = facts.join([ordered, leaving])
    since = pd.Timestamp(as_of) - pd.Timedelta(days=window_days)
    after = since if window_days else pd.Timestamp.min
    kept = facts.lost.eq(False)
    facts = facts.assign(
        customers=1,
        strategic=facts.tier == "strategic",
        new_customers=pd.to_datetime(facts.first_order).between(after, str(as_of), "right"),
        value_at_risk=facts.expected_loss.where(kept),
        orders_each=facts.window_orders.where(has_ordered(facts)),
        mean_risk=facts.churn_risk.where(kept),
    )
    grouped = facts.groupby(of.reindex(facts.index).to_numpy())
    counts = grouped[["customers", "strategic", "new_customers"]].sum()
    money = grouped[["revenue", "value_at_risk"]].sum(min_count=1)
    return counts.join([money, grouped[["orders_each", "mean_risk"]].mean()])


def _activity(
    records: Records, of: pd.Series, as_of: dt.date, days: int, due: pd.DataFrame | None
) -> pd.DataFrame:
    """What was done and is due, by owner; nan where there are no such records."""
    columns = ["follow_ups", "open_tickets", "answers", "satisfaction", "follow_ups_due", "overdue"]
    table = pd.DataFrame(index=sorted(of.unique()), columns=columns, dtype=float)
    if records.interactions is not None:
        contacts = history.staff_contacts(records.interactions, as_of)
        recent = contacts.filter(_.day > as_of - dt.timedelta(days=days)).group_by("customer_id")
        each = recent.agg(days=_.day.nunique()).to_pandas().set_index("customer_id").days
        table["follow_ups"] = each.reindex(of.index).fillna(0).groupby(of).sum()
    if records.feedback is not None:
        log = records.feedback.filter(_.day > as_of - dt.timedelta(days=history.LONG_DAYS))
        said = history.opinions(log, as_of).to_pandas().set_index("customer_id").reindex(of.index)
        if closing_recorded(records.feedback, as_of):
            table["open_tickets"] = said.open_tickets.fillna(0).groupby(of).sum()
        if "satisfaction" in said:
            answered = said.satisfaction.groupby(of)
            table["answers"], table["satisfaction"] = answered.count(), answered.mean()
    if due is not None:
        visits = due[due.what == "follow_up"]
        mine = visits.customer_id.map(of)
        for name, those in (("follow_ups_due", mine), ("overdue", mine[visits.overdue_days > 0])):
            table[name] = those.value_counts().reindex(table.index, fill_value=0).astype(float)
    return table


def standing(table: pd.DataFrame) -> pd.Series:
    """more_left or fewer_left than the risks said, beyond chance; as_expected; unmeasured."""
    tests = {
        "unmeasured": table.p.isna(),
        "as_expected": ~table.beyond_chance,
        "more_left": table.ratio > 1,
    }
    return first_that_holds(tests, "fewer_left")


def findings(
    card: pd.DataFrame, held: pd.DataFrame, horizon_days: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is said of owners, as sentences with their values: those who differ beyond chance, else
    that nobody does, and who is the furthest away.
    """
    known = card[card.p.notna()]
    if card.empty:
        text = N_(
            "No profile records who looks after the customer, so there is no scorecard of account"
            " owners."
        )
        yield text, {}
    elif known.empty:
        text = N_(
            "Whether {owners:int} account owners keep their customers cannot be measured: the log"
            " is too short, or there is nobody to compare with."
        )
        yield text, {"owners": len(card)}
    if known.empty:
        return
    common = {
        "owners": len(known),
        "all_left": int(known.actual.sum()),
        "all_measured": int(known.measured.sum()),
        "all_foretold": float(known.foretold_left.sum()),
        "day": pd.Timestamp(held.day.max()),
        "days": horizon_days,
    }
    text = N_(
        "Of {all_measured:int} customers on {day:date}, {all_left:int} left in the {days:time}"
        " after it; their risks had said {all_foretold:int}. Owners are compared after this is made"
        " even."
    )
    yield text, common
    notable = known[known.beyond_chance].sort_values("p")
    furthest = notable if len(notable) else known.loc[[known.p.idxmin()]]
    for row in furthest.to_dict("records"):
        yield _furthest(row), row | common


def _furthest(row: dict[Any, Any]) -> str:
    if not row["beyond_chance"]:
        return N_(
            "No account owner differs beyond chance from what the customers' own risks foretold,"
            " with {owners:int} compared. The furthest from it is {owner:word}: {actual:int} of"
            " {measured:int} left where {expected_left:int} were expected, {ratio:number} times as"
            " many (95 % sure: {low:number} to {high:number})."
        )
    if row["ratio"] > 1:
        return N_(
            "{owner:word}: {actual:int} of {measured:int} customers left in the {days:time}"
            " from {day:date}, where their own risks let expect {expected_left:int}: {ratio:number}"
            " times as many (95 % sure: {low:number} to {high:number}). That is beyond chance, with"
            " {owners:int} compared."
        )
    return N_(
        "{owner:word} kept more than expected: {actual:int} of {measured:int} customers left in the"
        " {days:time} from {day:date}, where their own risks let expect {expected_left:int}:"
        " {ratio:number} times as many (95 % sure: {low:number} to {high:number}). That is beyond"
        " chance, with {owners:int} compared."
    )
