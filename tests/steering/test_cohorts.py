import numpy as np
import pandas as pd
import pytest

from analysis.steering import cohorts
from tests.steering.test_kpis import log_of, months_of


def test_cohorts_by_hand():
    """Of two who came in January one orders in February and both in March; one came in March."""
    log = log_of(
        ("a", "2024-01-01", 10), ("b", "2024-01-20", 20), ("a", "2024-02-10", 5),
        ("a", "2024-03-01", 1), ("b", "2024-03-31", 2), ("b", "2024-03-30", 2),
        ("c", "2024-03-05", 7),
    )  # fmt: skip
    found = cohorts.table(months_of(log, "2024-03-31")).set_index(["cohort", "age"])
    january = found.loc[pd.Timestamp("2024-01-31")]
    assert january.active_share.tolist() == [1, 0.5, 1]
    assert january.revenue_each.tolist() == pytest.approx([15, 17.5, 20])
    march = found.loc[pd.Timestamp("2024-03-31")]
    assert (march.customers.tolist(), march.revenue_each.tolist()) == ([1], [7])


def shop(again, later):
    """Fifty new customers a month, of whom this share orders again a month later."""
    rows = []
    for month in range(30):
        first = pd.Timestamp("2022-01-05") + pd.DateOffset(months=month)
        share = later if month >= 24 else again
        for n in range(50):
            rows.append((f"{month}-{n}", first, 10))
            if n < 50 * share:
                rows.append((f"{month}-{n}", first + pd.DateOffset(days=30), 10))
    return months_of(log_of(*rows), "2024-06-30")


def test_the_newest_cohorts_are_held_against_those_before_at_the_same_age():
    """Cohorts of January to March 2024, of 150 customers, against 600 of the year before."""
    _, values = cohorts.newest(shop(0.6, 0.2))
    assert (values["customers"], values["share"], values["then"]) == pytest.approx((150, 0.2, 0.6))
    error = 196 * np.sqrt(0.16 / 150 + 0.24 / 600)
    assert (values["low"], values["high"]) == pytest.approx((-40 - error, -40 + error), abs=0.06)
    _, same = cohorts.newest(shop(0.4, 0.4))
    assert same["low"] < 0 < same["high"]


def test_cohorts_of_the_logs_first_half_year_may_be_older_and_compare_nothing():
    rows = [
        (f"{m}-{n}", pd.Timestamp("2024-01-05") + pd.DateOffset(months=m), 1)
        for m in range(9)
        for n in range(40)
    ]
    assert cohorts.newest(months_of(log_of(*rows), "2024-09-30")) is None


def test_what_is_forecast_of_those_who_first_ordered_in_a_quarter():
    """150 of each quarter, 60 % of whom order again a month later, 10 each time: 16 of each."""
    months = shop(0.6, 0.6)
    ids = [f"{month}-{n}" for month in range(30) for n in range(50)]
    ahead = [float(one.split("-")[0]) for one in ids]
    worth = pd.DataFrame({"customer_id": ids, "expected_orders": ahead, "expected_spend": np.nan})
    found = cohorts.quarters(months, worth).set_index("quarter")
    assert found.index[0] == pd.Timestamp("2024-06-30") and {*found.customers} == {150}
    first, second = found.iloc[0], found.iloc[1]
    assert np.isnan(first.again_share) and second.again_share == pytest.approx(0.6)
    # of the last month nobody has had time to come again
    assert (first.revenue_each, second.revenue_each) == pytest.approx((14, 16))
    assert (first.orders_ahead, second.orders_ahead) == pytest.approx((28, 25))
    assert found.spend_ahead.isna().all()
