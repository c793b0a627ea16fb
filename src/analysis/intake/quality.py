"""What a company's records are worth: what became of every row, what is odd, missing, stale or
there twice.
"""

import datetime as dt
import decimal
from itertools import compress

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis.customers import is_return
from analysis.errors import InputError, RunError
from analysis.intake import cleaning, order_lines, readers
from analysis.intake.dataset import Dataset
from analysis.report.text import N_, say
from analysis.schema import RECORDS

JUMP = 3.5  # robust standard deviations: the usual cut for an outlier (Iglewicz and Hoaglin 1993)
MONEY_DIGITS = 38  # of the sums of the engine; Python would round to 28
STALE_SHARES = (30, 90, 180, 365)  # days since the last update that a data owner asks about
WEEKS = 9  # around a day: their median is what its weekday usually has
STANDS_FOR = {"unit_price": "amount", "profit": "cost", "opt_out": "consent"}  # does as well
# What rests on a table that not every company has, and there on any of some columns.
PARTS = {
    ("transactions", "amount"): N_("revenue, lifetime value in money, ABC, the plan's value"),
    ("transactions", "cost"): N_("profit"),
    ("transactions", "product"): N_("interests, next product, bundles"),
    ("transactions", "channel"): N_("channels"),
    ("transactions", "discount"): N_("discounts"),
    ("transactions", "order_id"): N_(
        "copies of order lines told from orders, returns linked by order"
    ),
    ("customers", "customer_id"): N_(
        "regions, industries and all that is known of customers; prospects"
    ),
    ("customers", "owner"): N_("lists per owner"),
    ("customers", "consent"): N_("who may be contacted"),
    ("customers", "phone", "email", "tax_id", "company"): N_("customers who stand there twice"),
    ("customers", "updated"): N_("stale profiles"),
    ("interactions", "customer_id"): N_("contacts, needs"),
    ("feedback", "customer_id"): N_("satisfaction, complaints"),
    ("campaigns", "customer_id"): N_("measured effects of campaigns"),
}
REASON = ["table", "source", "outcome", "reason", "column"]


def account(judged: dict[str, Table]) -> pd.DataFrame:
    """Rows and money by file, outcome and reason: every row of every table stands in one line.

    Columns: table, source, outcome, reason, rows, money (exact decimal; empty where the table has
    none).
    """
    counted = []
    for name, rows in judged.items():
        money = rows.amount.sum() if name == "transactions" else ibis.null(order_lines.MONEY)
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
    with decimal.localcontext(prec=MONEY_DIGITS):
        found = tuple(a + b for a, b in zip(kept_, apart_, strict=True))
    if read != found:
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
    alike = ibis.struct({c: kept[c] for c in texts if c in kept.columns}).hash()
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
    cells = []
    for table, rows in judged.items():
        whole = rows.filter(_.fields.isnull())
        counts = {f"filled_{c}": whole[c].count() for c in whole.columns if c != "source"}
        counted = whole.group_by("source").agg(rows=_.count(), **counts).order_by("source")
        named = {piece.name: piece.file.meanings for piece in readers.pieces(dataset, table)}
        order = list(dict.fromkeys(name for names in named.values() for name in names))
        for row in counted.to_pandas().to_dict("records"):
            names = named.get(row["source"], order)
            for name in filter(names.__contains__, order):
                made = "day" if name == "date" else STANDS_FOR.get(name, name)
                if f"filled_{made}" in row and (made == name or made not in names):
                    share = row[f"filled_{made}"] / row["rows"]
                    cells.append((table, row["source"], name, row["rows"], share))
    return pd.DataFrame(cells, columns=["table", "source", "column", "rows", "filled"])


def left_out(dataset: Dataset) -> pd.DataFrame:
    """What is left out for want of a column. Columns: part, table, columns (any of which would
    do).
    """
    lacking = []
    for (table, *columns), label in PARTS.items():
        others = [other for other, column in STANDS_FOR.items() if column in columns]
        if not any(dataset.has(table, name) for name in (*columns, *others)):
            lacking.append((label, f"{table}_records", ", ".join(columns)))
    return pd.DataFrame(lacking, columns=["part", "table", "columns"])


def examples(rejects: Table, each: int = 2) -> pd.DataFrame:
    """The first rows of each reason. Columns: table, source, outcome, reason, column, rows (of the
    reason), line, value.
    """
    number = ibis.row_number().over(group_by=REASON, order_by="line")
    count = rejects.count().over(ibis.window(group_by=REASON))
    some = rejects.mutate(number=number, rows=count).filter(_.number < each)
    first = some.select(*REASON, "rows", "line", "value")
    return first.order_by(ibis.desc("rows"), *REASON, "line").to_pandas()


def foremost(apart: pd.DataFrame) -> dict[str, object]:
    """Of `examples`: the number of reasons, and the one with most rows. Empty where nothing was set
    apart.
    """
    if apart.empty:
        return {}
    reasons = apart.drop_duplicates(REASON).groupby("reason").rows.sum()
    return {"reasons": len(reasons), "most": reasons.idxmax(), "rows": reasons.max()}


def daily(transactions: Table, as_of: dt.date) -> pd.DataFrame:
    """Every day of the log: day, lines, revenue (net), and `oddity`.

    A day is `silent_day` if it has no line though the same weekday usually has, and a `jump` if its
    lines are JUMP robust standard deviations (Iglewicz and Hoaglin 1993) from the median of its
    weekday around it.
    """
    revenue = _.amount.sum().cast("float64")
    found = transactions.group_by("day").agg(lines=_.count(), revenue=revenue).to_pandas()
    found = found.assign(day=pd.to_datetime(found.day)).set_index("day")
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
    updated = profiles.updated if "updated" in profiles.columns else ibis.null("date")
    age = profiles.select(age=ibis.literal(as_of).delta(updated, unit="day")).to_pandas().age
    total = int(age.count())
    rows = [(days, n := int((age > days).sum()), n / total) for days in STALE_SHARES if total]
    return pd.DataFrame(rows, columns=["older_than_days", "customers", "share"])


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


def assumed(dataset: Dataset) -> str:
    """What nobody has confirmed, as a list for a sentence."""
    values = {key: getattr(dataset, key) for key in dataset.assumed}
    return ", ".join(
        f"{say.field(key)} {say('unknown') if value is None else value}"
        for key, value in values.items()
    )


def to_check(judged: Table) -> list[str]:
    """What a person can hold against the shop's own screen, as lines: customers, orders, net money,
    first and last day, and what is set apart.
    """
    kept, apart = judged.filter(_.outcome == "kept"), judged.filter(_.outcome != "kept")
    sales = kept.filter(~is_return(kept))
    days = sales.select("customer_id", "day").distinct().count().execute()
    orders = say("{days:int} order days", days=days)
    if "order_id" in judged.columns:
        numbers = sales.order_id.nunique().execute()
        orders = say("{numbers:int} order numbers, {orders:text}", numbers=numbers, orders=orders)
    money, set_apart = (rows.amount.sum().execute() for rows in (kept, apart))
    lines = [
        say("Check these against the shop's own screen:"),
        say("  customers: {n:int}", n=kept.customer_id.nunique().execute()),
        say("  orders: {orders:text}", orders=orders),
        *([say("  net money: {money:exact}", money=money)] if money is not None else []),
        say("  from {start:date} to {end:date}", **period(judged)),
        say("  rows set apart: {rows:int}", rows=apart.count().execute()),
    ]
    if set_apart is not None:
        lines[-1] += say(", with {money:exact}", money=set_apart)
    return lines


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
