"""Who will leave: what leaving is, that nothing of later days is learned from, and that a risk
which is there is found.
"""

import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from analysis.models import churn
from analysis.intake import cleaning
from analysis.models import clv
from analysis.models import metrics as evidence
from analysis.models.churn import CHURN_MODELS, Origin, Past, Risk, Trial
from analysis.models.churn_features import FLAT, features
from analysis.intake.dataset import Dataset
from analysis.models.history import Records

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

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
        **{f"orders_{days}": chance.integers(0, 5, n) for days in clv.TRAILING},
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


# What leaving is
def test_without_an_order_within_the_horizon_a_customer_has_left():
    held = pd.DataFrame({"next_order_days": [1, 91, 92, NOTHING]})
    assert churn.left(held, "horizon", 91).tolist() == [False, False, True, True]


def test_by_rhythm_the_own_pause_counts_but_no_more_than_the_horizon():
    held = pd.DataFrame(
        {"next_order_days": [30, 31, 91, 92, NOTHING], "silent_after_days": [30, 30, 200, 200, 30]}
    )
    assert churn.left(held, "rhythm", 91).tolist() == [False, True, False, True, True]


def test_the_days_of_the_horizon_are_those_after_the_origin():
    rows = [
        *(
            (name, ago(100), 5)
            for name in ("on the day", "next day", "last day", "too late", "returned", "never")
        ),
        ("on the day", MEASURED, 5),
        ("next day", ago(-1, MEASURED), 5),
        ("last day", AS_OF, 5),
        ("too late", ago(-1), 5),
        ("returned", ago(50), -5),
        ("stranger", ago(50), 5),
    ]
    held = Past(log(rows), SHOP).at(MEASURED).set_index("customer_id")
    assert held.left.to_dict() == {
        "on the day": True, "next day": False, "last day": False, "too late": True, "returned": True, "never": True,
    }  # fmt: skip
    assert held.next_order_days.dropna().to_dict() == {"next day": 1, "last day": 91}


def test_by_rhythm_a_shorter_pause_decides_in_a_log():
    rows = [(name, ago(100 + 10 * n), 5) for name in ("soon", "late") for n in range(5)]
    rows += [("soon", ago(71), 5), ("late", ago(51), 5)]
    told = shop(churn="rhythm", silent_days=30, lost_days=60)
    assert Past(log(rows), told).at(MEASURED).set_index("customer_id").left.to_dict() == {
        "late": True,
        "soon": False,
    }


def contracts(*rows, columns, definition="contract"):
    """What is held of customers (a, b, c, …) whose profiles say this, and who all ordered long ago.
    """
    names = "abcdefghij"[: len(rows)]
    values = dict(zip(columns, zip(*rows, strict=True), strict=True))
    records = profiles(
        log([(name, ago(200), 5) for name in names] + [("z", ago(200), 5)]),
        customer_id=names,
        **values,
    )
    past = Past(records, shop(columns, churn=definition))
    return (
        past,
        past.known(MEASURED).customer_id.tolist(),
        past.at(MEASURED).set_index("customer_id").left.to_dict(),
    )


def test_with_a_date_the_contract_that_ends_within_the_horizon_is_left():
    """Nothing is said of z, whose contract has no end."""
    ends = [MEASURED, ago(-1, MEASURED), AS_OF, ago(-1), None]
    _, known, held = contracts(*((end,) for end in ends), columns=["contract_end"])
    assert known == ["b", "c", "d", "e", "z"]  # that of a was over
    assert held == {"b": True, "c": True, "d": False, "e": False, "z": False}


def test_with_a_flag_alone_the_flag_is_the_outcome_and_an_empty_one_is_left_out():
    past, known, held = contracts((True,), (False,), (None,), columns=["churned"])
    assert known == ["a", "b", "c", "z"]
    assert held == {"a": True, "b": False}
    today = Trial(Origin(MEASURED, past.known(MEASURED), pd.DataFrame({"left": []})), None)
    assert churn.unlabelled(today) == 2  # c, and z without a profile


def test_with_both_only_a_flagged_contract_ended_and_what_nobody_says_is_left_out():
    before, within, after = ago(10, MEASURED), ago(10), ago(-10)
    rows = [(end, flag) for end in (before, within, after) for flag in (True, False, None)]
    _, known, held = contracts(*rows, columns=["contract_end", "churned"])
    assert known == [*"bcdefghi", "z"]  # a had left; b and c stayed for all that is known
    assert held == {"b": False, "d": True, "e": False, "g": False, "h": False}


def test_of_who_left_nobody_says_when_nothing_is_learned():
    _, _, held = contracts(
        (None, True), (None, False), (ago(10), True), columns=["contract_end", "churned"]
    )
    assert held == {"b": False, "c": True}


def test_flags_that_are_all_empty_leave_nobody():
    past, known, held = contracts((None,), (None,), columns=["churned"])
    assert known == ["a", "b", "z"]
    assert held == {}
    assert past.at(MEASURED).left.dtype == bool


def test_without_contracts_everybody_is_labelled():
    assert churn.unlabelled(Trial(Origin(AS_OF, people(3), people(0)), None)) == 0


# A trial: what is learned from, what chooses, what is measured
@pytest.fixture(scope="module")
def tested():
    return churn.trial(log(lines()), AS_OF, SHOP)


@pytest.fixture(scope="module")
def perturbed():
    """The same, but for what followed the measured origin: nobody who had come comes, and others
    do.
    """
    before = [line for line in lines() if line[1] <= MEASURED]
    came = {line[0] for line in lines() if line[1] > MEASURED}
    others = sorted({line[0] for line in before} - came)
    after = [(name, ago(-5, MEASURED), 999.0) for name in others] + [
        (f"new{n}", ago(3), 5.0) for n in range(30)
    ]
    return churn.trial(log([*before, *after, (before[0][0], ago(20), -500.0)]), AS_OF, SHOP)


def test_origins_step_back_in_whole_horizons(tested):
    assert tested.today.day == AS_OF
    assert [tested.measured.day, *(o.day for o in tested.choosing)] == [
        ago(n * HORIZON) for n in (1, 2, 3)
    ]
    chain = [tested.today, tested.measured, *tested.choosing]
    assert all(later.older is earlier for later, earlier in pairwise(chain))
    assert tested.choosing[-1].older is None
    assert not tested.undated


def test_what_is_held_and_taught_at_an_origin_was_known_by_then(tested):
    """Of a log that ends on the day."""
    known = Past(log([line for line in lines() if line[1] <= MEASURED]), SHOP)
    pd.testing.assert_frame_equal(known.taught(MEASURED), tested.measured.taught)
    pd.testing.assert_frame_equal(
        known.known(MEASURED), tested.measured.held[known.known(MEASURED).columns.tolist()]
    )
    assert tested.measured.taught.customer_id.duplicated().any()  # of several days
    assert churn.learnable(tested.measured.taught.left)


def test_what_was_taught_ends_at_the_day_and_begins_with_a_history(tested):
    past = Past(log(lines()), SHOP)
    for day in (AS_OF, MEASURED, ago(DAYS - 1 - HORIZON)):
        assert all(d + dt.timedelta(days=HORIZON) <= day for d in past.lesson_days(day))
        assert all((d - ago(DAYS)).days >= HORIZON / 2 for d in past.lesson_days(day))
    assert past.lesson_days(AS_OF)[0] == MEASURED


def test_the_measured_window_chooses_nothing(tested, perturbed):
    assert not (tested.measured.gone == perturbed.measured.gone).all()
    pd.testing.assert_frame_equal(tested.choice, perturbed.choice, rtol=0, atol=0)
    assert tested.champion == perturbed.champion
    for name in CHURN_MODELS:
        np.testing.assert_array_equal(tested.measured.risks[name], perturbed.measured.risks[name])
    assert churn.measured(tested)[0]["brier"] != churn.measured(perturbed)[0]["brier"]


def test_the_risk_of_today_learns_from_what_was_measured(tested, perturbed):
    """It is all known by today: the day that measured is among the lessons."""
    assert not tested.today.taught.equals(perturbed.today.taught)
    pd.testing.assert_series_equal(
        tested.today.taught.left.head(len(tested.measured.held)), tested.measured.held.left
    )


def test_the_order_of_lines_does_not_matter_to_what_is_taught(tested):
    rows = lines()
    mixed = Past(log([rows[n] for n in np.random.default_rng(5).permutation(len(rows))]), SHOP)
    pd.testing.assert_frame_equal(mixed.taught(MEASURED), tested.measured.taught, rtol=1e-9)


def test_the_champion_is_today_fitted_and_held_to_the_level_of_the_probabilistic_model(tested):
    risk = tested.risk.predict(tested.today.told)
    assert ((risk > 0) & (risk < 1)).all()
    told = replace(tested.today, wanted=())
    np.testing.assert_allclose(
        risk, told.risks[tested.champion], rtol=1e-9
    )  # the others change nothing
    for name, found in told.risks.items():
        assert found.mean() == pytest.approx(expit(told.raw[churn.LEVEL]).mean(), abs=1e-4), name


def test_slopes_are_seen_at_the_origin_before(tested):
    origin = tested.measured
    for name, risk in origin.calibrated.items():
        assert risk.slope == churn.stretched(origin.older.raw[name], origin.older.held.left)
    assert {risk.slope for risk in tested.choosing[-1].calibrated.values()} == {1.0}


def origin(gone, days=1, active=None, stage=None, **risks):
    """What a Trial reads of an origin."""
    gone = np.array(gone, bool)
    held = pd.DataFrame({"stage": stage if stage is not None else ["repeat"] * len(gone)})
    who = np.ones(len(gone), bool) if active is None else np.array(active, bool)
    risks = {
        name: np.array(risks.get(name, np.full(len(gone), 0.5)), float) for name in CHURN_MODELS
    }
    return SimpleNamespace(day=ago(days), gone=gone, active=who, risks=risks, held=held)


def trial_of(measured=None, *choosing, wanted=""):
    return Trial(Origin(AS_OF, people(3), people(0)), measured, list(choosing), wanted)


def test_the_champion_has_the_lowest_mean_brier_score_of_those_not_lost():
    """Squares of the logistic: (0.04 + 0.16) / 2 and 0.01; of the trees 0.09 and 0.01. The lost, of
    whom trees know all, and the measured origin do not count.
    """
    one = origin([1, 0, 1], active=[1, 1, 0], logistic=[0.8, 0.4, 0], trees=[0.7, 0.3, 1])
    two = origin([1], 2, logistic=[0.9], trees=[0.9])
    best = origin([1, 0], 3, base_rate=[1, 0])
    found = trial_of(best, one, two)
    assert found.choice.loc["logistic"].tolist()[:3] == pytest.approx([0.1, 0.01, 0.055])
    assert found.choice.loc["trees"].tolist()[:3] == pytest.approx([0.09, 0.01, 0.05])
    assert found.choice.loc["base_rate", "mean"] == pytest.approx(0.25)
    assert found.choice.columns.tolist() == [ago(1), ago(2), "mean", "distance"]
    assert found.champion == "trees"
    assert churn.verdict(found) == (
        "churn_chosen",
        {"model": "trees", "candidates": len(CHURN_MODELS), "origins": 2},
    )


def test_of_equal_candidates_the_simplest_is_champion():
    assert trial_of(None, origin([1, 0])).champion == "base_rate"
    same = {"logistic": [0.9], "trees": [0.9], "recency_rule": [0.9]}
    assert trial_of(None, origin([1], **same)).champion == "recency_rule"


def test_without_a_choosing_origin_the_default_is_champion():
    found = trial_of(origin([1, 0], trees=[1, 0]))
    assert (found.champion, found.choice.empty) == (churn.DEFAULT, True)
    assert churn.verdict(found)[0] == "champion_default"


@pytest.mark.parametrize("name", CHURN_MODELS)
def test_what_the_analyst_wants_is_taken(name):
    best = {other: [0.9 if other != name else 0.1] for other in CHURN_MODELS}
    found = trial_of(None, origin([1], **best), wanted=name)
    assert found.champion == name
    assert churn.verdict(found)[0] == "champion_wanted"


def test_a_trial_keeps_what_is_wanted(short):
    found = churn.trial(short, AS_OF, SHOP, "trees")
    assert found.champion == "trees"
    assert isinstance(found.risk.model, type(CHURN_MODELS["trees"]()))


# Candidates
def fitted(name, taught):
    return CHURN_MODELS[name]().fit(features(taught), taught.left)


@pytest.mark.parametrize("name", CHURN_MODELS)
def test_each_candidate_gives_probabilities_whatever_the_order_of_rows(name):
    taught, held = with_known_risk(500, 1), people(200, 2)
    risk = Risk(fitted(name, taught)).predict(features(held))
    assert risk.shape == (200,)
    assert ((risk > 0) & (risk < 1)).all()
    mixed = taught.sample(frac=1, random_state=1)
    np.testing.assert_allclose(Risk(fitted(name, mixed)).predict(features(held)), risk, rtol=1e-9)
    turned = Risk(fitted(name, taught)).predict(features(held.iloc[::-1]))
    np.testing.assert_allclose(
        turned[::-1], Risk(fitted(name, taught)).predict(features(held)), rtol=1e-9
    )


@pytest.mark.parametrize("name", CHURN_MODELS)
def test_customers_who_are_all_alike_are_given_the_share_that_left(name):
    chance = np.random.default_rng(1)
    alike = pd.concat([people(1)] * 100, ignore_index=True).assign(left=chance.random(100) < 0.5)
    risk = Origin(AS_OF, alike, alike, wanted=(name, churn.LEVEL)).risks[name]
    assert risk == pytest.approx(np.full(100, alike.left.mean()), abs=0.02)


@pytest.mark.parametrize("name", CHURN_MODELS)
@pytest.mark.parametrize(
    "unknown",
    [
        ["usual_pause", "recent_pause", "pause_deviation"],
        ["satisfaction", "order_value", "revenue_91"],
    ],
)
def test_facts_that_nobody_had_when_it_learned_disturb_no_candidate(name, unknown):
    """Pauses where nobody has ordered twice, money in a log without, scores before anybody was
    asked.
    """
    taught = people(200).assign(**dict.fromkeys(unknown, np.nan))
    for held in (people(50, 3), people(50, 3).assign(**dict.fromkeys(unknown, np.nan))):
        risk = Origin(AS_OF, held, taught, wanted=(name, churn.LEVEL)).risks[name]
        assert ((risk > 0) & (risk < 1)).all()


@pytest.mark.parametrize("name", CHURN_MODELS)
def test_beyond_what_was_learned_the_risk_stays_where_it_was(name):
    """However long the silence: all customers are older today than any was before."""
    risk = Risk(fitted(name, with_known_risk(500, 1)))
    silent = [
        features(people(20, 2).assign(recency_days=days, age_days=days)) for days in (4_000, 40_000)
    ]
    for told in silent:  # what else is worked out of the age stays as it was
        told[[c for c in told if c not in ("recency", "age")]] = features(people(20, 2))[
            [c for c in told if c not in ("recency", "age")]
        ]
    np.testing.assert_allclose(*(risk.predict(told) for told in silent), rtol=1e-6)


def test_risks_are_never_certain():
    sure = people(400).assign(left=people(400).recency_days > 100)
    for name in CHURN_MODELS:
        risk = replace(Risk(fitted(name, sure)), slope=50.0).predict(features(sure))
        assert risk.min() >= churn.EDGE
        assert risk.max() <= 1 - churn.EDGE


def test_scoring_in_pieces_is_scoring_at_once(monkeypatch):
    model, told = fitted("logistic", with_known_risk(300, 1)), features(people(50, 2))
    whole = churn.log_odds(model, told)
    monkeypatch.setattr(churn, "PIECE", 7)
    np.testing.assert_allclose(churn.log_odds(model, told), whole, rtol=1e-12)
    assert churn.log_odds(model, told.head(0)).shape == (0,)


# A known truth
@pytest.fixture(scope="module")
def known_truths():
    """Origins of which the true risk is known, the origin before each included."""
    found = []
    for seed in range(0, 80, 10):
        older = Origin(ago(91), with_known_risk(3000, seed), with_known_risk(3000, seed + 1))
        found.append(
            Origin(AS_OF, with_known_risk(800, seed + 2), with_known_risk(3000, seed + 3), older)
        )
    return found


def test_a_known_risk_is_found(known_truths):
    for o in known_truths:
        best = roc_auc_score(o.gone, o.held.truth)
        for name in ("recency_rule", "logistic", "trees"):
            assert roc_auc_score(o.gone, o.risks[name]) > best - 0.04, name
            assert np.abs(o.risks[name] - o.held.truth).mean() < 0.07, name


@pytest.mark.parametrize("name", ["recency_rule", "logistic", "trees"])
def test_a_known_risk_is_calibrated(known_truths, name):
    """The interval of the slope holds 1, and the error is below its limit, six times of eight: the
    true risk itself would miss some.
    """
    told = [evidence.measure(o.risks[name], o.gone) for o in known_truths]
    assert sum(m["slope_low"] <= 1 <= m["slope_high"] for m in told) >= 6
    assert sum(m["ece"] <= m["ece_limit"] for m in told) >= 6
    assert np.mean([m["slope"] for m in told]) == pytest.approx(1, abs=0.1)
    assert all(m["brier"] < m["brier_base"] for m in told)


def test_pure_chance_is_not_found():
    found = Origin(AS_OF, people(3000, 1), people(3000, 2))
    for name, risk in found.risks.items():
        assert roc_auc_score(found.gone, risk) == pytest.approx(0.5, abs=0.05), name


# Calibration
def outcomes(n, slope, seed=1):
    """Log odds, and outcomes of log odds that are `slope` times theirs."""
    chance = np.random.default_rng(seed)
    found = chance.normal(0, 1.5, n)
    return found, pd.Series(chance.random(n) < expit(slope * found))


@pytest.mark.parametrize("slope", [0.5, 0.8, 1.3])
def test_many_customers_show_the_slope(slope):
    assert churn.stretched(*outcomes(400_000, slope)) == pytest.approx(slope, abs=0.03)


@pytest.mark.parametrize("slope", [0.3, 3.0])
def test_a_few_customers_move_the_slope_little(slope):
    for seed in range(10):
        assert churn.stretched(*outcomes(25, slope, seed)) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(("n", "slope"), [(300, 0.5), (3000, 0.5), (3000, 1.4)])
def test_a_slope_is_drawn_towards_1_and_never_beyond(n, slope):
    for seed in range(5):
        found, gone = outcomes(n, slope, seed)
        plain = evidence.calibration(expit(found), gone.to_numpy())["slope"]
        assert min(1, plain) <= churn.stretched(found, gone) <= max(1, plain)


def test_a_slope_that_cannot_be_told_is_1():
    alike, gone = np.zeros(50), pd.Series([True, False] * 25)
    assert churn.stretched(alike, gone) == 1
    assert churn.stretched(np.arange(50.0), pd.Series([True] * 50)) == 1
    assert churn.stretched(np.arange(50.0), pd.Series(np.arange(50) > 25)) == 1  # without a fault


@given(st.lists(st.floats(-13, 13), min_size=1, max_size=30), st.floats(0.001, 0.999))
@settings(max_examples=50)
def test_moved_log_odds_have_the_level_asked_for(found, level):
    found = np.array(found)
    assert expit(found + churn.moved(found, level)).mean() == pytest.approx(level, abs=1e-6)


def test_equal_log_odds_are_moved_by_hand():
    assert churn.moved(np.full(4, 1.0), 0.2) == pytest.approx(logit(0.2) - 1)


@pytest.mark.parametrize("level", [0.0, 1.0, NOTHING])
def test_a_level_that_cannot_be_moves_nothing(level):
    assert churn.moved(np.zeros(3), level) == 0
    assert churn.moved(np.zeros(0), 0.5) == 0


# What cannot be learned or measured
@pytest.fixture(scope="module")
def short():
    """A log in which something can be learned, and nothing measured."""
    return log(lines(200, days=150, every=(20, 90), lives=60))


def steady(customers=60, days=450, pause=15):
    return [
        (f"c{n:03}", ago(day), 5.0)
        for n in range(customers)
        for day in range(n % pause, days, pause)
    ]


UNTELLABLE = {
    "nobody leaves": (steady(), SHOP),
    "everybody left": ([(f"c{n:03}", ago(450 + n % 50), 5.0) for n in range(80)], SHOP),
    "two customers": ([("a", ago(400), 5.0), ("a", ago(10), 5.0), ("b", ago(300), 5.0)], SHOP),
    "one line": ([("a", ago(0), 5.0)], SHOP),
    "a log of a month": (lines(80, days=30, every=(5, 30), lives=15), SHOP),
    "a horizon of three years": (lines(80, days=300), shop(horizon_days=1095)),
    "only returns": ([("a", ago(400), -5.0), ("b", ago(10), -5.0)], SHOP),
}


def figures(found, risk):
    """All that is said of a trial."""
    return {
        "measured": churn.measured(found),
        "leaderboard": churn.leaderboard(found),
        "by_origin": churn.by_origin(found),
        "by_stage": churn.by_stage(found),
        "outcome": churn.outcome(found),
        "verdict": churn.verdict(found),
        "kept": churn.kept(found),
        "usual": found.usual,
        "level": churn.level(found, pd.Series(risk)),
    }


@pytest.mark.parametrize("why", UNTELLABLE)
def test_what_cannot_be_told_is_not_told(why):
    rows, told = UNTELLABLE[why]
    found = churn.trial(log(rows), AS_OF, told)
    assert found.risk is None
    assert found.measured is None
    assert found.champion == churn.DEFAULT
    risk = churn.risk_of(found.risk, found.today.held)
    assert np.isnan(risk).all()
    said = figures(found, np.array([0.5]))
    assert np.isnan([*said["measured"][0].values(), *said["measured"][1].values()]).all()
    assert all(said[name].empty for name in ("leaderboard", "by_origin", "by_stage", "usual"))
    assert np.isnan([said["level"]["low"], said["level"]["high"]]).all()
    assert said["kept"]["calibration"] == said["kept"]["brier_choosing"] == {}


def test_where_a_horizon_is_over_something_is_learned_though_nothing_is_measured(short):
    found = churn.trial(short, AS_OF, SHOP)
    assert (found.measured, found.choosing, found.champion) == (None, [], churn.DEFAULT)
    assert found.risk.slope == 1
    risk = churn.risk_of(found.risk, found.today.told)
    assert ((risk > 0) & (risk < 1)).all()
    said = figures(found, risk)
    assert said["leaderboard"].empty
    assert not said["usual"].empty
    assert said["kept"]["calibration"].keys() == {"slope", "shift"}


def test_a_log_without_money_is_learned_from(short):
    bare = Records(short.transactions.mutate(amount=ibis.null(short.transactions.amount.type())))
    found = churn.trial(bare, AS_OF, SHOP, "trees")
    risk = found.risk.predict(found.today.told)
    assert ((risk > 0) & (risk < 1)).all()
    assert len({*risk}) > 1


@pytest.mark.parametrize(
    ("leavers", "stayers", "enough"),
    [(30, 30, True), (29, 100, False), (100, 29, False), (0, 0, False)],
)
def test_learning_takes_thirty_of_each(leavers, stayers, enough):
    assert churn.learnable(pd.Series([True] * leavers + [False] * stayers)) is enough


@pytest.mark.parametrize(("count", "model"), [(5, "too few"), (200, "probabilistic")])
def test_expected_orders_are_those_of_a_model_that_can_be_estimated(count, model):
    known = Past(log(lines(count)), SHOP).known(MEASURED)
    wanted = clv.AverageRate() if model == "too few" else clv.BuyTillYouDie(clv.BTYD["pareto_nbd"])
    assert known.expected.to_numpy() == pytest.approx(
        wanted.fit(known).predict(known, HORIZON).to_numpy()
    )


# A flag without a date
def undated(seed=None):
    """Customers flagged by how long ago they ordered, in some order of rows."""
    rows = lines(300)
    last = pd.DataFrame(rows).groupby(0)[1].max()
    chance = np.random.default_rng(3)
    gone = {
        name: bool(chance.random() < (0.7 if (AS_OF - day).days > 100 else 0.2))
        for name, day in last.items()
    }
    names = list(gone)
    if seed is not None:
        mixer = np.random.default_rng(seed)
        rows, names = [rows[n] for n in mixer.permutation(len(rows))], [
            names[n] for n in mixer.permutation(len(names))
        ]
    records = profiles(log(rows), customer_id=names, churned=[gone[name] for name in names])
    return churn.trial(records, AS_OF, shop(["churned"], churn="contract"))


def test_a_flag_without_a_date_teaches_chooses_and_measures_on_thirds():
    found, mixed = undated(), undated(7)
    assert found.undated
    thirds = [found.measured.taught, found.choosing[0].held, found.measured.held]
    names = [{*part.customer_id} for part in thirds]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])
    assert {*found.today.taught.customer_id} == names[0] | names[1] | names[2]
    assert min(map(len, names)) > 60  # thirds by lot
    pd.testing.assert_frame_equal(found.choosing[0].taught, found.measured.taught)
    assert found.measured.day == found.choosing[0].day == MEASURED
    others = [mixed.measured.taught, mixed.choosing[0].held, mixed.measured.held]
    for part, other in zip(thirds, others, strict=True):
        pd.testing.assert_frame_equal(part, other, rtol=1e-9)
    assert mixed.champion == found.champion
    risk = found.risk.predict(found.today.told)
    np.testing.assert_allclose(mixed.risk.predict(mixed.today.told), risk, rtol=1e-6)


def test_too_few_flags_are_not_measured():
    rows, names = lines(60, days=200), [f"c{n:04}" for n in range(60)]
    few = profiles(log(rows), customer_id=names, churned=[n < 5 for n in range(60)])
    found = churn.trial(few, AS_OF, shop(["churned"], churn="contract"))
    assert found.undated
    assert (found.measured, found.risk) == (None, None)
    assert figures(found, np.array([0.5]))["leaderboard"].empty


def test_contracts_with_dates_are_tried_at_several_dates():
    """Contracts of a year that begin on any day; two thirds are renewed."""
    rows, chance = steady(400, 720, 180), np.random.default_rng(2)
    names = sorted({row[0] for row in rows})
    ends = [ago(int(n)) for n in chance.integers(-365, 400, len(names))]
    flags = [bool(end <= AS_OF and chance.random() < 0.7) for end in ends]
    told = shop(["contract_end", "churned"], churn="contract")
    found = churn.trial(
        profiles(log(rows), customer_id=names, contract_end=ends, churned=flags), AS_OF, told
    )
    assert not found.undated
    assert found.measured.day == MEASURED
    leavers = {
        name
        for name, end, flag in zip(names, ends, flags, strict=True)
        if flag and MEASURED < end <= AS_OF
    }
    held = found.measured.held
    assert {*held.customer_id[held.left]} == leavers
    assert {*found.today.held.customer_id} == {
        n for n, end, flag in zip(names, ends, flags, strict=True) if not flag
    }


# Samples
@pytest.fixture
def at_most_80(monkeypatch):
    monkeypatch.setattr(churn, "MOST_CUSTOMERS", 80)


def ids_of(records):
    return sorted(records.transactions.customer_id.execute().unique())


def test_a_sample_has_as_many_customers_as_it_may_and_the_same_in_any_order(at_most_80):
    rows = lines(150, days=150)
    some, mixed = (churn.sample(log(order), 1) for order in (rows, rows[::-1]))
    assert len(ids_of(some)) == 80
    assert ids_of(some) == ids_of(mixed)
    assert ids_of(some) != ids_of(churn.sample(log(rows), 2))
    count = pd.DataFrame(rows)[0].isin(ids_of(some)).sum()
    assert some.transactions.count().execute() == count  # all their lines


def test_no_sample_is_drawn_where_all_can_be_taken(at_most_80):
    few = log(lines(60, days=100))
    assert churn.sample(few, 1) is few


def test_who_is_drawn_stays_drawn_when_others_leave():
    ids = pd.Series([f"c{n:03}" for n in range(100)])
    many = {*ids[churn.drawn(ids, 1, 40)]}
    fewer = ids[ids.isin(many) | (ids < "c050")]
    assert len(many) == 40
    assert {*fewer[churn.drawn(fewer, 1, 40)]} == many
    assert churn.drawn(ids, 1, 100).all()


def test_everybody_is_scored_though_some_were_drawn(at_most_80):
    """By flags of the same numbers: in the sample another region may be the most frequent."""
    rows = lines(240, days=200, every=(20, 60), lives=90)
    names = sorted({row[0] for row in rows})
    drawn = churn.drawn(pd.Series(names), SHOP.seed, 80)
    regions = np.where(
        drawn, np.where(np.arange(240) % 2, "A", "B"), np.where(np.arange(240) % 5, "C", "A")
    )
    whole = replace(profiles(log(rows), customer_id=names, region=regions), static=("region",))
    found = churn.trial(whole, AS_OF, SHOP)
    assert len(found.today.held) == 80
    every = churn.everybody(found, whole, SHOP)
    assert every.customer_id.tolist() == names
    said = every[every.customer_id.isin(found.today.held.customer_id)].reset_index(drop=True)
    same = [
        c for c in said if c not in ("stage", "silent_after_days", "lost_after_days", "expected")
    ]  # rest on the others too
    pd.testing.assert_frame_equal(said[same], found.today.held[same])
    assert [c for c in same if c.startswith("is_")] == ["is_region_0", "is_region_1", "is_region_2"]
    risk = found.risk.predict(features(every))
    assert ((risk > 0) & (risk < 1)).all()


def test_everybody_is_who_was_tried_where_nobody_was_drawn(short):
    found = churn.trial(short, AS_OF, SHOP)
    assert churn.everybody(found, short, SHOP) is found.today.held


# What the report says
def test_the_level_by_hand():
    """Mean errors of 0.1 and -0.2 at two dates: their root mean square times Student's t of 80 %
    with two dates, 1.886.
    """
    earlier = [origin([1, 0], logistic=[0.5, 0.3]), origin([0, 0], 2, logistic=[0.2, 0.2])]
    found = trial_of(*earlier, wanted="logistic")
    assert found.level_errors == pytest.approx([0.1, -0.2])
    told = churn.level(found, pd.Series([0.2, 0.6, 0.7]))
    reach = 1.886 * (0.05 / 2) ** 0.5
    assert (told["leavers"], told["customers"], told["share"]) == pytest.approx((1.5, 3, 0.5))
    assert (told["low"], told["high"]) == pytest.approx((0.5 - reach, 0.5 + reach), abs=1e-3)
    assert churn.level(found, pd.Series([0.01]))["low"] == 0


def test_level_errors_are_of_those_not_lost():
    found = trial_of(origin([1, 1], active=[1, 0], logistic=[0.6, 0.1]), wanted="logistic")
    assert found.level_errors == pytest.approx([0.4])


def test_the_leaderboard_ranks_by_brier_score_and_compares_with_the_champion(tested):
    table = churn.leaderboard(tested)
    assert {*table.model} == {*CHURN_MODELS}
    assert table.brier.is_monotonic_increasing
    champion = table.set_index("model").loc[tested.champion]
    assert champion.difference == 0
    assert (table.brier - table.difference).tolist() == pytest.approx([champion.brier] * len(table))
    origin = tested.measured
    row = table.set_index("model").loc["logistic"]
    squares = (origin.risks["logistic"] - origin.gone)[origin.active] ** 2
    assert row.brier == pytest.approx(squares.mean())
    assert row.auc == pytest.approx(
        roc_auc_score(origin.gone[origin.active], origin.risks["logistic"][origin.active])
    )
    assert {"auc_low", "auc_high", "low", "high", "slope", "ece", "ece_limit"} <= {*table}


def test_the_champion_is_measured_on_those_not_lost_and_on_all(tested):
    origin = tested.measured
    risk = origin.risks[tested.champion]
    active, every = churn.measured(tested)
    assert every["auc"] == pytest.approx(roc_auc_score(origin.gone, risk))
    assert active["auc"] == pytest.approx(
        roc_auc_score(origin.gone[origin.active], risk[origin.active])
    )
    assert active["base"] == pytest.approx(origin.held.left[origin.held.stage != "lost"].mean())
    gone, told = churn.outcome(tested)
    assert len(gone) == len(told) == (origin.held.stage != "lost").sum() < len(origin.held)


def test_the_champion_by_origin_and_by_stage(tested):
    origins, stages = churn.by_origin(tested), churn.by_stage(tested)
    assert origins.day.tolist() == [ago(n * HORIZON) for n in (3, 2, 1)]  # the measured one last
    assert origins.customers.tolist() == [
        int(o.active.sum()) for o in [*reversed(tested.choosing), tested.measured]
    ]
    assert origins.brier.iloc[-1] == pytest.approx(churn.measured(tested)[0]["brier"])
    held = tested.measured.held
    assert stages.set_index("stage").customers.to_dict() == held.stage.value_counts().to_dict()
    assert stages.set_index("stage").base.to_dict() == pytest.approx(
        held.groupby("stage").left.mean().to_dict()
    )


def test_what_is_kept_is_plain_data(tested):
    found = churn.kept(tested)
    again = json.loads(json.dumps(found))
    assert again["model"] == tested.champion
    assert again["calibration"] == {"slope": tested.risk.slope, "shift": tested.risk.shift}
    assert again["brier_choosing"] == tested.choice["mean"].to_dict()
    assert again["measured"].keys() == churn.measured(tested)[0].keys()


def test_the_usual_customer_is_one_who_stayed(tested):
    taught = tested.today.taught
    pd.testing.assert_series_equal(tested.usual, features(taught[~taught.left]).median())


def test_a_calibrated_risk_by_hand():
    model = SimpleNamespace(predict_proba=lambda told: np.column_stack([1 - told.p, told.p]))
    told = pd.DataFrame({"p": [0.5, 0.2, 0.0]})
    risk = Risk(model, slope=2.0, shift=1.0)
    assert risk.log_odds(told)[:2] == pytest.approx([1, 1 + 2 * np.log(0.25)])
    assert risk.predict(told) == pytest.approx(
        [1 / (1 + np.exp(-1)), 1 / (1 + 16 / np.e), churn.EDGE]
    )


# Real customers
def test_on_cdnow_the_champion_is_no_worse_than_recency_or_probability_alive(cdnow):
    """By the paired 95 % interval, on everybody at 1998-03-31, which it had not seen."""
    found = churn.trial(Records(cleaning.transactions(cdnow).cache()), dt.date(1998, 6, 30), SHOP)
    measured = found.measured
    assert measured.day == dt.date(1998, 3, 31)
    assert len(measured.held) == 23_570
    held, risk = measured.held, measured.risks[found.champion]
    model = clv.BTYD["bg_nbd"]().fit(*clv.BuyTillYouDie._history(held))
    alive = model.conditional_probability_alive(*clv.BuyTillYouDie._history(held))
    for other in (held.recency_days.to_numpy(float), 1 - np.asarray(alive)):
        assert evidence.auc_difference(risk, other, measured.gone)["high"] >= 0
    active, every = churn.measured(found)
    assert every["brier"] < every["brier_base"]
    assert active["brier"] < active["brier_base"]
