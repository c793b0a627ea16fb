"""The contract of every table that one stage hands to the next, checked when written and when read."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.errors import RunError

MONEY = pa.decimal128(38, 12)  # exact sums from 1e-12 to 1e15 and beyond
TEXT, INTEGER, NUMBER, DAY = pa.string(), pa.int64(), pa.float64(), pa.date32()


@dataclass(frozen=True)
class Column:
    """One column: its type, its meaning with the unit, and whether it may be empty or absent."""

    type: pa.DataType
    meaning: str
    empty: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Contract:
    """A table: what a row is, its columns, and the columns that make a row unique."""

    row: str
    key: tuple[str, ...]
    columns: dict[str, Column]


_CUSTOMER = {"customer_id": Column(TEXT, "the customer, as text")}

TABLES = {
    "transactions": Contract(
        "an order line",
        ("source", "line"),
        _CUSTOMER
        | {
            "day": Column(DAY, "day of the order in the dataset's time zone"),
            "amount": Column(MONEY, "money of the line; below zero for a return"),
            "quantity": Column(NUMBER, "pieces", empty=True, optional=True),
            "order_id": Column(TEXT, "the order the line belongs to", empty=True, optional=True),
            "source": Column(TEXT, "file the line came from"),
            "line": Column(INTEGER, "line in that file, the first is 1"),
        },
    ),
    "rejects": Contract(
        "a line that was merged or rejected",
        ("source", "line"),
        {
            "source": Column(TEXT, "file the line came from"),
            "line": Column(INTEGER, "line in that file, the first is 1"),
            "outcome": Column(TEXT, "merged or rejected"),
            "column": Column(TEXT, "the column at fault"),
            "reason": Column(TEXT, "why"),
            "value": Column(TEXT, "what was found, letters as x and digits as 9", empty=True),
            "amount": Column(MONEY, "money of the line, if readable", empty=True),
        },
    ),
    "customers": Contract(
        "a customer as of the day of the picture",
        ("customer_id",),
        _CUSTOMER
        | {
            "orders": Column(INTEGER, "order days: several purchases on one day count once"),
            "first_order": Column(DAY, "first order day", empty=True),
            "last_order": Column(DAY, "last order day", empty=True),
            "frequency": Column(INTEGER, "repeat order days: orders less one"),
            "recency_days": Column(INTEGER, "days from the last order to the day of the picture", empty=True),
            "age_days": Column(INTEGER, "days from the first order to the day of the picture", empty=True),
            "revenue": Column(NUMBER, "net money of all history, returns deducted"),
            "order_value": Column(NUMBER, "mean money of an order day, returns not deducted", empty=True),
            "repeat_value": Column(NUMBER, "the same over repeat order days above zero", empty=True),
            "repeat_valued": Column(INTEGER, "number of repeat order days above zero"),
            "window_orders": Column(INTEGER, "order days within the value window"),
            "window_revenue": Column(NUMBER, "net money within the value window"),
        },
    ),
    "segments": Contract(
        "a customer",
        ("customer_id",),
        _CUSTOMER
        | {
            "r_score": Column(INTEGER, "recency, 1 to 5, 5 bought last", empty=True),
            "f_score": Column(INTEGER, "order days in the value window, 1 to 5", empty=True),
            "m_score": Column(INTEGER, "money in the value window, 1 to 5", empty=True),
            "rfm_segment": Column(TEXT, "named segment of the scores"),
            "abc_revenue": Column(TEXT, "A, B, C by revenue in the value window, none without any"),
            "stage": Column(TEXT, "prospect, new, repeat, loyal, silent, lost"),
            "cluster": Column(TEXT, "group found in the data", empty=True),
        },
    ),
    "clv": Contract(
        "a customer with at least one order",
        ("customer_id",),
        _CUSTOMER
        | {
            "expected_orders": Column(NUMBER, "order days expected over horizon_days"),
            "orders_low": Column(NUMBER, "lower end of the 80 % prediction interval of the orders", empty=True),
            "orders_high": Column(NUMBER, "its upper end", empty=True),
            "expected_order_value": Column(NUMBER, "money expected of one order"),
            "expected_spend": Column(NUMBER, "money expected over horizon_days"),
            "clv": Column(NUMBER, "discounted money expected over value_days, times the margin if known"),
            "clv_low": Column(NUMBER, "lower end of the 80 % interval of that expectation", empty=True),
            "clv_high": Column(NUMBER, "its upper end", empty=True),
        },
    ),
    "churn": Contract(
        "a customer with at least one order",
        ("customer_id",),
        _CUSTOMER
        | {
            "churn_risk": Column(NUMBER, "probability of no order within horizon_days", empty=True),
            "risk_band": Column(TEXT, "low, medium, high, or unknown"),
        },
    ),
    "matrix": Contract(
        "a customer",
        ("customer_id",),
        _CUSTOMER
        | {
            "tier": Column(TEXT, "strategic, important, ordinary, potential"),
            "stage": Column(TEXT, "as in segments"),
            "risk_band": Column(TEXT, "as in churn; none for prospects"),
            "reason": Column(TEXT, "why the customer is in this tier"),
        },
    ),
    "plan": Contract(
        "a customer",
        ("customer_id",),
        _CUSTOMER
        | {
            "rule": Column(TEXT, "rule of the playbook that this follows"),
            "action": Column(TEXT, "what to do"),
            "channel": Column(TEXT, "how to reach the customer"),
            "owner": Column(TEXT, "role that does it"),
            "due": Column(DAY, "by when"),
            "cost": Column(NUMBER, "money the action costs"),
            "expected_value": Column(NUMBER, "money the action is assumed to bring", empty=True),
            "arm": Column(TEXT, "treat, control (held back to measure the effect), or exempt"),
            "target": Column(NUMBER, "probability of an order within horizon_days to reach", empty=True),
        },
    ),
    "tier_history": Contract(
        "a customer at a month end",
        ("customer_id", "month_end"),
        _CUSTOMER
        | {
            "month_end": Column(DAY, "last day of the month, or the day of the picture"),
            "tier": Column(TEXT, "tier by value to date"),
            "window_orders": Column(INTEGER, "order days within the value window"),
            "window_revenue": Column(NUMBER, "net money within the value window"),
            "full_window": Column(pa.bool_(), "whether the log reaches back over the whole window"),
        },
    ),
}


def conform(name: str, found: pd.DataFrame | pa.Table) -> pa.Table:
    """The contract's columns in its types and order, then any others; RunError where that cannot be."""
    contract = TABLES[name]
    table = pa.Table.from_pandas(found, preserve_index=False) if isinstance(found, pd.DataFrame) else found
    wanted = [c for c, spec in contract.columns.items() if c in table.column_names or not spec.optional]
    if missing := [c for c in wanted if c not in table.column_names]:
        raise RunError(f"table {name}: no column {', '.join(missing)}")
    try:
        typed = {c: table[c].cast(contract.columns[c].type) for c in wanted}
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise RunError(f"table {name}: {error.args[-1]}") from None
    more = [] if isinstance(found, pd.DataFrame) else [c for c in table.column_names if c not in typed]
    return check(name, pa.table(typed | {c: table[c] for c in more}))


def check(name: str, table: pa.Table) -> pa.Table:
    """The table itself if it keeps its contract; RunError says what, in how many rows, if not."""
    check_schema(name, table.schema)
    if said := _empty_problem(TABLES[name], table) or _key_problem(TABLES[name], table):
        raise RunError(f"table {name}: {said}")
    return table


def check_schema(name: str, schema: pa.Schema) -> None:
    """Refuse (RunError) columns that are missing or of another type than the contract's."""
    columns = TABLES[name].columns
    if missing := [c for c, spec in columns.items() if not spec.optional and c not in schema.names]:
        raise RunError(f"table {name}: no column {', '.join(missing)}")
    found = {c: schema.field(c).type for c in columns if c in schema.names}
    if wrong := [f"{c} is {found[c]}, not {columns[c].type}" for c in found if found[c] != columns[c].type]:
        raise RunError(f"table {name}: {'; '.join(wrong)}")


def _empty_problem(contract: Contract, table: pa.Table) -> str:
    counts = {c: table[c].null_count for c, spec in contract.columns.items() if not spec.empty and c in table.column_names}
    return ", ".join(f"{c} is empty in {count:,} of {len(table):,} rows" for c, count in counts.items() if count)


def _key_problem(contract: Contract, table: pa.Table) -> str:
    distinct = len(table.select(contract.key).group_by(list(contract.key)).aggregate([]))
    return f"{len(table) - distinct:,} rows repeat the key {', '.join(contract.key)}" if distinct < len(table) else ""


def write(name: str, frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as Parquet after checking its contract."""
    pq.write_table(conform(name, frame), path)


def read(name: str, path: Path) -> pd.DataFrame:
    """Read a checked table; days arrive as datetime64, texts as str."""
    return check(name, pq.read_table(path)).to_pandas(date_as_object=False)
