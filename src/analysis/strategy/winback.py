"""Whom to win back: silent and lost customers whose return is worth the effort, with what to say to
them.
"""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.intake.dataset import Dataset
from analysis.models import early_warning
from analysis.models.churn import Trial
from analysis.models.history import Records
from analysis.segments import interests

AWAY = ("silent", "lost")
LAST_ITEMS = 3  # of the last order, those with most money
UNHAPPY = 0.4  # of the scale of satisfaction; below it the last word was no praise
FEW_RETURNS = 20  # customers who came back; fewer do not tell how much they order then


def last_items(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """What each customer bought on the last order day, the dearest first: customer_id, last_items
    (with commas). Products that are mere numbers tell nobody anything: categories stand for them.
    Empty where the log knows neither.
    """
    name = interests.level(transactions)
    if (
        "product" in transactions.columns
        and transactions.product.re_search("[^0-9]").any().execute()
    ):
        name = "product"
    if not name:
        return pd.DataFrame(
            {"customer_id": pd.Series(dtype="str"), "last_items": pd.Series(dtype="str")}
        )
    sold = interests.sales(transactions, as_of)
    last = sold.group_by("customer_id").agg(last=_.day.max())
    named = sold.join(last, "customer_id").filter(_.day == _.last, _[name].notnull())
    items = named.group_by("customer_id", name).agg(money=_.amount.sum())
    place = ibis.row_number().over(group_by="customer_id", order_by=[_.money.desc(), _[name]])
    first = items.mutate(place=place).filter(_.place < LAST_ITEMS)
    listed = first.group_by("customer_id").agg(
        last_items=_[name].group_concat(", ", order_by=_.place)
    )
    return listed.order_by("customer_id").to_pandas()


def orders_of_returners(trial: Trial) -> float:
    """Mean orders within the horizon of those who were away at the measured origin and came back; 1
    where too few did.
    """
    origin = trial.measured
    if origin is None:
        return 1.0
    back = origin.held[origin.held.stage.isin(AWAY) & origin.held.next_order_days.notna()]
    later = back.customer_id.map(trial.today.held.set_index("customer_id").orders)
    came = (
        (later - back.orders).dropna().clip(lower=1)
    )  # of a contract that ended since, today does not tell
    return float(came.mean()) if len(came) >= FEW_RETURNS else 1.0


def consent(records: Records) -> pd.Series | None:
    """Who may be contacted, by customer_id; None where the profiles do not say."""
    if records.profiles is None or "consent" not in records.profiles.columns:
        return None
    return (
        records.profiles.select("customer_id", "consent")
        .to_pandas()
        .set_index("customer_id")
        .consent
    )


def expected_return(
    known: pd.DataFrame, table: pd.DataFrame, orders: float, settings: Dataset
) -> pd.DataFrame:
    """What reaching each customer is expected to bring within the horizon by the better of the two
    ways: way, value (money, if the customer comes back), cost, expected_return. A way wins a share
    of those who would stay away, as assumed in the dataset file: with silent and lost customers
    less than with others. `table` as from watch.scored.
    """
    plan, average = settings.retention, early_warning.average_stake(table)
    value = known.order_value * orders * (settings.margin or 1)
    left = (
        known.stage.map({"silent": plan.on_silent, "lost": plan.on_lost}).astype(float).fillna(1.0)
    )
    ways = {"message": plan.message, "call": plan.call}
    costs = {name: early_warning.cost_of(way, average) for name, way in ways.items()}
    gains = pd.DataFrame(
        {n: table.churn_risk * left * way.success * value - costs[n] for n, way in ways.items()}
    )
    best = gains.fillna(-np.inf).to_numpy().argmax(axis=1)
    way = pd.Series(np.array(list(ways))[best], known.index)
    return pd.DataFrame(
        {"way": way, "value": value, "cost": way.map(costs), "expected_return": gains.max(axis=1)}
    )


def approach(known: pd.DataFrame, way: pd.Series) -> pd.Series:
    """How to begin: a word of the catalogue."""
    none = pd.Series(0.0, known.index)
    tests = {
        "settle_complaint": known.get("open_tickets", none) > 0,
        "ask_what_went_wrong": (
            (known.get("complaints", none) > 0) | (known.get("satisfaction", none + 1) < UNHAPPY)
        ),
        "offer_replacement": known.get("returns", none) > 0,
        "call_in_person": way == "call",
    }
    found = np.select(
        [test.fillna(False).to_numpy(bool) for test in tests.values()],
        list(tests),
        default="write_about_last",
    )
    return pd.Series(found, known.index, dtype="str")


def listed(
    known: pd.DataFrame,
    table: pd.DataFrame,
    items: pd.DataFrame,
    consent: pd.Series | None,
    orders: float,
    settings: Dataset,
) -> tuple[pd.DataFrame, int]:
    """The list, the highest expected return first, and how many were left out because they may not
    be contacted.

    `known` as from churn.describe, `table` as from watch.scored with reasons, row by row; `consent`
    by customer_id where the profiles say it: without a yes nobody is listed. Columns: customer_id,
    stage, last_order, recency_days, last_items, reasons, approach, value, cost, expected_return
    (money).
    """
    worth = expected_return(known, table, orders, settings)
    away = known.stage.isin(AWAY) & (worth.expected_return > 0)
    may = known.customer_id.isin(
        known.customer_id if consent is None else consent.index[consent.eq(True).fillna(False)]
    )
    columns = known[["customer_id", "stage", "last_order", "recency_days"]].assign(
        last_items=known.customer_id.map(items.set_index("customer_id").last_items),
        reasons=table.reasons,
        approach=approach(known, worth.way),
        value=worth.value,
        cost=worth.cost,
        expected_return=worth.expected_return,
    )
    chosen = columns[away & may].sort_values(
        ["expected_return", "customer_id"], ascending=[False, True], ignore_index=True
    )
    return chosen, int((away & ~may).sum())
