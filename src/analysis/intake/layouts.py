"""Layouts whose rows are no orders: a column for each month, and contracts."""

import re
from collections.abc import Callable

from babel.dates import get_month_names

from analysis.intake.column_matching import Column, Look, says
from analysis.intake.value_formats import MOST, days_in

FEWEST_MONTHS = 3
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
