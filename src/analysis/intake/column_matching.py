"""What a file of records is and what its columns mean: told from their names and their values, or
asked.
"""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from analysis.intake import value_formats
from analysis.intake.column_names import is_rate, plain, rank, says
from analysis.intake.columns import (
    ADDRESSES,
    SEVERAL,
    WHOLE,
    Choice,
    Column,
    Entry,
    Look,
    has_digit,
    none_of_these,
)
from analysis.intake.customer_ids import JOINED, is_half
from analysis.intake.identity import LEGAL_FORMS
from analysis.intake.ids import MASKED, ROUNDED
from analysis.intake.parsing import YES
from analysis.intake.value_formats import ASK, MOST, mark, mask
from analysis.report.text import say
from analysis.schema import RECORDS

COMPANIES = 0.2  # share of names with Ltd, 公司, … above which they are companies' names
NEEDED_VOTES = 1.5  # what a table gets for having all the columns it needs
# Tables, and the column that must tell their rows apart
ONE_ROW_EACH = {"customers": "customer_id", "products": "product"}
CENTS = 0.02  # that rounding may part sums of money
PARTLY = 0.5  # share of numbers from which a column called money is asked about
CONTACTS = {"channel", "outcome", "note"}  # one of which tells interactions from orders
APART = 0.8  # share of rows it must tell apart: exports hold doubles
STATUSES = 50  # at most; a column of more is none, and its values are not written into the file
STATUS_WORDS = ("kept", "returned", "won", "void")  # what a status may say; an earlier one wins
FEW = 20  # distinct values of a column that customers are grouped by
# What a column may be by its values alone, where no name says it
BY_KIND = {"date": "date", "customer_id": "id", "email": "e-mail", "phone": "telephone"}
OF_ORDERS = {"amount": "decimal", "quantity": "count"}
# How names end that say whose number it is, or which
ID_NAME = re.compile(
    r"(?i)(^|[\W_])(ids?|no|nr|num|number|code|key|zip|postcode|year|month|week|day|age|rank|index)$"
    r"|[a-z]I[dD]$|编号|编码|代码|号$"
)
# Cents between other signs, as in 5.00 DR or kr 5,-
LIKE_MONEY = re.compile(r"[^\d.,]{0,8}\d[\d.,'’ \xa0\u202f]*[.,](\d\d|[-–])[^\d.,]{0,8}")


Ranked = list[tuple[int, Column]]  # columns that may have a meaning, with the rank of their names


# --- tables


def table_of(look: Look) -> tuple[str, bool, list[str]]:
    """The table that most columns speak for, whether all it needs was found by name, and what else
    it could be.

    A column that several tables know gives each an equal part of its vote.
    """
    options = {table: options_of(table, look) for table in RECORDS}
    by_table = [{c for some in found.values() for _, c in some} for found in options.values()]
    knowing = Counter(column for columns in by_table for column in columns)
    votes, sure = dict[str, float](), dict[str, bool]()
    for table, found in options.items():
        needed = [name in found for name, spec in RECORDS[table].columns.items() if spec.needed]
        key = found.get(ONE_ROW_EACH.get(table, ""), [])
        if key and not any(len(c.counts) >= APART * c.counts.total() for _, c in key):
            needed = [False]
        sure[table] = all(needed)
        shared = sum(max(1 / knowing[c] for _, c in some) for some in found.values())
        votes[table] = round(NEEDED_VOTES * sum(needed) / len(needed) + shared, 9)  # ties are ties
    best = max(votes, key=lambda table: votes[table])
    of_sales = sure["transactions"] and "amount" in options["transactions"]
    if best == "interactions" and of_sales and not CONTACTS & options[best].keys():
        best = "transactions"  # money and who sold it, and nothing of a contact
    alike = [t for t in votes if t != best and sure[t] and votes[t] >= votes[best]]
    if best == "transactions" and "amount" in options[best]:
        alike = []  # money by customer and day is orders
    return best, sure[best], alike


def options_of(table: str, look: Look) -> dict[str, Ranked]:
    """For each meaning the columns called so whose values fit, the best first.

    A column goes to the meaning that ranks it best; besides that it may be the customer's id.
    """
    places = {
        (meaning, column): place
        for meaning, spec in RECORDS[table].columns.items()
        for column in look.values()
        if (place := rank(column.name, table, meaning)) is not None
        and _fits(spec.reads_as, meaning, place, column)
    }
    best: dict[Column, str] = {}
    for meaning, column in sorted(places, key=lambda one: places[one]):
        if meaning != "customer_id":
            best.setdefault(column, meaning)
    options: dict[str, Ranked] = {}
    for (meaning, column), place in places.items():
        if meaning in ("customer_id", best.get(column)):
            options.setdefault(meaning, []).append((place, column))
    return {m: sorted(some, key=lambda one: (one[1].sparse, one[0])) for m, some in options.items()}


def _fits(reads_as: str, meaning: str, place: int, column: Column) -> bool:
    if meaning == "company" and place:  # a customer's name may be a person's, which is never shown
        return column.share(lambda v: re.search(LEGAL_FORMS, v.lower())) >= COMPANIES
    if meaning == "customer_id" and not identifies(column):
        return False
    if meaning == "order_id" and not identifies(column):
        return False
    if meaning == "order_id" and place > 1:
        return column.share(has_digit) >= MOST
    if meaning == "status" and len(column.counts) > STATUSES:
        return False
    if meaning in ("discount", "refund"):  # a share, or a flag, is no money
        if is_rate(column.name):
            return False
        numbers = {value_formats.number(text, mark(text) or ".") for text in column.counts} - {None}
        nothing_yet = meaning == "refund" and numbers == {0}
        if not nothing_yet and all(abs(number) <= 1 for number in numbers if number is not None):
            return False
    return column.reads_as(reads_as)


# --- columns


def columns_of(table: str, look: Look, ids: frozenset[str] = frozenset()) -> list[Entry]:
    """The columns that a table's meanings are found in, each with what it holds, or asked for.

    `ids` are the customers of the orders, by which other tables' customer column is known.
    """
    options, known = options_of(table, look), RECORDS[table].columns
    running = _running_sums(look) if table == "transactions" else set()
    if running:
        options["amount"] = [one for one in options.get("amount", []) if one[1] not in running]
    named = [column for _, column in options.get("customer_id", [])]
    joining = _joining(look, named, ids) if "customer_id" in known else []
    if joining:
        options["customer_id"] = [(0, column) for column in joining]
    whose = _whose_id(look, options) if table == "transactions" else None
    if whose:
        del options["order_id"]
    if table == "campaigns" and any(says(name, "outcomes") for name in look):
        options["cost"] = [one for one in options.get("cost", []) if plain(one[1].name) != "spend"]
    options = {meaning: found for meaning, found in options.items() if found}
    entries = {meaning: _by_name(table, meaning, found) for meaning, found in options.items()}
    if whose and "customer_id" not in entries:
        doubt = say("it stands on several days, as a customer's does and an order's does not")
        entries["customer_id"] = Entry("customer_id", whose.name, doubt=doubt)
    if joining and not (entry := entries["customer_id"]).question:
        shared = say("{n:int} of them with orders", n=len(ids.intersection(joining[0].counts)))
        entries["customer_id"] = entry._replace(comment=f"{entry.comment}, {shared}")
    if table == "transactions" and (partly := _partly_money(look, entries.get("amount"))):
        entries["amount"] = partly
    if table == "transactions" and (status := _status_by_words(look, entries)):
        entries["status"] = status
    full = next((column for column in look.values() if JOINED in column.name), None)
    if full and (name := entries.get("name")) and says(str(name.value), "family_name"):
        entries["name"] = name._replace(value=full.name)
    for meaning in known:
        taken = {entry.value for entry in entries.values()}
        free = [c for c in look.values() if c.name not in taken and c not in running]
        if meaning not in entries and (found := _by_values(table, meaning, free, entries)):
            entries[meaning] = found
    return [entries[meaning] for meaning in known if meaning in entries]


def _running_sums(look: Look) -> set[Column]:
    """The columns that go on by what another one says in each row, as a balance does."""
    money = [c for c in look.values() if c.kind == "decimal" and len(c.values) > FEW]
    found = {c: np.array([_float(text) for text in c.values]) for c in money}
    running = set()
    for one, other in itertools.permutations(found, 2):
        steps, moved = np.diff(found[one]), found[other]
        off = [np.abs(steps - moved[1:]), np.abs(steps + moved[:-1])]  # newest row last, or first
        if (moved != 0).mean() > MOST and max((gap <= CENTS).mean() for gap in off) >= MOST:
            running.add(one)
    return running


def _float(text: str) -> float:
    found = value_formats.number(text, mark(text) or ".")
    return np.nan if found is None else float(found)


def _partly_money(look: Look, taken: Entry | None) -> Entry | None:
    """The question whether a column called money is it though some of its values are no numbers,
    where no column with a better name is taken.
    """
    other = taken.value if taken and not taken.question else ""
    limit = rank(other, "transactions", "amount") if other else None
    for column in look.values():
        place = rank(column.name, "transactions", "amount")
        readable = column.share(lambda v: mark(v) is not None)
        if place is None or not PARTLY <= readable < MOST or (limit is not None and place >= limit):
            continue
        odd = next(value for value in column.counts if mark(value) is None)
        question = say(
            "{column:text} is called money, but {share:text} of its values are no numbers, as"
            " {value:text}: is it the money of a line?",
            column=column.name,
            share=f"{1 - readable:.1%}",
            value=mask(odd),
        )
        yes = Choice(say("yes; rows without a number are set apart"), {"amount": column.name})
        no = [Choice(say("no, {column:text} is", column=other), {"amount": other})] if other else []
        return Entry("amount", ASK, question=question, choices=(yes, *no, none_of_these()))
    return None


def status_word(value: str, column: str) -> str:
    """What a status says: kept, returned, won or void; a yes says what its column is called."""
    said = column if value.lower() in YES else value
    return next((word for word in STATUS_WORDS if says(said, word)), "kept")


def _status_by_words(look: Look, entries: Mapping[str, Entry]) -> Entry | None:
    """The column of which some values say that a sale came to nothing or was taken back, whatever
    it is called, where the one called a status says it of none.
    """

    def ends_sales(column: Column) -> bool:
        few = len(column.counts) <= FEW
        said = {status_word(value, column.name) for value in column.counts} if few else set()
        return "kept" in said and bool(said & {"returned", "void"})

    named = entries.get("status")
    if named and (named.question or ends_sales(look[named.value])):
        return None
    taken = {entry.value for entry in entries.values()}
    found = next((c for c in look.values() if c.name not in taken and ends_sales(c)), None)
    if found is None:
        return None
    words = ", ".join(v for v in found.counts if status_word(v, found.name) != "kept")
    return Entry("status", found.name, doubt=say("by its values, {contents:text}", contents=words))


def _whose_id(look: Look, options: Mapping[str, Ranked]) -> Column | None:
    """The column called id alone, where it is no order's since it stands on several days."""
    (_, column), *_ = options.get("order_id", [(0, None)])
    dates = options.get("date")
    if column is None or plain(column.name) != "id" or not dates:
        return None
    days: dict[str, set[str]] = {}
    for key, day in zip(column.values, dates[0][1].values, strict=True):
        days.setdefault(key, set()).add(day[:10])
    repeated = [days[key] for key, n in column.counts.items() if n > 1]
    several = sum(len(some) > 1 for some in repeated)
    return column if len(repeated) >= SEVERAL and several > len(repeated) / 2 else None


def _joining(look: Look, named: list[Column], ids: frozenset[str]) -> list[Column]:
    """The columns in which most customers that have orders were seen; none where none was."""
    shared = {
        column: n
        for column in look.values()
        if column in named or column.kind in ("id", "text", *ADDRESSES)
        if (n := len(ids.intersection(column.counts)))
    }
    return [column for column, n in shared.items() if n == max(shared.values())]


def _by_name(table: str, meaning: str, found: Ranked) -> Entry:
    """The column whose name is ranked best; a question where two stand alike and differ."""
    place, column = found[0]
    equal = [c for r, c in found if (r, c.sparse) == (place, column.sparse)]
    if any(c.values != column.values for c in equal):
        return _which(table, meaning, equal, ASK)
    others = [c.name for _, c in found if c not in equal]
    doubtful = others and meaning in ("customer_id", "date", "amount")
    doubt = say("it could also be {others:text}", others=", ".join(others)) if doubtful else ""
    return Entry(meaning, column.name, _contents(column, table, meaning), doubt=doubt)


def _by_values(
    table: str, meaning: str, free: list[Column], have: Mapping[str, Entry]
) -> Entry | None:
    """A column for a meaning that no name gives: the only one of its kind; or a question, where it
    is needed.
    """
    if meaning == "amount" and "unit_price" in have:
        return None
    kind = (BY_KIND | (OF_ORDERS if table == "transactions" else {})).get(meaning, "")
    found = [column for column in free if column.kind == kind]
    if meaning in OF_ORDERS:
        others = [m for m in RECORDS[table].columns if m not in ("customer_id", meaning)]
        found = [c for c in found if _may_be_sum(c, table, others)]
        if meaning == "amount" and not found and table == "transactions":
            if unread := _unread_money(free):
                return unread
            return _money_or_pieces([c for c in free if _is_free_sum(c, table)], have)
        if meaning == "quantity" and "amount" in have and have["amount"].question:
            return None
    whole = free
    if meaning == "customer_id":
        whole = [column for column in free if identifies(column)]
        whole = [column for column in whole if not _is_date_or_money(column)] or whole
        found = [c for c in found if c in whole and _may_be_customers(c, table)]
        found = found or [c for c in whole if c.kind in ADDRESSES]
    masked = masked_ids(table, free) if meaning == "customer_id" else ""
    if len(found) == 1 and not masked:
        contents = _contents(found[0], table, meaning)
        doubt = say("by its values, {contents:text}", contents=contents)
        return Entry(meaning, found[0].name, doubt=doubt)
    if RECORDS[table].columns[meaning].needed or (found and meaning == "amount"):
        names = [column for column in whole if JOINED in column.name]
        entry = _which(table, meaning, found or whole, ASK if found or names else None)
        return entry._replace(question="; ".join(filter(None, (masked, entry.question))))
    return None


def masked_ids(table: str, columns: Iterable[Column]) -> str:
    """What is said where columns are called a customer's that identify none."""
    named = [c for c in columns if rank(c.name, table, "customer_id") is not None]
    if not (bad := [c.name for c in named if not identifies(c)]):
        return ""
    return say(
        "no column identifies a customer ({columns:text}: masked with *, or rounded by a"
        " spreadsheet as 1.38E+11)",
        columns=", ".join(bad),
    )


def _may_be_sum(column: Column, table: str, others: Sequence[str]) -> bool:
    """Whether numbers may be money or pieces: they are no flag, and called neither somebody's id
    nor shipping, taxes or another meaning of ours.
    """
    flag = {text.partition(".")[0] for text in column.counts} <= {"0", "1"}
    named = re.search(ID_NAME, column.name) or is_rate(column.name)
    named = named or any(says(column.name, word) for word in ("extras", "returned"))
    known = any(rank(column.name, table, meaning) is not None for meaning in others)
    return not flag and not named and not known


def _is_date_or_money(column: Column) -> bool:
    """Whether the values are dates, or numbers with parts."""
    parts = column.kind == "decimal" and column.share(WHOLE.fullmatch) < MOST
    return parts or column.kind == "date"


def _is_free_sum(column: Column, table: str) -> bool:
    """Whether a column of whole numbers may be money or pieces."""
    own = len(column.counts) == len(column.values) > SEVERAL  # a number of its own for each row
    others = [meaning for meaning in RECORDS[table].columns if meaning not in OF_ORDERS]
    whole = column.share(WHOLE.fullmatch) >= MOST
    return whole and not own and _may_be_sum(column, table, others)


def _unread_money(columns: Sequence[Column]) -> Entry | None:
    """The question about a column that looks like money but cannot be read."""
    for column in columns:
        unread = column.share(lambda v: mark(v) is None) > 1 - MOST
        if unread and column.kind == "text" and column.share(LIKE_MONEY.fullmatch) >= MOST:
            question = say(
                "{column:text} looks like money, but its values are no numbers, as {value:text}:"
                " export it as plain numbers; or go on without money?",
                column=column.name,
                value=mask(next(iter(column.counts))),
            )
            choices = (Choice(say("go on without money"), {}),)
            return Entry("amount", ASK, question=question, choices=choices)
    return None


def _money_or_pieces(columns: list[Column], have: Mapping[str, Entry]) -> Entry | None:
    """The question what whole numbers are, where no other column is money."""
    if not columns:
        return None
    told = {
        column: f"{column.name} ({_contents(column, 'transactions', 'amount')})"
        for column in columns
    }
    money, piece = say("money"), say("pieces")
    choices = [Choice(f"{words}: {money}", {"amount": c.name}) for c, words in told.items()]
    if "quantity" not in have:
        pieces = [(c, words) for c, words in told.items() if c.kind == "count"]
        choices += [Choice(f"{words}: {piece}", {"quantity": c.name}) for c, words in pieces]
    question = say("no column is called money: which is it, or are the whole numbers pieces?")
    return Entry("amount", ASK, question=question, choices=(*choices, none_of_these()))


def identifies(column: Column) -> bool:
    """Whether a column's values are whole: neither masked with * nor rounded by a spreadsheet."""
    return column.share(re.compile(f"{MASKED}|{ROUNDED}").search) <= 1 - MOST


def _may_be_customers(column: Column, table: str) -> bool:
    """Several, in most rows, and in orders not one of its own for each row; no half of a name."""
    counts_rows = len(column.counts) == len(column.values) > SEVERAL and table == "transactions"
    several = len(column.counts) > 1 and not column.sparse
    return several and not counts_rows and not is_half(column)


def _which(table: str, meaning: str, columns: Sequence[Column], value: str | None) -> Entry:
    """The question which of some columns has a meaning; without a value where none seems to."""
    choices = [
        Choice(f"{c.name} ({_contents(c, table, meaning)})", {meaning: c.name}) for c in columns
    ]
    words = say(RECORDS[table].columns[meaning].words)
    question = say("which column is {meaning:text}, {words:text}?", meaning=meaning, words=words)
    if not choices:
        question = f"{question} {say('All columns have another meaning')}"
    return Entry(meaning, value, question=question, choices=(*choices, none_of_these()))


def _contents(column: Column, table: str, meaning: str) -> str:
    """What a column holds: the outline of a value, and how many there are; of a person's column
    neither.
    """
    spec = RECORDS[table].columns.get(meaning)
    rows = len(column.values)
    if column.kind in ADDRESSES:
        said = [say(column.kind)]
    elif spec and spec.person:
        said = [say("a person's")]
    else:
        said = [say("as {value:text}", value=mask(next(iter(column.counts), "")))]
    if not spec or spec.reads_as == "text":
        different = len(column.counts)
        said.append(say("{n:int} different in {all:int} rows", n=different, all=rows))
    if empty := rows - column.counts.total():
        said.append(say("{n:int} empty", n=empty))
    return ", ".join(said)


def attributes_of(look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    """Further columns of customers with few values, to group them by."""
    entries = {}
    for column in look.values():
        ours = re.sub(r"\W+", "_", column.name.casefold()).strip("_")
        few = 1 < len(column.counts) <= min(FEW, len(column.values) / 2)
        free = column.name not in meanings.values() and ours not in RECORDS["customers"].columns
        persons = JOINED in column.name or is_half(column)
        if ours and few and free and not persons and column.kind in ("text", "count", "id"):
            entries[ours] = Entry(ours, column.name, _contents(column, "customers", ours))
    return list(entries.values())
