"""Lists of whom to talk to, made after the plan: who is warned of, and who is to be won back. They
repeat what the plan says of each customer and decide nothing.
"""

import datetime as dt

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis import customers
from analysis.report.text import N_, labelled, say
from analysis.segments import interests
from analysis.segments.segmentation import first_that_holds

AWAY = ("silent", "lost")
LAST_ITEMS = 3  # of the last order, those with most money
UNHAPPY = 0.4  # of the scale of satisfaction; below it the last word was no praise
# What to speak of before anything else: the first that fits, if any does.
OPENINGS = labelled(
    {
        "settle_complaint": N_("Settle the open complaint first"),
        "ask_what_went_wrong": N_("Ask what went wrong"),
        "offer_replacement": N_("Offer a replacement for what was returned"),
    },
    str,
)
TOLD = ["action", "channel", "owner", "account_owner", "due"]  # by the plan, of whom it reaches


def opening(known: pd.DataFrame) -> pd.Series:
    """What to speak of first with each customer, one of OPENINGS or empty; `known` as
    from leaving.Past.describe.
    """
    none = pd.Series(0.0, known.index)
    unhappy = known.get("satisfaction", none + 1) < UNHAPPY
    fits = [
        known.get("open_tickets", none) > 0,
        (known.get("complaints", none) > 0) | unhappy,
        known.get("returns", none) > 0,
    ]
    return first_that_holds(dict(zip(OPENINGS, fits, strict=True)), "")


def named_by(transactions: Table) -> str:
    """The column of the log that tells people what was bought: product, category or nothing ("").
    Products that are mere numbers tell nobody anything: categories stand for them.
    """
    if "product" in transactions.columns:
        words = transactions.product.re_search("[^0-9]").any().execute()
        return "product" if words else interests.level(transactions)
    return interests.level(transactions)


def last_items(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """What each customer bought on the last order day, the dearest first: customer_id, last_items
    (with commas), by the column that `named_by` tells. Empty where the log knows none.
    """
    name = named_by(transactions)
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


def as_planned(made: pd.DataFrame) -> pd.DataFrame:
    """What the plan says of each customer: customer_id, TOLD, held_back (by lot). Of whom it does
    not reach `action` says why, and the other words are empty.
    """
    reached = made.status == "planned"
    action = made.action.astype(object).where(reached, made.status.map(say.word))
    told = made[TOLD].where(reached).assign(action=action, held_back=made.status == "held_back")
    return made[["customer_id"]].join(told)


def warned(churn: pd.DataFrame, made: pd.DataFrame) -> pd.DataFrame:
    """Everybody who is warned of, in the order of `churn`, with what the plan does about it.

    `churn` as from early_warning.warnings, `made` is the plan. Columns: customer_id, risen (a word
    or empty), TOLD, reasons, opening, risk_before, churn_risk, value_at_stake, expected_loss.
    """
    columns = ["reasons", "opening", "risk_before", "churn_risk", "value_at_stake", "expected_loss"]
    listed = churn[["customer_id", *columns]].merge(as_planned(made), "left", "customer_id")
    listed["risen"] = np.where(churn.risen, "risen", "")
    return listed[["customer_id", "risen", *TOLD, *columns]]


def away(
    people: pd.DataFrame,
    matrix: pd.DataFrame,
    churn: pd.DataFrame,
    made: pd.DataFrame,
    items: pd.DataFrame,
) -> pd.DataFrame:
    """The table `winback`: silent and lost customers whom the plan reaches, those with most to gain
    first; `people` is the table customers, `made` the plan, `items` as from last_items.
    """
    found = made[made.status == "planned"].merge(
        matrix.loc[matrix.stage.isin(AWAY), ["customer_id", "stage"]], on="customer_id"
    )
    found = found.merge(people[["customer_id", "last_order", "recency_days"]], on="customer_id")
    found = found.merge(churn[["customer_id", "reasons", "opening"]], "left", on="customer_id")
    found = found.merge(items, "left", on="customer_id")
    front = ["customer_id", "stage", "last_order", "recency_days", "last_items"]
    ordered = found.sort_values(
        ["expected_value", "customer_id"], ascending=[False, True], ignore_index=True
    )
    return ordered[[*front, *TOLD, "opening", "reasons", "cost", "expected_value"]]
