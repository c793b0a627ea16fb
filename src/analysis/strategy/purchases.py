"""What each customer has bought and asked about as of a day, item by item: what proposals are made
from.

An item is a product, or a category where products are too many or unknown (interests.bundle_level).
Purchases are counted in days, as in interests.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table
from scipy import sparse

from analysis.customers import is_return
from analysis.segments import interests

# the most bought; rules hold a number for each pair of them, and rarer ones teach little
MOST_ITEMS = 3_000
# after which a purchase counts half: old ones tell nearly as much; a shorter life hit no more often
HALF_LIFE_DAYS = 1095


@dataclass(frozen=True)
class Purchases:
    """What is known on a day, by number of customer (row) and item (column), in order of names.

    `pairs`: the items a customer has a line of: row, column, purchases (days; 0 where only
    returned), ago and span (days since the last purchase, and from the first to it), returned.
    `wanted`: row, column, contacts (days), ago. `groups`: each customer's interest and need: row,
    group, own (the one that counts for the customer).
    """

    item: str  # product, category, or nothing
    customers: pd.Index
    items: pd.Index
    pairs: pd.DataFrame
    wanted: pd.DataFrame
    groups: pd.DataFrame
    offered: np.ndarray  # by item: still sold, and not asked to be left out
    durable: np.ndarray  # by item: bought once in years

    def _matrix(
        self, rows: pd.DataFrame, values: np.ndarray | pd.Series | float
    ) -> sparse.csr_matrix:
        shape = (len(self.customers), len(self.items))
        each = np.full(len(rows), 1.0) * np.asarray(values, float)
        return sparse.csr_matrix((each, (rows.row.to_numpy(), rows.column.to_numpy())), shape)

    @cached_property
    def bought(self) -> sparse.csr_matrix:
        """Customers by items: 1 where the customer has bought the item."""
        return self._matrix(self.pairs[self.pairs.purchases > 0], 1)

    @cached_property
    def weights(self) -> sparse.csr_matrix:
        """What purchases count: 1 of today, more of several, half after HALF_LIFE_DAYS."""
        sold = self.pairs[self.pairs.purchases > 0]
        age = 0.5 ** (sold.ago / HALF_LIFE_DAYS)
        return self._matrix(sold, np.log2(1 + sold.purchases) * age)

    @cached_property
    def known(self) -> sparse.csr_matrix:
        """1 where the customer has a line of the item, if only a return."""
        return self._matrix(self.pairs, 1)

    @cached_property
    def has_bought(self) -> np.ndarray:
        """Whether each customer has bought anything."""
        return np.diff(self.bought.indptr) > 0


def gather(
    transactions: Table,
    as_of: dt.date,
    interactions: Table | None = None,
    products: Table | None = None,
    never: Sequence[str] = (),
    people: Sequence[str] = (),
    item: str | None = None,
) -> Purchases:
    """What is known on `as_of`, of everybody with a line by then and of `people` (ids, as
    prospects).

    `products` says what is durable and still sold; of a category what holds of all its products.
    `never`: products or categories not to be offered. `item`: product or category, by default by
    interests.bundle_level; without either there are no items. All logs are tables of one engine.
    """
    item = interests.bundle_level(transactions, as_of) if item is None else item
    lines = by_item(transactions, as_of, item).cache()
    asked = _asked(transactions, interactions, as_of, item)
    ids = lines.select("customer_id").distinct().customer_id.to_list()
    customers = pd.Index(sorted({*ids, *people}), dtype="str")
    bought = lines.select("item", buyers=(_.purchases > 0).cast("int64"))
    seen = bought.union(asked.select("item", buyers=ibis.literal(0, "int64")))
    counts = seen.group_by("item").agg(buyers=_.buyers.sum())
    most = counts.order_by(_.buyers.desc(), "item").limit(MOST_ITEMS)
    items = pd.Index(sorted(most["item"].to_list()), dtype="str")
    return Purchases(
        item,
        customers,
        items,
        _numbered(lines, customers, items),
        _numbered(asked, customers, items),
        _groups(transactions, interactions, as_of, customers),
        *_goods(transactions, products, items, item, never),
    )


def by_item(transactions: Table, as_of: dt.date, item: str) -> Table:
    """One row per customer and item with a line: customer_id, item, purchases, ago, span, returned:
    a product once, a category where as much went back as was bought.
    """
    past = transactions.filter(_.day <= as_of)
    name = past[item] if item else ibis.null("string")
    lines = past.select("customer_id", "day", item=name, back=is_return(past))
    days = (
        lines.filter(_.item.notnull())
        .group_by("customer_id", "item", "day")
        .agg(sold=(~_.back).any(), back=_.back.any())
    )
    facts = days.group_by("customer_id", "item").agg(
        purchases=_.sold.sum(),
        backs=_.back.sum(),
        first=_.day.min(where=_.sold),
        last=_.day.max(where=_.sold),
    )
    return facts.select(
        "customer_id",
        "item",
        "purchases",
        ago=ibis.literal(as_of).delta(facts["last"], unit="day").fill_null(0),
        span=facts["last"].delta(facts["first"], unit="day").fill_null(0),
        returned=(_.backs > 0) & ((_.backs >= _.purchases) | ibis.literal(item == "product")),
    )


def _asked(transactions: Table, interactions: Table | None, as_of: dt.date, item: str) -> Table:
    """What was asked about and never bought (interests.asked): customer_id, item, contacts, ago."""
    if interactions is None or not item or item not in interactions.columns:
        none = {"customer_id": "string", "item": "string", "contacts": "int64", "ago": "int64"}
        return ibis.memtable(pd.DataFrame(columns=list(none)), schema=none)
    needs = interests.asked(transactions, interactions, as_of, item).filter(_.need)
    ago = ibis.literal(as_of).delta(needs.last_asked, unit="day")
    return needs.select("customer_id", "item", "contacts", ago=ago).cache()


def _numbered(found: Table, customers: pd.Index, items: pd.Index) -> pd.DataFrame:
    """Names replaced by numbers, on the engine: a million customers' names would fill memory."""
    numbers = {"customer_id": ("row", customers), "item": ("column", items)}
    for name, (number, index) in numbers.items():
        named = pd.DataFrame({name: index, number: np.arange(len(index), dtype="int32")})
        found = found.join(ibis.memtable(named), name).drop(name)
    whole = [name for name in found.columns if found[name].type().is_integer()]
    small = found.mutate(**{name: found[name].cast("int32") for name in whole})
    return small.to_pandas().sort_values(["row", "column"], ignore_index=True)


def _goods(
    transactions: Table, products: Table | None, items: pd.Index, item: str, never: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Which items are offered and which durable; what is not said is offered and not durable."""
    out = {*never}
    if item == "product" and never and "category" in transactions.columns:
        of = transactions.filter(_.category.isin(list(never))).select("product").distinct()
        out |= {*of["product"].to_list()}
    offered, durable = ~items.isin(list(out)), np.zeros(len(items), bool)
    if products is None or item not in products.columns:
        return offered, durable
    goods = products.to_pandas().dropna(subset=item)
    known = goods.reindex(columns=["available", "durable", "category"])
    flags = pd.DataFrame(
        {
            "gone": known.available.eq(False).fillna(False) | known.category.isin(list(never)),
            "lasting": known.durable.eq(True).fillna(False),
        }
    )
    all_of = flags.astype(bool).groupby(goods[item]).all().reindex(items, fill_value=False)
    return offered & ~all_of.gone.to_numpy(bool), all_of.lasting.to_numpy(bool)


def _groups(
    transactions: Table, interactions: Table | None, as_of: dt.date, customers: pd.Index
) -> pd.DataFrame:
    """Each customer's interest and need: row, group, own: a need comes before an interest."""
    people = interests.at(transactions, interactions, as_of)
    people = people.assign(row=customers.get_indexer(people.customer_id))
    long = people[people.row >= 0].melt("row", ["need", "interest"], "kind", "group").dropna()
    return (
        long.assign(own=~long.row.duplicated())
        .drop(columns="kind")
        .drop_duplicates(["row", "group"])
        .sort_values(["row", "group"], ignore_index=True)
    )
