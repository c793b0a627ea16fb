"""Order lines and contacts for tests of proposals, and what is known of them by definition."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.strategy.purchases import Purchases

AS_OF = dt.date(2024, 6, 30)


def ago(days):
    return AS_OF - dt.timedelta(days=days)


def basket(customer, *items, day=0):
    return [(customer, ago(day), item, 5) for item in items]


def every(customer, item, pause, times, last):
    return [(customer, ago(last + pause * n), item, 5) for n in range(times)]


def lines(rows, item="product", **more):
    """The table `transactions` from (customer_id, day, item, amount)."""
    ids, days, items, amounts = zip(*rows, strict=True) if rows else ([], [], [], [])
    money = [None if amount is None else Decimal(amount) for amount in amounts]
    columns = {"customer_id": pa.array(ids, pa.string()), "day": pa.array(days, pa.date32())}
    columns |= {"amount": pa.array(money, pa.decimal128(38, 12))}
    columns |= {item: pa.array(items, pa.string())} if item else {}
    return ibis.memtable(pa.table(columns | {name: pa.array(x) for name, x in more.items()}))


def contacts(rows, item="product"):
    """The table `interactions` from (customer_id, day, item)."""
    ids, days, items = zip(*rows, strict=True) if rows else ([], [], [])
    columns = {"customer_id": pa.array(ids, pa.string()), "day": pa.array(days, pa.date32())}
    return ibis.memtable(pa.table(columns | {item: pa.array(items, pa.string())}))


def history(log, talk=(), people=(), gone=(), durable=(), groups=(), item="product"):
    """Purchases by their definition, in plain Python. `groups`: (customer_id, group, own)."""
    days = defaultdict(lambda: (set(), set()))  # sold, and returned
    for who, day, name, amount in log:
        if name and day <= AS_OF:
            days[who, name][(amount or 0) < 0].add(day)
    asked = defaultdict(set)
    for who, day, name in talk:
        if day <= AS_OF:
            asked[who, name].add(day)
    times = defaultdict(int)
    for (who, _), on in asked.items():
        times[who] += len(on)
    needs = {
        key: on
        for key, on in asked.items()
        if key not in days and len(on) >= 2 and len(on) >= times[key[0]] / 4
    }
    customers = sorted({who for who, _ in days} | {*people})
    items = sorted({name for _, name in [*days, *needs]})

    def numbered(rows, columns):
        kept = [
            (customers.index(who), items.index(name), *rest)
            for (who, name), rest in rows.items()
            if who in customers
        ]
        frame = pd.DataFrame(kept, columns=["row", "column", *columns])
        whole = frame.sort_values(["row", "column"], ignore_index=True).astype("int64")
        return whole.astype({"returned": bool}) if "returned" in whole else whole

    pairs = {
        key: (
            len(sold),
            (AS_OF - max(sold)).days if sold else 0,
            (max(sold) - min(sold)).days if sold else 0,
            bool(back) and (len(back) >= len(sold) or item == "product"),
        )
        for key, (sold, back) in days.items()
    }
    wanted = {key: (len(on), (AS_OF - max(on)).days) for key, on in needs.items()}
    own = [(customers.index(who), *rest) for who, *rest in groups]
    return Purchases(
        item,
        pd.Index(customers, dtype="str"),
        pd.Index(items, dtype="str"),
        numbered(pairs, ["purchases", "ago", "span", "returned"]),
        numbered(wanted, ["contacts", "ago"]),
        pd.DataFrame(own, columns=["row", "group", "own"]),
        np.array([name not in gone for name in items], bool),
        np.array([name in durable for name in items], bool),
    )
