"""One risk at several horizons: by hand, and against what invented customers went on to do."""

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.intake.dataset import Dataset
from analysis.models import churn, horizons
from analysis.models.churn_models import Due
from analysis.models.history import Records
from tests.bench import worlds
from tests.models.churn_cases import AS_OF, SHOP, lines, log

pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def rule(*risks):
    """A fitted rule that tells these risks of leaving."""
    return SimpleNamespace(
        predict_proba=lambda facts: np.column_stack([1 - np.array(risks), risks])
    )


def past(churn_="horizon", days=91):
    return SimpleNamespace(settings=SimpleNamespace(churn=churn_), horizon_days=days)


HELD = pd.DataFrame({"expected": [1.0, 1.0, 1.0]})


@pytest.mark.parametrize(
    ("days", "other", "expected"),
    [
        (182, [0.25, 0.25, 0.8], [0.75, 0.96, 0.5]),  # 1 - .5 ** 2, 1 - .2 ** 2; none is told less
        (30, [np.sqrt(0.5), 0.5, 0.3], [1 - np.sqrt(0.5), 0.8, 0.5]),  # nor more before
    ],
)
def test_hazards_are_proportional_and_the_chance_of_an_order_only_rises(days, other, expected):
    rules, risk = (rule(*other), rule(0.5, 0.5, 0.5)), np.array([0.5, 0.2, 0.5])
    assert horizons.chance(past(), rules, HELD, risk, days) == pytest.approx(expected)
    assert horizons.chance(past(), None, HELD, risk, 91).tolist() == [0.5, 0.8, 0.5]


def test_with_contracts_it_is_the_chance_of_leaving_and_of_who_is_not_due_the_rules():
    due, facts = Due(None), pd.DataFrame({"due": [1.0, 1.0, 0.0]})
    due.predict_proba = rule(0.5, 0.5, 0.001).predict_proba
    held, risk = HELD.assign(renewal_days=[20, 80, 100], due=facts.due), np.array([0.5, 0.2, 0.001])
    found = horizons.chance(past("contract"), (rule(0.5, 0.75, 0.3), due), held, risk, 182)
    assert found == pytest.approx([0.5, 1 - 0.8**2, 0.3])
    assert horizons.chance(past("contract"), None, held, risk, 91).tolist() == risk.tolist()


@pytest.fixture(scope="module")
def invented():
    """A company of three years, and on which day its customers next ordered."""
    world = worlds.WORLDS["pareto_nbd"]
    before, later, *_rest = worlds.simulate(world, 4)
    columns = {"customer_id": "c", "date": "d", "amount": "a"}
    settings = Dataset(name="w", tables={"transactions": {"path": "x.csv", "columns": columns}})
    trial = churn.trial(Records(worlds.as_log(before)), world.day, settings, "expected_rule")
    return trial, later.groupby("customer_id").day.min(), world.day


def test_what_is_told_comes_true(invented):
    """Of some 1,300 customers chance alone moves a share by 1.4 points."""
    trial, following, day = invented
    chances, table = horizons.ahead(trial)
    assert table.within_days.tolist() == [30, 91, 182, 365]
    assert horizons.missing(table) == ""
    active = trial.today.active
    wait = pd.to_datetime(trial.known.customer_id.map(following)) - pd.Timestamp(day)
    for row in table.itertuples():
        came = (wait.dt.days <= row.within_days)[active]
        told = chances[f"within_{row.within_days}"][active]
        assert told.mean() == pytest.approx(row.chance)
        assert told.mean() == pytest.approx(came.mean(), abs=0.05), row.within_days
        high = told >= told.quantile(0.8)
        assert told[high].mean() == pytest.approx(came[high].mean(), abs=0.1), row.within_days
    assert (np.diff(chances, axis=1) >= 0).all()
    assert chances.within_91.to_numpy() == pytest.approx(1 - trial.risks, abs=1e-12)


def test_each_is_measured_on_the_latest_date_with_so_many_days_behind_it(invented):
    trial, _following, day = invented
    _, table = horizons.ahead(trial)
    back = [(day - d).days for d in table.day]
    assert back == [91, 91, 182, 365]
    known = trial.past.at(table.day[3])
    who = (known.stage != "lost").to_numpy()
    came = ~horizons.left(trial.past, known, table.day[3], 365)
    assert (table.customers[3], table.came_true[3]) == (who.sum(), came[who].mean())
    assert ((table.low < table.came_true) & (table.came_true < table.high)).all()


def test_what_is_measured_knows_nothing_of_later_days(invented):
    trial, _following, day = invented
    origin = day - dt.timedelta(days=182)
    until = trial.past.transactions.filter(trial.past.transactions.day <= origin)
    again = churn.Past(Records(until), trial.past.settings)
    facts = pd.DataFrame({"expected": np.linspace(-3, 2, 20)})
    for days in (30, 182):
        ours, theirs = (
            horizons.learned(trial.past, origin, days),
            horizons.learned(again, origin, days),
        )
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.predict_proba(facts) == pytest.approx(other.predict_proba(facts))


def test_what_the_log_is_too_short_for_is_not_told():
    found = churn.trial(log(lines()), AS_OF, SHOP)
    chances, table = horizons.ahead(found)
    told = set(table.within_days)
    assert 365 not in told and "within_365" not in chances and "365" in horizons.missing(table)
    nothing = churn.trial(log(lines(5)), AS_OF, SHOP)
    chances, table = horizons.ahead(nothing)
    assert table.empty and chances.columns.empty and horizons.missing(table) == "30, 91, 182, 365"


def test_contracts_leave_at_their_ends(with_contracts):
    """Who is due after 182 days has hardly left by then, who is due has with the chance of all."""
    _made, trial = with_contracts
    chances, table = horizons.ahead(trial)
    assert {30, 91, 182} <= {*table.within_days}
    ends = trial.known.renewal_days
    for days in (30, 91, 182):
        told = chances[f"within_{days}"]
        assert told[ends > days].mean() < 0.03 < 0.15 < told[ends <= days].mean()
    assert (np.diff(chances, axis=1) >= 0).all()
    assert chances.within_91.to_numpy() == pytest.approx(trial.risks, abs=1e-12)
