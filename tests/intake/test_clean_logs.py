"""Of ordinary logs nothing is asked: a question that need not be is one too many."""

import numpy as np
import pandas as pd
import pytest

from analysis.intake import init as onboarding

CUSTOMERS = ["customer_id", "Customer No", "Client Code", "member id", "客户编号", "Account Name"]
DATES = ["order_date", "Invoice Date", "created_at", "下单时间", "date"]
MONEY = ["amount", "Total", "Sales", "订单金额", "line total", "net amount"]
ORDERS = ["order_id", "Invoice No", "订单号", "order number"]
FORMATS = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S", "%d-%b-%Y"]
IDS = ["C{:04}", "{}", "1{:05}", "00{:05}", "Shop {} Ltd", "u{}@x.example"]
OTHERS = {
    "product": ["Tea", "Mug", "Pot"], "quantity": [1, 2, 3], "channel": ["web", "shop"],
    "status": ["completed"], "category": ["A", "B"], "sales rep": ["Ann", "Bob"], "note": [""],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(300))
def test_of_an_ordinary_log_nothing_is_asked_or_noted(seed, tmp_path):
    rng = np.random.default_rng(seed)
    rows, customers = int(rng.integers(60, 600)), int(rng.integers(8, 120))
    seconds = np.sort(rng.integers(0, 700 * 86_400, rows))
    moments = pd.Timestamp("2023-01-01") + pd.to_timedelta(seconds, "s")
    columns = {
        str(rng.choice(CUSTOMERS)): map(rng.choice(IDS).format, rng.integers(0, customers, rows)),
        str(rng.choice(DATES)): moments.strftime(str(rng.choice(FORMATS))),
        str(rng.choice(MONEY)): np.round(rng.lognormal(3, 0.7, rows), 2),
    }
    if rng.random() < 0.7:
        columns[str(rng.choice(ORDERS))] = np.arange(5_000, 5_000 + rows)
    for name in rng.choice(list(OTHERS), int(rng.integers(0, 4)), replace=False):
        columns[str(name)] = rng.choice(OTHERS[str(name)], rows)
    pd.DataFrame(columns).to_csv(tmp_path / "log.csv", index=False)
    _, said = onboarding.describe([tmp_path / "log.csv"], tmp_path)
    assert [line for line in said if line.startswith(("question", "note"))] == []
