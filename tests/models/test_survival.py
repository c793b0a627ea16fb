import datetime as dt
import subprocess
import sys

import ibis
import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter

from analysis.intake import cleaning
from analysis.models import survival
from analysis.report.text import say

START, AS_OF = dt.date(2024, 1, 1), dt.date(2024, 3, 31)
NOTHING = float("nan")


def on(*days):
    """Days of January 2024."""
    return [dt.date(2024, 1, day) for day in days]


def of(days, ended, count=1):
    """Counted pauses of one group."""
    return pd.DataFrame({"group": "a", "days": days, "ended": ended, "count": count})


def drawn(random, mean, watched):
    """Pauses with a known truth: P(days > t) = exp(-t / mean), each seen for as long as `watched`
    says.
    """
    lasts = np.ceil(random.exponential(mean, len(watched))).astype(int)
    return pd.DataFrame(
        {"number": 1, "days": np.minimum(lasts, watched), "ended": lasts <= watched}
    )


def curve_of(pauses):
    counts = pauses.groupby(["days", "ended"]).size().rename("count").reset_index()
    return survival.curves_of(counts.assign(group="a"))


# The curves
def test_a_curve_by_hand(monkeypatch):
    """Of five: one ends on day 2; one on day 3, on which another is cut off, who was still there on
    it; one on day 7.
    """
    monkeypatch.setattr(survival, "MIN_PAUSES", 1)
    curve = survival.curves_of(of([2, 3, 3, 7, 9], [True, True, False, True, False]))
    assert list(curve) == ["group", "days", "customers", "ended", "not_yet", "low", "high"]
    assert curve[["days", "customers", "ended"]].to_numpy().tolist() == [
        [0, 5, 0],
        [2, 5, 1],
        [3, 4, 1],
        [7, 2, 1],
        [9, 1, 0],
    ]
    assert curve.not_yet.tolist() == pytest.approx([1, 4 / 5, 3 / 5, 3 / 10, 3 / 10])


def test_the_interval_is_greenwoods_on_the_scale_of_log_log(monkeypatch):
    monkeypatch.setattr(survival, "MIN_PAUSES", 1)
    row = survival.curves_of(of([2, 3, 9], [True, True, False], [20, 30, 50])).iloc[2]
    assert row.not_yet == pytest.approx(0.5)
    spread = 1.959964 * np.sqrt(20 / (100 * 80) + 30 / (80 * 50)) / np.log(0.5)
    assert [row.low, row.high] == pytest.approx(
        [0.5 ** np.exp(-spread), 0.5 ** np.exp(spread)], rel=1e-6
    )


def test_the_curve_of_all_who_ordered_again_ends_at_zero():
    curve = survival.curves_of(of([1, 2], True, 40))
    assert curve.not_yet.tolist() == [1, 0.5, 0]
    assert curve.iloc[:2][["low", "high"]].notna().all(None)
    assert survival.summary(curve, 90).iloc[0][["median_days", "not_yet", "censored"]].tolist() == [
        1,
        0,
        0,
    ]


def test_a_curve_on_which_nobody_ordered_again_stays_at_one():
    found = survival.summary(survival.curves_of(of([5, 100], False, 40)), 90).iloc[0]
    assert found[["pauses", "censored", "not_yet", "low", "high"]].tolist() == [80, 1, 1, 1, 1]
    assert np.isnan(found.median_days)


def test_weights_give_the_curve_of_the_rows():
    pauses = drawn(np.random.default_rng(1), 30, np.random.default_rng(2).integers(0, 100, 500))
    rows = survival.curves_of(of(pauses.days, pauses.ended))
    pd.testing.assert_frame_equal(curve_of(pauses), rows, rtol=1e-12)


def test_cdnow_is_what_lifelines_says_of_plain_rows(cdnow):
    """The rows are made without the module: order days of pandas, shifted."""
    log = cleaning.transactions(cdnow).filter(ibis._.amount >= 0).to_pandas()
    days = (
        log.assign(day=pd.to_datetime(log.day))[["customer_id", "day"]]
        .drop_duplicates()
        .sort_values(["customer_id", "day"])
    )
    following = days.groupby("customer_id").day.shift(-1)
    number = days.groupby("customer_id").cumcount() + 1
    lasted = (following.fillna(pd.Timestamp("1998-06-30")) - days.day).dt.days
    found = survival.curves_of(
        survival.pause_counts(cleaning.transactions(cdnow), dt.date(1998, 6, 30))
    )
    assert found.group.unique().tolist() == list(survival.STANDINGS)
    masks = {
        "first": number == 1,
        "second_to_fourth": number.between(2, 4),
        "fifth_on": number >= 5,
    }
    for name, curve in found.groupby("group"):
        some = masks[name]
        theirs = KaplanMeierFitter().fit(lasted[some], following[some].notna())
        assert curve.days.tolist() == theirs.timeline.tolist()
        assert curve.not_yet.to_numpy() == pytest.approx(
            theirs.survival_function_.to_numpy()[:, 0], rel=1e-9
        )
        assert curve[["low", "high"]].to_numpy() == pytest.approx(
            theirs.confidence_interval_.to_numpy(), rel=1e-9, nan_ok=True
        )
        assert survival.summary(curve, 91).median_days.iloc[0] == pytest.approx(
            theirs.median_survival_time_
        ) or (np.isinf(theirs.median_survival_time_))


def test_cdnow_knows_who_orders_often(cdnow):
    table = survival.summary(
        survival.curves_of(
            survival.pause_counts(cleaning.transactions(cdnow), dt.date(1998, 6, 30))
        ),
        91,
    )
    assert table.group.tolist() == list(survival.STANDINGS)
    assert table.not_yet.is_monotonic_decreasing
    assert (table.low < table.not_yet).all()
    assert (table.not_yet < table.high).all()
    assert survival.verdict(table, 91)[1]["group"] == "first"


# Against a truth
@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    random, truth, held = np.random.default_rng(5), np.exp(-60 / 50), []
    for _ in range(300):
        row = survival.summary(curve_of(drawn(random, 50, random.integers(0, 150, 200))), 60).iloc[
            0
        ]
        held.append(row.low <= truth <= row.high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_the_whole_curve_is_near_the_truth_and_shares_that_ignore_open_pauses_are_not():
    """To leave out the open pauses makes customers too quick, to count them as never makes them too
    slow.
    """
    random = np.random.default_rng(6)
    pauses = drawn(random, 50, random.integers(0, 150, 20_000))
    curve, truth = curve_of(pauses), np.exp(-60 / 50)
    seen = curve[curve.days <= 120]
    assert np.abs(seen.not_yet - np.exp(-seen.days / 50)).max() < 0.02
    assert survival.summary(curve, 60).not_yet.iloc[0] == pytest.approx(truth, abs=0.015)
    assert (pauses.days[pauses.ended] > 60).mean() < truth - 0.08
    assert (~pauses.ended | (pauses.days > 60)).mean() > truth + 0.08


def test_groups_of_few_pauses_are_left_out():
    pauses = drawn(np.random.default_rng(9), 30, np.full(survival.MIN_PAUSES, 60))
    assert len(curve_of(pauses))
    assert curve_of(pauses.iloc[1:]).empty


def test_what_no_pause_was_watched_for_is_not_known():
    curve = survival.curves_of(of([10, 40], [True, False], 30))
    known, unknown = survival.summary(curve, 40).iloc[0], survival.summary(curve, 41).iloc[0]
    assert known.not_yet == 0.5
    assert unknown[["not_yet", "low", "high"]].isna().all()
    assert unknown.median_days == 10


def nothing_told(log, as_of=AS_OF):
    curves = survival.curves_of(survival.pause_counts(log, as_of))
    table = survival.summary(curves, 30)
    assert list(curves) == ["group", "days", "customers", "ended", "not_yet", "low", "high"]
    assert list(table) == ["group", "pauses", "censored", "median_days", "not_yet", "low", "high"]
    text, values = survival.verdict(table, 30)
    return curves.empty and table.empty and say.unknown(text, values)


def test_one_customer_only_returns_and_an_empty_log_tell_nothing(ledger):
    empty = ledger([("a", START, "5")]).filter(ibis._.day < START)
    for log in (ledger([("a", START, "5")]), ledger([("a", START, "-5")]), empty):
        assert nothing_told(log)
    assert nothing_told(ledger([("a", AS_OF, "5")]), START)


def test_customers_without_a_repeat_are_a_flat_curve(ledger):
    log = ledger([(str(n), START, "5") for n in range(survival.MIN_PAUSES)])
    table = survival.summary(survival.curves_of(survival.pause_counts(log, AS_OF)), 30)
    assert table.group.tolist() == ["first"]
    assert "fewer than half ever did" in survival.verdict(table, 30)[0]


# What is said
@pytest.mark.parametrize(
    ("median", "words"), [(40.0, "within 40 days"), (NOTHING, "fewer than half ever did")]
)
def test_the_slowest_group_is_told_with_its_numbers(median, words):
    table = pd.DataFrame(
        {
            "group": ["fifth_on", "first"],
            "pauses": 90,
            "censored": 0.1,
            "median_days": [9.0, median],
        }
    ).assign(not_yet=[0.2, 0.6], low=[0.1, 0.5], high=[0.3, 0.7])
    said, values = survival.verdict(table, 91)
    text = say(said, **values)
    assert words in text
    assert "after the first order" in text
    assert "60.0\N{NO-BREAK SPACE}%" in text
    assert "91 days" in text


def test_nobody_waits_for_the_library_who_draws_no_curve():
    code = "import sys, analysis.models.survival; sys.exit('lifelines' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pauses_are_counted_by_the_order_that_they_follow(ledger):
    """Six orders a day apart, the last pause still open; a return is no order."""
    log = [("a", START + dt.timedelta(days=n), "5") for n in range(6)]
    counts = survival.pause_counts(ledger([*log, ("a", AS_OF, "-5"), ("b", START, "5")]), AS_OF)
    assert counts.astype({"group": "str"}).to_numpy().tolist() == [
        ["first", 1, True, 1],
        ["first", 90, False, 1],
        ["second_to_fourth", 1, True, 3],
        ["fifth_on", 1, True, 1],
        ["fifth_on", 85, False, 1],
    ]
