"""Layouts beyond a table of orders: columns of months and contracts are told, groups are read."""

import re
from collections.abc import Callable, Iterator, Mapping

from babel.dates import get_month_names

from analysis.intake import parsing
from analysis.intake.column_names import says
from analysis.intake.columns import SEVERAL, Choice, Column, Entry, Look
from analysis.intake.value_formats import ASK, MOST, days_in
from analysis.report.text import say

FEWEST_MONTHS = 3
# What may stand once for a group of rows, and what each of them has
GROUPED, MONEY_NAMES = ("customer_id", "order_id", "date"), ("amount", "unit_price")
TOTALS = re.compile(parsing.TOTALS)
SUMS = re.compile(f"{parsing.TOTALS}|{parsing.SUMS.removeprefix('(?i)')}")
YEAR, MONTH = r"(19|20)\d\d", r"(0?[1-9]|1[0-2])"
PERIODS = re.compile(
    rf"{YEAR}[-/. ]?{MONTH}|{MONTH}[-/. ]{YEAR}|({YEAR}年)?{MONTH}月|{YEAR}年?"
    rf"|({YEAR}[- ]?)?q[1-4]([- /]?{YEAR})?|(fy|cw|kw|week|w)[- ]?\d{{1,4}}"
)
MONTHS = {
    name.strip(".").casefold()
    for language in ("en", "de", "fr", "es", "it", "nl", "pt")
    for width in ("abbreviated", "wide")
    for context in ("format", "stand-alone")
    for name in get_month_names(width, context, language).values()
}


def fault(look: Look) -> str:
    """Why the rows of a file are no orders, and what to do; nothing where its layout tells none."""
    return _a_column_a_month(look) or _contracts(look)


def _a_column_a_month(look: Look) -> str:
    names = list(look)
    if all(map(str.isdecimal, names)):  # no header was seen, as one of dates is none
        names = [column.values[0] for column in look.values()]
    pairs = zip(names, look.values(), strict=True)
    found = [name for name, column in pairs if _names_period(name) and _may_be_money(column)]
    if len(found) < FEWEST_MONTHS:
        return ""
    return (
        f"a column for each month or year ({len(found)}: {found[0]} to {found[-1]}), where a row"
        " for each order is needed: export the orders themselves; if there are none, turn the"
        " columns into rows (in Excel: Data > From Table/Range, mark these columns, Transform >"
        " Unpivot Columns)"
    )


def _names_period(name: str) -> bool:
    """Whether a name has a month, a quarter, a week or a year, or is a day."""
    text = name.casefold().strip()
    words = set(re.findall(r"[^\W\d_]+", text))
    return bool(PERIODS.fullmatch(text) or words & MONTHS or days_in(text))


def _may_be_money(column: Column) -> bool:
    below = {text: n for text, n in column.counts.items() if not _names_period(text)}
    return not below or column.share(lambda v: v not in below or _is_number(v)) >= MOST


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[^\w]*\d[\d.,' ]*\W*|-", text))


def _contracts(look: Look) -> str:
    def column(what: str, holds: Callable[[Column], bool]) -> str:
        return next((name for name, c in look.items() if says(name, what) and holds(c)), "")

    start, end = (column(f"contract_{what}", _may_be_dates) for what in ("start", "end"))
    fee = column("contract_fee", lambda c: c.reads_as("number"))
    if not (start and end and fee):
        return ""
    return (
        f"a row for each contract ({start}, {end}, {fee}), where a row for each payment is needed:"
        " export the invoices or payments of these contracts, and give this file beside them"
    )


def _may_be_dates(column: Column) -> bool:
    return not column.counts or column.reads_as("day")


# --- groups


def fill_down(look: Look, meanings: Mapping[str, str]) -> list[Entry]:
    """The columns that stand only in the first row of a group; asked where neither a sum below nor
    a heading above each group proves it.
    """
    money = next((meanings[name] for name in MONEY_NAMES if name in meanings), "")
    if not money:
        return []
    cells = {name: look[meanings[name]].texts for name in GROUPED if name in meanings}
    dates = cells.get("date", [""] * len(look[money].texts))
    sums = [
        any(map((TOTALS if date else SUMS).search, row))
        for date, *row in zip(dates, *cells.values(), strict=True)
    ]
    pairs = enumerate(zip(look[money].texts, sums, strict=True))
    lines = [n for n, (text, is_sum) in pairs if text and not is_sum]
    empty = {name: {n for n in lines if not texts[n]} for name, texts in cells.items()}
    filled = [name for name, some in empty.items() if len(some) >= SEVERAL]
    if "customer_id" not in filled:
        return []
    leader = "order_id" if "order_id" in filled else "customer_id"
    texts = cells[leader]
    heads = [n for n, text in enumerate(texts) if text and not sums[n]]
    alone = len({texts[n] for n in heads}) >= MOST * len(heads)
    guests = any(empty[name] - empty[leader] for name in filled)
    if not heads or not alone or guests or min(empty[leader]) < heads[0]:
        return []
    count = len(empty[leader])
    named = sum(texts[head] in " ".join(row) for head, row in _groups(cells, heads, sums))
    above = len(set(heads) - set(lines))
    said = say(
        "{columns:text} stands in the first row of each of {n:int} groups",
        columns=say(" and ").join(meanings[name] for name in filled),
        n=len(heads),
    )
    if max(named, above) > len(heads) / 2:
        doubt = say("{said:text}, and holds for the {n:int} rows below", said=said, n=count)
        return [Entry("fill_down", filled, doubt=doubt)]
    choices = (
        Choice(say("yes, they belong to the group above"), {"fill_down": filled}),
        Choice(say("no, they are nobody's"), {}),
    )
    question = say(
        "{said:text}: does it hold for the {n:int} rows where it is empty?", said=said, n=count
    )
    return [Entry("fill_down", ASK, question=question, choices=choices)]


def _groups(
    cells: Mapping[str, list[str]], heads: list[int], sums: list[bool]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The rows that sum up others, each with the head of the group above it."""
    head, first = 0, set(heads)
    for n, row in enumerate(zip(*cells.values(), strict=True)):
        head = n if n in first else head
        if sums[n]:
            yield head, row
