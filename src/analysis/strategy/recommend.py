"""What to offer each customer next: what others with the same purchases have, what was asked about,
what is due again.

An item is a product, or a category where products are too many or unknown (interests.bundle_level).
Purchases are counted in days, as in interests. Three kinds of proposals are told apart: new to the
customer (new; popular where the customer's own purchases speak for nothing), asked about and never
bought (asked), and due again by the customer's own pause (again). What is offered differs by
customer; prices never do.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial, reduce
from operator import or_

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value
from scipy import linalg, sparse

from analysis.draws import lots
from analysis.report.text import N_, say
from analysis.segments import interests
from analysis.statistics import wilson

PLACES = 3  # proposals for each customer
AGAIN_PLACES = (
    1  # of them for what is due again; the others are for what the customer does not have
)
MOST_ITEMS = (
    3_000  # the most bought; rules hold a number for each pair of them, and rarer ones teach little
)
# after which a purchase counts half: old ones tell nearly as much; a shorter life hit no more often
HALF_LIFE_DAYS = 1095
MIN_PURCHASES = 3  # two pauses; one tells no rhythm
LAPSED = 3.0  # own pauses without a purchase, after which an item is not due but given up
# of fresher things asked about, nine in a hundred were bought within a quarter; of older ones one
FRESH_DAYS = 91
MIN_JUDGED = 30  # customers with something new, or hit rates tell nothing
MOST_JUDGED = 20_000  # customers, drawn by lot: their hit rate is known to within a percent
CELLS = 8_000_000  # customers times items that are looked at together: 64 MB
DIGITS = 9  # of a score; beyond them is rounding
KINDS = ("new", "again", "asked", "popular")
COLUMNS = ["customer_id", "rank", "item", "kind", "reason", "score"]
BOARD = ["model", "customers", "hit", "low", "high", "mrr", "coverage"]


# What is known on a day
@dataclass(frozen=True)
class History:
    """What is known on a day, by number of customer (row) and item (column), both in order of their
    names.

    `pairs`: a row for each item a customer has a line of: row, column, purchases (days; 0 where it
    was only returned), ago and span (days since the last purchase, and from the first to it),
    returned. `wanted`: row, column, contacts (days), ago. `groups`: one row for each customer's
    interest and need: row, group, own (the one that counts for the customer).
    """

    customers: pd.Index
    items: pd.Index
    pairs: pd.DataFrame
    wanted: pd.DataFrame
    groups: pd.DataFrame
    offered: np.ndarray  # by item: still sold, and not asked to be left out
    durable: np.ndarray  # by item: bought once in years

    def matrix(
        self, values: np.ndarray | pd.Series, where: pd.DataFrame | None = None
    ) -> sparse.csr_matrix:
        """Customers by items with these values at the rows of `pairs`."""
        at, shape = self.pairs if where is None else where, (len(self.customers), len(self.items))
        return sparse.csr_matrix(
            (np.asarray(values, float), (at.row.to_numpy(), at.column.to_numpy())), shape
        )

    @cached_property
    def bought(self) -> sparse.csr_matrix:
        """1 where the customer has bought the item."""
        sold = self.pairs[self.pairs.purchases > 0]
        return self.matrix(np.ones(len(sold)), sold)

    @cached_property
    def weights(self) -> sparse.csr_matrix:
        """What each purchase counts: 1 of today; a second one adds to it, but less; half after
        HALF_LIFE_DAYS.
        """
        sold = self.pairs[self.pairs.purchases > 0]
        return self.matrix(np.log2(1 + sold.purchases) * 0.5 ** (sold.ago / HALF_LIFE_DAYS), sold)

    @cached_property
    def known(self) -> sparse.csr_matrix:
        """1 where the customer has a line of the item, if only a return."""
        return self.matrix(np.ones(len(self.pairs)))


def gather(
    transactions: Table,
    as_of: dt.date,
    interactions: Table | None = None,
    products: Table | None = None,
    never: Sequence[str] = (),
    people: Sequence[str] = (),
    item: str | None = None,
) -> History:
    """What is known on `as_of`, of everybody with a line on or before it and of `people` (customer
    ids, as prospects).

    `products` says what is durable and what is still sold; of a category it holds what holds of all
    its products. `never`: products or categories that are not to be offered. `item`: product or
    category, if not by interests.bundle_level. Without products and categories there are no items.
    All logs must be tables of one engine.
    """
    item = interests.bundle_level(transactions, as_of) if item is None else item
    lines = _lines(transactions, as_of, item).cache()
    asked = _asked(transactions, interactions, as_of, item).cache()
    customers = pd.Index(
        sorted({*lines.select("customer_id").distinct().customer_id.to_list(), *people}),
        dtype="str",
    )
    counts = (
        lines.group_by("item")
        .agg(buyers=(_.purchases > 0).sum())
        .to_pandas()
        .set_index("item")
        .buyers
    )
    counts = pd.concat(
        [
            counts,
            pd.Series(
                0, sorted({*asked.select("item").distinct()["item"].to_list()} - {*counts.index})
            ),
        ]
    )
    place = pd.DataFrame({"item": counts.index.astype("str"), "buyers": counts.to_numpy()})
    most = place.sort_values(["buyers", "item"], ascending=[False, True]).head(MOST_ITEMS)
    items = pd.Index(sorted(most["item"]), dtype="str")
    pairs, wanted = (_numbered(found, customers, items) for found in (lines, asked))
    offered, durable = _goods(transactions, products, items, item, never)
    return History(
        customers,
        items,
        pairs,
        wanted,
        _groups(transactions, interactions, as_of, customers),
        offered,
        durable,
    )


def _item_only(log: Table, item: str) -> Table:
    """The log with this kind of items alone, so that interests takes no other."""
    return log.drop(*[name for name in interests.LEVELS if name != item and name in log.columns])


def _lines(transactions: Table, as_of: dt.date, item: str) -> Table:
    """One row per customer and item with a line: customer_id, item, purchases, ago, span, returned.

    A product that was once returned is returned; a category only where as much went back as was
    bought.
    """
    past = transactions.filter(_.day <= as_of)
    name = past[item] if item else ibis.null("string")
    sold = past.amount.fill_null(0) >= 0
    if "quantity" in past.columns:
        sold &= past.quantity.fill_null(0) >= 0
    named = past.select("customer_id", "day", item=name, sold=sold).filter(_.item.notnull())
    days = named.group_by("customer_id", "item", "day").agg(sold=_.sold.any(), back=(~_.sold).any())
    facts = days.group_by("customer_id", "item").agg(
        purchases=_.sold.sum(),
        backs=_.back.sum(),
        first=_.day.min(where=_.sold),
        last=_.day.max(where=_.sold),
    )
    today = ibis.literal(as_of)
    return facts.select(
        "customer_id",
        "item",
        "purchases",
        ago=today.delta(facts["last"], unit="day").fill_null(0),
        span=facts["last"].delta(facts["first"], unit="day").fill_null(0),
        returned=(_.backs > 0) & ((_.backs >= _.purchases) | ibis.literal(item == "product")),
    )


def _asked(transactions: Table, interactions: Table | None, as_of: dt.date, item: str) -> Table:
    """One row per customer and item asked about and never bought (interests.asked): customer_id,
    item, contacts, ago.
    """
    if interactions is None or not item or item not in interactions.columns:
        none = {"customer_id": "string", "item": "string", "contacts": "int64", "ago": "int64"}
        return ibis.memtable(pd.DataFrame(columns=list(none)), schema=none)
    needs = interests.asked(
        _item_only(transactions, item), _item_only(interactions, item), as_of
    ).filter(_.need)
    return needs.select(
        "customer_id",
        "item",
        "contacts",
        ago=ibis.literal(as_of).delta(needs.last_asked, unit="day"),
    )


def _numbered(found: Table, customers: pd.Index, items: pd.Index) -> pd.DataFrame:
    """Names replaced by their numbers, on the engine: a million customers' names would fill the
    memory.
    """
    who = ibis.memtable(
        pd.DataFrame({"customer_id": customers, "row": np.arange(len(customers), dtype="int32")})
    )
    what = ibis.memtable(
        pd.DataFrame({"item": items, "column": np.arange(len(items), dtype="int32")})
    )
    told = found.join(who, "customer_id").join(what, "item").drop("customer_id", "item")
    small = told.mutate(
        **{
            name: told[name].cast("int32")
            for name in told.columns
            if told[name].type().is_integer()
        }
    )
    return small.to_pandas().sort_values(["row", "column"], ignore_index=True)


def _goods(
    transactions: Table, products: Table | None, items: pd.Index, item: str, never: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Which items are offered and which are durable; what products does not say is offered and not
    durable.
    """
    offered, durable = pd.Series(~items.isin(list(never)), items), pd.Series(False, items)
    if item == "product" and never and "category" in transactions.columns:
        of = (
            transactions.filter(transactions.category.isin(list(never)))
            .select("product")
            .distinct()["product"]
            .to_list()
        )
        offered &= ~items.isin(of)
    if products is None or item not in products.columns:
        return offered.to_numpy(), durable.to_numpy()
    said = products.filter(products[item].notnull())
    gone = [~said.available.fill_null(True)] if "available" in said.columns else []
    gone += (
        [said.category.isin(list(never)).fill_null(False)]
        if never and "category" in said.columns
        else []
    )
    lasting = [said.durable.fill_null(False)] if "durable" in said.columns else []
    facts = said.select(
        name=said[item],
        gone=reduce(or_, gone, _no(said, item)),
        lasting=reduce(or_, lasting, _no(said, item)),
    )
    flags = (
        facts.group_by("name")
        .agg(gone=_.gone.all(), lasting=_.lasting.all())
        .to_pandas()
        .set_index("name")
    )
    flags = flags.reindex(items, fill_value=False)
    return (offered & ~flags.gone).to_numpy(bool), flags.lasting.to_numpy(bool)


def _no(products: Table, item: str) -> Value:
    return products[item].isnull()  # of none, as rows without an item are left out


def _groups(
    transactions: Table, interactions: Table | None, as_of: dt.date, customers: pd.Index
) -> pd.DataFrame:
    """Each customer's interest and need: row, group, own: a need comes before an interest."""
    people = interests.at(transactions, interactions, as_of)
    people = people.assign(row=customers.get_indexer(people.customer_id))
    people = people[people.row >= 0]
    needs = (
        people[people.need.notna()][["row", "need"]]
        .set_axis(["row", "group"], axis=1)
        .assign(own=True)
    )
    likes = people[people.interest.notna()][["row", "interest"]].set_axis(["row", "group"], axis=1)
    likes = likes.assign(own=~likes.row.isin(needs.row))
    return (
        pd.concat([needs, likes])
        .drop_duplicates(["row", "group"])
        .sort_values(["row", "group"], ignore_index=True)
    )


# What speaks for an item
@dataclass(frozen=True)
class Rule:
    """How items are scored: for everybody alike (base), and what each one bought adds to each other
    (pull[bought, other]).
    """

    base: np.ndarray
    pull: np.ndarray | None = None

    def scores(self, weights: sparse.csr_matrix) -> np.ndarray:
        """Customers by items, for a block of customers."""
        if self.pull is None:
            return np.tile(self.base, (weights.shape[0], 1))
        told = weights @ self.pull
        told += self.base
        return told


def most_bought(bought: sparse.csr_matrix) -> Rule:
    """The share of the customers who have bought an item, whoever asks."""
    return Rule(np.asarray(bought.sum(axis=0)).ravel() / max(bought.shape[0], 1))


def similar_buyers(bought: sparse.csr_matrix) -> Rule:
    """Cosine of two items: customers with both over the root of the buyers of each (Sarwar et al.
    2001).
    """
    both = _together(bought)
    buyers = np.sqrt(np.maximum(both.diagonal(), 1))
    np.fill_diagonal(both, 0)
    return Rule(np.zeros(len(both)), both / buyers[:, None] / buyers)


def regression(bought: sparse.csr_matrix, shrink: float) -> Rule:
    """Ridge regression of each item on all others at once, none on itself, in closed form (EASE,
    Steck 2019), about the means.

    So an item counts for what it tells beyond the others. `shrink`: the penalty, as a share of the
    customers. About the means, because a customer of few purchases is else told what few buy.
    """
    count = max(bought.shape[0], 1)
    mean = np.asarray(bought.sum(axis=0)).ravel() / count
    spread = _together(bought) - count * np.outer(mean, mean)
    spread[np.diag_indices_from(spread)] += shrink * count
    inverse = linalg.inv(spread, assume_a="pos")
    pull = -inverse / inverse.diagonal()
    np.fill_diagonal(pull, 0)
    return Rule(mean - mean @ pull, pull)


def _together(bought: sparse.csr_matrix) -> np.ndarray:
    """Customers who have bought both of two items."""
    return (bought.T @ bought).toarray()


# The simplest first. Measured and left out: lift, and purchases to come given those before, which
# hit less than cosine.
RULES: dict[str, Callable[[sparse.csr_matrix], Rule]] = {
    "most_bought": most_bought,
    "similar_buyers": similar_buyers,
    "regression_light": partial(regression, shrink=0.03),
    "regression": partial(regression, shrink=0.1),
    "regression_strong": partial(regression, shrink=0.3),
}
# where too little is known to choose: of the invented company and groceries the best of both
DEFAULT = "regression"


def learned(history: History, name: str) -> Rule:
    """One of RULES, of all who have bought anything."""
    return RULES[name](history.bought[np.diff(history.bought.indptr) > 0])


def _blocks(rows: np.ndarray, items: int) -> list[np.ndarray]:
    size = max(CELLS // max(items, 1), 1)
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _best(history: History, scores: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """The PLACES highest scores (customers by items, overwritten) of what is new to the customer
    and offered: row, column, score, place, within (the block). Of equal ones the first by name;
    fewer, where there are no more.
    """
    scores[history.known[rows].nonzero()] = -np.inf
    scores[:, ~history.offered] = -np.inf
    within, found = np.arange(len(rows)), []
    for place in range(min(PLACES, scores.shape[1])):
        column = scores.argmax(axis=1)
        told = pd.DataFrame(
            {
                "row": rows,
                "column": column,
                "score": scores[within, column],
                "place": place,
                "within": within,
            }
        )
        found.append(told[np.isfinite(told.score)])
        scores[within, column] = -np.inf
    best = pd.concat(found, ignore_index=True).sort_values(["row", "place"], ignore_index=True)
    return best.assign(score=best.score.round(DIGITS))


def ranked(history: History, rule: Rule, rows: np.ndarray) -> pd.DataFrame:
    """What a rule alone proposes of what is new to these customers. Columns: row, column, score,
    kind, by, in their order.

    Kind is new where what the customer bought raises the score, and `by` the item that does most;
    else popular, and -1.
    """
    return pd.concat(
        [_ranked(history, rule, block) for block in _blocks(rows, len(history.items))]
        or [_nothing()]
    )


def _nothing() -> pd.DataFrame:
    types = {"row": int, "column": int, "score": float, "kind": "str", "by": int}
    return pd.DataFrame(columns=list(types)).astype(types)


def _ranked(history: History, rule: Rule, rows: np.ndarray) -> pd.DataFrame:
    weights = history.weights[rows]
    best = _best(history, rule.scores(weights), rows)
    by = (
        _reasons(rule, weights, best)
        if rule.pull is not None and len(best)
        else np.full(len(best), -1)
    )
    said = best.assign(by=by, kind=np.where(by >= 0, "new", "popular"))[best.score > 0]
    return said[["row", "column", "score", "kind", "by"]]


def _reasons(rule: Rule, weights: sparse.csr_matrix, best: pd.DataFrame) -> np.ndarray:
    """Of each proposal the item bought that adds most to its score; -1 where the purchases as a
    whole do not raise it.
    """
    assert rule.pull is not None
    of = weights[best.within.to_numpy()].sorted_indices()
    counts = np.diff(of.indptr)
    added = np.round(
        of.data * rule.pull[of.indices, np.repeat(best.column.to_numpy(), counts)], DIGITS
    )
    told = pd.DataFrame(
        {"of": np.repeat(np.arange(len(best)), counts), "by": of.indices, "added": added}
    )
    whole = told.groupby("of").added.sum().reindex(range(len(best)), fill_value=0.0)
    first = (
        told.sort_values(["of", "added", "by"], ascending=[True, False, True])
        .drop_duplicates("of")
        .set_index("of")
    )
    by = first.by.where(first.added > 0).reindex(range(len(best))).fillna(-1).astype(int)
    return np.where(whole > 0, by, -1)


def due(history: History) -> pd.DataFrame:
    """What each customer usually buys again and has not for as long as usual: row, column,
    purchases, pause, ago (days).

    Bought on MIN_PURCHASES days or more, the last one pause ago or longer but no more than LAPSED
    of them; neither durable, nor returned, nor out of sale. The most often bought first: of several
    these were bought again most often.
    """
    often = history.pairs[(history.pairs.purchases >= MIN_PURCHASES) & ~history.pairs.returned]
    often = often[history.offered[often.column] & ~history.durable[often.column]]
    often = often.assign(pause=often.span / (often.purchases - 1))
    now = often[(often.ago >= often.pause) & (often.ago <= LAPSED * often.pause)]
    order = now.sort_values(
        ["row", "purchases", "column"], ascending=[True, False, True], ignore_index=True
    )
    return order[["row", "column", "purchases", "pause", "ago"]]


def proposals(
    history: History, rule: Rule, rows: np.ndarray, again: int = AGAIN_PLACES
) -> pd.DataFrame:
    """Up to PLACES proposals for each of these customers (rows), of them at most `again` that are
    due again.

    In this order: asked lately, due again, by the rule, asked longer ago; then, where places are
    left, the most bought by those of the same need or interest, and by all. Columns: row, column,
    rank, kind, score, and what the reason says: by (item), pause, ago, contacts, group.
    """
    own = pd.concat([_of_wants(history), _of_due(history, again)], ignore_index=True).sort_values(
        "row", ignore_index=True
    )
    shares, everybody = _group_shares(history), learned(history, "most_bought")
    found = [_nothing_placed()]
    for block in _blocks(np.sort(rows), len(history.items)):
        start, end = np.searchsorted(own.row, [block[0], block[-1] + 1])
        mine = own[start:end]
        buys = np.diff(history.weights[block].indptr) > 0
        by_rule = _ranked(history, rule, block[buys]).assign(order=2)
        left = block[~np.isin(block, by_rule.row[by_rule.groupby("row").cumcount() == PLACES - 1])]
        others = [
            _by_group(history, shares, left),
            _popular(history, everybody.scores(history.weights[left]), left, order=5),
        ]
        found.append(
            _placed(pd.concat([mine[mine.row.isin(block)], by_rule, *others], ignore_index=True))
        )
    return pd.concat(found, ignore_index=True)


def _of_wants(history: History) -> pd.DataFrame:
    wants = history.wanted[history.offered[history.wanted.column]]
    order = np.where(wants.ago <= FRESH_DAYS, 0, 3)
    return wants.assign(
        kind="asked", order=order, key=wants.ago.astype(float), score=wants.contacts.astype(float)
    )


def _of_due(history: History, again: int) -> pd.DataFrame:
    first = due(history).groupby("row").head(again)
    return first.assign(kind="again", order=1, key=0.0, score=first.purchases.astype(float))


Shares = tuple[pd.Index, sparse.csr_matrix, pd.Series]


def _group_shares(history: History) -> Shares:
    """Groups by name, the share of each that has bought an item, and the number of each customer's
    own group (by row).
    """
    names = pd.Index(sorted(history.groups.group.unique()), dtype="str")
    number = names.get_indexer(history.groups.group)
    shape = (len(names), len(history.customers))
    members = sparse.csr_matrix(
        (np.ones(len(number)), (number, history.groups.row.to_numpy(int))), shape
    )
    size = np.maximum(np.asarray(members.sum(axis=1)).ravel(), 1)
    shares = sparse.csr_matrix(sparse.diags_array(1 / size) @ (members @ history.bought))
    own = history.groups.assign(number=number)[history.groups.own.to_numpy(bool)]
    return names, shares, own.set_index("row").number


def _by_group(history: History, shares: Shares, rows: np.ndarray) -> pd.DataFrame:
    """The most bought by those of the same need or interest."""
    names, of_group, own = shares
    grouped = rows[np.isin(rows, own.index)]
    found = _popular(
        history, of_group[own.reindex(grouped).to_numpy(int)].toarray(), grouped, order=4
    )
    return found.assign(group=names[own.reindex(found.row).to_numpy(int)].to_numpy(dtype=object))


def _popular(history: History, scores: np.ndarray, rows: np.ndarray, order: int) -> pd.DataFrame:
    best = _best(history, scores, rows)
    return best[best.score > 0].assign(order=order, kind="popular")


def _nothing_placed() -> pd.DataFrame:
    types = {"row": int, "column": int, "rank": int, "kind": "str", "score": float, "by": int}
    types |= dict.fromkeys(("pause", "ago", "contacts"), float) | {"group": "str"}
    return pd.DataFrame(columns=list(types)).astype(types)


def _placed(found: pd.DataFrame) -> pd.DataFrame:
    """The first PLACES of each customer, no item twice."""
    known = {"by": -1, "group": ""}
    key = found.get("key", pd.Series(np.nan, found.index)).fillna(-found.score)
    whole = (
        found.assign(key=key)
        .reindex(columns=[*_nothing_placed().columns, "order", "key"])
        .fillna(known)
    )
    ordered = whole.sort_values(["row", "order", "key", "column"]).drop_duplicates(
        ["row", "column"]
    )
    placed = ordered.assign(rank=ordered.groupby("row").cumcount() + 1)
    return placed[placed["rank"] <= PLACES][[*_nothing_placed().columns]].astype(
        _nothing_placed().dtypes.to_dict()
    )


def recommend(
    history: History, champion: str, people: Sequence[str], names: pd.Series | None = None
) -> pd.DataFrame:
    """The table `recommendations` for these customers: COLUMNS, sorted by customer_id and rank.

    `champion`: one of RULES. `names`: what items are called, by item, where the reason should say
    it. Score ranks within its kind: what the rule says (new), the share who bought it (popular),
    days with contacts (asked), or purchases (again).
    """
    rows = history.customers.get_indexer(pd.Index(sorted(set(people)), dtype="str"))
    rows = rows[rows >= 0]
    if not len(history.items) or not len(rows):
        return nobody()
    found = proposals(history, learned(history, champion), rows)
    return pd.DataFrame(
        {
            "customer_id": history.customers[found.row].to_numpy(),
            "rank": found["rank"].to_numpy(int),
            "item": history.items[found.column].to_numpy(),
            "kind": found.kind.to_numpy(),
            "reason": _phrases(found, history.items, names),
            "score": found.score.to_numpy(float),
        }
    ).astype({"customer_id": "str", "item": "str", "kind": "str", "reason": "str"})


def nobody() -> pd.DataFrame:
    """The table without rows."""
    types = dict.fromkeys(COLUMNS, "str") | {"rank": "int64", "score": "float64"}
    return pd.DataFrame(columns=COLUMNS).astype(types)


def _phrases(found: pd.DataFrame, items: pd.Index, names: pd.Series | None) -> np.ndarray:
    """The reasons in words; each distinct set of figures is said once."""
    key = np.where((found.kind == "popular") & (found.group != ""), "popular_group", found.kind)
    facts = found[["by", "pause", "ago", "contacts", "group"]].assign(
        key=key, pause=found.pause.round()
    )
    used = {
        "new": ["by"],
        "again": ["pause", "ago"],
        "asked": ["contacts", "ago"],
        "popular": [],
        "popular_group": ["group"],
    }
    said = np.full(len(found), "", dtype=object)
    for name, columns in used.items():
        own = facts[facts.key == name][["key", *columns]]
        distinct = own.drop_duplicates()
        texts = [
            say(PHRASES[name], **_values(row, items, names))
            for row in distinct[columns].to_dict("records")
        ]
        if len(own):
            said[np.flatnonzero(facts.key == name)] = np.array(texts, dtype=object)[
                own.groupby(list(own), sort=False).ngroup()
            ]
    return said


def _values(row: dict[str, object], items: pd.Index, names: pd.Series | None) -> dict[str, object]:
    """The figures of a reason; an item under its name, where it has one."""
    if "by" not in row:
        return row
    item = items[int(str(row["by"]))]
    return {"item": item if names is None else names.get(item, item)}


def called(products: Table | None, item: str) -> pd.Series | None:
    """What products are called, by product; None where products does not say it, or the items are
    none.
    """
    names = interests.product_names(products, item)
    return names if len(names) else None


# Measured on time that was not seen
@dataclass(frozen=True)
class Trial:
    """How proposals would have done at earlier dates: the champion, `choice` (RULES at `chosen`,
    the earlier date; None where too few bought anything new then), `board` (what is proposed, then
    RULES, at `measured`; BOARD), and how often what was due again then was bought (`again`, of
    `again_count`).
    """

    champion: str
    chosen: dt.date | None
    choice: pd.DataFrame
    measured: dt.date | None
    board: pd.DataFrame
    again: float
    again_count: int


def trial(
    transactions: Table,
    as_of: dt.date,
    horizon_days: int,
    interactions: Table | None = None,
    seed: int = 0,
) -> Trial:
    """Choose the rule two horizons back, measure one horizon back: learn from what was known on the
    day, and see what customers bought within the horizon that was new to them.

    What is on sale today says nothing of then, so everything counts as offered at both dates.
    """
    item = interests.bundle_level(transactions, as_of)
    early, late = (as_of - dt.timedelta(days=back * horizon_days) for back in (2, 1))
    choice = judged(transactions, early, horizon_days, interactions, item, seed)[0]
    learned = len(choice) > 0
    champion = (
        str(choice.sort_values("hit", ascending=False, kind="stable").model.iloc[0])
        if learned
        else DEFAULT
    )
    board, again, count = judged(
        transactions, late, horizon_days, interactions, item, seed, champion
    )
    return Trial(
        champion,
        early if learned else None,
        choice,
        late if len(board) else None,
        board,
        again,
        count,
    )


def judged(
    transactions: Table,
    origin: dt.date,
    horizon_days: int,
    interactions: Table | None = None,
    item: str | None = None,
    seed: int = 0,
    champion: str = "",
) -> tuple[pd.DataFrame, float, int]:
    """How RULES would have done at `origin`, and with a champion first what `proposals` makes of it
    without what is due again (`proposed`): BOARD. Then the share of what was due again then that
    was bought within the horizon, and its count.

    Judged are customers with a purchase by `origin` who bought something new to them within the
    horizon; no rows where they are fewer than MIN_JUDGED. hit: one of the PLACES was among it, with
    the 95 % interval low to high; mrr: mean of 1 / rank of the first such; coverage: share of the
    items that were proposed to anybody judged.
    """
    item = interests.bundle_level(transactions, origin) if item is None else item
    history = gather(transactions, origin, interactions, item=item)
    later = _later(transactions, origin, horizon_days, item)
    again, count = _bought_again(history, later)
    rows = _drawn(history, later, seed)
    if len(rows) < MIN_JUDGED:
        return pd.DataFrame(columns=BOARD), again, count
    truth = _truth(history, later)
    rules = {name: learned(history, name) for name in RULES}
    lists = {"proposed": proposals(history, rules[champion], rows, again=0)} if champion else {}
    lists |= {name: ranked(history, rule, rows) for name, rule in rules.items()}
    told = [
        {"model": name} | _measured(found, truth, rows, len(history.items))
        for name, found in lists.items()
    ]
    return pd.DataFrame(told, columns=BOARD), again, count


def _later(transactions: Table, origin: dt.date, horizon_days: int, item: str) -> pd.DataFrame:
    """What customers bought within the horizon: customer_id, item, new (no line of it by `origin`)."""
    end = origin + dt.timedelta(days=horizon_days)
    sold = interests.sales(transactions, end).filter(_.day > origin)
    name = sold[item] if item else ibis.null("string")
    bought = sold.select("customer_id", item=name).filter(_.item.notnull()).distinct()
    before = _lines(transactions, origin, item).select("customer_id", "item", old=True)
    both = bought.left_join(before, ["customer_id", "item"])
    return both.select("customer_id", "item", new=_.old.isnull()).to_pandas()


def _drawn(history: History, later: pd.DataFrame, seed: int) -> np.ndarray:
    """Rows of the customers who are judged, at most MOST_JUDGED of them by lot."""
    buyers = np.diff(history.bought.indptr) > 0
    rows = history.customers.get_indexer(
        pd.Index(later[later.new].customer_id.unique(), dtype="str")
    )
    rows = np.sort(rows[rows >= 0])
    rows = rows[buyers[rows]]
    if len(rows) <= MOST_JUDGED:
        return rows
    drawn = lots(history.customers[rows].to_series(), seed)
    return rows[np.sort(np.argsort(drawn, kind="stable")[:MOST_JUDGED])]


def _truth(history: History, later: pd.DataFrame) -> pd.MultiIndex:
    """Pairs of row and column that were bought."""
    row, column = (
        history.customers.get_indexer(later.customer_id),
        history.items.get_indexer(later["item"]),
    )
    seen = (row >= 0) & (column >= 0)
    return pd.MultiIndex.from_arrays([row[seen], column[seen]])


def _measured(
    found: pd.DataFrame, truth: pd.MultiIndex, rows: np.ndarray, items: int
) -> dict[str, float]:
    """customers, hit, low, high, mrr, coverage of the lists in `found` (row, column, in order of
    rank).
    """
    pairs = pd.MultiIndex.from_arrays([found.row, found.column])
    rank = found.groupby("row").cumcount() + 1
    hits = (1 / rank)[pairs.isin(truth)].groupby(found.row[pairs.isin(truth)]).max()
    hit = len(hits) / len(rows)
    low, high = wilson(hit, len(rows))
    mrr, coverage = hits.sum() / len(rows), found.column.nunique() / max(items, 1)
    return {
        "customers": len(rows),
        "hit": hit,
        "low": float(low),
        "high": float(high),
        "mrr": mrr,
        "coverage": coverage,
    }


def _bought_again(history: History, later: pd.DataFrame) -> tuple[float, int]:
    """Of what was first due again for each customer, the share that was bought later, and how many."""
    first = due(history).groupby("row").head(AGAIN_PLACES)
    bought = pd.MultiIndex.from_arrays([first.row, first.column]).isin(_truth(history, later))
    return float(bought.mean()) if len(first) else float("nan"), len(first)


# For the page
def verdict(found: Trial) -> tuple[str, dict[str, object]]:
    """The key of a finding and its values: origin, customers, hit, low, high of what is proposed,
    popular (the most bought).
    """
    if found.measured is None:
        return N_(
            "How often proposals hit cannot be measured on this data: it takes at least {least:int}"
            " customers who bought something new within {days:int} days before {as_of:date}, and"
            " purchases before that."
        ), {"least": MIN_JUDGED}
    by = found.board.set_index("model")
    ours = by.loc["proposed"]
    figures = {name: ours[name] for name in ("customers", "hit", "low", "high")}
    return N_(
        "Of {customers:int} customers who bought something new in the {days:int} days after"
        " {origin:date}, {hit:percent} bought one of the three things proposed (95 % sure:"
        " {low:percent} to {high:percent}); proposing the most popular would have hit"
        " {popular:percent}."
    ), figures | {"origin": found.measured, "popular": by.hit["most_bought"]}


def choice(found: Trial) -> tuple[str, dict[str, object]]:
    """The key of a finding and its values: model, candidates, chosen (day)."""
    if found.chosen is None:
        return N_(
            "Proposals go by: {model:word}. There is too little data to choose a rule by time it"
            " had not seen."
        ), {"model": found.champion}
    return N_(
        "Proposals go by: {model:word}. Of {candidates:int} rules it hit most often in the"
        " {days:int} days after {chosen:date}, an earlier time."
    ), {"model": found.champion, "candidates": len(found.choice), "chosen": found.chosen}


def again_proof(found: Trial) -> dict[str, object]:
    """Values of the finding on what was due again: origin, count, share, low, high; nan where
    nothing was.
    """
    low, high = (
        wilson(found.again, found.again_count)
        if found.again_count
        else (float("nan"), float("nan"))
    )
    return {
        "origin": found.measured,
        "count": found.again_count,
        "share": found.again,
        "low": float(low),
        "high": float(high),
    }


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Customers with a proposal, and the proposals of each kind. Keys: customers, and those of
    KINDS.
    """
    by_kind = table.kind.value_counts()
    return {"customers": table.customer_id.nunique()} | {
        kind: int(by_kind.get(kind, 0)) for kind in KINDS
    }


def by_item(table: pd.DataFrame, names: pd.Series | None = None) -> pd.DataFrame:
    """Items by the number of customers they are proposed to, the most first: item (under its name),
    customers, and how many of them by each of KINDS: new_offers, again_offers, asked_offers,
    popular_offers.
    """
    kinds = (
        table.groupby(["item", "kind"])
        .size()
        .unstack(fill_value=0)
        .reindex(columns=list(KINDS), fill_value=0)
    )
    whole = kinds.add_suffix("_offers").assign(customers=kinds.sum(axis=1)).reset_index()
    order = whole.sort_values(["customers", "item"], ascending=[False, True], ignore_index=True)
    return named(order, names)[["item", "customers", *(f"{kind}_offers" for kind in KINDS)]]


def named(table: pd.DataFrame, names: pd.Series | None) -> pd.DataFrame:
    """The table with items under their names, as far as they have one."""
    return (
        table
        if names is None
        else table.assign(item=table["item"].map(names).fillna(table["item"]))
    )


# How each kind is said.
PHRASES = {
    "new": N_("often bought with {item:text}"),
    "again": N_("usually bought every {pause:int} days, last {ago:int} days ago"),
    "asked": N_("asked about on {contacts:int} days, last {ago:int} days ago"),
    "popular": N_("most bought"),
    "popular_group": N_("most bought by customers who like or ask for {group:text}"),
}
