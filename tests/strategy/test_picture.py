import numpy as np
import pandas as pd
import pytest

from analysis.strategy import picture, playbook


# What the matrix says
def test_cells_sum_what_stands_in_them():
    matrix = pd.DataFrame(
        {
            "customer_id": list("abcd"),
            "tier": ["ordinary", "ordinary", "strategic", "potential"],
            "stage": ["new", "new", "lost", "prospect"],
            "risk_band": ["high", "low", "high", "none"],
            "revenue": [10.0, 5, 100, 0],
            "clv": [1.0, 2, 3, np.nan],
            "churn_risk": [0.9, 0.5, 1, np.nan],
        }
    )
    cells = picture.cells(matrix).set_index(["tier", "stage"])
    assert cells.index.tolist() == [
        ("strategic", "lost"),
        ("ordinary", "new"),
        ("potential", "prospect"),
    ]
    assert cells.loc[("ordinary", "new")].to_dict() == {
        "customers": 2,
        "revenue": 15,
        "clv": 3,
        "leavers": 1.4,
        "risk": 0.7,
        "high_risk": 1,
    }
    assert cells.customers.sum() == 4
    assert np.isnan(cells.risk["potential", "prospect"])


def test_what_is_said_of_strategic_customers():
    """Two of the four who ordered, one of them silent; prospects are no base of shares."""
    matrix = pd.DataFrame(
        {
            "tier": ["strategic", "strategic", "ordinary", "ordinary", "potential"],
            "stage": ["loyal", "silent", "new", "lost", "prospect"],
            "risk_band": ["high", "low", "high", "high", "none"],
            "revenue": [60.0, 20, 15, 5, 0],
        }
    )
    said = {
        "strategic": 2,
        "share": 0.5,
        "revenue_share": 0.8,
        "silent": 1,
        "silent_revenue": 20,
        "risky": 1,
        "risky_revenue": 60,
    }
    assert picture.strategic(matrix) == pytest.approx(said)
    assert [picture.strategic(one)["share"] for one in (matrix.head(1), matrix.tail(1))] == [1, 0]


def test_every_reason_for_a_tier_is_counted():
    matrix = pd.DataFrame(
        {
            "customer_id": list("abc"),
            "tier": ["ordinary", "important", "important"],
            "reason": ["rest", "rare", "usual"],
            "revenue": [1.0, 2, 3],
            "clv": [1.0, 2, 3],
        }
    )
    matrix = pd.concat([matrix, matrix.tail(1).assign(customer_id="d")])
    assert picture.why(matrix)[["tier", "reason", "customers", "revenue"]].to_numpy().tolist() == [
        ["important", "usual", 2, 6],
        ["important", "rare", 1, 2],
        ["ordinary", "rest", 1, 1],
    ]


def test_the_matrix_holds_the_tier_of_the_day_and_what_else_is_known_of_each():
    """A prospect stands in neither clv nor churn; without churn the risk of others is unknown."""
    known = pd.DataFrame({"customer_id": list("abc"), "window_revenue": [9.0, 5, 0]})
    known = known.assign(window_orders=1, age_days=[400.0, 20, np.nan])
    segments = pd.DataFrame({"customer_id": list("cba"), "stage": ["prospect", "new", "loyal"]})
    history = pd.DataFrame({"customer_id": list("ab"), "month_end": pd.Timestamp("2025-05-31")})
    history["line"] = [1, 7]  # strategic, and the last line
    clv = pd.DataFrame({"customer_id": list("ba"), "clv": [1.0, 2]})
    churn = pd.DataFrame({"customer_id": list("ab"), "churn_risk": [0.1, 0.9]})
    churn["risk_band"] = ["low", "high"]
    rules = playbook.load().tiers
    found = picture.draw(known, segments, history, rules, "en", clv, churn)
    assert found.tier.tolist() == ["strategic", "ordinary", "potential"]
    assert found.stage.tolist() == ["loyal", "new", "prospect"]
    assert found.risk_band.tolist() == ["low", "high", "none"]
    assert found.clv.tolist()[:2] == [2, 1] and np.isnan(found.clv[2])
    found = picture.draw(known, segments, history, rules, "en")
    assert found.risk_band.tolist() == ["unknown", "unknown", "none"]
    assert found[["clv", "churn_risk"]].isna().all(axis=None)


def test_no_more_order_than_are_expected_and_who_is_told_to_is_counted():
    """Chances of .5, .9, .3 and one unknown beside .5, .6, .1 and 2 orders: by .3 and .2."""
    ids = pd.Series(list("abcd"))
    clv = pd.DataFrame({"customer_id": ids[::-1], "expected_orders": [2.0, 0.1, 0.6, 0.5]})
    churn = pd.DataFrame({"customer_id": ids, "churn_risk": [0.5, 0.1, 0.7, np.nan]})
    assert picture.at_odds(clv, churn) == pytest.approx({"customers": 2, "gap": 0.25})
    assert picture.at_odds(clv, churn.head(1))["customers"] == 0


def test_risks_leave_out_who_has_none_and_are_in_order():
    matrix = pd.DataFrame({"customer_id": list("abc"), "risk_band": ["low", "none", "high"]})
    found = picture.risks(matrix)
    assert found.to_dict() == {"a": "low", "c": "high"}
    assert found.cat.categories.tolist() == ["high", "low"]


def test_risk_goes_with_an_attribute_whose_classes_differ_in_it():
    """Thirty customers of low and thirty of high risk: by region, and by one that says nothing."""
    ids = [f"c{n:02}" for n in range(60)]
    risk = np.linspace(0.1, 0.3, 60) + np.repeat([0, 0.5], 30)
    matrix = pd.DataFrame({"customer_id": ids, "churn_risk": risk})
    region, shirt = (pd.Series(of, ids) for of in (["n"] * 30 + ["s"] * 30, ["x", "y"] * 30))
    found = [picture.risk_goes_with(one, matrix) for one in (region, shirt, None)]
    assert found == [True, False, False]


def test_sums_of_money_that_nobody_knows_are_not_zero():
    matrix = pd.DataFrame(
        {
            "tier": ["strategic"],
            "stage": "loyal",
            "risk_band": "low",
            "customer_id": "a",
            "reason": "why",
        }
    )
    matrix = matrix.assign(revenue=np.nan, clv=np.nan, churn_risk=0.1)
    assert picture.cells(matrix)[["revenue", "clv"]].isna().all(axis=None)
    assert picture.why(matrix)[["revenue", "clv"]].isna().all(axis=None)
    assert np.isnan(picture.strategic(matrix)["revenue_share"]) and np.isnan(
        picture.strategic(matrix)["silent_revenue"]
    )
    assert np.isnan(picture.strategic(matrix.assign(revenue=-5.0))["revenue_share"])


def test_an_attribute_is_a_table_whatever_chance_says():
    """North brought 30 and a year before 20, south 10 and nothing, and nobody knows where e is."""
    ids = list("abcde")
    matrix = pd.DataFrame({"customer_id": ids, "revenue": [20.0, 10, 5, 5, 1], "clv": 2.0})
    matrix["churn_risk"] = [0.1, 0.3, 0.5, np.nan, 0.9]
    region = pd.Series(["n", "n", "s", "s"], list("abcd"), dtype=pd.CategoricalDtype(["s", "n"]))
    ends = pd.to_datetime(["2024-05-31", "2024-06-30", "2024-07-31", "2025-06-30"])
    history = pd.DataFrame({"month_end": np.repeat(ends, 2), "customer_id": list("ab") * 4})
    history["window_revenue"] = [9.0, 9, 15, 5, 7, 7, 20, 10]
    found = picture.by_attribute(region, matrix, history.assign(full_window=True), persons=False)
    assert found.group.tolist() == ["s", "n", "unknown"]  # in the order of the attribute
    assert found.customers.tolist() == [2, 2, 1] and found.revenue.tolist() == [10, 30, 1]
    assert found.risk.tolist() == pytest.approx([0.5, 0.2, 0.9])
    np.testing.assert_allclose(found.change, [np.nan, 0.5, np.nan])
    short = picture.by_attribute(region, matrix, history.assign(full_window=False), persons=True)
    assert short.change.isna().all() and short.customers.sum() == 5
    assert (short.customers >= 5).all()  # of persons no class so small is shown
    assert picture.by_attribute(None, matrix, history, persons=False).empty
