import datetime as dt
import subprocess
import sys

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter

from analysis.intake import cleaning
from analysis import customers
from analysis.models import survival
from analysis.report.text import Language

START, AS_OF = dt.date(2024, 1, 1), dt.date(2024, 3, 31)
NOTHING = float("nan")


def lines(first, last):
    amounts = st.sampled_from(["-20", "-0.01", "0", "5", "1000000"])
    return st.lists(
        st.tuples(st.sampled_from(["7", "007", "张三", "d"]), st.dates(first, last), amounts),
        min_size=1,
        max_size=25,
    )


PAST = lines(START, AS_OF)


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
    return survival.curves(pauses, pd.Series("a", pauses.index))


def buyers(random, customers, mean, last_day):
    """A log of customers who come at random and then order after exponential pauses for ever:
    (customer_id, day, amount).
    """
    log = []
    for customer in range(customers):
        days = random.integers(0, last_day // 2) + np.cumsum(
            [0, *np.ceil(random.exponential(mean, 4 * last_day // mean))]
        )
        log += [
            (str(customer), START + dt.timedelta(days=int(day)), "5")
            for day in days[days <= last_day]
        ]
    return log


# The pauses
def by_hand(log, as_of, window_days):
    """What `pauses` promises in plain Python."""
    rows = []
    for customer in sorted({c for c, _, _ in log}):
        days = sorted(
            {day for c, day, amount in log if c == customer and float(amount) >= 0 and day <= as_of}
        )
        for number, (day, following) in enumerate(
            zip(days, [*days[1:], None], strict=False), start=1
        ):
            if not window_days or day > as_of - dt.timedelta(days=window_days):
                rows.append(
                    (
                        customer,
                        pd.Timestamp(day),
                        number,
                        ((following or as_of) - day).days,
                        following is not None,
                    )
                )
    return pd.DataFrame(rows, columns=["customer_id", "start", "number", "days", "ended"])


def test_returns_are_no_orders_and_orders_of_a_day_are_one(ledger):
    first, second, third, fourth = on(1, 5, 11, 20)
    log = [
        ("a", first, "10"),
        ("a", first, "20"),
        ("a", second, "-10"),
        ("a", third, "0"),
        ("b", fourth, "5"),
        ("c", first, "-5"),
    ]
    found = survival.pauses(ledger(log), dt.date(2024, 1, 31))
    assert list(found) == ["customer_id", "start", "number", "days", "ended"]
    assert found.customer_id.tolist() == ["a", "a", "b"]
    assert found.start.dt.day.tolist() == [1, 11, 20]
    assert found[["number", "days"]].to_numpy().tolist() == [[1, 10], [2, 20], [1, 11]]
    assert found.ended.tolist() == [True, False, False]


@given(PAST, st.sampled_from([0, 1, 30, 365]))
@settings(max_examples=15)
def test_every_pause_is_what_its_contract_says(ledger, log, window_days):
    found = survival.pauses(ledger(log), AS_OF, window_days)
    pd.testing.assert_frame_equal(found, by_hand(log, AS_OF, window_days).astype(found.dtypes))


@given(PAST, lines(AS_OF + dt.timedelta(days=1), dt.date(2024, 6, 30)), st.sampled_from([0, 30]))
@settings(max_examples=8)
def test_nothing_after_the_day_changes_a_pause(ledger, log, later, window_days):
    for told in (survival.pauses, survival.pause_counts):
        pd.testing.assert_frame_equal(
            told(ledger(log + later), AS_OF, window_days), told(ledger(log), AS_OF, window_days)
        )


@given(PAST, st.randoms(use_true_random=False))
@settings(max_examples=8)
def test_order_of_lines_does_not_matter(ledger, log, random):
    for told in (survival.pauses, survival.pause_counts):
        pd.testing.assert_frame_equal(
            told(ledger(random.sample(log, len(log))), AS_OF), told(ledger(log), AS_OF)
        )


def test_the_window_is_of_beginnings_and_leaves_their_numbers(ledger):
    """The pause from the 1st to the 20th ends within the last ten days and is not of them."""
    log = ledger([("a", day, "5") for day in on(1, 20, 25)])
    assert survival.pauses(log, dt.date(2024, 1, 29), window_days=10).number.tolist() == [2, 3]
    assert survival.pauses(log, dt.date(2024, 1, 29), window_days=9).number.tolist() == [3]


def test_standing_is_told_by_the_order_that_the_pause_follows(ledger):
    log = ledger([("a", START + dt.timedelta(days=n), "5") for n in range(6)])
    groups = survival.standing(survival.pauses(log, AS_OF))
    assert groups.tolist() == ["first"] + ["second_to_fourth"] * 3 + ["fifth_on"] * 2


# Counting in the engine
@pytest.mark.parametrize("window_days", [0, 91])
def test_the_engine_counts_what_the_rows_count(cdnow, window_days):
    log = cleaning.transactions(cdnow)
    pauses = survival.pauses(log, dt.date(1998, 6, 30), window_days)
    counts = survival.pause_counts(log, dt.date(1998, 6, 30), window_days)
    pd.testing.assert_frame_equal(
        counts, survival.counted(pauses, survival.standing(pauses)), check_index_type=False
    )
    assert counts["count"].sum() == len(pauses)


def test_every_order_begins_a_pause_and_all_customers_have_an_open_one(cdnow):
    log = cleaning.transactions(cdnow)
    pauses, people = survival.pauses(log, dt.date(1998, 6, 30)), customers.at(
        log, dt.date(1998, 6, 30)
    )
    assert len(pauses) == people.orders.sum()
    still = pauses[~pauses.ended].set_index("customer_id").days
    pd.testing.assert_series_equal(
        still,
        people.set_index("customer_id").recency_days[still.index],
        check_names=False,
        check_dtype=False,
    )
    assert len(still) == (people.orders > 0).sum()


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
    assert survival.slowest(table)["group"] == "first"


# Against a truth
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


def test_pauses_chosen_by_their_beginning_tell_the_truth_and_by_their_end_do_not(ledger):
    """A year of customers who go on ordering for ever; the last 90 days of it."""
    log = ledger(buyers(np.random.default_rng(7), 2_000, 40, 365))
    as_of, truth = START + dt.timedelta(days=365), np.exp(-60 / 40)
    chosen = survival.summary(curve_of(survival.pauses(log, as_of, window_days=90)), 60).iloc[0]
    assert chosen.not_yet == pytest.approx(truth, abs=0.03)
    everything = survival.pauses(log, as_of)
    ends = everything.start + pd.to_timedelta(everything.days, unit="D")
    by_end = everything[ends > pd.Timestamp(as_of) - pd.Timedelta(days=90)]
    assert survival.summary(curve_of(by_end), 60).not_yet.iloc[0] > truth + 0.05


# Groups and too little
def test_groups_may_be_any_and_pauses_without_one_are_left_out():
    pauses = drawn(np.random.default_rng(8), 30, np.full(90, 60))
    groups = pd.Series(["客户"] * 40 + [None] * 20 + ["b"] * 30, pauses.index)
    table = survival.summary(survival.curves(pauses, groups), 30)
    assert dict(zip(table.group, table.pauses, strict=True)) == {"b": 30, "客户": 40}
    shuffled = pauses.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(
        survival.curves(shuffled, groups), survival.curves(pauses, groups)
    )


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
    key, values = survival.verdict(table, 30)
    return curves.empty and table.empty and Language("en").unknown(f"findings.{key}", values)


def test_one_customer_only_returns_and_an_empty_log_tell_nothing(ledger):
    empty = ledger([("a", START, "5")]).filter(ibis._.day < START)
    for log in (ledger([("a", START, "5")]), ledger([("a", START, "-5")]), empty):
        assert nothing_told(log)
    pauses = survival.pauses(empty, AS_OF)
    assert survival.curves(pauses, survival.standing(pauses)).empty
    assert nothing_told(ledger([("a", AS_OF, "5")]), START)


def test_customers_without_a_repeat_are_a_flat_curve(ledger):
    log = ledger([(str(n), START, "5") for n in range(survival.MIN_PAUSES)])
    table = survival.summary(survival.curves_of(survival.pause_counts(log, AS_OF)), 30)
    assert table.group.tolist() == ["first"]
    assert survival.verdict(table, 30)[0] == "survival_half_never"


# What is said
@pytest.mark.parametrize(("median", "key"), [(40.0, "survival"), (NOTHING, "survival_half_never")])
def test_the_slowest_group_is_told_with_its_numbers(median, key):
    table = pd.DataFrame(
        {
            "group": ["fifth_on", "first"],
            "pauses": 90,
            "censored": 0.1,
            "median_days": [9.0, median],
        }
    ).assign(not_yet=[0.2, 0.6], low=[0.1, 0.5], high=[0.3, 0.7])
    said, values = survival.verdict(table, 91)
    assert said == key
    text = Language("en")(f"findings.{said}", **values)
    assert "after the first order" in text
    assert "60.0\N{NO-BREAK SPACE}%" in text
    assert "91 days" in text


def test_nobody_waits_for_the_library_who_draws_no_curve():
    code = "import sys, analysis.models.survival; sys.exit('lifelines' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
