"""What is bought together: pairs of items that stand in one order more often than chance has it."""

import datetime as dt
from functools import reduce
from operator import add

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.customers import sales
from analysis.segments.interests import CHANCE, bundle_level, item_of, product_names

# the most frequent, of which pairs are counted: there are as many pairs as half its square
MOST_ITEMS = 200
# distinct items of an order; orders between two of these are compared with each other
SIZES = (4, 8, 16, 32, 64)
# orders and customers that make a bundle: one customer's habit is none
MIN_TOGETHER, MIN_BUYERS = 10, 5
COLUMNS = ["a", "b", "together", "customers", "expected"]
COLUMNS += ["lift", "lift_low", "lift_high", "confidence"]


def bundles(transactions: Table, as_of: dt.date, products: Table | None = None) -> pd.DataFrame:
    """Pairs of items that stand in one order beyond chance, the surest first; `products` gives
    their names.

    Columns: a (the rarer one), b, together (orders), customers, expected (orders), lift (together /
    expected) with the 95 % interval lift_low to lift_high, confidence (share of the orders with a
    that hold b). Expected: the pairs within orders of a like number of items, dealt out by how
    often each item stands in those: without that, everything seems to belong together because some
    orders hold everything. Tested by Poisson's tail, times the pairs looked at.
    """
    from scipy import stats  # half a second, which only who looks for bundles should wait

    name = bundle_level(transactions, as_of)
    held = _held(transactions, as_of, name)
    rank = ibis.row_number().over(order_by=[_.orders.desc(), _.item])
    ranked = held.group_by("item").agg(orders=_.count()).mutate(rank=rank)
    items = ranked.filter(_["rank"] < MOST_ITEMS).cache()
    known = items.to_pandas().sort_values("rank").set_index("rank")
    found = _together(held.join(items, "item").select("basket", "customer_id", "rank")).to_pandas()
    found["expected"] = _expected(held, known["item"], found)
    compared = max(len(known) * (len(known) - 1) / 2, 1)
    enough = found[(found.together >= MIN_TOGETHER) & (found.customers >= MIN_BUYERS)]
    sure = enough[stats.poisson.sf(enough.together - 1, enough.expected) * compared <= CHANCE]
    judged = sure.assign(
        lift=sure.together / sure.expected,
        lift_low=stats.chi2.ppf(0.025, 2 * sure.together) / 2 / sure.expected,
        lift_high=stats.chi2.ppf(0.975, 2 * sure.together + 2) / 2 / sure.expected,
        confidence=sure.together / sure.a.map(known.orders),
    )
    judged["place"] = judged.lift_low.round(9)
    surest = judged.sort_values(["place", "a", "b"], ascending=[False, True, True])
    names = product_names(products, name)
    called = known["item"].map(lambda item: names.get(item, item))
    named = surest.assign(a=surest.a.map(called), b=surest.b.map(called))
    return named.reset_index(drop=True)[COLUMNS]


def _held(transactions: Table, as_of: dt.date, name: str) -> Table:
    """One row per order and item in it: customer_id, basket (number of the order; without ids of
    orders a day is one), items (in the order), item.
    """
    sold = sales(transactions, as_of)
    day = sold.day.cast("string")
    order = ibis.coalesce(sold.order_id, day) if "order_id" in sold.columns else day
    lines = sold.select("customer_id", order=order, item=item_of(sold, name))
    lines = lines.filter(_.item.notnull()).distinct()
    orders = lines.group_by("customer_id", "order").agg(items=_.count())
    orders = orders.mutate(basket=ibis.row_number())
    return lines.join(orders, ["customer_id", "order"]).drop("order").cache()


def _together(frequent: Table) -> Table:
    """Pairs by rank: a (the rarer one), b, together (orders that hold both), customers (of those
    orders).
    """
    other = frequent.view()
    both = [frequent.basket == other.basket, frequent["rank"] > other["rank"]]
    pairs = frequent.join(other, both)
    named = pairs.select(frequent.customer_id, a=frequent["rank"], b=other["rank"])
    by_customer = named.group_by("a", "b", "customer_id").agg(orders=_.count())
    by_pair = by_customer.group_by("a", "b")
    return by_pair.agg(together=_.orders.sum().cast("int64"), customers=_.count())


def _expected(held: Table, items: pd.Series, found: pd.DataFrame) -> np.ndarray:
    """Orders that would hold both of each pair found: the pairs within orders of each size (number
    of SIZES reached), by the product of both items' orders there.
    """
    several = held.filter(_["items"] > 1)
    size = reduce(add, [(several["items"] >= size).cast("int64") for size in SIZES])
    others = (_["items"] - 1).sum().cast("int64")
    counted = several.group_by("item", size=size).agg(orders=_.count(), others=others).to_pandas()
    orders = counted.pivot(index="size", columns="item", values="orders").fillna(0)
    pairs = counted.groupby("size").others.sum() / 2
    # so that all pairs are dealt out
    per_product = pairs / ((orders.sum(axis=1) ** 2 - (orders**2).sum(axis=1)) / 2)
    of = orders.reindex(columns=items).to_numpy()
    return (per_product.to_numpy()[:, None] * of[:, found.a] * of[:, found.b]).sum(axis=0)
