import datetime as dt

import pandas as pd
import pytest
import yaml

from analysis.errors import InputError
from analysis.intake.dataset import Dataset
from analysis.report.text import say
from analysis.schema import LABELS
from analysis.steering import goals
from analysis.steering.facts import Facts
from tests.steering.test_kpis import NOBODY, log_of

AS_OF = dt.date(2026, 1, 31)


@pytest.fixture
def load(tmp_path):
    """Goals as from a file beside a dataset file."""

    def load(*written, resources=None):
        (tmp_path / "goals.yml").write_text(
            yaml.safe_dump({"goals": list(written), "resources": resources or {}}), "utf-8"
        )
        return goals.of(shop(tmp_path / "shop.yml", goals="goals.yml"))

    return load


def shop(file, **plan):
    tables = {"transactions": {"path": "x.csv", "columns": {"customer_id": "c", "date": "d"}}}
    return Dataset(name="shop", tables=tables, plan=plan).model_copy(update={"file": file})


def goal(measure="customers", target=100.0, **more):
    return {
        "id": "g",
        "measure": measure,
        "target": target,
        "by": dt.date(2026, 6, 30),
        "owner": "sales",
    } | more


MATRIX = pd.DataFrame(
    {
        "customer_id": list("abcd"),
        "tier": ["strategic", "strategic", "ordinary", "potential"],
        "stage": ["loyal", "silent", "new", "prospect"],
        "revenue": [60.0, 20.0, 10.0, 0.0],
        "clv": [5.0, 1.0, 2.0, None],
        "churn_risk": [0.1, 0.7, 0.4, None],
    }
)


# order days: the silent customer ordered once, the loyal one and the new one three and one times
CUSTOMERS = pd.DataFrame({"customer_id": list("abcd"), "orders": [3, 1, 1, 0]})


# 100 in each month of 2025, and 200 in January 2026
LOG = log_of(*(("a", f"2025-{m:02}-01", 100) for m in range(1, 13)), ("b", "2026-01-09", 200))


def standing(wanted, matrix=MATRIX, window_days=365):
    settings = shop("shop.yml").model_copy(update={"value_window_days": window_days})
    facts = Facts(LOG, NOBODY, AS_OF, settings)
    return goals.held_against(wanted, matrix, CUSTOMERS, facts, AS_OF)


@pytest.mark.parametrize(
    ("measure", "tier", "now"),
    [
        ("customers", None, 3),
        ("active_share", None, 2 / 3),
        ("silent_share", "strategic", 0.5),
        ("mean_risk", None, 0.4),
        ("lifetime_value", "strategic", 6),
    ],
)
def test_measures_by_hand(load, measure, tier, now):
    found = standing(load(goal(measure, 1, tier=tier)))
    assert found.now.iloc[0] == pytest.approx(now)


def test_every_measure_can_be_held_against_nobody(load):
    found = standing(load(*(goal(measure, 1) for measure in goals.MEASURES)), MATRIX.head(0))
    assert set(found.standing) == {
        "unknown",
        "open",
    }  # of nobody there are none; of all else nothing is known


DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("measure", "target", "by", "stands", "gap"),
    [
        ("lifetime_value", 8, AS_OF, "reached", 0),
        ("lifetime_value", 9, AS_OF, "open", 1),
        ("lifetime_value", 9, AS_OF - DAY, "missed", 1),
        ("mean_risk", 0.4, AS_OF, "reached", 0),
        ("mean_risk", 0.3, AS_OF, "open", 0.1),
        ("silent_share", 0.5, AS_OF - DAY, "reached", 0),
        ("customers", 3, AS_OF + 400 * DAY, "reached", 0),
    ],
)
def test_where_a_goal_stands(load, measure, target, by, stands, gap):
    [row] = standing(load(goal(measure, target, by=by))).to_dict("records")
    assert row["standing"] == stands
    assert row["gap"] == pytest.approx(gap)
    assert row["days_left"] == (by - AS_OF).days


@pytest.mark.parametrize(
    ("target", "by", "now", "stands"),
    [
        # twelve months to January brought 1,300, those to December 1,200
        (1300, (2026, 1, 31), 1300, "reached"),
        (1301, (2026, 1, 31), 1300, "open"),
        (1201, (2025, 12, 31), 1200, "missed"),
        # one month of the year has passed and brought 200, a twelfth of 2,400
        (2400, (2026, 12, 31), 200, "on_pace"),
        (2401, (2026, 12, 31), 200, "behind"),
        (200, (2026, 12, 31), 200, "reached"),
        (1000, (2027, 1, 31), 1300, "not_begun"),
    ],
)
def test_a_sum_is_judged_by_the_months_that_are_over(load, target, by, now, stands):
    found = standing(load(goal("revenue", target, by=dt.date(*by))))
    assert (found.standing.tolist(), found.now.tolist()) == ([stands], [now])
    assert goals.counts(found)[stands] == goals.counts(found)["goals"] == 1


def test_of_a_sum_that_shall_be_small_nothing_is_reached_before_the_end(load):
    """Customers who stopped: none in January, a third of the quarter, of at most 3."""
    found = standing(load(goal("stopped", 3, by=dt.date(2026, 3, 31), months=3)))
    assert found.standing.tolist() == ["on_pace"]


@pytest.mark.parametrize(
    ("target", "since", "by", "stands"),
    [
        # the value of an order went from 100 in December to 200 in January
        (200, (2026, 1, 1), (2026, 6, 30), "reached"),
        (300, (2026, 1, 1), (2026, 3, 2), "on_pace"),  # half of the way in half of the days
        (300, (2026, 1, 1), (2026, 2, 28), "behind"),
        (300, (2026, 2, 1), (2026, 6, 30), "not_begun"),
        (300, (2025, 12, 1), (2026, 1, 30), "missed"),
        (300, None, (2026, 6, 30), "open"),
        (300, (2025, 1, 1), (2026, 6, 30), "open"),  # the log does not know what it was
    ],
)
def test_any_other_figure_is_judged_by_how_far_it_has_come(load, target, since, by, stands):
    more = {"from": dt.date(*since)} if since else {}
    wanted = load(goal("order_value", target, by=dt.date(*by), months=1) | more)
    assert standing(wanted).standing.tolist() == [stands]


def test_a_goal_by_a_day_before_the_log_is_refused(load):
    with pytest.raises(InputError, match="before the first order"):
        standing(load(goal(by=dt.date(2024, 1, 1))))


def test_every_measure_has_words_and_a_form_and_is_said(load):
    assert len({measure.words for measure in goals.MEASURES.values()}) == len(goals.MEASURES)
    targets = {name: 0.25 if m.form == "percent" else 25 for name, m in goals.MEASURES.items()}
    found = standing(load(*(goal(measure, target) for measure, target in targets.items())))
    said = goals.in_words(found)
    assert said.measure.tolist() == [measure.words for measure in goals.MEASURES.values()]
    forms = {"int": "25", "money": "$25", "percent": "25.0\xa0%"}
    due = [forms[measure.form] for measure in goals.MEASURES.values()]
    assert [text.partition(" by ")[0] for text in said.target] == due
    assert said.target.str.endswith(" by Jun 30, 2026").all()
    assert said.now.tolist()[:2] == ["3", "66.7\xa0%"]


def test_only_standings_that_there_are_are_named(load):
    value = (goal("lifetime_value", money, by=AS_OF) for money in (8, 9))
    found = standing(load(*value, goal("customers", 99)))
    text, values = goals.summary(found)
    assert say(text, **values) == "Goals: 3, 1 reached, 2 open."
    assert "No goals are set" in goals.summary(found.head(0))[0]
    assert "not known" in goals.summary(found.assign(standing="unknown"))[0]


def test_the_standings_have_words():
    assert {*goals.STANDINGS} <= {*LABELS}


def test_a_plan_is_held_against_what_its_tier_may_take(load):
    made = pd.DataFrame(
        {
            "customer_id": list("abc"),
            "status": ["planned", "planned", "held_back"],
            "channel": ["visit", "email", "phone"],
            "cost": [30.0, 5.0, 0.0],
        }
    )
    found = load(
        goal(), resources={"strategic": {"budget": 34, "calls": 1}, "ordinary": {"calls": 0}}
    )
    table = goals.means(found, made, MATRIX).set_index("tier")[["cost", "called", "within"]]
    assert table.loc["strategic"].tolist() == [35.0, 1, "no"]
    assert table.loc["ordinary"].tolist() == [0.0, 0, "yes"]


def test_no_file_means_no_goals(tmp_path):
    none = goals.of(shop(tmp_path / "shop.yml"))
    assert none.goals == () and standing(none).empty
    assert goals.means(
        none, pd.DataFrame({"customer_id": [], "status": [], "channel": [], "cost": []}), MATRIX
    ).empty


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"measure": "turnover"}, "no measure 'turnover'"),
        ({"by": "soon"}, "goals.0.by"),
        ({"target": float("nan")}, "goals.0.target"),
        ({"tier": "vip"}, "goals.0.tier"),
        ({"colour": "red"}, "goals.0.colour"),
        ({"measure": "silent_share", "target": 10}, "between 0 and 1"),
        ({"measure": "repeat_rate", "target": 60}, "between 0 and 1"),
        ({"measure": "revenue", "target": 0.1}, "no share but a sum"),
        ({"measure": "revenue", "target": "ten"}, "goals.0.target"),
        ({"measure": "nsp"}, "nps"),
        ({"measure": "nps", "months": 2}, "goals.0.months"),
        ({"from": dt.date(2026, 6, 30)}, "not before the day"),
    ],
)
def test_what_cannot_be_a_goal_is_refused_with_its_place(load, written, said):
    with pytest.raises(InputError, match=said):
        load(goal() | written)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.yml"):
        goals.of(shop(tmp_path / "shop.yml", goals="gone.yml"))
