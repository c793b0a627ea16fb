"""An invented shop, its log, and customers of whom the risk of leaving is known."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit

from analysis.intake.dataset import Dataset
from analysis.models import orders
from analysis.models.churn_features import FLAT
from analysis.models.history import Records

AS_OF = dt.date(2025, 12, 31)
HORIZON = 91
DAYS = 730  # of the invented log
MEASURED = AS_OF - dt.timedelta(days=HORIZON)
NOTHING = float("nan")


def ago(days, day=AS_OF):
    return day - dt.timedelta(days=days)


def shop(profile=(), **changed):
    """A dataset; with `profile` columns of customers."""
    tables = {
        "transactions": {
            "path": "x.csv",
            "columns": {"customer_id": "c", "date": "d", "amount": "a"},
        }
    }
    if profile:
        tables["customers"] = {
            "path": "p.csv",
            "columns": {name: name for name in ("customer_id", *profile)},
        }
    return Dataset(name="shop", tables=tables, **changed)


SHOP = shop()


def lines(customers=250, seed=1, days=DAYS, every=(15, 90), lives=300):
    """(customer, day, amount): each orders at a rate of its own, and is lost after a while."""
    chance = np.random.default_rng(seed)
    found = []
    for number in range(customers):
        pause, day = chance.uniform(*every), float(chance.uniform(0, 0.7 * days))
        end = min(days, day + chance.exponential(lives))
        while day < end:
            found.append(
                (f"c{number:04}", ago(days - int(day) - 1), round(float(chance.gamma(2, 20)), 2))
            )
            day += chance.exponential(pause)
    return found


def log(rows):
    """Records of order lines alone."""
    ids, days, amounts = zip(*rows, strict=True)
    money = pa.array([Decimal(str(amount)) for amount in amounts], pa.decimal128(38, 12))
    return Records(
        ibis.memtable(
            pa.table({"customer_id": ids, "day": pa.array(days, pa.date32()), "amount": money})
        ).cache()
    )


def profiles(records, **columns):
    """Records with profiles: customer_id and these columns."""
    types = {
        "customer_id": pa.string(),
        "contract_end": pa.date32(),
        "churned": pa.bool_(),
        "region": pa.string(),
    }
    arrays = {name: pa.array(list(values), types[name]) for name, values in columns.items()}
    return replace(records, profiles=ibis.memtable(pa.table(arrays)))


def people(n, seed=0, **columns):
    """Customers as from Past.at, of whom nothing but `columns` matters."""
    chance = np.random.default_rng(seed)
    age = chance.integers(0, 800, n)
    recency = (age * chance.random(n)).astype(int)
    frequency = np.where(recency == age, 0, chance.poisson(3, n))
    pause = np.where(frequency > 0, chance.gamma(2, 20, n), np.nan)
    facts = {
        "customer_id": [f"c{number:05}" for number in range(n)],
        "orders": frequency + 1,
        "frequency": frequency,
        "recency_days": recency,
        "age_days": age,
        "order_value": chance.gamma(2, 20, n),
        "usual_pause": pause,
        "recent_pause": pause * chance.uniform(0.5, 2, n),
        "pause_deviation": pause * chance.random(n),
        **{f"orders_{days}": chance.integers(0, 5, n) for days in orders.TRAILING},
        "revenue_28": chance.normal(20, 30, n),
        "revenue_91": chance.normal(60, 50, n),
        "expected": chance.gamma(1, 1, n),
        **{name: chance.poisson(0.3, n).astype(float) for name in FLAT},
        "satisfaction": np.where(chance.random(n) < 0.7, np.nan, chance.random(n)),
        "is_region_0": chance.integers(0, 2, n).astype(float),
        "stage": "repeat",
        "left": chance.random(n) < 0.4,
    }
    return pd.DataFrame(facts | columns)


def with_known_risk(n, seed):
    """Customers whose true log odds of leaving are linear in the log of their recency, and who left
    by them.
    """
    held = people(n, seed)
    truth = expit(1.2 * np.log1p(held.recency_days) - 6)
    return held.assign(truth=truth, left=np.random.default_rng(seed + 1000).random(n) < truth)


def steady(customers=60, days=450, pause=15):
    return [
        (f"c{n:03}", ago(day), 5.0)
        for n in range(customers)
        for day in range(n % pause, days, pause)
    ]
