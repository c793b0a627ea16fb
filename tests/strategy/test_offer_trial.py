import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis import statistics
from analysis.report.text import say
from analysis.strategy import item_rules, offer_trial
from tests.strategy.purchase_logs import AS_OF, ago, history, lines

HORIZON = 30
ORIGIN = ago(HORIZON)
TOMORROW = AS_OF + dt.timedelta(days=1)


def before(customer, *items):
    return [(customer, ORIGIN, item, 5) for item in items]


def after(customer, *items):
    return [(customer, AS_OF, item, 5) for item in items]


@pytest.fixture
def few(monkeypatch):
    """Measures however few there are."""
    monkeypatch.setattr(offer_trial, "MIN_JUDGED", 1)


# The most bought of seven goods: e (5 of the 6 buyers), then d, c (4), b (3), a (2), f and g (1)
PAST = [*before("1", "e", "d", "c", "b"), *before("2", "e", "d", "c", "b")]
PAST += [*before("3", "e", "d", "c", "a", "f"), *before("4", "e", "d", "a", "g")]
PAST += [*before("5", "e"), *before("6", "c", "b")]


def test_hit_rates_of_the_most_bought_by_hand(few):
    """What the most bought propose, without what is known: 1: a f g; 2: a f g; 4: c b f; 5: c d b;
    6: d would be second, e d a.

    1 buys g, third: 1/3. 2 buys what it has: not judged. 4 buys b, second, and c, first: 1. 5 buys
    f: no hit. 6 buys h, which nobody had, and is judged: no hit. 7 comes later and has no history:
    not judged. 3 returns only: not judged.
    """
    new = [*after("1", "g"), *after("2", "e"), *after("4", "b", "c"), *after("5", "f")]
    new += [*after("6", "h"), *after("7", "e"), ("5", TOMORROW, "c", 5), ("3", AS_OF, "b", -5)]
    found = offer_trial.judged(lines(PAST + new), ORIGIN, HORIZON, item="product")
    figures = found.board.loc["most_bought"]
    assert (figures.customers, figures.hit) == (4, 2 / 4)
    assert figures.mrr == pytest.approx((1 / 3 + 1) / 4)
    assert figures.coverage == pytest.approx(7 / 7)  # 1: a f g, 4: b c f, 5: b c d, 6: a d e
    assert (figures.low, figures.high) == pytest.approx(statistics.wilson(0.5, 4))
    assert found.board.model.to_dict() == {n: r.words for n, r in item_rules.RULES.items()}
    assert np.isnan(found.again) and found.again_count == 0


def test_the_proof_of_what_was_due_again_is_its_share_with_wilsons_interval():
    measured = SimpleNamespace(day=ORIGIN, again=0.25, again_count=8)
    low, high = statistics.wilson(0.25, 8)
    said = {"origin": ORIGIN, "count": 8, "share": 0.25, "low": low, "high": high}
    assert offer_trial.again_proof(SimpleNamespace(measured=measured)) == said
    measured.again_count = 0
    for nothing in (measured, None):
        told = offer_trial.again_proof(SimpleNamespace(measured=nothing))
        assert (told["origin"], told["count"]) == (None, 0) and np.isnan(told["share"])


def test_coverage_is_of_all_items():
    lists = pd.DataFrame({"row": [0, 0, 1], "column": [2, 1, 2]})
    truth = pd.MultiIndex.from_tuples([(0, 1), (1, 0)])
    found = offer_trial.rates(lists, truth, np.array([0, 1]), 4)
    assert (found["hit"], found["mrr"], found["coverage"]) == (0.5, 0.25, 0.5)


def test_what_is_due_again_is_measured_by_hand(few):
    """z and y are due for the bolt at the origin; z buys it within the horizon, y the day after it.
    x is not due and buys.
    """
    log = [
        (who, ORIGIN - dt.timedelta(days=last + 10 * n), "bolt", 5)
        for who, last in (("z", 10), ("y", 10), ("x", 1))
        for n in range(3)
    ]
    log += [*after("z", "bolt"), *after("x", "bolt"), ("y", TOMORROW, "bolt", 5)]
    found = offer_trial.run(lines(log), AS_OF, HORIZON)
    assert (found.measured.again, found.measured.again_count) == (0.5, 2)
    low, high = statistics.wilson(0.5, 2)
    expected = {"origin": ORIGIN, "count": 2, "share": 0.5, "low": low, "high": high}
    assert offer_trial.again_proof(found) == expected


def pairs_company(random, customers=200):
    """Customers who buy a, a month or two later its b, of five pairs; the rest of what they buy is
    chance.
    """
    log = []
    for number in range(customers):
        who, first = f"c{number}", ago(int(random.integers(20, 150)))
        bought = [f"a{number % 5}", *(f"x{n}" for n in random.choice(12, 3, replace=False))]
        log += [(who, first, item, 5) for item in bought]
        for item in (f"b{number % 5}", f"x{random.integers(12)}"):
            log.append((who, first + dt.timedelta(days=int(random.integers(10, 60))), item, 5))
    return log


def test_a_trial_finds_what_was_planted_and_its_choice_does_not_see_the_measured_time():
    log = pairs_company(np.random.default_rng(6))
    found = offer_trial.run(lines(log), AS_OF, HORIZON)
    text, values = offer_trial.verdict(found)
    assert values["low"] > values["popular"]
    assert (found.chosen.day, found.measured.day) == (ago(60), ORIGIN)
    assert found.champion == found.chosen.board.hit.idxmax() != "most_bought"
    assert found.board.index.tolist() == ["proposed", *item_rules.RULES]
    for text, values in (offer_trial.verdict(found), offer_trial.choice(found)):
        assert "{" not in say(text, **values, days=30, as_of=AS_OF)
    other = [
        (who, day, f"x{n % 12}" if day > ORIGIN else item, amount)
        for n, (who, day, item, amount) in enumerate(log)
    ]
    late = [(f"c{n}", TOMORROW, f"x{n}", 5) for n in range(12)]  # after the day: not seen at all
    again = offer_trial.run(lines([*log, *late][::-1]), AS_OF, HORIZON)
    pd.testing.assert_frame_equal(found.board, again.board)
    changed = offer_trial.run(lines(other), AS_OF, HORIZON)
    pd.testing.assert_frame_equal(found.chosen.board, changed.chosen.board)
    assert changed.champion == found.champion and not changed.board.equals(found.board)


@pytest.mark.slow
def test_where_nothing_goes_together_the_most_bought_are_hit_as_often(few):
    """Purchases by chance alone: no rule is better than the most bought beyond chance."""
    random = np.random.default_rng(8)
    chance = np.arange(20, 0, -1) / np.arange(1, 21).sum()
    log = [
        (f"c{who}", ago(int(day)), f"i{item:02}", 5)
        for who in range(600)
        for day, item in zip(
            random.integers(0, 120, 8), random.choice(20, 8, p=chance), strict=True
        )
    ]
    board = offer_trial.judged(lines(log), ORIGIN, HORIZON, item="product").board
    assert board.loc["regression_strong", "low"] < board.hit["most_bought"]
    assert board.loc["most_bought", "high"] > board.hit["regression_light"]


def test_only_so_many_are_judged_drawn_by_lot(monkeypatch):
    names = [f"c{n}" for n in range(6)]
    known = history([row for name in names for row in before(name, "anvil")], people=["prospect"])
    later = pd.DataFrame({"customer_id": [*names, "prospect", "stranger"], "item": "bolt"})
    later["new"] = later.customer_id != "c5"
    assert known.customers[offer_trial.drawn(known, later, seed=7)].tolist() == names[:5]
    monkeypatch.setattr(offer_trial, "MOST_JUDGED", 2)
    drawn = known.customers[offer_trial.drawn(known, later, seed=7)]
    lot = dict(zip(names, statistics.lots(pd.Series(names), 7), strict=True))
    assert drawn.tolist() == sorted(sorted(names[:5], key=lot.__getitem__)[:2])


def test_too_few_are_not_measured():
    log = lines([*before("1", "a", "b"), *before("2", "a"), *after("2", "b")])
    found = offer_trial.run(log, AS_OF, HORIZON)
    assert (found.champion, found.chosen) == (item_rules.DEFAULT, None)
    assert found.board.empty
    text, values = offer_trial.verdict(found)
    assert "cannot be measured" in text and values == {"least": offer_trial.MIN_JUDGED}
    words = item_rules.RULES[item_rules.DEFAULT].words
    assert offer_trial.choice(found)[1] == {"model": words}
    proof = offer_trial.again_proof(found)
    assert proof["count"] == 0 and np.isnan(proof["share"])
    assert offer_trial.run(lines(before("1", "a"), item=""), AS_OF, HORIZON).board.empty
