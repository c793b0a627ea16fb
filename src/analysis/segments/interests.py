"""What customers care about: what they buy beyond expectation, ask about without buying, and buy
together.

Purchases and contacts are counted in days: several lines of a category on one day are one, as they
are one order. An item is a category, or a product where the records know no categories. Without
either every frame here is empty. Both logs must be tables of one engine.
"""

import datetime as dt
from functools import reduce
from operator import add

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis.report.text import N_
from analysis.schema import DAY, INTEGER, NUMBER, TEXT, Column
from analysis.segments.registry import Texts, segmentation

LEVELS = ("category", "product")  # what an item is: the first that all logs have
# purchases as expected that are added to all: of 0.1 to 10 it foretold the next half year of
# groceries best
PRIOR = 1.0
CHANCE = 0.05  # that a customer, or a whole table of pairs, shows something where there is nothing
MIN_PURCHASES = 2  # days; what was bought once, however rare, may have been an occasion
MIN_CONTACTS = 2  # days; who looked at a page once, only looked
MIN_SHARE = 0.25  # of the customer's contacts; who looks at everything asks for nothing
# a supermarket's: the frequent ones are milk and bananas, so its bundles are of categories
MANY_PRODUCTS = 10_000
MOST_ITEMS = (
    200  # the most frequent, of which pairs are counted: there are as many pairs as half its square
)
SIZES = (
    4,
    8,
    16,
    32,
    64,
)  # distinct items of an order; orders between two of these are compared with each other
MIN_TOGETHER, MIN_BUYERS = (
    10,
    5,
)  # orders and customers that make a bundle: one customer's habit is none
INTEREST_COLUMNS = ["interest", "affinity", "interest_share"]
BUNDLE_COLUMNS = [
    "a",
    "b",
    "together",
    "customers",
    "expected",
    "lift",
    "lift_low",
    "lift_high",
    "confidence",
]
NEED_COLUMNS = ["need", "need_contacts", "last_asked"]


def level(*logs: Table | None) -> str:
    """What an item is in all of these logs: category, product, or nothing ("")."""
    return next(
        (name for name in LEVELS if all(log is not None and name in log.columns for log in logs)),
        "",
    )


def _item(log: Table, name: str) -> Value:
    return log[name] if name else ibis.null("string")


def sales(transactions: Table, as_of: dt.date) -> Table:
    """The lines on or before `as_of` that are no returns: neither money nor pieces below zero, as
    in `order_days`.

    What was bought and taken back still counts: it was wanted.
    """
    sold = transactions.filter(_.day <= as_of, _.amount.fill_null(0) >= 0)
    return sold.filter(_.quantity.fill_null(0) >= 0) if "quantity" in sold.columns else sold


def purchases(transactions: Table, as_of: dt.date) -> Table:
    """One row per customer and item bought: customer_id, item, purchases (days)."""
    sold = sales(transactions, as_of)
    days = sold.select("customer_id", "day", item=_item(sold, level(sold))).filter(_.item.notnull())
    return days.distinct().group_by("customer_id", "item").agg(purchases=_.count())


def surprise(observed: Value, expected: Value, trials: Value) -> Value:
    """Minus the log of the highest probability of so many or more by chance; 0 at or below
    expectation.

    Chernoff's bound of the binomial tail (1952), equal to it where all trials hit: exact for few
    purchases, and plain logarithms, which every engine has.
    """
    missed = (trials - observed).nullif(0)
    bound = observed * (observed / expected).ln() + (
        missed * (missed / (trials - expected)).ln()
    ).fill_null(0)
    return (observed > expected).ifelse(bound, 0.0)


def affinity(transactions: Table, as_of: dt.date) -> Table:
    """One row per customer and item bought, an expression: pairs that were not bought are never
    made.

    Columns: customer_id, item, purchases, expected (as many purchases as the customer made, with
    the company's mix), affinity ((purchases + PRIOR) / (expected + PRIOR): one purchase where none
    was expected is 2 and no more), share (of the customer's purchases), surprise, interest: bought
    MIN_PURCHASES times and beyond chance, which is divided by the number of items, as each might
    have stood out.
    """
    bought = purchases(transactions, as_of).cache()
    customer = bought.group_by("customer_id").agg(of_customer=_.purchases.sum())
    item = bought.group_by("item").agg(of_item=_.purchases.sum())
    total = item.agg(of_all=_.of_item.sum(), items=_.count())
    known = bought.join(customer, "customer_id").join(item, "item").cross_join(total)
    told = known.mutate(expected=_.of_customer.cast("float64") * _.of_item / _.of_all)
    told = told.mutate(surprise=surprise(told.purchases, told.expected, told.of_customer))
    return told.select(
        "customer_id",
        "item",
        "purchases",
        "expected",
        "surprise",
        affinity=(_.purchases + PRIOR) / (_.expected + PRIOR),
        share=_.purchases / _.of_customer,
        interest=(_.purchases >= MIN_PURCHASES) & (_.surprise >= (_["items"] / CHANCE).ln()),
    )


def asked(transactions: Table, interactions: Table, as_of: dt.date) -> Table:
    """One row per customer and item asked about and never bought, an expression.

    Columns: customer_id, item, contacts (days), last_asked, need: it was asked about on
    MIN_CONTACTS days that are MIN_SHARE of the customer's, or once with money named, as in an
    application. What was bought and returned, or returned without a sale in the log, was bought:
    the customer knows it.
    """
    name = level(transactions, interactions)
    past, lines = interactions.filter(_.day <= as_of), transactions.filter(_.day <= as_of)
    money = (past.amount > 0).fill_null(False) if "amount" in past.columns else ibis.literal(False)
    days = past.select("customer_id", "day", item=_item(past, name), money=money).filter(
        _.item.notnull()
    )
    days = days.group_by("customer_id", "item", "day").agg(money=_.money.any())
    counted = days.group_by("customer_id", "item").agg(
        contacts=_.count(), money=_.money.any(), last_asked=_.day.max()
    )
    customer = counted.group_by("customer_id").agg(of_customer=_.contacts.sum())
    bought = lines.select("customer_id", item=_item(lines, name)).distinct()
    unmet = counted.join(customer, "customer_id").anti_join(bought, ["customer_id", "item"])
    often = (unmet.contacts >= MIN_CONTACTS) & (unmet.contacts >= MIN_SHARE * unmet.of_customer)
    return unmet.select("customer_id", "item", "contacts", "last_asked", need=unmet.money | often)


def _first(rows: Table, *order: Value) -> Table:
    """The first row of each customer; equal ones by the item's name, so that the order of rows does
    not matter.
    """
    place = ibis.row_number().over(group_by="customer_id", order_by=[*order, _.item])
    return rows.mutate(place=place).filter(_.place == 0)


def at(transactions: Table, interactions: Table | None, as_of: dt.date) -> pd.DataFrame:
    """One row per customer with a line or a contact on or before `as_of`, sorted by customer_id.

    Columns: customer_id; interest (the item bought beyond chance that surprises most; empty
    without), its affinity and interest_share (of the customer's purchases); need (asked about most
    and never bought; of equals the latest), need_contacts (days), last_asked.
    """
    logs = [log for log in (transactions, interactions) if log is not None]
    ids = [log.filter(_.day <= as_of).select("customer_id") for log in logs]
    people = ibis.union(*ids, distinct=True) if len(ids) > 1 else ids[0].distinct()
    likes = _first(affinity(transactions, as_of).filter(_.interest), _.surprise.desc())
    found = [
        likes.select("customer_id", "affinity", interest=likes["item"], interest_share=_.share)
    ]
    if interactions is not None:
        wants = _first(
            asked(transactions, interactions, as_of).filter(_.need),
            _.contacts.desc(),
            _.last_asked.desc(),
        )
        found.append(
            wants.select("customer_id", "last_asked", need=_.item, need_contacts=_.contacts)
        )
    keyed = [
        rows.to_pyarrow().to_pandas(date_as_object=False).set_index("customer_id")
        for rows in [people, *found]
    ]
    return _typed(keyed[0].join(keyed[1:])).sort_index().reset_index()


def _typed(people: pd.DataFrame) -> pd.DataFrame:
    """Both kinds of columns, empty where they are missing, in types that keep the empty ones apart."""
    types = {
        "interest": "str",
        "affinity": float,
        "interest_share": float,
        "need": "str",
        "need_contacts": "Int64",
    }
    whole = people.reindex(columns=INTEREST_COLUMNS + NEED_COLUMNS).astype(types)
    return whole.assign(last_asked=pd.to_datetime(whole.last_asked).astype("datetime64[s]"))


@segmentation(
    class_column="interest",
    makes={
        "interest": Column(
            TEXT,
            "category bought most surprisingly above expectation; no_interest where none is beyond"
            " chance",
        ),
        "affinity": Column(
            NUMBER, "purchases of it over those expected, one added to both", empty=True
        ),
        "interest_share": Column(
            NUMBER, "its share of the customer's purchases (a category on a day is one)", empty=True
        ),
    },
    texts=Texts(
        "Interest",
        "The kind of product that a customer buys further above the company's mix than chance would"
        " have it.",
        {"no_interest": "No clear interest"},
    ),
    needs=(
        "transactions.category",
    ),  # a class for each of thousands of products would be no segmentation
)
def interests(people: pd.DataFrame) -> pd.DataFrame:
    """What each customer buys above expectation. Columns: interest (a category of the data, or
    no_interest), affinity, interest_share. `people` holds the columns of `at`, empty where a
    customer has none.
    """
    found = _typed(people.set_index("customer_id"))[INTEREST_COLUMNS]
    return found.fillna({"interest": "no_interest"})


@segmentation(
    class_column="need",
    makes={
        "need": Column(
            TEXT, "category asked about most and never bought; no_need where there is none"
        ),
        "need_contacts": Column(INTEGER, "days with contacts about it"),
        "last_asked": Column(DAY, "last of these days", empty=True),
    },
    texts=Texts(
        "Need",
        "The kind of product that a customer asks about again and again, or asks money for, and has"
        " never bought.",
        {"no_need": "No open need"},
    ),
    needs=("interactions.category", "transactions.category"),
)
def needs(people: pd.DataFrame) -> pd.DataFrame:
    """What each customer asked about and never bought. Columns: need (a category of the data, or
    no_need), need_contacts (days), last_asked. `people` as for `interests`.
    """
    found = _typed(people.set_index("customer_id"))[NEED_COLUMNS]
    return found.fillna({"need": "no_need", "need_contacts": 0})


def needs_by(people: pd.DataFrame) -> pd.DataFrame:
    """Who asks for what, the most asked for first. `people`: the table customers, prospects too,
    with those of `at`.

    Columns: need (index), buyers and prospects (without an order), contacts (days), revenue (of the
    buyers, value window).
    """
    asking = people[people.need.notna()].sort_values("customer_id")
    asking = asking.assign(prospects=asking.orders == 0, buyers=asking.orders > 0)
    sums = {
        "buyers": "buyers",
        "prospects": "prospects",
        "contacts": "need_contacts",
        "revenue": "window_revenue",
    }
    table = asking.groupby("need").agg(**{name: (column, "sum") for name, column in sums.items()})
    order = (
        (table.buyers + table.prospects).sort_index().sort_values(ascending=False, kind="stable")
    )
    return table.loc[order.index]


def _in_orders(transactions: Table, as_of: dt.date, name: str) -> Table:
    """One row per order and item in it: customer_id, order (its id; without one the day), item."""
    sold = sales(transactions, as_of)
    day = sold.day.cast("string")
    order = ibis.coalesce(sold.order_id, day) if "order_id" in sold.columns else day
    return (
        sold.select("customer_id", order=order, item=_item(sold, name))
        .filter(_.item.notnull())
        .distinct()
    )


def bundle_level(transactions: Table, as_of: dt.date) -> str:
    """What bundles are made of: products, or categories where the products are too many."""
    if "product" not in transactions.columns:
        return level(transactions)
    few = (
        "category" not in transactions.columns
        or sales(transactions, as_of)["product"].nunique().execute() <= MANY_PRODUCTS
    )
    return "product" if few else "category"


def bundles(transactions: Table, as_of: dt.date, products: Table | None = None) -> pd.DataFrame:
    """Pairs of items that stand in one order beyond chance, the surest first; `products` gives
    their names.

    Columns: a (the rarer one), b, together (orders), customers, expected (orders), lift (together /
    expected) with the 95 % interval lift_low to lift_high, confidence (share of the orders with a
    that hold b). Expected: the pairs within orders of a like number of items, dealt out by how
    often each item stands in those: without that, everything seems to belong together because some
    orders hold everything. Tested by Poisson's tail, times the pairs looked at.
    """
    name = bundle_level(transactions, as_of)
    lines = _in_orders(transactions, as_of, name)
    orders = (
        lines.group_by("customer_id", "order").agg(items=_.count()).mutate(basket=ibis.row_number())
    )
    held = lines.join(orders, ["customer_id", "order"]).drop("order").cache()
    items = held.group_by("item").agg(orders=_.count())
    items = (
        items.mutate(rank=ibis.row_number().over(order_by=[_.orders.desc(), _.item]))
        .filter(_["rank"] < MOST_ITEMS)
        .cache()
    )
    found = _together(held.join(items, "item").select("basket", "customer_id", "rank")).to_pandas()
    known = items.to_pandas().sort_values("rank").set_index("rank")
    found["expected"] = _expected(_by_size(held), known["item"], found)
    return _judged(found, known, _names(products, name))


def _together(frequent: Table) -> Table:
    """Pairs by rank: a (the rarer one), b, together (orders that hold both), customers (of those
    orders).
    """
    other = frequent.view()
    pairs = frequent.join(
        other, [frequent.basket == other.basket, frequent["rank"] > other["rank"]]
    )
    named = pairs.select(frequent.customer_id, a=frequent["rank"], b=other["rank"])
    by_customer = named.group_by("a", "b", "customer_id").agg(orders=_.count())
    return by_customer.group_by("a", "b").agg(
        together=_.orders.sum().cast("int64"), customers=_.count()
    )


def _by_size(held: Table) -> pd.DataFrame:
    """Orders of two and more items: size (number of SIZES reached), item, orders, pairs (with each
    other item, both ways).
    """
    several = held.filter(_["items"] > 1)
    size = reduce(add, [(several["items"] >= size).cast("int64") for size in SIZES])
    counts = several.group_by("item", size=size).agg(
        orders=_.count(), pairs=(_["items"] - 1).sum().cast("int64")
    )
    return counts.to_pandas()


def _expected(by_size: pd.DataFrame, items: pd.Series, found: pd.DataFrame) -> np.ndarray:
    """Orders that would hold both: the pairs within orders of each size, by the product of both
    items' orders there.
    """
    orders = by_size.pivot(index="size", columns="item", values="orders").fillna(0)
    pairs = by_size.groupby("size").pairs.sum() / 2
    per_product = pairs / (
        (orders.sum(axis=1) ** 2 - (orders**2).sum(axis=1)) / 2
    )  # so that all pairs are dealt out
    of = orders.reindex(columns=items).to_numpy()
    return (per_product.to_numpy()[:, None] * of[:, found.a] * of[:, found.b]).sum(axis=0)


def _judged(found: pd.DataFrame, items: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    """The pairs that are beyond chance, with their lift, in the order and the columns of `bundles`."""
    from scipy import stats  # half a second, which only who looks for bundles should wait

    looked_at = max(len(items) * (len(items) - 1) / 2, 1)
    enough = found[(found.together >= MIN_TOGETHER) & (found.customers >= MIN_BUYERS)]
    sure = enough[stats.poisson.sf(enough.together - 1, enough.expected) * looked_at <= CHANCE]
    called = items["item"].map(lambda item: names.get(item, item))
    low, high = (
        stats.chi2.ppf(p, 2 * sure.together + 2 * more) / 2 / sure.expected
        for p, more in ((0.025, 0), (0.975, 1))
    )
    judged = sure.assign(
        lift=sure.together / sure.expected,
        lift_low=low,
        lift_high=high,
        confidence=sure.together / sure.a.map(items.orders),
    )
    surest = judged.assign(place=judged.lift_low.round(9)).sort_values(
        ["place", "a", "b"], ascending=[False, True, True]
    )
    return surest.assign(a=sure.a.map(called), b=sure.b.map(called)).reset_index(drop=True)[
        BUNDLE_COLUMNS
    ]


def _names(products: Table | None, name: str) -> pd.Series:
    """What the products are called, where that is known."""
    if products is None or name != "product" or "product_name" not in products.columns:
        return pd.Series(dtype="str")
    named = products.filter(_.product_name.notnull()).select("product", "product_name").to_pandas()
    return named.set_index("product").product_name


def most_liked(groups: pd.DataFrame) -> dict[str, object]:
    """Of customers by interest (index): how many have one (customers, share), and the most frequent
    (item, count).
    """
    named = groups.drop(index="no_interest", errors="ignore").customers
    top = (
        {"item": named.idxmax(), "count": int(named.max())}
        if len(named)
        else {"item": "", "count": 0}
    )
    return {
        "customers": int(named.sum()),
        "share": named.sum() / max(groups.customers.sum(), 1),
    } | top


def most_asked(asking: pd.DataFrame) -> tuple[str, dict[str, object]]:
    """Of `needs_by`: the key of a finding and its values: how many ask (customers, prospects), and
    what most of those who have ordered, or else of the prospects, ask for (item, count).
    """
    if asking.empty:
        return N_("No customer has asked again and again for something never bought."), {}
    who = asking.buyers if asking.buyers.any() else asking.prospects
    totals = {
        "customers": int((asking.buyers + asking.prospects).sum()),
        "prospects": int(asking.prospects.sum()),
    }
    return (
        N_(
            "{customers:int} customers and prospects ask for something they have never bought;"
            " {prospects:int} of them have not ordered at all. Customers who have ordered ask most"
            " for {item:text} ({count:int})."
        )
        if asking.buyers.any()
        else N_(
            "{customers:int} prospects ask for something; asked for most is {item:text}"
            " ({count:int})."
        )
    ), totals | {"item": who.idxmax(), "count": int(who.max())}


def surest(together: pd.DataFrame) -> dict[str, object]:
    """The first of `bundles`, by column; nothing where there is none."""
    return together.iloc[0].to_dict() if len(together) else {}
