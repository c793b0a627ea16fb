"""The horizon that `init` writes, for companies whose pauses are known."""

import datetime as dt

import pandas as pd
import pytest
import yaml

from analysis.intake import horizon
from analysis.intake import init as onboarding

END = dt.date(2024, 12, 31)


def log(pauses, length, customers=40):
    """Orders of customers who all order every so many days, from another first day each. The last
    row stands first: nothing rests on the order of rows.
    """
    end = pd.Timestamp(END)
    rows = [
        (f"c{n:03}", f"{end - pd.Timedelta(days=back):%d.%m.%Y}", "12.50 €")
        for n in range(customers)
        for back in range(n % min(pauses, 40), length, pauses)
    ]
    return pd.DataFrame(rows, columns=["customer id", "date", "amount"])


def started(tmp_path, **files):
    for name, frame in files.items():
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    paths = [tmp_path / f"{name}.csv" for name in files]
    file, _ = onboarding.init(paths, "shop", tmp_path / "data")
    text = file.read_text("utf-8")
    line = next(line for line in text.splitlines() if line.startswith("horizon_days"))
    content = yaml.safe_load(text)
    assert "horizon_days" in content["assumed"]
    return content["horizon_days"], line.partition("# ")[2]


@pytest.mark.parametrize(
    ("pauses", "length", "expected", "words"),
    [
        (7, 730, 28, "at least 2 usual pauses between orders (7 days each)"),  # groceries
        (90, 1500, 182, "at least 2 usual pauses between orders (90 days each)"),  # b2b
        (91, 1092, 182, "at least 2 usual pauses"),  # 182 = 2 * 91, and 1092 = 6 * 182
        (91, 1091, 91, "the longest that fits 6 times in the log (1,091 days)"),
        (365, 2400, 365, "a usual pause between orders has 365 days"),  # donors
        (365, 1600, 182, "the longest that fits 6 times in the log"),
        (14, 120, 28, "the shortest: the log has only 120 days"),
    ],
)
def test_horizon_fits_the_pauses_and_the_log(tmp_path, pauses, length, expected, words):
    made = log(pauses, length)
    last = pd.Timestamp(END) - pd.Timedelta(days=length - 1)
    first = made.drop_duplicates("customer id").assign(date=f"{last:%d.%m.%Y}")
    made = pd.concat([made, first]).drop_duplicates()
    found, remark = started(tmp_path, orders=made)
    assert (found, words in remark) == (expected, True), remark


def test_several_files_are_one_log(tmp_path):
    """Each half of the customers' days pauses twice as long as they do."""
    made = log(28, 1500)
    found, _ = started(tmp_path, odd=made[::2], even=made[1::2])
    assert found == 56


def test_two_lines_of_a_day_are_one_order(tmp_path):
    made = log(90, 1500)
    found, _ = started(tmp_path, orders=pd.concat([made, made, made]))
    assert found == 182


def test_mistyped_days_make_no_log_longer(tmp_path):
    made = log(91, 1000, 400)  # the oldest order 39 + 10 * 91 days before the last
    made.loc[0, "date"], made.loc[1, "date"] = "31.12.9999", "01.02.1904"
    found, remark = started(tmp_path, orders=made)
    assert (found, "(950 days)" in remark) == (91, True), remark


@pytest.mark.parametrize("customers", [29, 30])
def test_the_pauses_of_few_say_nothing(tmp_path, customers):
    found, remark = started(tmp_path, orders=log(7, 730, customers))
    assert (found, remark == "assumed, a quarter") == (
        (91, True) if customers < 30 else (28, False)
    )


def test_customers_count_alike_however_often_they_order():
    """Three of four pause 60 days; the fourth orders daily and has nearly all the pauses."""
    parts = [(f"c{n}", 60 * k) for n in range(45) for k in range(4)]
    parts += [(f"d{n}", k) for n in range(15) for k in range(180)]
    days = pd.DataFrame(parts, columns=["customer_id", "day"])
    days["day"] = pd.Timestamp(END) + pd.to_timedelta(days.day, unit="D")
    assert horizon.usual_pause(days) == (60.0, 181)


@pytest.mark.parametrize("pause", [1, 14, 14.5, 45.5, 91, 400])
@pytest.mark.parametrize("length", [10, 168, 546, 1092, 2190, 5000])
def test_rule(pause, length):
    found = horizon.fitting(pause, length)
    fits = [n for n in horizon.HORIZONS if 6 * n <= length]
    roomy = [n for n in fits if n >= 2 * pause]
    assert found == (min(roomy) if roomy else max(fits, default=28))
