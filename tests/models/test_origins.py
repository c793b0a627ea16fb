"""Days of the past: which are taken, what followed them, and who wins there."""

import datetime as dt

import numpy as np
import pytest

from analysis.models import origins

ORIGIN = dt.date(2024, 1, 31)


def days_after(*numbers):
    return [ORIGIN + dt.timedelta(days=n) for n in numbers]


def test_the_outcome_counts_the_days_after_the_origin_only(ledger):
    at, first, last, beyond = days_after(0, 1, 10, 11)
    log = [("a", at, "5"), ("a", first, "7"), ("a", last, "-2"), ("a", beyond, "9")]
    log += [("returns only", at, "-5"), ("new", first, "5")]
    past = origins.Past(ledger(log), 10)
    held = past.at(ORIGIN)
    columns = ["customer_id", "orders", "holdout_orders", "holdout_revenue"]
    assert held[columns].to_numpy().tolist() == [["a", 1, 1, 5.0]]
    assert held.attrs["horizon_days"] == 10
    assert past.known(ORIGIN)[["customer_id", "orders_10"]].to_numpy().tolist() == [["a", 1]]
    assert past.at(ORIGIN) is held


def test_days_step_back_as_far_as_the_log_reaches(ledger):
    past = origins.Past(ledger([("a", ORIGIN, "5")]), 30)
    as_of = ORIGIN + dt.timedelta(days=29 + 120)
    assert past.depth(ORIGIN) == 1
    # two whole horizons, the day itself included, lie before 60 - 1 days after the first
    assert past.days(as_of) == days_after(119, 89, 59)
    assert past.days(as_of + dt.timedelta(days=365)) == days_after(484, 454, 424, 394)
    assert past.days(ORIGIN) == []
    # outcomes complete by the day, and half a horizon of history before each
    assert past.lesson_days(ORIGIN + dt.timedelta(days=90)) == days_after(60, 50, 40, 30)
    assert past.lesson_days(ORIGIN + dt.timedelta(days=54)) == days_after(24, 14)


class Close(origins.Past):
    closest = 1 / 3


def test_where_the_log_is_short_the_choosing_days_move_together(ledger):
    past = Close(ledger([("a", ORIGIN, "5")]), 30)
    found = {}
    for room in (-1, 0, 9, 10, 20, 30, 60, 90):  # days between the latest that may be and the first
        as_of = ORIGIN + dt.timedelta(days=119 + room)
        measured, *choosing = past.days(as_of)
        assert (as_of - measured).days == 30
        found[room] = [(measured - day).days for day in choosing]
    assert found[-1] == [] and found[0] == found[9] == [30]
    assert found[10] == [30, 40] and found[20] == [30, 40, 50]
    assert found[30] == [30, 45, 60]
    assert found[60] == found[90] == [30, 60, 90]


def test_outcomes_that_overlap_count_by_what_they_tell_anew():
    assert origins.windows([], 30) == 0 and origins.windows([ORIGIN], 30) == 1
    assert origins.windows(days_after(60, 30, 0), 30) == origins.windows(days_after(99, 50, 0), 30)
    assert origins.windows(days_after(60, 30, 0), 30) == 3
    assert origins.windows(days_after(25, 10, 0), 30) == pytest.approx(1 + 15 / 30 + 10 / 30)
    near, best = np.array([4.0, 1, 4, 1]), np.ones(4)
    losses = {"plain": [near] * 3, "best": [best] * 3}
    apart = origins.choice(losses, days_after(60, 30, 0), float, 30).distance.plain
    assert apart == origins.choice(losses, days_after(60, 30, 0)).distance.plain
    assert apart == pytest.approx(1.5 / np.sqrt(2.25 / 4 / 3))
    same = origins.choice(losses, days_after(0, 0, 0), float, 30).distance.plain
    assert same == pytest.approx(1.5 / np.sqrt(2.25 / 4))  # one day thrice tells nothing more


def test_the_simplest_within_one_standard_error_of_the_best_wins():
    # gaps 3 -1 3 -1: mean 1, standard error sqrt(4 / 4); gaps 3 0 3 0: 1.5, sqrt(2.25 / 4)
    best, near, far = np.ones(4), np.array([4.0, 0, 4, 0]), np.array([4.0, 1, 4, 1])
    table = origins.choice({"plain": [near], "best": [best]}, [ORIGIN], np.sqrt)
    assert table["mean"].tolist() == pytest.approx([np.sqrt(2), 1])
    assert table[ORIGIN].tolist() == table["mean"].tolist()
    assert table.distance.tolist() == [1, 0]
    assert origins.simplest(table) == "plain"
    table = origins.choice({"plain": [far], "best": [best]}, [ORIGIN])
    assert table["mean"].tolist() == [2.5, 1]
    assert table.distance.tolist() == [2, 0]
    assert origins.simplest(table) == "best"
    both = origins.choice({"plain": [near, far], "best": [best, best]}, days_after(0, 1))
    assert both.distance.plain == pytest.approx(1.25 / (np.sqrt(4 / 4 + 2.25 / 4) / 2))
    alike = origins.choice({"worse": [best + 1], "best": [best]}, [ORIGIN])
    assert alike.distance.worse == np.inf
    assert origins.simplest(alike) == "best"
    assert origins.simplest(origins.choice({}, [])) == ""
