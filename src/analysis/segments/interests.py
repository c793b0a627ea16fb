"""What customers care about: what they buy beyond expectation, and ask about without buying.

Purchases and contacts are counted in days: several lines of a category on one day are one, as they
are one order. An item is a category, or a product where the records know no categories. Without
either every frame here is empty. Both logs must be tables of one engine.
"""

import datetime as dt

import ibis
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis.customers import sales
from analysis.report.text import N_
from analysis.schema import DAY, INTEGER, NUMBER, TEXT, Column
from analysis.segments.segmentation import segmentation

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
INTEREST_COLUMNS = ["interest", "affinity", "interest_share"]
NEED_COLUMNS = ["need", "need_contacts", "last_asked"]


def level(*logs: Table) -> str:
    """What an item is in all of these logs: category, product, or nothing ("")."""
    return next((name for name in LEVELS if all(name in log.columns for log in logs)), "")


def bundle_level(transactions: Table, as_of: dt.date) -> str:
    """What bundles and proposals are made of: products, or categories where the products are too
    many.
    """
    if not {"product", "category"} <= set(transactions.columns):
        return level(transactions)
    products = sales(transactions, as_of)["product"].nunique().execute()
    return "product" if products <= MANY_PRODUCTS else "category"


def product_names(products: Table | None, item: str) -> pd.Series:
    """What the items are called, by item; without rows where they are no products or nothing is
    known of them.
    """
    if products is None or item != "product" or "product_name" not in products.columns:
        return pd.Series(dtype="str")
    named = products.filter(_.product_name.notnull()).select("product", "product_name").to_pandas()
    return named.set_index("product").product_name


def item_of(log: Table, name: str) -> Value:
    """The column of items, empty where there are none."""
    return log[name] if name else ibis.null("string")


def purchases(transactions: Table, as_of: dt.date) -> Table:
    """One row per customer and item bought: customer_id, item, purchases (days)."""
    sold = sales(transactions, as_of)
    days = sold.select("customer_id", "day", item=item_of(sold, level(sold)))
    bought = days.filter(_.item.notnull()).distinct()
    return bought.group_by("customer_id", "item").agg(purchases=_.count())


def surprise(observed: Value, expected: Value, trials: Value) -> Value:
    """Minus the log of the highest probability of so many or more by chance; 0 at or below
    expectation.

    Chernoff's bound of the binomial tail (1952), equal to it where all trials hit: exact for few
    purchases, and plain logarithms, which every engine has.
    """
    missed = (trials - observed).nullif(0)
    of_missed = (missed * (missed / (trials - expected)).ln()).fill_null(0)
    bound = observed * (observed / expected).ln() + of_missed
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
    known = known.mutate(expected=_.of_customer.cast("float64") * _.of_item / _.of_all)
    known = known.mutate(surprise=surprise(known.purchases, known.expected, known.of_customer))
    return known.select(
        "customer_id",
        "item",
        "purchases",
        "expected",
        "surprise",
        affinity=(_.purchases + PRIOR) / (_.expected + PRIOR),
        share=_.purchases / _.of_customer,
        interest=(_.purchases >= MIN_PURCHASES) & (_.surprise >= (_["items"] / CHANCE).ln()),
    )


def asked(transactions: Table, interactions: Table, as_of: dt.date, name: str = "") -> Table:
    """One row per customer and item (of the column `name`, else as level says) asked about and
    never bought, an expression.

    Columns: customer_id, item, contacts (days), last_asked, need: it was asked about on
    MIN_CONTACTS days that are MIN_SHARE of the customer's, or once with money named, as in an
    application. What was bought and returned, or returned without a sale in the log, was bought:
    the customer knows it.
    """
    name = name or level(transactions, interactions)
    past, lines = interactions.filter(_.day <= as_of), transactions.filter(_.day <= as_of)
    money = (past.amount > 0).fill_null(False) if "amount" in past.columns else ibis.literal(False)
    contacts = past.select("customer_id", "day", item=item_of(past, name), money=money)
    days = contacts.filter(_.item.notnull()).group_by("customer_id", "item", "day")
    by_item = days.agg(money=_.money.any()).group_by("customer_id", "item")
    counted = by_item.agg(contacts=_.count(), money=_.money.any(), last_asked=_.day.max())
    customer = counted.group_by("customer_id").agg(of_customer=_.contacts.sum())
    bought = lines.select("customer_id", item=item_of(lines, name)).distinct()
    unmet = counted.join(customer, "customer_id").anti_join(bought, ["customer_id", "item"])
    often = (unmet.contacts >= MIN_CONTACTS) & (unmet.contacts >= MIN_SHARE * unmet.of_customer)
    return unmet.select("customer_id", "item", "contacts", "last_asked", need=unmet.money | often)


def _first(rows: Table, *order: Value) -> Table:
    """The first row of each customer; equal ones by the item's name."""
    place = ibis.row_number().over(group_by="customer_id", order_by=[*order, _.item])
    return rows.mutate(place=place).filter(_.place == 0)


def at(transactions: Table, interactions: Table | None, as_of: dt.date) -> pd.DataFrame:
    """One row per customer with a line or a contact on or before `as_of`, sorted by customer_id.

    Columns: customer_id; interest (the item bought beyond chance that surprises most; empty
    without), its affinity and interest_share (of the customer's purchases); need (asked about most
    and never bought; of equals the latest), need_contacts (days), last_asked.
    """
    logs = [transactions] if interactions is None else [transactions, interactions]
    ids = [log.filter(_.day <= as_of).select("customer_id") for log in logs]
    likes = _first(affinity(transactions, as_of).filter(_.interest), _.surprise.desc())
    found = [
        ids[0].union(*ids[1:], distinct=True) if ids[1:] else ids[0].distinct(),
        likes.select("customer_id", "affinity", interest=likes["item"], interest_share=_.share),
    ]
    if interactions is not None:
        needed = asked(transactions, interactions, as_of).filter(_.need)
        wants = _first(needed, _.contacts.desc(), _.last_asked.desc())
        contacts = {"need": _.item, "need_contacts": _.contacts}
        found.append(wants.select("customer_id", "last_asked", **contacts))
    frames = (rows.to_pyarrow().to_pandas(date_as_object=False) for rows in found)
    people, *facts = (frame.set_index("customer_id") for frame in frames)
    return _typed(people.join(facts)).sort_index().reset_index()


def _typed(people: pd.DataFrame) -> pd.DataFrame:
    """Both kinds of columns, empty where they are missing, in types that know empty values."""
    types = {"interest": "str", "affinity": float, "interest_share": float}
    types |= {"need": "str", "need_contacts": "Int64"}
    whole = people.reindex(columns=INTEREST_COLUMNS + NEED_COLUMNS).astype(types)
    return whole.assign(last_asked=pd.to_datetime(whole.last_asked).astype("datetime64[s]"))


@segmentation(
    N_("Interest"),
    N_(
        "The kind of product that a customer buys further above the company's mix than chance would"
        " have it."
    ),
    "interest",
    {"no_interest": N_("No clear interest")},
    {
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
    # a class for each of thousands of products would be no segmentation
    needs=("transactions.category",),
)
def interests(people: pd.DataFrame) -> pd.DataFrame:
    """What each customer buys above expectation, from the columns of `at`. Columns: interest (a
    category of the data, or no_interest), affinity, interest_share.
    """
    found = _typed(people.set_index("customer_id"))[INTEREST_COLUMNS]
    return found.fillna({"interest": "no_interest"})


@segmentation(
    N_("Need"),
    N_(
        "The kind of product that a customer asks about again and again, or asks money for, and has"
        " never bought."
    ),
    "need",
    {"no_need": N_("No open need")},
    {
        "need": Column(
            TEXT, "category asked about most and never bought; no_need where there is none"
        ),
        "need_contacts": Column(INTEGER, "days with contacts about it"),
        "last_asked": Column(DAY, "last of these days", empty=True),
    },
    needs=("interactions.category", "transactions.category"),
)
def needs(people: pd.DataFrame) -> pd.DataFrame:
    """What each customer asked about and never bought, from the columns of `at`. Columns: need (a
    category of the data, or no_need), need_contacts (days), last_asked.
    """
    found = _typed(people.set_index("customer_id"))[NEED_COLUMNS]
    return found.fillna({"need": "no_need", "need_contacts": 0})


def needs_by(people: pd.DataFrame) -> pd.DataFrame:
    """Who asks for what, the most asked for first. `people`: the table customers, prospects too,
    with those of `at`.

    Columns: need (index), buyers and prospects (without an order).
    """
    asking = people[people.need.notna()]
    ordered = (asking.orders > 0).groupby(asking.need)
    table = pd.DataFrame({"buyers": ordered.sum(), "prospects": ordered.size() - ordered.sum()})
    order = table.sum(axis=1).sort_values(ascending=False, kind="stable")
    return table.loc[order.index]


def most_liked(groups: pd.DataFrame) -> dict[str, object]:
    """Of customers by interest (index): how many have one (customers, share), and the most frequent
    (item, count).
    """
    named = groups.drop(index="no_interest", errors="ignore").customers
    item, count = next(named.nlargest(1).items(), ("", 0))
    share = named.sum() / max(groups.customers.sum(), 1)
    return {"customers": int(named.sum()), "share": share, "item": item, "count": int(count)}


def most_asked(asking: pd.DataFrame) -> dict[str, object]:
    """Of `needs_by`, which has rows: how many ask (customers, prospects), and what most of those
    who have ordered, or else of the prospects, ask for (item, count).
    """
    who = asking.buyers if asking.buyers.any() else asking.prospects
    totals = {"customers": int(asking.to_numpy().sum()), "prospects": int(asking.prospects.sum())}
    return totals | {"item": who.idxmax(), "count": int(who.max())}
