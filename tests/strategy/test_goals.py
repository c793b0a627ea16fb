import datetime as dt

import pandas as pd
import pytest
import yaml

from analysis.errors import InputError
from analysis.intake.dataset import Dataset
from analysis.strategy import goals

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


def goal(measure="revenue", target=100.0, **more):
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


@pytest.mark.parametrize(
    ("measure", "tier", "now"),
    [
        ("customers", None, 3),
        ("revenue", None, 90),
        ("revenue", "strategic", 80),
        ("active_share", None, 2 / 3),
        ("silent_share", "strategic", 0.5),
        ("repeat_share", None, 2 / 3),
        ("mean_risk", None, 0.4),
        ("value_to_come", "strategic", 6),
    ],
)
def test_measures_by_hand(load, measure, tier, now):
    found = goals.held_against(load(goal(measure, tier=tier)), MATRIX, AS_OF, "en")
    assert found.now.iloc[0] == pytest.approx(now)


def test_every_measure_can_be_held_against_nobody(load):
    found = goals.held_against(
        load(*(goal(measure) for measure in goals.MEASURES)), MATRIX.head(0), AS_OF, "en"
    )
    assert set(found.standing) == {
        "unknown",
        "open",
    }  # of nobody there are none; of all else nothing is known


@pytest.mark.parametrize(
    ("measure", "target", "by", "standing", "gap"),
    [
        ("revenue", 90, AS_OF, "reached", 0),
        ("revenue", 91, AS_OF, "open", 1),
        ("revenue", 91, AS_OF - dt.timedelta(days=1), "missed", 1),
        ("mean_risk", 0.4, AS_OF, "reached", 0),
        ("mean_risk", 0.3, AS_OF, "open", 0.1),
        ("silent_share", 0.5, AS_OF - dt.timedelta(days=1), "reached", 0),
    ],
)
def test_where_a_goal_stands(load, measure, target, by, standing, gap):
    row = goals.held_against(load(goal(measure, target, by=by)), MATRIX, AS_OF, "en").iloc[0]
    assert row.standing == standing
    assert row.gap == pytest.approx(gap)
    assert row.days_left == (by - AS_OF).days


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
    assert none.goals == () and goals.held_against(none, MATRIX, AS_OF, "en").empty
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
    ],
)
def test_what_cannot_be_a_goal_is_refused_with_its_place(load, written, said):
    with pytest.raises(InputError, match=said):
        load(goal() | written)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.yml"):
        goals.of(shop(tmp_path / "shop.yml", goals="gone.yml"))
