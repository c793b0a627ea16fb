"""Season, growth and breaks of the rate that all customers share."""

import datetime as dt
import itertools
import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.integrate import quad
from scipy.stats import norm

from analysis import customers
from analysis.errors import NotEstimable
from analysis.models import backtest, calendar, orders
from analysis.models.calendar import Calendar
from analysis.models.trees import Lessons
from tests.bench import worlds

RATES = Calendar("2024-12-31", 1000, growth=0.3, season=(0.4, -0.2) * 10, step=-0.7, broke=40)


def company(name, seed=1, count=2000):
    """The customers of a world at its day, what their calendar is estimated from, and the orders of
    the next 91 days and of all that is known of the future.
    """
    world = worlds.WORLDS[name]
    past, later, _ = worlds.simulate(world, seed, count)
    log = worlds.as_log(past)
    known = customers.buyers(customers.at(log, world.day, 0, orders.trailing(91)))
    soon = later[later.day <= world.day + dt.timedelta(days=91)]
    lessons = Lessons(weekly=lambda: customers.weekly_orders(log, world.day))
    return known, lessons, len(soon), len(later)


def test_the_regression_is_that_of_statsmodels_and_its_evidence_the_integral():
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(80), rng.normal(size=(80, 2))])
    exposure = rng.uniform(2, 30, 80)
    y = rng.poisson(exposure * np.exp(X @ [0.2, 0.5, -0.3]))
    theirs = sm.GLM(y, X, sm.families.Poisson(), exposure=exposure).fit()
    ours = calendar.regress(X, y, exposure, [np.inf] * 3)
    assert ours.beta == pytest.approx(theirs.params, abs=1e-6)
    assert ours.errors == pytest.approx(theirs.bse, rel=1e-5)
    alone = X[:, :1]  # the integral over one coefficient, with its prior

    def likely(beta):
        mean = exposure * np.exp(beta)
        return np.exp((y * np.log(mean) - mean).sum() - peak) * norm.pdf(beta, 0, 0.5)

    peak = (y * np.log(exposure) - exposure).sum() + 300
    found = calendar.regress(alone, y, exposure, [0.5]).evidence
    integral = np.log(quad(likely, 0, 0.8, epsabs=0)[0]) + peak
    assert found == pytest.approx(integral, abs=0.01)


def test_the_clock_adds_up_the_rates_of_days_and_an_even_one_counts_weeks():
    even = Calendar("2024-12-31", 1000).clock
    assert even(np.array([-70, 0, 35])) == pytest.approx([-10, 0, 5])
    days = np.array([-500, -41, -40, -39, 0, 1, 300])
    clock = RATES.clock
    for first, last in itertools.pairwise(days):
        passed = clock(last) - clock(first)
        assert passed == pytest.approx(RATES.rates(np.arange(first + 1, last + 1)).sum() / 7)
    before, after = RATES.rates(np.array([-40, -39]))
    assert np.log(after / before) == pytest.approx(-0.7, abs=0.03)  # the season goes on meanwhile
    assert RATES.begin == dt.date(2024, 12, 31) - dt.timedelta(days=39)
    further = RATES.rates(np.array([1000, 1000 + 1461]))  # beyond what the log has shown
    assert further[0] == pytest.approx(further[1], rel=1e-6)
    assert Calendar.of(json.loads(json.dumps(RATES.kept()))) == RATES


@pytest.mark.parametrize("back", [0, 10, 40, 41, 300])
def test_from_an_earlier_day_the_rate_is_the_same(back):
    """But for a factor, on either side of the break."""
    earlier = RATES.on(dt.date(2024, 12, 31) - dt.timedelta(days=back))
    days = np.arange(-600, 600)
    ratio = earlier.rates(days) / RATES.rates(days - back)
    assert np.ptp(np.log(ratio)) < 1e-12
    assert earlier.days == 1000 - back


def test_what_is_ahead_is_held_against_the_mean_of_the_last_year():
    """Twice the rate since 73 days: of the last 365 days the mean is 1.2 times that before."""
    doubled = Calendar("2024-12-31", 1000, step=np.log(2), broke=73)
    assert doubled.ahead(91) == pytest.approx(2 / 1.2 - 1)
    assert Calendar("2024-12-31", 1000).ahead(91) == pytest.approx(0)


def test_what_was_planted_is_found_and_nothing_where_nothing_was():
    known, lessons, *_ = company("bg_nbd")
    flat = lessons.calendar(known)
    assert flat.broke == 0 and abs(flat.growth) < 0.09
    assert np.abs(flat.seasons(np.arange(365))).max() < 0.15
    known, lessons, *_ = company("growth")
    assert lessons.calendar(known).growth == pytest.approx(np.log(1.35), abs=0.09)
    known, lessons, *_ = company("shock")
    broken = lessons.calendar(known)
    assert abs(broken.broke - 45) <= 7
    assert abs(broken.step - np.log(0.5)) < 3 * broken.step_error
    known, lessons, *_ = company("christmas")
    assert not lessons.calendar(known).feast and not broken.feast and not flat.feast
    december, june = lessons.calendar(known).seasons(np.array([-19, -200]))
    assert december - june == pytest.approx(np.log(4), abs=0.15)


@pytest.mark.parametrize("name", ["ramadan", "spring_festival"])
def test_a_feast_that_moves_is_named_and_its_weeks_are_those_of_its_year(name):
    known, lessons, *_ = company(name)
    found = lessons.calendar(known)
    assert found.feast == name
    feast, day = worlds.WORLDS[name].feasts[4], worlds.WORLDS[name].day  # in the year after next
    ahead = (dt.date.fromisoformat(feast) - day).days
    before, after = found.seasons(np.array([ahead - 14, ahead + 30]))
    assert before - after == pytest.approx(np.log(2.5), abs=0.3)


@pytest.mark.parametrize("name", ["christmas", "christmas_september", "growth", "shock", "ramadan"])
def test_totals_come_true_that_even_weeks_miss(name):
    known, lessons, soon, later = company(name, seed=2)
    plain = orders.BuyTillYouDie(orders.BTYD["bg_nbd"]).fit(known)
    model = orders.BuyTillYouDie(orders.BTYD["bg_nbd"], by_calendar=True).fit(known, lessons)
    off, ours = (m.predict(known, 91).sum() / soon - 1 for m in (plain, model))
    assert abs(ours) < 0.12 < 0.02 + abs(off) and abs(ours) < abs(off) / 2, (off, ours)
    assert model.predict(known, worlds.AHEAD).sum() / later == pytest.approx(1, abs=0.2)


def test_by_an_even_calendar_a_model_is_the_ordinary_one():
    known, *_ = company("bg_nbd", count=400)
    plain = orders.BuyTillYouDie(orders.BTYD["pareto_nbd"]).fit(known)

    class Even:
        def calendar(self, _customers):
            return Calendar("2024-12-31", 1095)

    model = orders.BuyTillYouDie(orders.BTYD["pareto_nbd"], by_calendar=True).fit(known, Even())
    both = [m.predict(known, 91).to_numpy() for m in (plain, model)]
    assert both[0] == pytest.approx(both[1], rel=1e-4)


def test_of_a_short_log_and_of_a_closed_intake_there_is_no_calendar():
    known, lessons, *_ = company("bg_nbd", count=300)
    short, closed = known[known.age_days < 700], known[known.age_days > 600]
    for some, why in ((short, "too_few_years"), (closed, "closed_intake")):
        with pytest.raises(NotEstimable, match=why):
            calendar.estimate(some, lessons.weekly())
    with pytest.raises(NotEstimable):
        Lessons().calendar(known)


@pytest.mark.parametrize(("distance", "used"), [(1.9, True), (2.1, False)])
def test_a_calendar_beyond_doubt_is_used_unless_it_was_clearly_worse(distance, used):
    known, lessons, *_ = company("ramadan")
    test = backtest.Backtest(None, [], 91, "", lessons)
    before = pd.DataFrame({"distance": [0.0, distance]}, ["bg_nbd", "bg_nbd_calendar"])
    vars(test).update(choice=before, champion="bg_nbd")
    _model, name, reason = backtest.fit_champion(test, known)
    assert (name == "bg_nbd_calendar", reason == "calendar_decisive") == (used, used)


def test_after_a_break_the_calendar_takes_the_champions_place_unless_another_was_asked_for(
    tmp_path,
):
    known, lessons, *_ = company("shock")
    for wanted, expected in (("", ("bg_nbd_calendar", "level_broke")), ("bg_nbd", ("bg_nbd", ""))):
        test = backtest.Backtest(None, [], 91, wanted, lessons)
        model, *found = backtest.fit_champion(test, known)
        assert tuple(found) == expected
    model, name, _ = backtest.fit_champion(backtest.Backtest(None, [], 91, "", lessons), known)
    kept = {"parameters": backtest.kept(model, name, test)}
    (tmp_path / "orders.json").write_text(json.dumps(kept))
    again = orders.load(tmp_path / "orders.json")
    pd.testing.assert_series_equal(again.predict(known, 91), model.predict(known, 91))
