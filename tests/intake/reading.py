"""What the tests of reading share."""

import datetime as dt
import unicodedata

import ibis
import pyarrow as pa

from analysis.intake import cleaning, dataset, parsing, store

COLUMNS = {"customer_id": "id", "date": "day", "amount": "eur"}
HEADER = "id,day,eur\n"
ROW = "7,2024-01-05,5.00\n"
ORDERS = {"path": "*.csv", "columns": COLUMNS}


def lines(batches):
    """The rows of some batches, in the order of their lines, as dicts of what is not empty."""
    found = [row for batch in batches for row in batch.to_pylist()]
    return [
        {k: v for k, v in row.items() if v is not None}
        for row in sorted(found, key=lambda row: row["line"])
    ]


def of(rows, column):
    return [row.get(column) for row in rows]


def fold(character):
    return {"L": "x", "M": "x", "N": "9"}.get(unicodedata.category(character)[0], character)


def parsed(rows, names, table="transactions", source="orders.csv", within=None, **file):
    """Rows of texts read as what their columns mean, without a file on the disk; none stands for a
    blank.
    """
    named = {"path": source} | file
    named.setdefault("columns", {name: name for name in names})
    one = dataset.Dataset.model_validate(
        {"name": "shop", "tables": {"transactions": ORDERS} | {table: named}} | (within or {})
    )
    texts = {
        name: pa.array(values, pa.string())
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    whole = {
        "line": pa.array(range(2, len(rows) + 2), pa.int64()),
        "fields": pa.nulls(len(rows), pa.int64()),
    }
    raw = ibis.memtable(pa.table(whole | texts))
    return ibis.memtable(parsing.parse(raw, table, one.files(table)[0], one, source).to_pyarrow())


def kept(file):
    """The kept order lines."""
    found = dataset.load(file)
    lines = store.typed(store.gather(found, file.parent / "read"), "transactions")
    judged = cleaning.judge(lines, dt.date(2030, 1, 1))
    return judged.filter(judged.outcome == "kept").to_pandas()
