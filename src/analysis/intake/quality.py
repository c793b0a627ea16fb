"""What a company's records are worth: what became of every row, what is odd, missing, stale or
there twice.
"""

import datetime as dt
from itertools import compress
from typing import NamedTuple

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.customers import is_return
from analysis.errors import InputError, RunError
from analysis.intake import cleaning, parsing, readers
from analysis.intake.dataset import Dataset
from analysis.report.text import N_, say
from analysis.schema import RECORDS

JUMP = 3.5  # robust standard deviations: the usual cut for an outlier (Iglewicz and Hoaglin 1993)
STALE_SHARES = (30, 90, 180, 365)  # days since the last update that a data owner asks about
WEEKS = 9  # around a day: their median is what its weekday usually has
STANDS_FOR = {"unit_price": "amount", "profit": "cost", "opt_out": "consent"}  # does as well


class Part(NamedTuple):
    """A part of the reports, and the columns of a table any of which brings it."""

    label: str
    table: str
    columns: tuple[str, ...]


# What rests on a column or a table that not every company has.
PARTS = (
    Part(
        N_("revenue, lifetime value in money, ABC, the plan's value"), "transactions", ("amount",)
    ),
    Part(N_("profit"), "transactions", ("cost",)),
    Part(N_("interests, next product, bundles"), "transactions", ("product",)),
    Part(N_("channels"), "transactions", ("channel",)),
    Part(N_("discounts"), "transactions", ("discount",)),
    Part(
        N_("copies of order lines told from orders, returns linked by order"),
        "transactions",
        ("order_id",),
    ),
    Part(
        N_("regions, industries and all that is known of customers; prospects"),
        "customers",
        ("customer_id",),
    ),
    Part(N_("lists per owner"), "customers", ("owner",)),
    Part(N_("who may be contacted"), "customers", ("consent",)),
    Part(
        N_("customers who stand there twice"),
        "customers",
        ("phone", "email", "tax_id", "company"),
    ),
    Part(N_("stale profiles"), "customers", ("updated",)),
    Part(N_("contacts, needs"), "interactions", ("customer_id",)),
    Part(N_("satisfaction, complaints"), "feedback", ("customer_id",)),
    Part(N_("measured effects of campaigns"), "campaigns", ("customer_id",)),
)


def account(judged: dict[str, Table]) -> pd.DataFrame:
    """Rows and money by file, outcome and reason: every row of every table stands in one line.

    Columns: table, source, outcome, reason, rows, money (exact decimal; empty where the table has
    none).
    """
    counted = []
    for name, rows in judged.items():
        money = rows.amount.sum() if name == "transactions" else ibis.null(parsing.MONEY)
        by_reason = rows.group_by("source", "outcome", "reason").agg(rows=_.count(), money=money)
        found = by_reason.order_by("source", "outcome", "reason").to_pandas()
        counted.append(found.assign(table=name))
    return pd.concat(counted, ignore_index=True)


def reconcile(judged: Table, kept: Table, apart: Table) -> dict[str, object]:
    """Money of the transactions read, kept and set apart, counted in the tables as written.

    Where the log has no money, that is nan. Raises RunError if a row or a cent is missing.
    """
    lines = apart.filter((_.table == "transactions") & (_.outcome != "mended"))
    read, kept_, apart_ = (
        (int(table.count().execute()), table.amount.fill_null(0).sum().fill_null(0).execute())
        for table in (judged, kept, lines)
    )
    if read != tuple(a + b for a, b in zip(kept_, apart_, strict=True)):
        raise RunError(
            f"rows and money read {read} are not those kept {kept_} and set apart {apart_}"
        )
    known = bool(judged.amount.notnull().any().execute())
    sums = {"money": read[1], "kept": kept_[1], "apart": apart_[1]}
    return sums if known else dict.fromkeys(sums, np.nan)


def period(judged: Table) -> dict[str, dt.date]:
    """The first and the last day of the kept lines, as start and end. Raises InputError where none
    is kept.
    """
    days = judged.filter(_.outcome == "kept").day
    start, end = (pd.Timestamp(day) for day in (days.min().execute(), days.max().execute()))
    if pd.isna(start):
        reasons = judged.reason.value_counts(name="rows").order_by(ibis.desc("rows"), "reason")
        found = ", ".join(f"{row.reason} {row.rows:,}" for row in reasons.to_pandas().itertuples())
        raise InputError(
            f"no order line is kept ({found}); correct columns, date_format or decimal in the"
            " dataset file"
        )
    return {"start": start.date(), "end": end.date()}


def oddities(judged: Table, transactions: Table) -> pd.DataFrame:
    """What is strange but may be real, and stays. Columns: oddity, rows."""
    kept = judged.filter(_.outcome == "kept")
    texts = ["customer_id", "day", "moment", "amount", "quantity", "order_id", "product"]
    alike = parsing.fingerprint(kept, {c: kept[c] for c in texts if c in kept.columns})
    returns = transactions.filter(is_return(transactions))
    counts = {
        "zero_value": transactions.filter(_.amount == 0).count(),
        "repeated_row": kept.count() - alike.nunique(),
        "below_zero": returns.count(),
        "return_without_sale": returns.filter(_.sale_day.isnull()).count(),
    }
    found = [(name, int(count.execute())) for name, count in counts.items()]
    return pd.DataFrame(found, columns=["oddity", "rows"])


def completeness(judged: dict[str, Table], dataset: Dataset) -> pd.DataFrame:
    """How full each column is, by file; one that serves to make another, as unit_price, counts
    where that is known.

    Columns: table, source, column, rows, filled (share).
    """
    cells = [cell for table, rows in judged.items() for cell in _filled(rows, dataset, table)]
    return pd.DataFrame(cells, columns=["table", "source", "column", "rows", "filled"])


def _filled(judged: Table, dataset: Dataset, table: str) -> list[tuple[object, ...]]:
    """The rows of `completeness` of one table."""
    named = {piece.name: piece.file.meanings for piece in readers.pieces(dataset, table)}
    kept_as = {name: STANDS_FOR.get(name, name) for names in named.values() for name in names}
    kept_as |= {"date": "day"} if "date" in kept_as else {}
    whole = judged.filter(_.fields.isnull())
    counts = {f"filled_{c}": whole[c].count() for c in kept_as.values() if c in whole.columns}
    by_source = whole.group_by("source").agg(rows=_.count(), **counts).order_by("source")
    cells: list[tuple[object, ...]] = []
    for row in by_source.to_pandas().to_dict("records"):
        names = named.get(row["source"], list(kept_as))
        for name, column in kept_as.items():
            doubled = name != column and column in names
            if name in names and f"filled_{column}" in counts and not doubled:
                share = row[f"filled_{column}"] / row["rows"]
                cells.append((table, row["source"], name, row["rows"], share))
    return cells


def left_out(dataset: Dataset) -> pd.DataFrame:
    """What is left out for want of a column. Columns: part, table, columns (any of which would
    do).
    """
    lacking = []
    for part in PARTS:
        others = [other for other, column in STANDS_FOR.items() if column in part.columns]
        if not any(dataset.has(part.table, name) for name in (*part.columns, *others)):
            lacking.append((part.label, f"{part.table}_records", ", ".join(part.columns)))
    return pd.DataFrame(lacking, columns=["part", "table", "columns"])


def foremost(apart: pd.DataFrame) -> dict[str, object]:
    """Of `examples`: the number of reasons, and the one with most rows. Empty where nothing was set
    apart.
    """
    if apart.empty:
        return {}
    one_each = apart.drop_duplicates(["table", "source", "outcome", "reason", "column"])
    reasons = one_each.groupby("reason").rows.sum()
    return {"reasons": len(reasons), "most": reasons.idxmax(), "rows": reasons.max()}


def examples(rejects: Table, each: int = 2) -> pd.DataFrame:
    """The first rows of each reason. Columns: table, source, outcome, reason, column, rows (of the
    reason), line, value.
    """
    reason = ["table", "source", "outcome", "reason", "column"]
    number = ibis.row_number().over(group_by=reason, order_by="line")
    count = rejects.count().over(ibis.window(group_by=reason))
    some = rejects.mutate(number=number, rows=count).filter(_.number < each)
    first = some.select(*reason, "rows", "line", "value")
    return first.order_by(ibis.desc("rows"), *reason, "line").to_pandas()


def daily(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """Every day of the log: day, lines, revenue (net), and `oddity`.

    A day is `silent_day` if it has no line though the same weekday usually has, and a `jump` if its
    lines are JUMP robust standard deviations (Iglewicz and Hoaglin 1993) from the median of its
    weekday around it.
    """
    counted = transactions.group_by("day").agg(
        lines=_.count(), revenue=_.amount.sum().cast("float64")
    )
    found = counted.to_pandas().assign(day=lambda f: pd.to_datetime(f.day)).set_index("day")
    days = pd.date_range(found.index.min(), pd.Timestamp(as_of), name="day")
    frame = found.reindex(days).fillna({"lines": 0, "revenue": 0.0})
    weekday = frame.index.dayofweek
    usual = frame.groupby(weekday).lines.transform(
        lambda n: n.rolling(WEEKS, center=True, min_periods=3).median()
    )
    off = (frame.lines - usual).abs()
    spread = off.groupby(weekday).transform("median") * 1.4826
    # Counts scatter by their root at least.
    jump = off > JUMP * np.maximum(spread, np.sqrt(usual.clip(lower=1)))
    silent = (frame.lines == 0) & (usual >= JUMP)
    oddity = pd.Series("", frame.index).mask(jump, "jump").mask(silent, "silent_day")
    return frame.assign(oddity=oddity).reset_index()


def staleness(profiles: Table, as_of: dt.date) -> pd.DataFrame:
    """Customers by the days since their profile was updated; no rows where that is not known.

    Columns: older_than_days, customers, share.
    """
    columns = ["older_than_days", "customers", "share"]
    if "updated" not in profiles.columns:
        return pd.DataFrame(columns=columns)
    dated = profiles.filter(_.updated.notnull())
    age = ibis.literal(as_of).delta(dated.updated, unit="day")
    older = {str(days): dated.count(where=age > days) for days in STALE_SHARES}
    total, *counts = dated.agg(total=dated.count(), **older).to_pandas().iloc[0].astype(int)
    rows = [(d, n, n / total) for d, n in zip(STALE_SHARES, counts, strict=True) if total]
    return pd.DataFrame(rows, columns=columns)


def to_refresh(
    profiles: Table, customers: pd.DataFrame, as_of: dt.date, max_age_days: int
) -> pd.DataFrame:
    """The profiles to refresh, the customers who brought most first.

    Columns: customer_id, owner (if known), updated, missing (columns without a value),
    window_revenue.
    """
    types = profiles.schema()
    texts = [c for c in RECORDS["customers"].columns if c in types and types[c].is_string()]
    known = ["customer_id", *(c for c in ("owner", "updated") if c in types)]
    none = {f"no_{c}": profiles[c].isnull() for c in texts}
    frame = profiles.select(*known, **none).to_pandas()
    empty = frame[list(none)].to_numpy(bool)
    empty = empty & ~empty.all(axis=0)  # a column that nobody has filled is no gap of one customer
    frame["missing"] = [", ".join(compress(texts, row)) for row in empty]
    updated = pd.to_datetime(frame.get("updated", pd.Series(pd.NaT, frame.index)))
    old = (pd.Timestamp(as_of) - updated).dt.days > max_age_days
    due = frame[old | (frame.missing != "")].drop(columns=list(none))
    found = due.merge(customers[["customer_id", "window_revenue"]], "left")
    return found.sort_values(
        ["window_revenue", "customer_id"], ascending=[False, True], ignore_index=True
    )


def summary(judged: dict[str, Table], dataset: Dataset) -> list[str]:
    """The data quality as lines for the screen."""
    lines = []
    for row in account(judged).itertuples():
        why = f": {say.word(row.reason)}" if row.reason else ""
        lines.append(f"{row.source:<40} {row.rows:>12,}  {say.word(row.outcome)}{why}")
    apart = ibis.union(*(cleaning.rejects(rows, name) for name, rows in judged.items()))
    for row in examples(apart, each=1).itertuples():
        found = f" ({row.column or say('found')}: {row.value})" if pd.notna(row.value) else ""
        example = say("e.g. {source:text} line {line:text}: {reason:word}", **row._asdict())
        lines.append(f"  {example}{found}")
    full = completeness(judged, dataset)
    gaps = [
        say("{source:text}: {column:text} in {filled:percent} of the rows", **row)
        for row in full[full.filled < 1].to_dict("records")
    ]
    lines += [say("Columns with gaps:"), *(f"  {gap}" for gap in gaps)] if gaps else []
    wants = [
        f"  {say(row.part)}: {row.table.removesuffix('_records')}.{row.columns}"
        for row in left_out(dataset).itertuples()
    ]
    return [*lines, say("Left out for want of:"), *wants] if wants else lines
