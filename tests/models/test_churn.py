"""Who will leave: nothing of later days is learned from, and a risk which is there is found."""

import datetime as dt
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from analysis.intake import cleaning
from analysis.models import churn, churn_models, leaving, metrics, orders
from analysis.models.churn import Origin, Trial
from analysis.models.churn_features import features
from analysis.models.churn_models import CHURN_MODELS
from analysis.models.history import Records
from analysis.models.leaving import Past
from analysis.report.text import say
from analysis.segments.lifecycle import lifecycle
from tests.models.churn_cases import (
    AS_OF,
    DAYS,
    HORIZON,
    MEASURED,
    SHOP,
    ago,
    lines,
    log,
    people,
    profiles,
    shop,
    steady,
    with_known_risk,
)

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


# Samples
@pytest.fixture
def at_most_80(monkeypatch):
    monkeypatch.setattr(leaving, "MOST_CUSTOMERS", 80)


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
    assert leaving.learnable(tested.measured.taught.left)


def test_the_measured_window_chooses_nothing(tested, perturbed):
    assert not (tested.measured.gone == perturbed.measured.gone).all()
    pd.testing.assert_frame_equal(tested.choice, perturbed.choice, rtol=0, atol=0)
    assert tested.champion == perturbed.champion
    for name in CHURN_MODELS:
        np.testing.assert_array_equal(tested.measured.risks[name], perturbed.measured.risks[name])
    assert churn.measured(tested)["brier"] != churn.measured(perturbed)["brier"]


def test_the_risk_of_today_learns_from_what_was_measured(tested, perturbed):
    """It is all known by today: the day that measured is among the lessons."""
    assert not tested.today.taught.equals(perturbed.today.taught)
    pd.testing.assert_series_equal(
        tested.today.taught.left.head(len(tested.measured.held)), tested.measured.held.left
    )


def test_the_champion_is_today_fitted_and_held_to_the_level_of_the_probabilistic_model(tested):
    risk = tested.risk.predict(tested.today.features)
    assert ((risk > 0) & (risk < 1)).all()
    told = replace(tested.today, wanted=())
    np.testing.assert_allclose(
        risk, told.risks[tested.champion], rtol=1e-9
    )  # the others change nothing
    for name, found in told.risks.items():
        assert found.mean() == pytest.approx(
            expit(told.odds[churn_models.LEVEL]).mean(), abs=1e-4
        ), name


def test_slopes_are_seen_at_the_origin_before(tested):
    origin = tested.measured
    for name, risk in origin.calibrated.items():
        assert risk.slope == churn_models.stretched(origin.older.odds[name], origin.older.held.left)
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
    text, values = churn.verdict(found)
    assert "smallest squared error" in text
    assert values == {"model": "trees", "models": len(CHURN_MODELS), "origins": 2}


def test_of_equal_candidates_the_simplest_is_champion():
    assert trial_of(None, origin([1, 0])).champion == "base_rate"
    same = {"logistic": [0.9], "trees": [0.9], "recency_rule": [0.9]}
    assert trial_of(None, origin([1], **same)).champion == "recency_rule"


def test_without_a_choosing_origin_the_default_is_champion():
    found = trial_of(origin([1, 0], trees=[1, 0]))
    assert (found.champion, found.choice.empty) == (churn_models.DEFAULT, True)
    assert "too short" in churn.verdict(found)[0]


@pytest.mark.parametrize("name", CHURN_MODELS)
def test_what_the_analyst_wants_is_taken(name):
    best = {other: [0.9 if other != name else 0.1] for other in CHURN_MODELS}
    found = trial_of(None, origin([1], **best), wanted=name)
    assert found.champion == name
    assert "asked for" in churn.verdict(found)[0]


def test_a_trial_keeps_what_is_wanted(short):
    found = churn.trial(short, AS_OF, SHOP, "trees")
    assert found.champion == "trees"
    assert isinstance(found.risk.model, type(CHURN_MODELS["trees"].make()))


@pytest.mark.parametrize("name", CHURN_MODELS)
def test_customers_who_are_all_alike_are_given_the_share_that_left(name):
    chance = np.random.default_rng(1)
    alike = pd.concat([people(1)] * 100, ignore_index=True).assign(left=chance.random(100) < 0.5)
    risk = Origin(AS_OF, alike, alike, wanted=(name, churn_models.LEVEL)).risks[name]
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
        risk = Origin(AS_OF, held, taught, wanted=(name, churn_models.LEVEL)).risks[name]
        assert ((risk > 0) & (risk < 1)).all()


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


@pytest.mark.slow
def test_a_known_risk_is_found(known_truths):
    for o in known_truths:
        best = roc_auc_score(o.gone, o.held.truth)
        for name in ("recency_rule", "logistic", "trees"):
            assert roc_auc_score(o.gone, o.risks[name]) > best - 0.04, name
            assert np.abs(o.risks[name] - o.held.truth).mean() < 0.07, name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["recency_rule", "logistic", "trees"])
def test_a_known_risk_is_calibrated(known_truths, name):
    """The interval of the slope holds 1, and the error is below its limit, six times of eight: the
    true risk itself would miss some.
    """
    told = [metrics.measure(o.risks[name], o.gone) for o in known_truths]
    assert sum(m["slope_low"] <= 1 <= m["slope_high"] for m in told) >= 6
    assert sum(m["ece"] <= m["ece_limit"] for m in told) >= 6
    assert np.mean([m["slope"] for m in told]) == pytest.approx(1, abs=0.1)
    assert all(m["brier"] < m["brier_base"] for m in told)


def test_pure_chance_is_not_found():
    found = Origin(AS_OF, people(3000, 1), people(3000, 2))
    for name, risk in found.risks.items():
        assert roc_auc_score(found.gone, risk) == pytest.approx(0.5, abs=0.05), name


# What cannot be learned or measured
@pytest.fixture(scope="module")
def short():
    """A log in which something can be learned, and nothing measured."""
    return log(lines(200, days=150, every=(20, 90), lives=60))


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
        "usual": found.usual,
        "level": churn.level(found, pd.Series(risk)),
    }


@pytest.mark.parametrize("why", UNTELLABLE)
def test_what_cannot_be_told_is_not_told(why):
    rows, told = UNTELLABLE[why]
    found = churn.trial(log(rows), AS_OF, told)
    assert found.risk is None
    assert found.measured is None
    assert found.champion == churn_models.DEFAULT
    risk = found.risks
    assert np.isnan(risk).all()
    said = figures(found, np.array([0.5]))
    assert np.isnan([*said["measured"].values()]).all()
    assert all(said[name].empty for name in ("leaderboard", "by_origin", "by_stage", "usual"))
    assert np.isnan([said["level"]["low"], said["level"]["high"]]).all()


def test_where_a_horizon_is_over_something_is_learned_though_nothing_is_measured(short):
    found = churn.trial(short, AS_OF, SHOP)
    assert (found.measured, found.choosing, found.champion) == (None, [], churn_models.DEFAULT)
    assert found.risk.slope == 1
    risk = found.risks
    assert ((risk > 0) & (risk < 1)).all()
    said = figures(found, risk)
    assert said["leaderboard"].empty
    assert not said["usual"].empty


def test_a_log_without_money_is_learned_from(short):
    bare = Records(short.transactions.mutate(amount=ibis.null(short.transactions.amount.type())))
    found = churn.trial(bare, AS_OF, SHOP, "trees")
    risk = found.risk.predict(found.today.features)
    assert ((risk > 0) & (risk < 1)).all()
    assert len({*risk}) > 1


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
        rows, names = (
            [rows[n] for n in mixer.permutation(len(rows))],
            [names[n] for n in mixer.permutation(len(names))],
        )
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
    risk = found.risk.predict(found.today.features)
    np.testing.assert_allclose(mixed.risk.predict(mixed.today.features), risk, rtol=1e-6)


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


def test_everybody_is_scored_though_some_were_drawn(at_most_80):
    """By flags of the same numbers: in the sample another region may be the most frequent."""
    rows = lines(240, days=200, every=(20, 60), lives=90)
    names = sorted({row[0] for row in rows})
    drawn = leaving.drawn(pd.Series(names), SHOP.seed, 80)
    regions = np.where(
        drawn, np.where(np.arange(240) % 2, "A", "B"), np.where(np.arange(240) % 5, "C", "A")
    )
    whole = replace(profiles(log(rows), customer_id=names, region=regions), static=("region",))
    found = churn.trial(whole, AS_OF, SHOP)
    assert len(found.today.held) == 80
    every = found.known
    assert every.customer_id.tolist() == names
    said = every[every.customer_id.isin(found.today.held.customer_id)].reset_index(drop=True)
    on_others_too = {*lifecycle.makes, "expected"}
    same = [c for c in said if c not in on_others_too]
    pd.testing.assert_frame_equal(said[same], found.today.held[same])
    assert [c for c in same if c.startswith("is_")] == ["is_region_0", "is_region_1", "is_region_2"]
    risk = found.risk.predict(features(every))
    assert ((risk > 0) & (risk < 1)).all()


def test_everybody_is_who_was_tried_where_nobody_was_drawn(short):
    found = churn.trial(short, AS_OF, SHOP)
    assert found.known is found.today.held


# What the report says
@pytest.mark.parametrize(
    ("truth", "word"),
    [
        (lambda odds: odds, "are well calibrated"),
        (lambda odds: 0.6 * odds, "are too bold"),
        (lambda odds: 1.6 * odds, "are too timid"),
        (lambda odds: odds + 0.5, "neither too bold nor too timid, but off"),
        (lambda odds: odds - 0.5, "neither too bold nor too timid, but off"),
    ],
)
def test_risks_are_called_what_they_are(truth, word):
    chance = np.random.default_rng(3)
    odds = chance.normal(-0.5, 1.2, 5_000)
    figures = metrics.measure(expit(odds), chance.random(5_000) < expit(truth(odds)))
    assert word in churn.calibrated(figures)


def test_equal_risks_are_called_right_by_their_level_alone():
    gone = np.arange(200) < 60
    assert "well calibrated" in churn.calibrated(metrics.measure(np.full(200, 0.3), gone))
    assert "off by more" in churn.calibrated(metrics.measure(np.full(200, 0.5), gone))
    unmeasured = metrics.measure(np.zeros(0), np.zeros(0, bool))
    assert say.unknown(churn.calibrated(unmeasured), unmeasured)  # nothing is said


def test_the_level_by_hand():
    """Mean errors of 0.1 and -0.2 at two dates: their root mean square times Student's t of 80 %
    with two dates, 1.886. Of three customers chance alone reaches further.
    """
    earlier = [origin([1, 0], logistic=[0.5, 0.3]), origin([0, 0], 2, logistic=[0.2, 0.2])]
    found = trial_of(*earlier, wanted="logistic")
    assert found.level_errors == pytest.approx([0.1, -0.2])
    for risk, reach in (
        (pd.Series([0.2, 0.6, 0.7] * 100), 1.886 * (0.05 / 2) ** 0.5),
        (pd.Series([0.2, 0.6, 0.7]), 1.2816 * (0.16 + 0.24 + 0.21) ** 0.5 / 3),
    ):
        told, count = churn.level(found, risk), len(risk)
        figures = told["leavers"], told["customers"], told["share"]
        assert figures == pytest.approx((count / 2, count, 0.5))
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
    active, every = churn.measured(tested), churn.measured(tested, every=True)
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
    assert origins.brier.iloc[-1] == pytest.approx(churn.measured(tested)["brier"])
    held = tested.measured.held
    assert stages.set_index("stage").customers.to_dict() == held.stage.value_counts().to_dict()
    assert stages.set_index("stage").base.to_dict() == pytest.approx(
        held.groupby("stage").left.mean().to_dict()
    )


def test_the_usual_customer_is_one_who_stayed(tested):
    taught = tested.today.taught
    pd.testing.assert_series_equal(tested.usual, features(taught[~taught.left]).median())


# Real customers
@pytest.mark.slow
def test_on_cdnow_the_champion_is_no_worse_than_recency_or_probability_alive(cdnow):
    """By the 95 % interval of its AUC, on everybody at 1998-03-31, which it had not seen."""
    found = churn.trial(Records(cleaning.transactions(cdnow).cache()), dt.date(1998, 6, 30), SHOP)
    measured = found.measured
    assert measured.day == dt.date(1998, 3, 31)
    assert len(measured.held) == 23_570
    held, risk = measured.held, measured.risks[found.champion]
    model = orders.BTYD["bg_nbd"]().fit(*orders.BuyTillYouDie._history(held))
    alive = model.conditional_probability_alive(*orders.BuyTillYouDie._history(held))
    for other in (held.recency_days.to_numpy(float), 1 - np.asarray(alive)):
        best = metrics.auc(other, measured.gone)["auc"]
        assert metrics.auc(risk, measured.gone)["auc_high"] >= best
    active, every = churn.measured(found), churn.measured(found, every=True)
    assert every["brier"] < every["brier_base"]
    assert active["brier"] < active["brier_base"]


def test_what_was_taught_ends_at_the_day_and_begins_with_a_history(tested):
    past = Past(log(lines()), SHOP)
    for day in (AS_OF, MEASURED, ago(DAYS - 1 - HORIZON)):
        assert all(d + dt.timedelta(days=HORIZON) <= day for d in past.lesson_days(day))
        assert all((d - ago(DAYS)).days >= HORIZON / 2 for d in past.lesson_days(day))
    assert past.lesson_days(AS_OF)[0] == MEASURED


def test_the_order_of_lines_does_not_matter_to_what_is_taught(tested):
    rows = lines()
    mixed = Past(log([rows[n] for n in np.random.default_rng(5).permutation(len(rows))]), SHOP)
    pd.testing.assert_frame_equal(mixed.taught(MEASURED), tested.measured.taught, rtol=1e-9)
