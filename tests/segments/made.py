"""What several tests of segments need: order lines and customers, made by hand or from CDNOW."""

import datetime as dt
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

AS_OF = dt.date(2024, 3, 31)  # a Sunday
MONEY = pa.decimal128(38, 12)
TYPES = {"discount": MONEY, "moment": pa.timestamp("us"), "quantity": pa.float64()}


def money(value):
    return None if value is None else Decimal(str(value))


def log(rows, *columns):
    """The table `transactions` from (customer_id, day, amount, …) with further columns by name."""
    names = ("customer_id", "day", "amount", *columns)
    types = {"day": pa.date32(), "amount": MONEY} | TYPES
    values = {name: [row[number] for row in rows] for number, name in enumerate(names)}
    table = {
        name: pa.array(
            map(money, of) if types.get(name) == MONEY else of, types.get(name, pa.string())
        )
        for name, of in values.items()
    }
    return ibis.memtable(pa.table(table))


def frame(**columns):
    """Customers a, b, … with these columns."""
    count = max(len(values) for values in columns.values() if isinstance(values, list))
    return pd.DataFrame({"customer_id": list("abcdefghij"[:count])} | columns)


def series(values, name="x"):
    ids = [f"c{n:05d}" for n in range(len(values))]
    return pd.Series(values, pd.Index(ids, name="customer_id"), name=name)


def skewed(size, seed, sigma=1.5, none=0.3):
    """Money as it is spread: many without any, few with much."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(size) < none, 0, rng.lognormal(3, sigma, size))
