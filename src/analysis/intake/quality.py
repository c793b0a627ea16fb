"""What a company's records are worth: what became of every row, what is odd, missing, stale or
there twice.
"""

import datetime as dt
from typing import Any

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.errors import InputError, RunError
from analysis.intake import cleaning, parsing, readers
from analysis.intake.dataset import Dataset
from analysis.report.text import say
from analysis.schema import RECORDS

JUMP = 3.5  # robust standard deviations: the usual cut for an outlier (Iglewicz and Hoaglin 1993)
STALE_SHARES = (30, 90, 180, 365)  # days since the last update that a data owner asks about


def account(judged: dict[str, Table]) -> pd.DataFrame:
    """Rows and money by file, outcome and reason: every row of every table stands in one line.

    Columns: table, source, outcome, reason, rows, money (exact decimal; empty where the table has
    none).
    """
    return pd.concat([_account(name, rows) for name, rows in judged.items()], ignore_index=True)


def _account(name: str, judged: Table) -> pd.DataFrame:
    money = judged.amount.sum() if name == "transactions" else ibis.null(parsing.MONEY)
    counted = judged.group_by("source", "outcome", "reason").agg(rows=_.count(), money=money)
    return counted.order_by("source", "outcome", "reason").to_pandas().assign(table=name)


def reconcile(judged: Table, kept: Table, apart: Table) -> dict[str, object]:
    """Rows and money of the transactions read, kept and set apart, counted in the tables as
    written.

    Where the log has no money, that is nan. Raises RunError if a row or a cent is missing.
    """
    lines = apart.filter((_.table == "transactions") & (_.outcome != "mended"))
    read, kept_, apart_ = (
        (int(table.count().execute()), column.fill_null(0).sum().fill_null(0).execute())
        for table, column in ((judged, judged.amount), (kept, kept.amount), (lines, lines.amount))
    )
    if read != tuple(a + b for a, b in zip(kept_, apart_, strict=True)):
        raise RunError(
            f"rows and money read {read} are not those kept {kept_} and set apart {apart_}"
        )
    known = bool(judged.amount.notnull().any().execute())
    return (
        {"money": read[1], "kept": kept_[1], "apart": apart_[1]}
        if known
        else dict.fromkeys(("money", "kept", "apart"), np.nan)
    )


def period(judged: Table) -> dict[str, dt.date]:
    """The first and the last day of the kept lines, as start and end. Raises InputError where none
    is kept.
    """
    days = judged.filter(_.outcome == "kept").day
    start, end = (pd.Timestamp(day) for day in (days.min().execute(), days.max().execute()))
    if pd.isna(start):
        reasons = (
            judged.reason.value_counts(name="rows")
            .order_by(ibis.desc("rows"), "reason")
            .to_pandas()
        )
        found = ", ".join(f"{row.reason} {row.rows:,}" for row in reasons.itertuples())
        raise InputError(
            f"no order line is kept ({found}); correct columns, date_format or decimal in the"
            " dataset file"
        )
    return {"start": start.date(), "end": end.date()}


def oddities(judged: Table, transactions: Table) -> pd.DataFrame:
    """What is strange but may be real, and stays. Columns: oddity, rows."""
    kept = judged.filter(_.outcome == "kept")
    texts = [
        c
        for c in ("customer_id", "day", "moment", "amount", "quantity", "order_id", "product")
        if c in kept.columns
    ]
    returns = transactions.filter(_.amount < 0)
    counts = {
        "zero_value": transactions.filter(_.amount == 0).count(),
        "repeated_row": (
            kept.count() - parsing.fingerprint(kept, {c: kept[c] for c in texts}).nunique()
        ),
        "below_zero": returns.count(),
        "return_without_sale": returns.filter(_.sale_day.isnull()).count(),
    }
    found = {name: int(count.execute()) for name, count in counts.items()}
    return pd.DataFrame({"oddity": list(found), "rows": list(found.values())})


def completeness(judged: dict[str, Table], dataset: Dataset) -> pd.DataFrame:
    """How full each column is, by file; one that serves to make another, as unit_price, counts
    where that is known.

    Columns: table, source, column, rows, filled (share), unreadable (values that were there and
    could not be read).
    """
    return pd.concat(
        [_completeness(rows, dataset, name) for name, rows in judged.items()], ignore_index=True
    )


def _completeness(judged: Table, dataset: Dataset, table: str) -> pd.DataFrame:
    named = {piece.name: piece.file.meanings for piece in readers.pieces(dataset, table)}
    kept_as = {"date": "day"} | {
        other: ours for ours, others in STAND_INS.items() for other in others
    }
    there = {n: kept_as.get(n, n) for names in named.values() for n in names}
    there = {name: column for name, column in there.items() if column in judged.columns}
    whole = judged.filter(_.fields.isnull())
    filled = {f"filled_{name}": whole[column].count() for name, column in there.items()}
    wrong = {found: whole[found].count() for found in whole.columns if found.startswith("found_")}
    by_source = (
        whole.group_by("source")
        .agg(rows=_.count(), **filled, **wrong)
        .order_by("source")
        .to_pandas()
    )
    cells = [
        {
            "table": table,
            "source": row["source"],
            "column": name,
            "rows": row["rows"],
            "filled": row[f"filled_{name}"] / row["rows"],
            "unreadable": row.get(f"found_{name}", row.get(f"found_{column}", 0)),
        }
        for row in by_source.to_dict("records")
        for names in [named.get(row["source"], list(there))]
        for name, column in there.items()
        if name in names and (name == column or column not in names)
    ]
    return pd.DataFrame(
        cells, columns=["table", "source", "column", "rows", "filled", "unreadable"]
    )


# What rests on a column or a table that not every company has.
PARTS = {
    "part_money": ("transactions", ("amount",)),
    "part_profit": ("transactions", ("cost",)),
    "part_products": ("transactions", ("product",)),
    "part_channels": ("transactions", ("channel",)),
    "part_discounts": ("transactions", ("discount",)),
    "part_copies": ("transactions", ("order_id",)),
    "part_profiles": ("customers", ("customer_id",)),
    "part_owners": ("customers", ("owner",)),
    "part_consent": ("customers", ("consent",)),
    "part_identity": ("customers", ("phone", "email", "tax_id", "company")),
    "part_staleness": ("customers", ("updated",)),
    "part_interactions": ("interactions", ("customer_id",)),
    "part_feedback": ("feedback", ("customer_id",)),
    "part_campaigns": ("campaigns", ("customer_id",)),
}
STAND_INS = {
    "amount": ("unit_price",),
    "cost": ("profit",),
    "consent": ("opt_out",),
}  # that do as well


def left_out(dataset: Dataset) -> pd.DataFrame:
    """What is left out for want of a column. Columns: part, table, columns (any of which would do)."""
    lacking = [
        {"part": part, "table": f"{table}_records", "columns": ", ".join(columns)}
        for part, (table, columns) in PARTS.items()
        if not any(
            dataset.has(table, one)
            for column in columns
            for one in (column, *STAND_INS.get(column, ()))
        )
    ]
    return pd.DataFrame(lacking, columns=["part", "table", "columns"])


def foremost(apart: pd.DataFrame) -> dict[str, object]:
    """Of `examples`: the number of reasons, and the one with most rows. Empty where nothing was set
    apart.
    """
    if apart.empty:
        return {}
    reasons = (
        apart.drop_duplicates(["table", "source", "outcome", "reason", "column"])
        .groupby("reason")
        .rows.sum()
    )
    return {"reasons": len(reasons), "most": reasons.idxmax(), "rows": reasons.max()}


def examples(rejects: Table, each: int = 2) -> pd.DataFrame:
    """The first rows of each reason. Columns: table, source, outcome, reason, column, rows (of the
    reason), line, value.
    """
    reason = ["table", "source", "outcome", "reason", "column"]
    number = ibis.row_number().over(group_by=reason, order_by="line")
    count = rejects.count().over(ibis.window(group_by=reason))
    some = rejects.mutate(number=number, rows=count).filter(_.number < each)
    return (
        some.select(*reason, "rows", "line", "value")
        .order_by(ibis.desc("rows"), *reason, "line")
        .to_pandas()
    )


def daily(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """Every day of the log: day, lines, orders (customers who bought), revenue (net), and `oddity`.

    A day is `silent` if it has no line though the same weekday usually has, and a `jump` if its
    lines are JUMP robust standard deviations (Iglewicz and Hoaglin 1993) from the median of its
    weekday around it.
    """
    counted = transactions.group_by("day").agg(
        lines=_.count(), orders=_.customer_id.nunique(), revenue=_.amount.sum().cast("float64")
    )
    found = counted.to_pandas().assign(day=lambda f: pd.to_datetime(f.day)).set_index("day")
    days = pd.date_range(found.index.min(), pd.Timestamp(as_of), name="day")
    frame = found.reindex(days).fillna({"lines": 0, "orders": 0, "revenue": 0.0})
    usual = frame.groupby(frame.index.dayofweek).lines.transform(
        lambda n: n.rolling(9, center=True, min_periods=3).median()
    )
    off = frame.lines - usual
    spread = off.abs().groupby(frame.index.dayofweek).transform("median") * 1.4826
    jump = off.abs() > JUMP * np.maximum(
        spread, np.sqrt(usual.clip(lower=1))
    )  # counts scatter by their root at least
    oddity = (
        pd.Series("", frame.index)
        .mask(jump, "jump")
        .mask((frame.lines == 0) & (usual >= JUMP), "silent_day")
    )
    return frame.assign(oddity=oddity).reset_index()


def staleness(profiles: Table, as_of: dt.date) -> pd.DataFrame:
    """Customers by the days since their profile was updated; no rows where that is not known.

    Columns: older_than_days, customers, share.
    """
    columns = ["older_than_days", "customers", "share"]
    dated = (
        profiles.filter(_.updated.notnull()) if "updated" in profiles.columns else profiles.limit(0)
    )
    if not (total := int(dated.count().execute())):
        return pd.DataFrame(columns=columns)
    age = ibis.literal(as_of).delta(dated.updated, unit="day")
    older = [int(dated.filter(age > days).count().execute()) for days in STALE_SHARES]
    return pd.DataFrame(
        zip(STALE_SHARES, older, (n / total for n in older), strict=True), columns=columns
    )


def to_refresh(
    profiles: Table, customers: pd.DataFrame, as_of: dt.date, max_age_days: int
) -> pd.DataFrame:
    """The profiles to refresh, the customers who brought most first.

    Columns: customer_id, owner (if known), updated, missing (columns without a value),
    window_revenue.
    """
    texts = [
        c
        for c in RECORDS["customers"].columns
        if c in profiles.columns and profiles[c].type().is_string()
    ]
    frame = profiles.select(
        *dict.fromkeys(
            ["customer_id", *(c for c in ("owner", "updated") if c in profiles.columns)]
        ),
        **{f"no_{c}": profiles[c].isnull() for c in texts},
    ).to_pandas()
    empty = frame[[f"no_{c}" for c in texts]].to_numpy(bool)
    empty = empty & ~empty.all(axis=0)  # a column that nobody has filled is no gap of one customer
    frame["missing"] = [
        ", ".join(c for c, none in zip(texts, row, strict=True) if none) for row in empty
    ]
    updated = pd.to_datetime(frame.get("updated", pd.Series(pd.NaT, frame.index)))
    old = (pd.Timestamp(as_of) - updated).dt.days > max_age_days
    due = frame[old | (frame.missing != "")].drop(columns=[f"no_{c}" for c in texts])
    found = due.merge(customers[["customer_id", "window_revenue"]], "left")
    return found.sort_values(
        ["window_revenue", "customer_id"], ascending=[False, True], ignore_index=True
    )


def summary(judged: dict[str, Table], dataset: Dataset) -> list[str]:
    """The data quality as lines for the screen."""
    counts = account(judged)
    lines = [
        f"{row.source:<40} {row.rows:>12,}  {say.word(row.outcome)}{_why(row)}"
        for row in counts.itertuples()
    ]
    shown = [cleaning.rejects(rows, name) for name, rows in judged.items()]
    for row in examples(ibis.union(*shown), each=1).itertuples():
        found = f" ({row.column or 'found'}: {row.value})" if isinstance(row.value, str) else ""
        lines.append(f"  e.g. {row.source} line {row.line}: {say.word(row.reason)}{found}")
    full = completeness(judged, dataset)
    gaps = [
        f"  {r.source}: {r.column} in {r.filled:.1%} of the rows"
        for r in full[full.filled < 1].itertuples()
    ]
    wants = [
        f"  {say.word(r.part)}: {r.table.removesuffix('_records')}.{r.columns}"
        for r in left_out(dataset).itertuples()
    ]
    return [
        *lines,
        *(["Columns with gaps:", *gaps] if gaps else []),
        *(["Left out for want of:", *wants] if wants else []),
    ]


def _why(row: Any) -> str:
    return f": {say.word(row.reason)}" if row.reason else ""
