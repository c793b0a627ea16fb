"""The description of a file that follows from its columns: its table, what each column means, how
dates and numbers are written, and what marks returns, void rows and copies among orders.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from analysis.intake import layouts
from analysis.intake.column_matching import (
    attributes_of,
    columns_of,
    identifies,
    status_word,
    table_of,
)
from analysis.intake.column_names import rank, says
from analysis.intake.columns import (
    ANSWERED,
    Choice,
    Entry,
    Look,
    files_of,
    of_answer,
    values_of,
)
from analysis.intake.customer_ids import JOINED, asked_of_crowd
from analysis.intake.sale_money import money_of_sales, paid_back
from analysis.intake.value_formats import ASK, Verdict, date_format, decimal_mark, number
from analysis.report.text import say
from analysis.schema import RECORDS

# What may name an order line, and the share of rows it must tell apart: two lines of an order may
# be of one product.
# Rows in several files, and their share of the smallest, from which it is asked if files overlap
FEWEST_AGAIN, OVERLAP = 10, 0.05
OF_A_LINE = ("customer_id", "date", "product", "category", "channel", "quantity")
ORDER_KEYS = ((["order_id"], 1.0), (["order_id", "product"], 0.98))
FEEDBACK = ("csat", "nps", "complaint", "ticket")
# Keys of a file, and of the company, that may come with an answer about a column
COMPANY_KEYS = ("nobody", "somebody", "accept")
KEYS = ("of_order", "before_discount", "returns", "void_status")


# What was answered: by the list of entries and the key that a question stood for, its keys
Answers = Mapping[tuple[str, str], Mapping[str, Any]]

# Whether orders of some statuses have their money paid back in their own rows
PaidBack = Callable[[list[str]], bool]


@dataclass(frozen=True)
class Recognition:
    """A file's table, and what of its description follows from its columns."""

    table: str
    sure: bool  # every needed column was known by its name
    columns: list[Entry]
    attributes: list[Entry] = field(default_factory=list)
    date_format: list[Entry] = field(default_factory=list)
    marks: list[Entry] = field(default_factory=list)  # decimal, returns, order_key, constants …
    company: list[Entry] = field(default_factory=list)  # keys that hold for all files
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
            return say("no column can be {meanings:text}", meanings=say(" or ").join(none))
        known = len(self.columns) + len(self.attributes)
        return "" if known > 1 else say("only one column is known")


def recognise(
    look: Look, ids: frozenset[str] = frozenset(), answers: Answers | None = None
) -> Recognition:
    """What a file is. `ids` are the customers of the orders, by which other tables' customer column
    is known; `answers` are what was said to questions of an earlier look.
    """
    said = answers or {}
    table, sure, alike = table_of(look)
    orders = table == "transactions"
    columns = answered(columns_of(table, look, frozenset() if orders else ids), "columns", said)
    if orders:
        columns = [asked_of_crowd(e, look) if _is_found(e) else e for e in columns]
    columns, of_file, notes = money_of_sales(columns, look) if orders else (columns, [], [])
    columns = answered(columns, "columns", said)
    if orders and any(entry.key == "returns" for entry in of_file) and _lack_buyer(columns):
        columns = [entry for entry in columns if entry.key != "customer_id"]
        notes.append(say("its customers are those of the orders that it names"))
    of_file = [entry for entry in columns if entry.key in KEYS] + of_file
    company = [entry for entry in columns if entry.key in COMPANY_KEYS]
    columns = [entry for entry in columns if entry not in [*of_file, *company]]
    notes += _rounded_orders(look) if orders else []
    if alike:
        others = ", ".join(alike)
        note = say(
            "taken as {table:text}; it could also be {others:text}", table=table, others=others
        )
        notes.insert(0, note)
    notes += [f"{entry.key}: {entry.value}; {entry.doubt}" for entry in columns if entry.doubt]
    meanings = Recognition(table, sure, columns).meanings
    attributes = attributes_of(look, meanings) if table == "customers" else []
    dates, marks = _written(table, look, meanings)
    marks += of_file
    if orders:
        marks += layouts.fill_down(look, meanings)
        whole = [name for entry in of_file if entry.key == "of_order" for name in entry.value]
        returned = partial(paid_back, look, meanings, whole)
        own = _sale_marks(look, meanings, returned)
        marks += [mark for mark in own if mark.key not in {entry.key for entry in of_file}]
    if table == "feedback" and "kind" not in meanings:
        marks.append(_kind_of_feedback(look))
    dates = answered(dates, "date_format", said)
    marks = answered(marks, "marks", said)
    notes += [entry.doubt for entry in marks if entry.doubt]
    used = {*meanings.values(), *(entry.value for entry in attributes)}
    used |= {part for name in used for part in name.split(JOINED)}
    unused = [name for name in look if name not in used and JOINED not in name]
    return Recognition(table, sure, columns, attributes, dates, marks, company, unused, notes)


def _rounded_orders(look: Look) -> list[str]:
    """What is said of columns called an order's number that tell no orders."""
    return [
        say(
            "{column:text} is rounded by a spreadsheet, as 1.38E+11, and tells no orders; export it"
            " as text",
            column=column.name,
        )
        for column in look.values()
        if rank(column.name, "transactions", "order_id") == 0 and not identifies(column)
    ]


def _lack_buyer(columns: list[Entry]) -> bool:
    """Whether orders are known and who the customer is, is asked."""
    asked = {entry.key: bool(entry.question) for entry in columns}
    return not asked.get("order_id", True) and asked.get("customer_id", True)


def _is_found(entry: Entry) -> bool:
    """Whether an entry is a customer column that was neither asked for nor chosen."""
    return entry.key == "customer_id" and not entry.question and entry.source != ANSWERED


def answered(entries: list[Entry], place: str, answers: Answers) -> list[Entry]:
    """The entries with what was answered in place of their questions; lists of one key are one."""
    made: dict[str, Entry] = {}
    for entry in entries:
        keys = answers.get((place, entry.key)) if entry.question else None
        found = [entry] if keys is None else of_answer(keys)
        for one in found:
            if one.key in made and isinstance(one.value, list):
                one = one._replace(value=[*made[one.key].value, *one.value])
            made[one.key] = one
    return list(made.values())


def _written(
    table: str, look: Look, meanings: Mapping[str, str]
) -> tuple[list[Entry], list[Entry]]:
    """How dates are written, by column, and the decimal mark where it is no point."""
    dates, numbers = [], []
    for meaning, name in meanings.items():
        spec, column = RECORDS[table].columns[meaning], look[name]
        if spec.reads_as in ("money", "number"):
            numbers.append(column.seen)
        elif spec.reads_as in ("moment", "day"):
            found = date_format(column.seen, person=True) if spec.person else column.dates
            if found:
                dates.append(_entry(meaning, found, name))
    mark = decimal_mark(numbers)
    return dates, [_entry("decimal", mark)] if mark.value != "." else []


def _entry(key: str, found: Verdict, column: str = "") -> Entry:
    question = f"{column}: {found.question}" if column and found.question else found.question
    choices = tuple(Choice(words, {key: value}) for words, value in found.choices)
    return Entry(key, found.value, found.evidence, question, choices=choices)


def _kind_of_feedback(look: Look) -> Entry:
    kinds = [kind for kind in FEEDBACK if any(says(name, kind) for name in look)]
    if len(kinds) == 1:
        return Entry("constants", {"kind": kinds[0]}, say("by the columns' names"))
    choices = [Choice(kind, {"constants": {"kind": kind}}) for kind in kinds or FEEDBACK]
    return Entry("constants", ASK, question=say("what are these?"), choices=tuple(choices))


# --- what each line is


def _sale_marks(look: Look, meanings: Mapping[str, str], paid_back: PaidBack) -> list[Entry]:
    """What tells returns, rows that never became a sale, and rows that are the same."""
    texts = {meaning: look[name].texts for meaning, name in meanings.items()}
    returns, void = _by_status(texts, meanings, paid_back) if "status" in texts else ([], [])
    returns += _cancellations(texts.get("order_id", []))
    if len(returns) > 1:
        status, prefix = returns
        both = "; ".join(filter(None, (status.comment, prefix.comment)))
        choices = tuple(
            Choice(words, keys | {"returns": keys.get("returns", {}) | prefix.value})
            for words, keys in status.choices
        )
        value = status.value | prefix.value
        returns = [Entry("returns", value, both, status.question, choices=choices)]
    keys = _order_key(look, meanings) if "order_id" in meanings else []
    return [*returns, *void, *(keys or _in_several_files(look, meanings))]


def _by_status(
    texts: Mapping[str, list[str]], meanings: Mapping[str, str], paid_back: PaidBack
) -> tuple[list[Entry], list[Entry]]:
    """The words in status for returns, and for rows that never became a sale."""
    of = {
        text: status_word(text, meanings["status"])
        for text in dict.fromkeys(filter(None, texts["status"]))
    }
    if "won" in of.values():  # a deal is a sale when it is won, and only then
        of = {text: word if word == "won" else "void" for text, word in of.items()}
    returned, void = ([text for text in of if of[text] == word] for word in ("returned", "void"))
    if paid_back(returned):
        void, returned = [*void, *returned], []
    kept = ", ".join(text for text in of if of[text] in ("kept", "won"))[:200]
    sales = say("kept as sales: {statuses:text}", statuses=kept or say("none"))
    return (
        [_of_returned(texts, returned)] if returned else [],
        [Entry("void_status", void, sales)] if void else [],
    )


def _of_returned(texts: Mapping[str, list[str]], returned: list[str]) -> Entry:
    """Whether returned rows stand beside the rows of their sales; else the question what they are.

    A sale has the product and the order's number of its return, whatever letters are before it, or
    its customer, product and amount.
    """
    statuses = texts["status"]
    products = texts.get("product", [""] * len(statuses))
    keys: list[list[tuple[str, ...]]] = []
    if "order_id" in texts:
        numbers = [re.sub(r"\D", "", text) for text in texts["order_id"]]
        keys.append(list(zip(numbers, products, strict=True)))
    if {"customer_id", "amount"} <= texts.keys():
        keys.append(list(zip(texts["customer_id"], texts["amount"], products, strict=True)))
    rows = [n for n, status in enumerate(statuses) if status in returned]
    sales = [n for n, status in enumerate(statuses) if status and status not in returned]
    sold = {way[n] for way in keys for n in sales}
    back = sum(any(way[n] in sold for way in keys) for n in rows)
    words = ", ".join(returned)
    if "amount" in texts and all(_is_below_zero(texts["amount"][n]) for n in rows):
        found = say("the money of rows with {statuses:text} is below zero", statuses=words)
        return Entry("returns", {"status": returned}, found)
    if back >= max(len(rows) / 2, 1):
        found = say(
            "{n:int} of {all:int} rows with {statuses:text} have their sale in another row",
            n=back,
            all=len(rows),
            statuses=words,
        )
        return Entry("returns", {"status": returned}, found)
    choices = (
        Choice(
            say("the money paid back for a sale in another row"), {"returns": {"status": returned}}
        ),
        Choice(say("that sale itself, which came to nothing"), {"void_status": returned}),
    )
    return Entry(
        "returns",
        {"status": returned},
        question=say("what is a row with {statuses:text}?", statuses=words),
        choices=choices,
    )


def _is_below_zero(text: str) -> bool:
    return any((number(text, decimal) or 0) < 0 for decimal in ".,")


def _cancellations(order_ids: list[str]) -> list[Entry]:
    """The letters before the id of another order, in the ids of cancellations."""
    ids = set(filter(None, order_ids))
    parts = [re.fullmatch(r"([A-Za-z]+[-_ ]?)(.+)", one) for one in sorted(ids)]
    prefixes = Counter(part[1] for part in parts if part and part[2] in ids)
    if not prefixes:
        return []
    prefix = prefixes.most_common(1)[0][0]
    begin = sum(one.startswith(prefix) for one in ids)
    comment = say(
        "{n:int} of the {all:int} order ids that begin so go on with the id of another order",
        n=prefixes.total(),
        all=begin,
    )
    return [Entry("returns", {"prefix": prefix}, comment)] if begin < len(ids) / 2 else []


def _in_several_files(look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    """The question whether rows that stand in several files are the same sales, where no key says
    so.
    """
    places = next(iter(look.values())).places
    files = Counter(file for _, file in places)
    if len(files) < 2:
        return []
    cells = zip(*(column.texts for column in look.values()), strict=True)
    apart = {(row, file) for row, (_, file) in zip(cells, places, strict=True)}
    standing = Counter(row for row, _ in apart)
    again = sum(n - 1 for n in standing.values())
    if again < max(FEWEST_AGAIN, OVERLAP * min(files.values())):
        return []
    question = say("{n:int} rows stand in more than one file: are they the same sales?", n=again)
    key = [name for name in meanings if name in OF_A_LINE]
    yes = say("yes, each counts once, and so do rows of one file that are the same")
    choices = (Choice(yes, {"order_key": key}), Choice(say("no, each is a sale"), {}))
    return [Entry("order_key", ASK, question=question, choices=choices)]


def _order_key(look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    """The columns that tell the order lines of a file apart, rows that are repeated whole left
    aside; what stands in two files is one line in two exports.
    """
    rows = set(zip(*values_of(look).values(), files_of(look), strict=True))
    for key, enough in ORDER_KEYS:
        if set(key) <= set(meanings):
            at = [list(look).index(meanings[meaning]) for meaning in key]
            keys = [(*(row[place] for place in at), row[-1]) for row in rows]
            keys = [found for found in keys if all(found)]
            if keys and len(set(keys)) >= enough * len(keys):
                different, all_ = len(set(keys)), len(keys)
                comment = say("different in {n:int} of {all:int} rows", n=different, all=all_)
                return [Entry("order_key", key, comment)]
    return []
