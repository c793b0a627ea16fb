"""Whether a column tells who bought: ids that are nobody's, and columns that identify no one."""

import re

import pandas as pd
import pyarrow as pa

from analysis.intake.column_names import rank, says
from analysis.intake.columns import ADDRESSES, SEVERAL, Choice, Column, Entry, Look, values_of
from analysis.intake.ids import CROWD, CROWD_LEAST, CROWD_SHARE, ZERO
from analysis.intake.value_formats import ASK, mask
from analysis.report.text import say

ALIKE = r"(\d)\1{3,}"  # as 9999, which tills write for whom they do not know
CROWD_ALIKE = 2  # times the rows of the next customer, which are enough of such a number
NAMES = (1, 5)  # ranks of the names of columns that hold nicknames, or persons' names
FEWEST_OF_A_CROWD = 50  # rows of an id that nothing but their number makes doubtful
HALVES, JOINED = ("given_name", "family_name"), " + "  # of a person's name; as readers join columns


def asked_of_crowd(entry: Entry, look: Look) -> Entry:
    """The customer column, with the question who the customer is where one id seems to be many
    customers': it has many e-mail addresses, or more rows than a customer can have.
    """
    column = look[entry.value]
    if namesakes := _asked_of_namesakes(column, look):
        return namesakes
    emails = [one for one in look.values() if one.kind == "e-mail" and one is not column]
    best = max(emails, key=lambda one: one.counts.total(), default=None)
    if column.kind in ADDRESSES or not (crowd := _crowd(column, best, look)):
        return entry
    rows = column.counts[crowd]
    next_most = max((n for one, n in column.counts.items() if one != crowd), default=0)
    shown = mask(crowd) if re.search(r"[^\W\d]", crowd) else crowd  # it may be a name
    question = say(
        "{n:int} of {all:int} rows are of a customer {customer:text}, the next has {next:int}:"
        " guests, it seems. Who is the customer?",
        n=rows,
        all=len(column.values),
        customer=shown,
        next=next_most,
    )
    leave = {"customer_id": column.name, "nobody": [crowd], "accept": ["no_customer"]}
    choices = [
        Choice(say("leave the rows of {customer:text} out", customer=shown), leave),
        Choice(
            say("{customer:text} is one customer", customer=shown),
            {"customer_id": column.name, "somebody": [crowd]},
        ),
    ]
    if best:
        words = say("{column:text}, the e-mail", column=best.name)
        choices.insert(0, Choice(words, {"customer_id": best.name}))
    return Entry("customer_id", ASK, question=question, choices=tuple(choices))


def _asked_of_namesakes(column: Column, look: Look) -> Entry | None:
    """The question who the customer is where persons' names stand for several telephones or e-mails
    each.
    """
    if rank(column.name, "transactions", "customer_id") not in NAMES or column.kind in ADDRESSES:
        return None
    for other in look.values():
        if other.kind not in ADDRESSES or other.sparse:
            continue
        pairs = pd.DataFrame(values_of({"name": column, "address": other}))
        found = pairs[(pairs != "").all(axis=1)].groupby("name").address.nunique()
        if len(found) < SEVERAL or (several := int((found > 1).sum())) <= len(found) / 2:
            continue
        question = say(
            "{n:int} of {all:int} names in {column:text} have several {kind:text}s, as namesakes"
            " do. Who is the customer?",
            n=several,
            all=len(found),
            column=column.name,
            kind=say(other.kind),
        )
        names = (other.name, column.name)
        choices = tuple(Choice(name, {"customer_id": name}) for name in names)
        return Entry("customer_id", ASK, question=question, choices=choices)
    return None


def _crowd(column: Column, email: Column | None, look: Look) -> str:
    """An id that is not one customer's; nothing where there is none."""
    if len(column.counts) <= SEVERAL:
        return ""
    (first, rows), (_, others) = column.counts.most_common(2)
    alike = re.fullmatch(ALIKE, first)
    times = CROWD_ALIKE if alike else CROWD
    much = rows >= max(times * others, CROWD_SHARE * len(column.values), CROWD_LEAST)
    if much and (alike or re.fullmatch(ZERO, first) or rows >= FEWEST_OF_A_CROWD):
        return first
    if email is None:
        return ""
    cells = values_of(look)
    pairs = pd.DataFrame({"id": cells[column.name], "email": cells[email.name]})
    addresses = pairs[(pairs != "").all(axis=1)].groupby("id").email.nunique().nlargest(2)
    if len(addresses) > 1 and addresses.iloc[0] > max(SEVERAL, CROWD * addresses.iloc[1]):
        return str(addresses.index[0])
    return ""


def with_full_names(look: Look) -> Look:
    """The columns with one more in front: first and last names, where they stand apart, joined."""
    halves = [
        next((column for column in look.values() if says(column.name, half)), None)
        for half in HALVES
    ]
    if None in halves or halves[0] is halves[1]:
        return look
    first, last = filter(None, halves)
    name = f"{first.name}{JOINED}{last.name}"
    pairs = zip(first.texts, last.texts, strict=True)
    cells = pa.chunked_array([pa.array([" ".join(filter(None, pair)) for pair in pairs])])
    return {name: Column(name, cells, first.places)} | look


def is_half(column: Column) -> bool:
    """Whether it is called a person's first or last name."""
    return any(says(column.name, half) for half in HALVES)
