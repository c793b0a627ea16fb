"""What to offer each customer next: what is new to the customer by what others with the same
purchases have (new), or by what most have (popular); what was asked about and never bought (asked);
what is due again by the customer's own pause (again). Prices never differ by customer.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.customers import usual_pause
from analysis.report.text import N_, say
from analysis.strategy.item_rules import Rule, learned
from analysis.strategy.purchases import Purchases

PLACES = 3  # proposals for each customer
AGAIN_PLACES = 1  # of them for what is due again; the others are for what is new
MIN_PURCHASES = 3  # two pauses; one tells no rhythm
LAPSED = 3.0  # own pauses without a purchase, after which an item is not due but given up
# of fresher things asked about, nine in a hundred were bought within a quarter; of older ones one
FRESH_DAYS = 91
CELLS = 8_000_000  # customers times items that are looked at together: 64 MB
DIGITS = 9  # of a score; beyond them is rounding
KINDS = ("new", "again", "asked", "popular")
TABLE = {"customer_id": "str", "rank": "int64", "item": "str", "kind": "str", "reason": "str"}
TABLE |= {"score": "float64"}
# proposals by row and column, and what the reason says: by (item), pause, ago, contacts, group
PLACED = {"row": int, "column": int, "rank": int, "kind": "str", "score": float, "by": int}
PLACED |= dict.fromkeys(("pause", "ago", "contacts"), float) | {"group": "str"}


def _blocks(rows: np.ndarray, items: int) -> Iterator[np.ndarray]:
    size = max(CELLS // max(items, 1), 1)
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _best(known: Purchases, scores: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """The PLACES highest scores (customers by items, overwritten) above 0 of what is new to the
    customer and offered, of equal ones the first by name: row, column, score, place, within (the
    block).
    """
    scores[known.known[rows].nonzero()] = -np.inf
    scores[:, ~known.offered] = -np.inf
    within, found = np.arange(len(rows)), []
    for place in range(min(PLACES, scores.shape[1])):
        column = scores.argmax(axis=1)
        best = {"row": rows, "column": column, "score": scores[within, column].round(DIGITS)}
        found.append(pd.DataFrame(best).assign(place=place, within=within))
        scores[within, column] = -np.inf
    best = pd.concat(found, ignore_index=True).sort_values(["row", "place"], ignore_index=True)
    return best[best.score > 0]


def ranked(known: Purchases, rule: Rule, rows: np.ndarray) -> pd.DataFrame:
    """What a rule alone proposes of what is new to these customers, in order: row, column, score,
    kind, by. Kind is new where the customer's purchases raise the score, by most of all; else
    popular, and `by` -1.
    """
    found = [_empty()[["row", "column", "score", "kind", "by"]]]
    for block in _blocks(rows, len(known.items)):
        weights = known.weights[block]
        best = _best(known, rule.scores(weights), block)
        by = _reasons(rule, weights, best)
        found.append(best.assign(by=by, kind=np.where(by >= 0, "new", "popular"))[[*found[0]]])
    return pd.concat(found, ignore_index=True)


def _reasons(rule: Rule, weights: sparse.csr_matrix, best: pd.DataFrame) -> np.ndarray:
    """The item bought that adds most to each proposal; -1 where all purchases do not raise it."""
    if rule.pull is None or best.empty:
        return np.full(len(best), -1)
    own = weights[best.within.to_numpy()].sorted_indices()
    counts = np.diff(own.indptr)
    added = own.data * rule.pull[own.indices, np.repeat(best.column.to_numpy(), counts)]
    rows = {"place": np.repeat(np.arange(len(best)), counts), "by": own.indices}
    parts = pd.DataFrame(rows).assign(added=added.round(DIGITS))
    whole = parts.groupby("place").added.sum().reindex(range(len(best)), fill_value=0.0)
    order = parts.sort_values(["place", "added", "by"], ascending=[True, False, True])
    first = order.drop_duplicates("place").set_index("place").reindex(range(len(best)))
    return np.where((whole > 0) & (first.added > 0), first.by.fillna(-1), -1).astype(int)


def due(known: Purchases) -> pd.DataFrame:
    """What each customer buys again and again and has not for one to LAPSED usual pauses: row,
    column, purchases, pause, ago (days), the most often bought first. Neither durable, nor
    returned, nor out of sale.
    """
    often = known.pairs[(known.pairs.purchases >= MIN_PURCHASES) & ~known.pairs.returned]
    often = often[known.offered[often.column] & ~known.durable[often.column]]
    often = often.assign(pause=usual_pause(often.span, often.purchases))
    now = often[(often.ago >= often.pause) & (often.ago <= LAPSED * often.pause)]
    by = ["row", "purchases", "column"]
    order = now.sort_values(by, ascending=[True, False, True], ignore_index=True)
    return order[["row", "column", "purchases", "pause", "ago"]]


def proposals(
    known: Purchases, rule: Rule, rows: np.ndarray, again: int = AGAIN_PLACES
) -> pd.DataFrame:
    """Up to PLACES proposals for each of these customers, at most `again` of them due again.

    In this order: asked lately, due again, by the rule, asked longer ago; then the most bought by
    those of the same need or interest, and by all. Columns as PLACED.
    """
    wanted = known.wanted[known.offered[known.wanted.column]]
    asked = wanted.assign(
        kind="asked",
        order=np.where(wanted.ago <= FRESH_DAYS, 0, 3),
        key=wanted.ago.astype(float),
        score=wanted.contacts.astype(float),
    )
    first = due(known).groupby("row").head(again)
    repeats = first.assign(kind="again", order=1, key=0.0, score=first.purchases.astype(float))
    own = pd.concat([asked, repeats], ignore_index=True)
    shares, everybody = _group_shares(known), learned(known, "most_bought")
    found = [_empty()]
    for block in _blocks(np.sort(rows), len(known.items)):
        mine = own[own.row.isin(block)]
        by_rule = ranked(known, rule, block[known.has_bought[block]]).assign(order=2)
        full = by_rule.row[by_rule.groupby("row").cumcount() == PLACES - 1]
        left = block[~np.isin(block, full)]
        by_all = _best(known, everybody.scores(known.weights[left]), left)
        others = [_by_group(known, shares, left), by_all.assign(order=5, kind="popular")]
        found.append(_placed(pd.concat([mine, by_rule, *others], ignore_index=True)))
    return pd.concat(found, ignore_index=True)


Shares = tuple[pd.Index, sparse.csr_matrix, pd.Series]


def _group_shares(known: Purchases) -> Shares:
    """Groups, the share of each that has bought an item, and each customer's own (by row)."""
    names = pd.Index(sorted(known.groups.group.unique()), dtype="str")
    number = names.get_indexer(known.groups.group)
    shape = (len(names), len(known.customers))
    members = sparse.csr_matrix(
        (np.ones(len(number)), (number, known.groups.row.to_numpy(int))), shape
    )
    size = np.maximum(np.asarray(members.sum(axis=1)).ravel(), 1)
    shares = sparse.csr_matrix(sparse.diags_array(1 / size) @ (members @ known.bought))
    own = known.groups.assign(number=number)[known.groups.own.to_numpy(bool)]
    return names, shares, own.set_index("row").number


def _by_group(known: Purchases, shares: Shares, rows: np.ndarray) -> pd.DataFrame:
    """The most bought by those of the same need or interest."""
    names, of_group, own = shares
    grouped = rows[np.isin(rows, own.index)]
    best = _best(known, of_group[own.reindex(grouped).to_numpy(int)].toarray(), grouped)
    group = names[own.reindex(best.row).to_numpy(int)].to_numpy(dtype=object)
    return best.assign(order=4, kind="popular", group=group)


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=list(PLACED)).astype(PLACED)


def _placed(found: pd.DataFrame) -> pd.DataFrame:
    """The first PLACES of each customer, no item twice."""
    key = found.get("key", pd.Series(np.nan, found.index)).fillna(-found.score)
    whole = found.reindex(columns=[*PLACED, "order"]).fillna({"by": -1, "group": ""})
    ordered = whole.assign(key=key).sort_values(["row", "order", "key", "column"])
    once = ordered.drop_duplicates(["row", "column"])
    placed = once.assign(rank=once.groupby("row").cumcount() + 1)
    return placed[placed["rank"] <= PLACES][[*PLACED]].astype(PLACED)


def recommend(
    known: Purchases, rule: str, people: Sequence[str], names: pd.Series | None = None
) -> pd.DataFrame:
    """The table `recommendations`: customer_id, rank, item, kind (of KINDS), reason, score, sorted
    by customer_id and rank.

    `rule`: of RULES. `names`: what the reason calls items. Score ranks within its kind: what the
    rule says (new), the share who bought it (popular), days with contacts (asked), purchases
    (again).
    """
    rows = known.customers.get_indexer(pd.Index(sorted(set(people)), dtype="str"))
    rows = rows[rows >= 0]
    some = len(known.items) and len(rows)
    found = proposals(known, learned(known, rule), rows) if some else _empty()
    return found.assign(
        customer_id=known.customers[found.row].to_numpy(),
        item=known.items[found.column].to_numpy(),
        reason=_phrases(found, known.items, names),
    )[list(TABLE)].astype(TABLE)


# How each kind is said.
PHRASES = {
    "new": N_("often bought with {item:text}"),
    "again": N_("usually bought every {pause:int} days, last {ago:int} days ago"),
    "asked": N_("asked about on {contacts:int} days, last {ago:int} days ago"),
    "popular": N_("most bought"),
    "popular_group": N_("most bought by customers who like or ask for {group:text}"),
}


def _phrases(found: pd.DataFrame, items: pd.Index, names: pd.Series | None) -> np.ndarray:
    """The reasons in words; each distinct set of figures is said once."""
    in_group = (found.kind == "popular") & (found.group != "")
    facts = found[["by", "pause", "ago", "contacts", "group"]].assign(
        kind=np.where(in_group, "popular_group", found.kind), pause=found.pause.round()
    )
    distinct = facts.drop_duplicates()
    texts = []
    for row in distinct.to_dict("records"):
        item = items[row["by"]] if row["by"] >= 0 else ""
        name = item if names is None else names.get(item, item)
        texts.append(say(PHRASES[row.pop("kind")], item=name, **row))
    number = facts.groupby(list(facts), sort=False, dropna=False).ngroup()
    return np.array(texts, dtype=object)[number.to_numpy()]


def counts(table: pd.DataFrame) -> dict[str, int]:
    """Customers with a proposal (customers), and the proposals of each of KINDS."""
    by_kind = table.kind.value_counts().reindex(KINDS, fill_value=0)
    return {"customers": table.customer_id.nunique(), **by_kind}


def by_item(table: pd.DataFrame, names: pd.Series | None = None) -> pd.DataFrame:
    """Items by the customers they are proposed to, the most first: item (under its name),
    customers, and how many of them by each of KINDS (new_offers …).
    """
    kinds = pd.crosstab(table["item"], table.kind).reindex(columns=list(KINDS), fill_value=0)
    whole = kinds.add_suffix("_offers").assign(customers=kinds.sum(axis=1)).reset_index()
    order = whole.sort_values(["customers", "item"], ascending=[False, True], ignore_index=True)
    return named(order, names)[["item", "customers", *(f"{kind}_offers" for kind in KINDS)]]


def named(table: pd.DataFrame, names: pd.Series | None) -> pd.DataFrame:
    """The table with items under their names, as far as they have one."""
    if names is None:
        return table
    return table.assign(item=table["item"].map(names).fillna(table["item"]))
