"""Whom to win back: silent and lost customers whose return is worth the effort, with what to say to
them.
"""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis import customers
from analysis.intake.dataset import Dataset
from analysis.models import early_warning, history
from analysis.models.churn import Trial
from analysis.report.text import N_, labelled
from analysis.segments import interests
from analysis.segments.segmentation import first_that_holds

AWAY = ("silent", "lost")
LAST_ITEMS = 3  # of the last order, those with most money
UNHAPPY = 0.4  # of the scale of satisfaction; below it the last word was no praise
FEW_RETURNS = 20  # customers who came back; fewer do not tell how much they order then
# How to begin: the first that fits.
APPROACHES = labelled(
    {
        "settle_complaint": N_("Settle the open complaint first, then ask back"),
        "ask_what_went_wrong": N_("Call and ask what went wrong, before any offer"),
        "offer_replacement": N_("Offer a replacement for what was returned"),
        "call_in_person": N_("Personal call: what is needed today?"),
        "write_about_last": N_("Write about what goes with the last purchase"),
    },
    str,
)


def last_items(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """What each customer bought on the last order day, the dearest first: customer_id, last_items
    (with commas). Products that are mere numbers tell nobody anything: categories stand for them.
    Empty where the log knows neither.
    """
    name = interests.level(transactions)
    if "product" in transactions.columns:
        words = transactions.product.re_search("[^0-9]").any().execute()
        name = "product" if words else name
    if not name:
        return pd.DataFrame({"customer_id": [], "last_items": []}, dtype="str")
    sold = customers.sales(transactions, as_of)
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
    # of a contract that ended since, today does not tell
    came = (later - back.orders).dropna().clip(lower=1)
    return float(came.mean()) if len(came) >= FEW_RETURNS else 1.0


def expected_return(
    known: pd.DataFrame, table: pd.DataFrame, orders: float, settings: Dataset
) -> pd.DataFrame:
    """What reaching each customer is expected to bring within the horizon by the better of the two
    ways: way, value (money, if the customer comes back), cost, expected_return. A way wins a share
    of those who would stay away, as assumed in the dataset file: with silent and lost customers
    less than with others. `table` as from early_warning.scored.
    """
    plan, average = settings.retention, early_warning.average_stake(table)
    value = known.order_value * orders * customers.margin(known, settings)
    weaker = known.stage.map({"silent": plan.on_silent, "lost": plan.on_lost}).astype(float)
    ways = {"message": plan.message, "call": plan.call}
    costs = {name: early_warning.cost_of(way, average) for name, way in ways.items()}
    chance = table.churn_risk * weaker.fillna(1.0)
    gains = pd.DataFrame(
        {name: chance * way.success * value - costs[name] for name, way in ways.items()}
    )
    way = gains.fillna(-np.inf).idxmax(axis=1)
    worth = {"way": way, "value": value, "cost": way.map(costs)}
    return pd.DataFrame(worth | {"expected_return": gains.max(axis=1)})


def approach(known: pd.DataFrame, way: pd.Series) -> pd.Series:
    """How to begin, one of APPROACHES."""
    none = pd.Series(0.0, known.index)
    unhappy = known.get("satisfaction", none + 1) < UNHAPPY
    fits = [
        known.get("open_tickets", none) > 0,
        (known.get("complaints", none) > 0) | unhappy,
        known.get("returns", none) > 0,
        way == "call",
    ]
    *first, otherwise = APPROACHES
    return first_that_holds(dict(zip(first, fits, strict=True)), otherwise)


def listed(
    known: pd.DataFrame,
    table: pd.DataFrame,
    worth: pd.DataFrame,
    items: pd.DataFrame,
    profiles: pd.DataFrame,
) -> tuple[pd.DataFrame, int]:
    """The list, the highest expected return first, and how many were left out because they may not
    be contacted (history.may_contact).

    `known` as from leaving.Past.describe, `table` as from early_warning.scored with reasons and
    `worth` as from expected_return, row by row. Columns: customer_id, stage, last_order,
    recency_days, last_items, reasons, approach, value, cost, expected_return (money).
    """
    away = known.stage.isin(AWAY) & (worth.expected_return > 0)
    may = history.may_contact(profiles, known.customer_id)
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
