import pandas as pd
import pytest

from analysis.strategy import matrix_page


def company(customers=6):
    ids = [f"c{n}" for n in range(customers)]
    matrix = pd.DataFrame(
        {
            "customer_id": ids,
            "tier": ["strategic"] * 2 + ["ordinary"] * (customers - 2),
            "stage": ["loyal", "silent"] + ["silent"] * (customers - 2),
            "revenue": [1000.0, 400.0] + [100.0] * (customers - 2),
            "churn_risk": [0.1, 0.5] + [0.8] * (customers - 2),
        }
    )
    plan = pd.DataFrame({"customer_id": ids, "account_owner": "anna@shop.example", "rule": "call"})
    plan["status"] = ["held_back"] + ["planned"] * (customers - 1)
    plan["objective"], plan["action"] = "Win back", "Call them"
    churn = pd.DataFrame({"customer_id": ids, "reasons": "no visit; fewer orders"})
    return matrix, plan, churn


def test_a_cell_holds_its_customers_money_and_what_is_done():
    """Money at risk: 100 of the loyal, 200 of the silent strategic, 4 x 80 = 320 of the others."""
    table = matrix_page.people(*company(), pd.DataFrame({"customer_id": ["c0"]}))
    history = pd.DataFrame(columns=["month_end", "tier", "stage", "full_window"])
    history = history.astype({"full_window": bool})
    strategic, ordinary = matrix_page.cells(table, history)
    loyal, silent = strategic["cells"]
    assert [strategic["count"], ordinary["count"]] == ["2", "4"]
    assert (loyal["count"], loyal["risk"], loyal["money"]) == ("1", "10\N{NO-BREAK SPACE}%", "$1K")
    assert loyal["aim"] == "" and silent["aim"] == "Win back"  # who is held back gets none
    assert [loyal["shade"], silent["shade"]] == [round(100 * 100 / 320), round(100 * 200 / 320)]
    nobody, others = ordinary["cells"]
    assert "count" not in nobody and others["shade"] == 100 and others["moved"] == ""
    assert others["customers"][0] == {
        "who": "c2", "money": "$100", "risk": "80\N{NO-BREAK SPACE}%", "why": "no visit",
        "owner": "anna", "action": "Call them",
    }  # fmt: skip


def test_companies_are_called_by_name_and_persons_by_id():
    firms = pd.DataFrame({"customer_id": ["c0", "c1"], "company": ["Acme", None], "name": "Ann"})
    who = matrix_page.people(*company(), firms).who
    assert who[["c0", "c1"]].tolist() == ["Acme", "c1"]
    persons = pd.DataFrame({"customer_id": ["c0"], "name": ["Ann"], "phone": ["+49 30 123456"]})
    assert not matrix_page.people(*company(), persons).who.str.contains("Ann|30").any()


@pytest.mark.parametrize(("ends", "moved"), [(4, "+3"), (3, "")])
def test_counts_are_held_against_three_month_ends_before(ends, moved):
    """Of the four silent ordinary customers one was so then."""
    table = matrix_page.people(*company(), pd.DataFrame({"customer_id": ["c0"]}))
    days = pd.date_range("2024-01-31", periods=ends, freq="ME")
    history = pd.DataFrame({"month_end": days, "tier": "ordinary", "stage": "silent"})
    _, ordinary = matrix_page.cells(table, history.assign(full_window=True))
    assert ordinary["cells"][1]["moved"] == moved


def test_at_most_five_customers_are_named_the_largest_first():
    table = matrix_page.people(*company(12), pd.DataFrame({"customer_id": ["c0"]}))
    assert [one["who"] for one in matrix_page.customers(table)] == ["c0", "c1", "c10", "c11", "c2"]
