"""How often what is proposed next was bought, on time not seen: the invented company (products),
Complete Journey (categories, and its most bought products), 91 days, rule chosen on the 91 days
before. Beside it implicit's models, where that is installed, chosen among its settings on the same
earlier days.

`recommend.py 1000000 20000` instead tells the seconds and the peak of the process for so many
generated customers and items.
"""

import datetime as dt
import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from analysis.engine import connect
from analysis.run import stage
from analysis.strategy import item_rules, offer_trial, offers, purchases

HORIZON = 91
CASES = (("crm_demo", "2025-12-31", "product"), ("complete_journey", "2017-12-30", "category"))
CASES += (("complete_journey", "2017-12-30", "product"),)


def candidates() -> Iterator[tuple[str, Any]]:
    """implicit's models; a fresh one each time."""
    from implicit.als import AlternatingLeastSquares
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender

    for model in (CosineRecommender, TFIDFRecommender, BM25Recommender):
        yield model.__name__, model(K=100)
    for factors in (8, 16, 32, 64):
        for regularization in (0.1, 10):
            model = AlternatingLeastSquares(
                factors, regularization, alpha=1, random_state=1, use_gpu=False
            )
            yield f"ALS of {factors} factors, {regularization:g}", model


def library(log: Any, origin: dt.date, item: str) -> dict[str, float]:
    """Hit rate at 3 of each of implicit's models, of the customers whom recommend judges."""
    history = purchases.gather(log, origin, item=item)
    later = offer_trial.bought_later(log, origin, HORIZON, item)
    rows = offer_trial.drawn(history, later, 0)
    truth, bought, hits = offer_trial.pairs(history, later), history.bought.astype(np.float32), {}
    for name, model in candidates():
        model.fit(bought, show_progress=False)
        columns, _ = model.recommend(
            rows, bought[rows], N=offers.PLACES, filter_already_liked_items=True
        )
        told = pd.DataFrame({"row": np.repeat(rows, offers.PLACES), "column": columns.ravel()})
        hits[name] = offer_trial.rates(told, truth, rows, len(history.items))["hit"]
    return hits


def accuracy() -> None:
    for name, day, item in CASES:
        engine, as_of = connect(), dt.date.fromisoformat(day)
        log = engine.read_parquet(stage.table_path(name, "transactions"))
        log = log.drop("category") if item == "product" and name == "complete_journey" else log
        asked = (
            engine.read_parquet(stage.table_path(name, "interactions"))
            if name == "crm_demo"
            else None
        )
        trial = offer_trial.run(log, as_of, HORIZON, asked)
        print(
            f"\n{name}, {item}, measured at {trial.measured.day}, chosen at {trial.chosen.day}:"
            f" {trial.champion}"
        )
        print(
            f"{trial.board.round(4).to_string(index=False)}\ndue again: {trial.measured.again:.3f}"
            f" of {trial.measured.again_count} bought"
        )
        if importlib.util.find_spec("implicit"):
            early, late = (
                library(log, as_of - dt.timedelta(days=n * HORIZON), item) for n in (2, 1)
            )
            chosen = max(early, key=early.__getitem__)
            print(
                f"implicit, chosen: {chosen} {late[chosen]:.4f}; best in hindsight"
                f" {max(late.values()):.4f}"
            )


LOG = """
    copy (
        select
            'c' || hash(n, 1) % {customers} as customer_id,
            date '2024-01-01' + cast(hash(n, 2) % 730 as integer) as day,
            cast(5 as decimal(38, 12)) as amount,
            'p' || cast(
                floor({items} * power((hash(n, 3) % 1000003) / 1000003.0, 3)) as integer
            ) as product
        from range({customers} * 20) t(n)
    ) to '{path}'
"""


def speed(customers: int, items: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        duckdb.sql(LOG.format(customers=customers, items=items, path=path))
        began, log, as_of = (
            time.perf_counter(),
            connect().read_parquet(path),
            dt.date(2025, 12, 31),
        )
        history = purchases.gather(log, as_of, item="product")
        print(
            f"{len(history.customers):,} customers, {len(history.pairs):,} pairs:"
            f" {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        table = offers.recommend(history, item_rules.DEFAULT, history.customers)
        print(f"{len(table):,} proposals: {time.perf_counter() - began:.0f} s", flush=True)
        if len(sys.argv) > 3:
            offer_trial.run(log, as_of, HORIZON)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
        print(f"in all {time.perf_counter() - began:.0f} s, peak {peak:.2f} GB")


if __name__ == "__main__":
    speed(int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else accuracy()
