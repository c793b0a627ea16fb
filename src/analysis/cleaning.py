"""Order lines judged: each is kept, merged into the line it repeats, or rejected, with the reason."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_

import ibis
import ibis.expr.datatypes as dtype
import pandas as pd
from ibis import _
from ibis.expr.types import BooleanValue, IntegerValue, StringValue, Table

from analysis.dataset import Dataset
from analysis.errors import InputError, RunError

MONEY = "decimal(38, 12)"
EARLIEST, LATEST = dt.date(1970, 1, 1), dt.date(2100, 1, 1)  # a date outside is a typing error


@ibis.udf.scalar.builtin
def try_strptime(text: str, format: str) -> dtype.timestamp:
    """The moment a text names in a format, or nothing."""


@dataclass(frozen=True)
class Rule:
    """Lines for which `broken` holds are set apart; the first rule that holds gives the reason."""

    reason: str
    column: str
    broken: Callable[[Table, dt.date], BooleanValue]
    outcome: str = "rejected"


RULES = (
    Rule("no_customer", "customer_id", lambda t, as_of: t.customer_id.isnull()),
    Rule("date_unreadable", "date", lambda t, as_of: t.day.isnull()),
    Rule("date_impossible", "date", lambda t, as_of: ~t.day.between(EARLIEST, LATEST)),
    Rule("after_as_of", "date", lambda t, as_of: t.day > as_of),
    Rule("amount_unreadable", "amount", lambda t, as_of: t.money.isnull()),
    Rule("repeats_order_line", "order_id", lambda t, as_of: t.copy > 0, "merged"),
)


def parse(log: Table, dataset: Dataset) -> Table:
    """The log's texts with `day`, `money`, `pieces` read from them (empty where unreadable) and `copy`,
    which numbers lines that an order key proves to be the same (0 is the first)."""
    table = dataset.tables.transactions
    trimmed = log.mutate(**{name: trim(log[name]) for name in table.columns})
    typed = trimmed.mutate(
        customer_id=trimmed.customer_id.nullif(""),
        day=try_strptime(trimmed.date, table.date_format).date(),
        money=trimmed.amount.try_cast(MONEY),
        pieces=trimmed.quantity.try_cast("float64") if "quantity" in log.columns else ibis.null("float64"),
    )
    return typed.mutate(copy=_copies(typed, table.order_key) if table.order_key else ibis.literal(0))


def _copies(typed: Table, order_key: list[str]) -> IntegerValue:
    same_line = [*order_key, "customer_id", "day", "money"]
    number = ibis.row_number().over(group_by=same_line, order_by=["source", "line"])
    whole = reduce(and_, (typed[name].fill_null("") != "" for name in order_key))
    return ibis.ifelse(whole, number, 0)


def trim(text: StringValue) -> StringValue:
    """The text without blanks of any script around it."""
    return text.re_replace(r"^[\s\p{Z}]+|[\s\p{Z}]+$", "")


def last_complete_day(log: Table, dataset: Dataset) -> dt.date:
    """The last day with an order; where the log has clock times the day before it, which may be cut short."""
    newest = parse(log, dataset).filter(_.day.between(EARLIEST, LATEST)).day.max().execute()
    if pd.isna(newest):
        table = dataset.tables.transactions
        example = mask(log.date).first().execute()
        raise InputError(
            f"{dataset.file}: no date in column {table.columns['date']} reads as {table.date_format}"
            f" (found e.g. {example!r}, digits masked); correct tables.transactions.date_format"
        )
    day = pd.Timestamp(newest).date()
    return day - dt.timedelta(days=1) if "%H" in dataset.tables.transactions.date_format else day


def check_as_of(log: Table, dataset: Dataset, as_of: dt.date) -> None:
    """Refuse a day before the data begins (InputError) or so far beyond that everyone seems to leave (RunError)."""
    days = parse(log, dataset).filter(_.day.between(EARLIEST, LATEST)).day
    oldest, newest = (pd.Timestamp(day).date() for day in ibis.array([days.min(), days.max()]).execute())
    if as_of < oldest:
        raise InputError(f"as-of {as_of} lies before the data, which begins on {oldest}; choose a later day")
    if (stale := (as_of - newest).days) > dataset.max_staleness_days:
        raise RunError(
            f"as-of {as_of} is {stale} days after the newest order ({newest}), more than max_staleness_days"
            f" ({dataset.max_staleness_days}): everyone would seem to leave. Export again, or pass --as-of {newest}"
        )


def judge(parsed: Table, as_of: dt.date) -> Table:
    """Adds `outcome` (kept, merged, rejected) and the rule's `reason` and `column` to every line."""
    verdict = {"outcome": "kept", "reason": "", "column": ""}
    cases = [(rule.broken(parsed, as_of), rule) for rule in RULES]
    return parsed.mutate(
        **{
            name: ibis.cases(*((broken, getattr(rule, name)) for broken, rule in cases), else_=otherwise)
            for name, otherwise in verdict.items()
        }
    )


def transactions(judged: Table) -> Table:
    """The kept lines as the table `transactions`."""
    kept = judged.filter(_.outcome == "kept")
    known = {"order_id": kept.order_id} if "order_id" in kept.columns else {}
    known |= {"quantity": kept.pieces} if "quantity" in kept.columns else {}
    return kept.select("customer_id", "day", amount=kept.money, **known, source=kept.source, line=kept.line).order_by(
        "customer_id", "day", "source", "line"
    )


def rejects(judged: Table) -> Table:
    """The other lines as the table `rejects`, the faulty value masked."""
    apart = judged.filter(_.outcome != "kept")
    values = [(apart.column == column, mask(apart[column])) for column in ("customer_id", "date", "amount")]
    return apart.select("source", "line", "outcome", "column", "reason", value=ibis.cases(*values), amount=apart.money).order_by(
        "source", "line"
    )


def mask(text: StringValue) -> StringValue:
    """The shape of a text without its content: letters become x, digits 9."""
    return text.re_replace(r"[\p{L}\p{M}]", "x").re_replace(r"\p{N}", "9")


def account(judged: Table) -> pd.DataFrame:
    """Rows and money by outcome and reason: every line of the file stands in one row.

    Columns: outcome, reason, rows, money (exact decimal).
    """
    counted = judged.group_by("outcome", "reason").agg(rows=_.count(), money=_.money.sum().fill_null(0))
    return counted.order_by("outcome", "reason").to_pandas()


def reconcile(judged: Table, kept: Table, apart: Table) -> dict[str, object]:
    """Rows and money read, kept and set apart, counted in the tables as written.

    Raises RunError if a row or a cent is missing.
    """
    read, kept_, apart_ = (
        (int(table.count().execute()), money.fill_null(0).sum().fill_null(0).execute())
        for table, money in ((judged, judged.money), (kept, kept.amount), (apart, apart.amount))
    )
    if read != tuple(a + b for a, b in zip(kept_, apart_, strict=True)):
        raise RunError(f"rows and money read {read} are not those kept {kept_} and set apart {apart_}")
    return {"money": read[1], "kept": kept_[1], "apart": apart_[1]}


def period(judged: Table) -> dict[str, dt.date]:
    """The first and the last day of the kept lines, as start and end."""
    days = judged.filter(_.outcome == "kept").day
    return {"start": pd.Timestamp(days.min().execute()).date(), "end": pd.Timestamp(days.max().execute()).date()}


def oddities(judged: Table) -> pd.DataFrame:
    """What is strange but may be real, and stays. Columns: oddity, rows."""
    kept = judged.filter(_.outcome == "kept")
    texts = [c for c in ("customer_id", "date", "amount", "quantity", "order_id") if c in kept.columns]
    distinct = kept.select(texts).distinct().count().execute()
    counts = {
        "zero_value": kept.filter(_.money == 0).count().execute(),
        "repeated_row": kept.count().execute() - distinct,
        "below_zero": kept.filter(_.money < 0).count().execute(),
    }
    return pd.DataFrame({"oddity": list(counts), "rows": list(counts.values())})
