"""The contract of every table that one stage hands to the next, checked when written and when
read. What the tables hold stands in schema.yml.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from analysis.errors import RunError

MONEY = pa.decimal128(38, 12)  # exact sums from 1e-12 to 1e15 and beyond
TEXT, INTEGER, NUMBER, DAY, FLAG = pa.string(), pa.int64(), pa.float64(), pa.date32(), pa.bool_()
UNKNOWN = "unknown"  # class of those of whom something is not known
STAGES = ("prospect", "new", "repeat", "loyal", "silent", "lost")  # of a customer's life, in order
MOMENT = pa.timestamp("us")


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


@dataclass(frozen=True)
class Meaning:
    """What a column of a company's records may mean: how its texts are read, and in words.

    `needed` columns must be named in the dataset file; `person` columns say who or how to reach
    somebody and are never shown; `read_only` columns serve to make others and are not kept.
    """

    reads_as: str  # text, moment, day, money, number or flag
    words: str
    needed: bool = False
    person: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class Records:
    """A kind of a company's records: what a row is, and what its columns may mean."""

    row: str
    columns: dict[str, Meaning]


_TYPES = {
    "text": TEXT,
    "moment": MOMENT,
    "day": DAY,
    "money": MONEY,
    "integer": INTEGER,
    "number": NUMBER,
    "flag": FLAG,
}
FILE = Path(__file__).with_suffix(".yml")
_DATA = yaml.load(FILE.read_text("utf-8"), yaml.CSafeLoader)


def _said(text: str) -> tuple[str, list[str], str]:
    """What an entry of the file says: type or form, flags, words."""
    head, _, words = text.partition(" | ")
    first, *flags = head.split()
    return first, flags, words


def _column(text: str) -> Column:
    kind, flags, meaning = _said(text)
    return Column(_TYPES[kind], meaning, empty=bool(flags), optional="optional" in flags)


def _meaning(text: str) -> Meaning:
    kind, flags, words = _said(text)
    return Meaning(kind, words, **dict.fromkeys(flags, True))


# What a company may have. Only customer_id and date of transactions are needed; all else switches
# on what rests on it.
RECORDS = {
    name: Records(table["row"], {c: _meaning(text) for c, text in table["columns"].items()})
    for name, table in _DATA["records"].items()
}
_ORIGIN = {
    name: _column(text)
    for name, text in _DATA["tables"]["transactions"]["columns"].items()
    if name in ("source", "line")
}


def _as_read(table: str, key: tuple[str, ...] = ("source", "line")) -> Contract:
    """The contract of records that are handed on as they were read; a date becomes `day`, and
    `moment` with the clock.
    """
    kept = {
        name: meaning for name, meaning in RECORDS[table].columns.items() if not meaning.read_only
    }
    date = kept.pop("date", None)
    dated = {"day": Column(DAY, date.words)} if date else {}
    if date and date.reads_as == "moment":
        dated["moment"] = Column(
            MOMENT,
            f"{date.words}, with the time of day where it is said",
            empty=True,
            optional=True,
        )
    columns = {
        name: Column(
            _TYPES[meaning.reads_as],
            meaning.words,
            empty=not meaning.needed,
            optional=not meaning.needed,
        )
        for name, meaning in kept.items()
    }
    return Contract(RECORDS[table].row, key, columns | dated | _ORIGIN)


TABLES = {
    name: Contract(
        table["row"],
        tuple(table["key"]),
        {c: _column(text) for c, text in table["columns"].items()},
    )
    for name, table in _DATA["tables"].items()
} | {
    "profiles": _as_read("customers", ("customer_id",)),
    "interactions": _as_read("interactions"),
    "feedback": _as_read("feedback"),
    "campaigns": _as_read("campaigns"),
    "products": _as_read("products", ("product",)),
}
SHOWN = {
    name: (words, form) for name, text in _DATA["shown"].items() for form, _, words in [_said(text)]
}
FIELDS: dict[str, str] = _DATA["fields"]
LABELS: dict[str, str] = _DATA["labels"]

# The table that keeps each kind of records; `customers` is another, of one row per customer as of a
# day.
KEPT_AS = {
    name: "profiles" if name == "customers" else name for name in RECORDS if name != "transactions"
}


def empty(name: str) -> pa.Table:
    """A table without rows, with all columns of its contract."""
    return pa.schema([(c, spec.type) for c, spec in TABLES[name].columns.items()]).empty_table()


def conform(
    name: str, found: pd.DataFrame | pa.Table, contract: Contract | None = None
) -> pa.Table:
    """The contract's columns in its types and order, then any others; RunError where that cannot
    be. The contract is that of TABLES unless it is given.
    """
    columns, table = (contract or TABLES[name]).columns, found
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    wanted = [c for c, spec in columns.items() if c in table.column_names or not spec.optional]
    if missing := [c for c in wanted if c not in table.column_names]:
        raise RunError(f"table {name}: no column {', '.join(missing)}")
    try:
        typed = {c: table[c].cast(columns[c].type) for c in wanted}
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise RunError(f"table {name}: {error.args[-1]}") from None
    if table is found:
        typed |= {c: table[c] for c in table.column_names if c not in typed}
    return check(name, pa.table(typed), contract)


def check(name: str, table: pa.Table, contract: Contract | None = None) -> pa.Table:
    """The table itself if it keeps its contract; RunError says what, in how many rows, if not."""
    contract = contract or TABLES[name]
    check_schema(name, table.schema, contract)
    needed = [c for c, spec in contract.columns.items() if not spec.empty]
    counts = {c: table[c].null_count for c in needed if c in table.schema.names}
    if empty := [f"{c} is empty in {n:,} of {len(table):,} rows" for c, n in counts.items() if n]:
        raise RunError(f"table {name}: {', '.join(empty)}")
    key = list(contract.key)
    if repeated := len(table) - len(table.select(key).group_by(key).aggregate([])):
        raise RunError(f"table {name}: {repeated:,} rows repeat the key {', '.join(key)}")
    return table


def check_schema(name: str, schema: pa.Schema, contract: Contract | None = None) -> None:
    """Refuse (RunError) columns that are missing or of another type than the contract's."""
    columns = (contract or TABLES[name]).columns
    if missing := [c for c, spec in columns.items() if not spec.optional and c not in schema.names]:
        raise RunError(f"table {name}: no column {', '.join(missing)}")
    found = {c: schema.field(c).type for c in columns if c in schema.names}
    if wrong := [
        f"{c} is {found[c]}, not {columns[c].type}" for c in found if found[c] != columns[c].type
    ]:
        raise RunError(f"table {name}: {'; '.join(wrong)}")


def write(name: str, frame: pd.DataFrame, path: Path, contract: Contract | None = None) -> None:
    """Write a frame as Parquet after checking its contract."""
    pq.write_table(conform(name, frame, contract), path)


def read(name: str, path: Path, contract: Contract | None = None) -> pd.DataFrame:
    """Read a checked table; days arrive as datetime64, texts as str."""
    return check(name, pq.read_table(path), contract).to_pandas(date_as_object=False)
