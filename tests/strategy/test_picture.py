import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import customers as from_log
from analysis.intake import readers
from analysis.segments import registry
from analysis.strategy import picture, playbook
from analysis.strategy.picture import TierRule


def tier(name, why, **when):
    return {"tier": name, "when": when, "why": why}


EVERYBODY = tier("ordinary", "all the rest")


def lines_of(*lines):
    return [TierRule.model_validate(line) for line in (*lines, EVERYBODY)]


def people(**columns):
    """The tables that tiers are made of: customers, segments, clv and churn of a to f."""
    ids = list("abcdef"[: len(columns["window_revenue"])])
    known = pd.DataFrame({"customer_id": ids, "window_orders": 1, "age_days": 400} | columns)
    rfm = pd.DataFrame({"customer_id": ids, "stage": columns.get("stage", "loyal")})
    future = columns.get("clv", columns["window_revenue"])
    clv = pd.DataFrame(
        {"customer_id": ids, "clv": future, "expected_orders": columns.get("expected_orders", 1.0)}
    )
    churn = pd.DataFrame({"customer_id": ids, "churn_risk": 0.1, "risk_band": "low"})
    return known.drop(columns=["stage", "clv", "expected_orders"], errors="ignore"), rfm, clv, churn


def tiers_of(lines, **columns):
    known, rfm, clv, churn = people(**columns)
    made = picture.draw(known, rfm, lines_of(*lines), "en", clv, churn)
    return made.set_index("customer_id")


def test_the_first_line_that_holds_decides_the_tier():
    """a holds 50 of 100 and so the whole first half; b with 30 begins at a half, c with 15 at 80 %,
    d at 95 %.
    """
    lines = [
        tier("strategic", "first half", revenue_within=0.5),
        tier("important", "up to 80 %", revenue_within=0.8),
        tier("important", "never reached", revenue_within=0.5),
    ]
    found = tiers_of(lines, window_revenue=[50.0, 30, 15, 5, 0, -3])
    assert found.tier.tolist() == ["strategic", "important", *["ordinary"] * 4]
    assert found.reason.tolist() == ["first half", "up to 80 %", *["all the rest"] * 4]
    assert found.revenue.tolist() == [50, 30, 15, 5, 0, -3]


def test_all_conditions_of_a_line_must_hold():
    """Revenue alone would make a, b, c strategic; a earns nothing, b is new, c has no future, and d
    has too little revenue.
    """
    line = tier(
        "strategic", "all", revenue_within=0.9, profit_within=0.9, future_within=0.9, known_days=180
    )
    columns = {
        "window_revenue": [40.0, 30, 20, 5, 30],
        "window_profit": [-4.0, 3, 3, 9, 4],
        "clv": [9.0, 9, 0, 9, 9],
    }
    found = tiers_of([line], **columns, age_days=[400, 179, 400, 400, 180])
    assert found.tier.tolist() == ["ordinary", "ordinary", "ordinary", "ordinary", "strategic"]


def test_a_condition_on_profit_is_passed_over_without_costs():
    line = tier("strategic", "in profit", revenue_within=0.5, profit_within=0.5)
    unknown = {"window_profit": [np.nan, np.nan]}
    assert tiers_of([line], window_revenue=[90.0, 10]).tier.tolist() == [
        "strategic",
        "ordinary",
    ]
    assert tiers_of([line], window_revenue=[90.0, 10], **unknown).tier.tolist() == [
        "strategic",
        "ordinary",
    ]
    assert (
        tiers_of([line], window_revenue=[90.0, 10], window_profit=[-1.0, 2]).tier.tolist()
        == ["ordinary"] * 2
    )


def test_nobody_is_asked_for_a_profit_that_is_not_known():
    line = tier("strategic", "in profit", revenue_within=0.9, profit_within=0.5)
    found = tiers_of([line], window_revenue=[50.0, 30, 20], window_profit=[np.nan, 9, 1])
    assert found.tier.tolist() == ["strategic", "strategic", "ordinary"]


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


def test_without_money_orders_stand_for_it():
    line = tier("strategic", "most orders", revenue_within=0.5, future_within=0.5)
    none = [np.nan] * 3
    found = tiers_of(
        [line],
        window_revenue=none,
        window_orders=[8, 1, 1],
        clv=none,
        expected_orders=[9.0, 1, 1],
    )
    assert found.tier.tolist() == ["strategic", "ordinary", "ordinary"]


def test_prospects_alone_are_potential_customers():
    """They stand in customers and segments, but in neither clv nor churn."""
    known, rfm, clv, churn = people(
        window_revenue=[0.0, 10, 5], stage=["prospect", "loyal", "loyal"]
    )
    known.loc[0, "age_days"] = np.nan
    found = picture.draw(
        known, rfm, playbook.load().tiers, "en", clv.iloc[:0:-1], churn.iloc[:0:-1]
    )
    assert found.tier.tolist()[0] == "potential"
    assert (found.tier == "potential").tolist() == (found.stage == "prospect").tolist()
    assert found.risk_band.tolist() == ["none", "low", "low"]
    assert found.clv.isna().tolist() == [True, False, False]


def test_equal_customers_are_of_equal_tier():
    lines = [tier("strategic", "first half", revenue_within=0.5)]
    assert set(tiers_of(lines, window_revenue=[7.0] * 6).tier) == {"strategic"}


@given(
    st.lists(st.floats(0.01, 1e6), min_size=2, max_size=6),
    st.permutations(range(6)),
    st.sampled_from([1e-3, 1e3]),
)
def test_neither_the_order_of_rows_nor_the_currency_moves_a_tier(values, order, factor):
    book = playbook.load()
    known, rfm, clv, churn = people(window_revenue=values)
    before = picture.draw(known, rfm, book.tiers, "en", clv, churn).set_index("customer_id").tier
    order = [n for n in order if n < len(values)]
    scaled = (
        known.assign(window_revenue=known.window_revenue * factor),
        rfm,
        clv.assign(clv=clv.clv * factor),
        churn,
    )
    known, rfm, clv, churn = (table.iloc[order] for table in scaled)
    after = picture.draw(known, rfm, book.tiers, "en", clv, churn).set_index("customer_id").tier
    assert after.sort_index().tolist() == before.tolist()


def test_the_invented_companys_tiers_are_found_among_those_who_stay(crm_demo):
    """Planted: 58 key accounts, and as important the 15 % of highest yearly value. Tiers go by what
    was bought and is to come, so who left is ordinary; key accounts that order seldom are not
    strategic. No ordinary account becomes so.
    """
    as_of = crm_demo.dataset.as_of
    known = from_log.at(crm_demo.transactions, as_of, 365)
    segmented = registry.segment(known)
    worth = known[["customer_id"]].assign(
        clv=known.window_revenue.clip(lower=0), expected_orders=1.0
    )
    none = pd.DataFrame(
        {
            "customer_id": pd.Series(dtype="str"),
            "churn_risk": pd.Series(dtype=float),
            "risk_band": pd.Series(dtype="str"),
        }
    )
    found = (
        picture.draw(known, segmented, playbook.load().tiers, "en", worth, none)
        .set_index("customer_id")
        .tier
    )
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet").set_index(
        "customer_id"
    )
    here = truth[truth.index.isin(found.index) & truth.dropout_day.isna()]
    counts = pd.crosstab(here.tier_intent, found[here.index])
    assert counts.loc["ordinary"].get("strategic", 0) == 0
    assert (
        counts.loc["strategic", ["strategic", "important"]].sum() / counts.loc["strategic"].sum()
        > 0.85
    )
    assert (
        counts.loc["important", ["strategic", "important"]].sum() / counts.loc["important"].sum()
        > 0.7
    )
    assert counts.loc["ordinary", "ordinary"] / counts.loc["ordinary"].sum() > 0.85


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


def test_a_past_date_has_tiers_from_what_was_known_then():
    """Without forecasts nobody is asked for value to come: a line that asks for nothing else puts
    nobody in its tier. Risk is not known, and prospects have none.
    """
    known, rfm, _, _ = people(
        window_revenue=[50.0, 30, 15, 0], stage=["loyal", "loyal", "lost", "prospect"]
    )
    found = picture.draw(known, rfm, playbook.load().tiers, "en")
    assert found.tier.tolist() == ["strategic", "important", "ordinary", "potential"]
    assert found.risk_band.tolist() == ["unknown", "unknown", "unknown", "none"]
    assert found[["clv", "churn_risk"]].isna().all(axis=None)


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
