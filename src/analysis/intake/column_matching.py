"""What a file of records is and what its columns mean: told from their names and their values, or
asked.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from analysis.intake.identity import LEGAL_FORMS
from analysis.intake.parsing import NO, YES
from analysis.intake.value_formats import (
    ASK,
    DATED,
    MOST,
    NUMBERED,
    Placed,
    Verdict,
    date_format,
    decimal_mark,
    mark,
    mask,
    number,
)
from analysis.schema import RECORDS

ALIASES = Path(__file__).with_name("aliases.yml")
# What may name an order line, and the share of rows it must tell apart: two lines of an order may
# be of one product.
ORDER_KEYS = ((["order_id"], 1.0), (["order_id", "product"], 0.98))
COMPANIES = 0.2  # share of names with Ltd, 公司, … above which they are companies' names
NEEDED_VOTES = 1.5  # what a table gets for having all the columns it needs
ONE_ROW_EACH = {
    "customers": "customer_id",
    "products": "product",
}  # tables, and the column that must tell their rows apart
APART = 0.8  # share of rows it must tell apart: exports hold doubles
FEEDBACK = ("csat", "nps", "complaint", "ticket")
STATUSES = 50  # at most; a column of more is none, and its values are not written into the file
FEW = 20  # distinct values of a column that customers are grouped by
SEVERAL = 5  # orders of several rows, and different amounts of theirs, from which to conclude
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PHONE = re.compile(r"(?=.*[+() -])\+?[\d() .-]{7,20}|1[3-9]\d{9}")
DOUBT = re.compile(
    "by its values|it could also be|the price, since"
)  # in a comment: what is worth a second look
COUNT = re.compile(r"-?(0|[1-9]\d{0,2})(\.0+)?")


@dataclass(frozen=True, eq=False)
class Column:
    """A file's column: its values in the first rows, more of them where wanted, and where they
    stand.
    """

    name: str
    values: list[str]
    places: list[str]
    more: list[str] = field(default_factory=list)
    more_places: list[str] = field(default_factory=list)

    @cached_property
    def seen(self) -> list[Placed]:
        """All values with their places."""
        return list(zip([*self.values, *self.more], [*self.places, *self.more_places], strict=True))

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each value stands in the first rows, empty ones left out."""
        return Counter(filter(None, self.values))

    @cached_property
    def sparse(self) -> bool:
        """Whether most rows have no value."""
        return self.counts.total() < len(self.values) / 2

    def share(self, holds: Callable[[str], Any]) -> float:
        """The share of the values for which something holds."""
        return sum(n for value, n in self.counts.items() if holds(value)) / (
            self.counts.total() or 1
        )

    @cached_property
    def dates(self) -> Verdict | None:
        """How its dates are written, were it called a date; None where the first rows hold none."""
        found = date_format(list(zip(self.values, self.places, strict=True)))
        return date_format(self.seen) if found and self.more else found

    @cached_property
    def kind(self) -> str:
        """What it is by its values alone."""
        kinds: dict[str, Callable[[], bool]] = {
            "empty": lambda: not self.counts,
            "date": lambda: self.dates is not None and self.dates.value not in NUMBERED,
            "e-mail": lambda: self.share(EMAIL.fullmatch) >= DATED,
            "count": lambda: self.share(COUNT.fullmatch) >= MOST,
            "decimal": lambda: self.reads_as("number") and self.share(mark) > 0,
            "telephone": lambda: self.share(PHONE.fullmatch) >= DATED,
            "id": lambda: self.share(lambda v: any(map(str.isdigit, v)) and " " not in v) >= MOST,
        }
        return next((name for name, holds in kinds.items() if holds()), "text")

    def reads_as(self, kind: str) -> bool:
        """Whether its values can be read as a meaning asks."""
        if not self.counts or kind == "text":
            return bool(self.counts)
        if kind in ("moment", "day"):
            return self.dates is not None
        if kind == "flag":
            return self.share(lambda v: v.lower() in (*YES, *NO)) >= MOST
        return self.share(lambda v: mark(v) is not None) >= MOST


Look = dict[str, Column]


class Entry(NamedTuple):
    """A line of the dataset file; one with a question is written as ?."""

    key: str
    value: Any
    comment: str = ""
    question: str = ""


@dataclass(frozen=True)
class Recognition:
    """A file's table, and what of its description follows from its columns."""

    table: str
    sure: bool  # every needed column was known by its name
    columns: list[Entry]
    attributes: list[Entry] = field(default_factory=list)
    date_format: list[Entry] = field(default_factory=list)
    marks: list[Entry] = field(
        default_factory=list
    )  # decimal, returns, void_status, order_key, constants
    unused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def meanings(self) -> dict[str, str]:
        """Our column: the file's column, where it is settled."""
        return {entry.key: entry.value for entry in self.columns if not entry.question}

    @property
    def lacking(self) -> str:
        """Why the file is of no use as it is; nothing where it is."""
        if none := [entry.key for entry in self.columns if entry.value is None]:
            return f"no column can be {' or '.join(none)}"
        return "" if len(self.columns) + len(self.attributes) > 1 else "only one column is known"


def recognise(look: Look, ids: frozenset[str] = frozenset()) -> Recognition:
    """What a file is. `ids` are the customers of the orders, by which other tables' customer column
    is known.
    """
    table, sure, notes = table_of(look)
    columns = _columns(table, look, ids if table != "transactions" else frozenset())
    if table == "transactions":
        columns, settled = _money_once(columns, look)
        notes += settled
    notes += [
        f"{e.key}: {e.value}; {e.comment[at.start() :]}"
        for e in columns
        if (at := DOUBT.search(e.comment))
    ]
    what = Recognition(table, sure, columns)
    attributes = _attributes(look, what.meanings) if table == "customers" else []
    marks = _decimal(table, look, what.meanings)
    marks += _sale_marks(look, what.meanings) if table == "transactions" else []
    marks += _kind_of_feedback(look) if table == "feedback" and "kind" not in what.meanings else []
    used = {*what.meanings.values(), *(entry.value for entry in attributes)}
    unused = [name for name in look if name not in used]
    return Recognition(
        table, sure, columns, attributes, _dates(table, look, what.meanings), marks, unused, notes
    )


def needs_more(look: Look) -> list[str]:
    """Columns of which more than the first rows is worth reading: what is rare, or undecided, may
    come later.
    """
    table, *_ = table_of(look)
    options = _options(table, look)
    rare = ("order_id", "status", "currency", "customer_id", "product")
    named = {
        column.name
        for meaning, found in options.items()
        for _, column in found
        if meaning in rare or RECORDS[table].columns[meaning].reads_as in ("money", "number")
    }
    return [name for name, c in look.items() if name in named or c.dates]


# --- names ----------------------------------------------------------------------------------------
# --------------------


def plain(name: str) -> str:
    """A name without what differs between programs: case, width, blanks, underscores, punctuation."""
    return re.sub(r"[^\w*]|_", "", unicodedata.normalize("NFKC", name).casefold())


@cache
def aliases() -> dict[str, Any]:
    """The file of known names and words, made plain: names by table, meaning and rank; words by
    what they say.
    """
    read = yaml.safe_load(ALIASES.read_text("utf-8"))
    ranked = {
        table: {
            meaning: [
                list(map(plain, rank))
                for rank in (names if isinstance(names[0], list) else [names])
            ]
            for meaning, names in meanings.items()
        }
        for table, meanings in read.items()
        if table != "words"
    }
    return ranked | {
        "words": {said: list(map(plain, words)) for said, words in read["words"].items()}
    }


def says(value: str, what: str) -> bool:
    """Whether a text is one of the words for something, as returned or void."""
    return any(fnmatchcase(plain(value), word) for word in aliases()["words"][what])


def is_known(name: str) -> bool:
    """Whether some table has a meaning of this name."""
    return any(
        _rank(name, table, meaning) is not None
        for table in RECORDS
        for meaning in RECORDS[table].columns
    )


@cache
def _rank(name: str, table: str, meaning: str) -> int | None:
    """Where a column's name stands among those known for a meaning; a unit in brackets does not
    count.
    """
    forms = {plain(name), plain(re.sub(r"[(（\[【].*?[)）\]】]", "", name))} - {""}
    ranks = aliases()[table].get(meaning, [])
    return next(
        (
            n
            for n, known in enumerate(ranks)
            if any(fnmatchcase(f, k) for f in forms for k in known)
        ),
        None,
    )


# --- tables and columns
# -----------------------------------------------------------------------------------------------

# The columns that may have a meaning, each with the rank of its name.
Options = dict[str, list[tuple[int, Column]]]


def table_of(look: Look) -> tuple[str, bool, list[str]]:
    """The table that most columns speak for, whether all it needs was found by name, and other
    tables it could be.

    A column that several tables know gives each an equal part of its vote.
    """
    options = {table: _options(table, look) for table in RECORDS}
    knowing = Counter(
        c.name
        for some in options.values()
        for c in {c for found in some.values() for _, c in found}
    )
    votes: dict[str, float] = {}
    sure: dict[str, bool] = {}
    for table, some in options.items():
        needed = [
            meaning in some for meaning, spec in RECORDS[table].columns.items() if spec.needed
        ]
        key = some.get(ONE_ROW_EACH.get(table, ""), [])
        if key and not any(len(c.counts) >= APART * c.counts.total() for _, c in key):
            needed = [False]
        sure[table] = all(needed)
        votes[table] = NEEDED_VOTES * sum(needed) / len(needed)
        votes[table] += sum(max(1 / knowing[c.name] for _, c in found) for found in some.values())
    best = max(votes, key=lambda table: votes[table])
    alike = [
        table for table in votes if table != best and sure[table] and votes[table] >= votes[best]
    ]
    alike = (
        [] if best == "transactions" and "amount" in options[best] else alike
    )  # money by customer and day is orders
    return (
        best,
        sure[best],
        [f"taken as {best}; it could also be {', '.join(alike)}"] if alike else [],
    )


def _options(table: str, look: Look) -> Options:
    """For each meaning the columns called so whose values fit, the best first.

    A column goes to the meaning that ranks it best; besides that it may be the customer's id.
    """
    ranks = {
        (m, c): r
        for m in RECORDS[table].columns
        for c in look.values()
        if (r := _rank(c.name, table, m)) is not None
    }
    ranks = {
        (m, c): r
        for (m, c), r in ranks.items()
        if _fits(RECORDS[table].columns[m].reads_as, m, r, c)
    }
    best = {
        c: min(
            (r for (m, other), r in ranks.items() if other is c and m != "customer_id"), default=0
        )
        for _, c in ranks
    }
    options: Options = {}
    taken: set[Column] = set()
    for (meaning, column), rank in ranks.items():
        if meaning == "customer_id" or (rank == best[column] and column not in taken):
            options.setdefault(meaning, []).append((rank, column))
            taken |= {column} if meaning != "customer_id" else set()
    return {
        meaning: sorted(found, key=lambda o: (o[1].sparse, o[0]))
        for meaning, found in options.items()
    }


def _fits(reads_as: str, meaning: str, rank: int, column: Column) -> bool:
    if meaning == "company" and rank:  # a customer's name may be a person's, which is never shown
        return column.share(lambda v: re.search(LEGAL_FORMS, v.lower())) >= COMPANIES
    if meaning == "order_id" and rank > 1:
        return column.share(lambda v: any(map(str.isdigit, v))) >= MOST
    if meaning == "status" and len(column.counts) > STATUSES:
        return False
    if (
        meaning == "discount"
        and column.share(lambda v: (n := number(v, mark(v) or ".")) is None or abs(n) <= 1) == 1
    ):
        return False  # a rate, not money
    return column.reads_as(reads_as)


def _columns(table: str, look: Look, ids: frozenset[str]) -> list[Entry]:
    options, known = _options(table, look), RECORDS[table].columns
    joining = _joining(look, options.get("customer_id", []), ids) if "customer_id" in known else []
    options |= {"customer_id": [(0, column) for column in joining]} if joining else {}
    entries = {meaning: _named(table, meaning, found) for meaning, found in options.items()}
    if joining and not (entry := entries["customer_id"]).question:
        shared = len(ids.intersection(joining[0].counts))
        entries["customer_id"] = entry._replace(
            comment=f"{entry.comment}, {shared:,} of them with orders"
        )
    for meaning in known:
        free = [c for c in look.values() if c.name not in {e.value for e in entries.values()}]
        if meaning not in entries and (found := _by_values(table, meaning, free, entries)):
            entries[meaning] = found
    return [entries[meaning] for meaning in known if meaning in entries]


def _joining(look: Look, named: list[tuple[int, Column]], ids: frozenset[str]) -> list[Column]:
    """The columns in which most customers that have orders were seen; none where none was."""
    possible = [
        c
        for c in look.values()
        if c in [c for _, c in named] or c.kind in ("id", "text", "e-mail", "telephone")
    ]
    shared = {column: len(ids.intersection(column.counts)) for column in possible}
    return [column for column, n in shared.items() if n and n == max(shared.values())]


def _named(table: str, meaning: str, found: list[tuple[int, Column]]) -> Entry:
    rank, column = found[0]
    equal = [c for r, c in found if (r, c.sparse) == (rank, column.sparse)]
    if any(c.values != column.values for c in equal):
        return Entry(meaning, ASK, question=_which(table, meaning, equal))
    others = [c.name for _, c in found if c not in equal]
    over = (
        f"; it could also be {', '.join(others)}"
        if others and meaning in ("customer_id", "date", "amount")
        else ""
    )
    return Entry(meaning, column.name, _seen_in(column, table, meaning) + over)


def _which(table: str, meaning: str, columns: Sequence[Column]) -> str:
    choices = "; ".join(f"{c.name} ({_seen_in(c, table, meaning)})" for c in columns)
    return (
        f"which column is {meaning}, {RECORDS[table].columns[meaning].words}:"
        f" {choices or 'all have another meaning'}?"
    )


def _seen_in(column: Column, table: str, meaning: str) -> str:
    """What a column holds: the shape of a value, and how many there are; of a person's column
    neither.
    """
    spec = RECORDS[table].columns.get(meaning)
    reach = column.kind if column.kind in ("e-mail", "telephone") else ""
    person = spec is not None and spec.person
    shape = reach or ("a person's" if person else f"as {mask(next(iter(column.counts), ''))}")
    distinct = (
        f"{len(column.counts):,} different in {len(column.values):,} rows"
        if not spec or spec.reads_as == "text"
        else ""
    )
    empty = len(column.values) - column.counts.total()
    return ", ".join(filter(None, [shape, distinct, f"{empty:,} empty" if empty else ""]))


def _by_values(
    table: str, meaning: str, free: list[Column], have: Mapping[str, Entry]
) -> Entry | None:
    """A column for a meaning that no name gives: the only one of its kind; or a question, where it
    is needed.
    """
    kinds = {"date": ["date"], "customer_id": ["id"], "email": ["e-mail"], "phone": ["telephone"]}
    kinds |= {"amount": ["decimal"], "quantity": ["count"]} if table == "transactions" else {}
    if meaning == "amount" and "unit_price" in have:
        return None
    found = [c for c in free if c.kind in kinds.get(meaning, [])]
    if meaning == "customer_id":
        found = [c for c in found if _may_be_customers(c, table)] or [
            c for c in free if c.kind in ("e-mail", "telephone")
        ]
    if len(found) == 1:
        return Entry(meaning, found[0].name, f"by its values, {_seen_in(found[0], table, meaning)}")
    if RECORDS[table].columns[meaning].needed or (found and meaning == "amount"):
        return Entry(
            meaning, ASK if found else None, question=_which(table, meaning, found or free)
        )
    return None


def _may_be_customers(column: Column, table: str) -> bool:
    """Several, in most rows, and in orders not one of its own for each row."""
    numbers_the_rows = (
        table == "transactions" and len(column.counts) == len(column.values) > SEVERAL
    )
    return len(column.counts) > 1 and not column.sparse and not numbers_the_rows


def _attributes(look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    """Further columns of customers with few values, to group them by."""
    free = [
        c
        for c in look.values()
        if c.name not in meanings.values() and c.kind in ("text", "count", "id")
    ]
    few = [c for c in free if 1 < len(c.counts) <= min(FEW, len(c.values) / 2)]
    named = {re.sub(r"\W+", "_", c.name.casefold()).strip("_"): c for c in few}
    known = ("", *RECORDS["customers"].columns)
    return [
        Entry(ours, c.name, _seen_in(c, "customers", ours))
        for ours, c in named.items()
        if ours not in known
    ]


# --- money, and how values are written
# --------------------------------------------------------------------------------


def _money_once(columns: list[Entry], look: Look) -> tuple[list[Entry], list[str]]:
    """The money of a line in one way only, its amount or price times quantity; and what had to be
    settled.
    """
    have = {entry.key: entry for entry in columns}
    amount, price, pieces = (have.get(name) for name in ("amount", "unit_price", "quantity"))
    if price and not amount and not pieces:
        have["amount"] = price._replace(
            key="amount", comment=f"{price.comment}; the price, since there is no quantity"
        )
    if not amount or amount.question:
        return [e for e in have.values() if e.key != "unit_price" or "amount" not in have], []
    priced = price and pieces and not price.question and not pieces.question
    how = (
        "" if priced and _multiplies(look, have) else _of_order(look, amount, have.get("order_id"))
    )
    if how and priced and price and pieces:
        said = (
            f"amount: {amount.value} {how}; {price.value} x {pieces.value} is taken as the money of"
            " a line"
        )
        return [e for e in columns if e.key != "amount"], [said]
    if how:
        said = f"{amount.value} {how}: is it the money of the line, or of the whole order?"
        have["amount"] = Entry("amount", ASK, question=said)
    return [e for e in have.values() if e.key != "unit_price"], []


def _multiplies(look: Look, have: Mapping[str, Entry]) -> bool:
    """Whether the amount is price times quantity."""
    three = [look[have[name].value] for name in ("amount", "unit_price", "quantity")]
    decimal = decimal_mark(c.seen for c in three).value
    rows = [
        [number(text, decimal) for text in row]
        for row in zip(*(c.values for c in three), strict=True)
    ]
    whole = [(a, p * n) for a, p, n in rows if a is not None and p is not None and n is not None]
    return bool(whole) and sum(abs(a - b) <= Decimal("0.02") for a, b in whole) >= MOST * len(whole)


def _of_order(look: Look, amount: Entry, order_id: Entry | None) -> str:
    """How an amount shows that it is the whole order's; nothing where it is a line's."""
    if order_id is None or order_id.question:
        return ""
    orders: dict[str, list[str]] = {}
    for key, text in zip(look[order_id.value].values, look[amount.value].values, strict=True):
        orders.setdefault(key, []).append(text)
    several = [texts for key, texts in orders.items() if key and len(texts) > 1]
    if len(several) < SEVERAL:
        return ""
    if sum(bool(texts[0]) and not any(texts[1:]) for texts in several) >= MOST * len(several):
        return "stands only in the first row of an order"
    alike = sum(len(set(texts)) == 1 for texts in several) >= MOST * len(several)
    return (
        "is the same in all rows of an order"
        if alike and len({texts[0] for texts in several}) >= SEVERAL
        else ""
    )


def _dates(table: str, look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    entries = []
    for meaning, name in meanings.items():
        spec = RECORDS[table].columns[meaning]
        found = look[name].dates if not spec.person else date_format(look[name].seen, person=True)
        if spec.reads_as in ("moment", "day") and found:
            entries.append(
                Entry(
                    meaning,
                    found.value,
                    found.evidence,
                    found.question and f"{name}: {found.question}",
                )
            )
    return entries


def _decimal(table: str, look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    numbers = [
        look[name]
        for m, name in meanings.items()
        if RECORDS[table].columns[m].reads_as in ("money", "number")
    ]
    found = decimal_mark(column.seen for column in numbers)
    return [Entry("decimal", *found)] if found.value != "." else []


def _kind_of_feedback(look: Look) -> list[Entry]:
    kinds = [kind for kind in FEEDBACK if any(says(name, kind) for name in look)]
    if len(kinds) == 1:
        return [Entry("constants", {"kind": kinds[0]}, "by the columns' names")]
    said = (
        f"which of {', '.join(FEEDBACK)} are these? Write it as {{kind: {(kinds or FEEDBACK)[0]}}}"
    )
    return [Entry("constants", ASK, question=said)]


def _sale_marks(look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    """What tells returns, rows that never became a sale, and rows that are the same."""
    returns, void = _by_status(look, meanings) if "status" in meanings else ([], [])
    returns += _cancellations(_texts(look, meanings, "order_id"))
    if returns:
        said = {
            name: "; ".join(filter(None, (getattr(e, name) for e in returns)))
            for name in ("comment", "question")
        }
        returns = [
            Entry(
                "returns", {key: value for e in returns for key, value in e.value.items()}, **said
            )
        ]
    return [*returns, *void, *(_order_key(look, meanings) if "order_id" in meanings else [])]


def _by_status(look: Look, meanings: Mapping[str, str]) -> tuple[list[Entry], list[Entry]]:
    """The words in status for returns, and for rows that never became a sale."""
    words = dict.fromkeys(filter(None, _texts(look, meanings, "status")))
    of = {
        text: next((w for w in ("kept", "returned", "won", "void") if says(text, w)), "kept")
        for text in words
    }
    if "won" in of.values():  # a deal is a sale when it is won, and only then
        of = {text: word if word == "won" else "void" for text, word in of.items()}
    returned, void = ([text for text in words if of[text] == word] for word in ("returned", "void"))
    kept = ", ".join(text for text in words if of[text] in ("kept", "won"))[:200]
    returns = (
        [Entry("returns", {"status": returned}, *_of_returned(look, meanings, returned))]
        if returned
        else []
    )
    return returns, [Entry("void_status", void, f"kept as sales: {kept or 'none'}")] if void else []


def _of_returned(look: Look, meanings: Mapping[str, str], returned: list[str]) -> tuple[str, str]:
    """Whether returned rows stand beside the rows of their sales, as comment; else the question
    what they are.

    A sale has the product and the order's number of its return, whatever letters are before it, or
    its customer, product and amount.
    """
    statuses, ids = (_texts(look, meanings, meaning) for meaning in ("status", "order_id"))
    products = _texts(look, meanings, "product") or [""] * len(statuses)
    whose = zip(
        *(_texts(look, meanings, meaning) for meaning in ("customer_id", "amount")),
        products,
        strict=False,
    )
    numbers = zip((re.sub(r"\D", "", text) for text in ids), products, strict=False)
    known = [list(keys) for keys in (numbers, whose)]
    rows = list(
        zip(statuses, *(keys for keys in known if keys), strict=False)
    )  # as far as all columns were read
    sold = {key for status, *keys in rows if status and status not in returned for key in keys}
    back = [any(key in sold for key in keys) for status, *keys in rows if status in returned]
    words = ", ".join(returned)
    if sum(back) >= max(len(back) / 2, 1):
        return (
            f"{sum(back):,} of {len(back):,} rows with {words} have their sale in another row",
            "",
        )
    said = (
        f"is a row with {words} the money paid back for a sale in another row (write {{status:"
        f" [{words}]}})"
    )
    return "", f"{said}, or that sale itself (write {{}}, and {words} under void_status)?"


def _texts(look: Look, meanings: Mapping[str, str], meaning: str) -> list[str]:
    """All values seen of one of our columns; none where it is not settled."""
    return [text for text, _ in look[meanings[meaning]].seen] if meaning in meanings else []


def _cancellations(order_ids: Iterable[str]) -> list[Entry]:
    """The letters before the id of another order, in the ids of cancellations."""
    ids = set(filter(None, order_ids))
    parts = {
        i: match
        for i in ids
        if (match := re.fullmatch(r"([A-Za-z]+[-_ ]?)(.+)", i)) and match[2] in ids
    }
    if not parts:
        return []
    prefix = Counter(match[1] for match in parts.values()).most_common(1)[0][0]
    begin = sum(i.startswith(prefix) for i in ids)
    comment = (
        f"{len(parts):,} of the {begin:,} order ids that begin so go on with the id of another"
        " order"
    )
    return [Entry("returns", {"prefix": prefix}, comment)] if begin < len(ids) / 2 else []


def _order_key(look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    """The columns that tell order lines apart, rows that are repeated whole left aside."""
    names = list(look)
    rows = set(zip(*(column.values for column in look.values()), strict=True))
    for key, enough in ORDER_KEYS:
        if set(key) <= set(meanings):
            keys = [
                found
                for row in rows
                if all(found := tuple(row[names.index(meanings[m])] for m in key))
            ]
            if keys and len(set(keys)) >= enough * len(keys):
                return [
                    Entry(
                        "order_key", key, f"different in {len(set(keys)):,} of {len(keys):,} rows"
                    )
                ]
    return []
