import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report.text import Language, say
from analysis.strategy import plan, plan_findings, playbook
from analysis.strategy.allocation import Limits, choose


def said(finding):
    text, values = finding
    return Language("en", "USD")(text, **values).replace("\xa0", " ")


def actions(**columns):
    """What six actions come to, the most valuable first."""
    usual = {"action": "Call", "customers": 9, "channel": "phone", "owner": "sales", "source": "W2"}
    usual |= {"due": pd.Timestamp("2026-01-31"), "cost": 40.0, "expected_value": 50.0}
    usual |= {"effect": 0.1, "effect_low": np.nan, "effect_high": np.nan, "break_even": 0.04}
    usual |= {"pays": "even_half", "margin_needed": 0.4, "margin_at_half": 0.8}
    gain = pd.Series({"c": 30.0, "e": 20.0, "a": 1.0, "d": 0.5, "f": -2.0, "b": -50.0})
    return pd.DataFrame({"gain": gain}).assign(**usual | columns)


def test_decisions_are_the_five_with_most_at_stake_and_their_doubt():
    table = actions()
    table.loc["c", ["effect_low", "effect_high", "pays"]] = 0.05, 0.15, "even_a_quarter"
    table.loc["a", "pays"] = "as_counted_on"
    found = plan_findings.decisions(plan_findings.largest(table))
    assert [values["gain"] for _, values in found] == [30, 20, 1, -2, -50]
    texts = [said(one) for one in found]
    assert "10 extra orders of 100 customers are counted on, measured by campaigns W2" in texts[0]
    assert "W2 (5 to 15). It pays from 4: even a quarter of them would pay." in texts[0]
    assert "assumed and not yet measured. It pays from 4: half of them would pay, a" in texts[1]
    assert "half of them would not pay" in texts[2]
    assert all("done for the relationship, or not at all" in text for text in texts[3:])


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (0.4, "above 40.0 %; if half of them come, above 80.0 %."),
        (0.6, "above 60.0 %; if half of them come, it never pays."),
        (1.2, "which no margin makes enough: it is done for the relationship, or not at all."),
    ],
)
def test_without_a_margin_a_decision_names_the_margin_needed_and_no_gain(needed, words):
    unknown = {"gain": np.nan, "pays": "margin_unknown"}
    table = actions(**unknown, margin_needed=needed, margin_at_half=2 * needed)
    texts = [said(one) for one in plan_findings.decisions(plan_findings.largest(table))]
    assert len(texts) == 5 and all(text.endswith(words) for text in texts)
    assert all("extra revenue" in text and "gain" not in text for text in texts)


def made(*statuses, cost=2.0, value=10.0):
    frame = pd.DataFrame({"status": statuses, "cost": cost, "expected_value": value})
    return frame.where(frame.status == "planned", frame.assign(cost=0.0, expected_value=0.0))


def test_what_must_be_at_a_loss_is_counted():
    """Letters to the strategic must be; one of them brings less, and so does an optional one."""
    book = playbook.load()
    rules = ["keep_strategic", "keep_strategic", "newsletter", "keep_strategic"]
    frame = made("planned", "planned", "planned", "held_back").assign(rule=rules)
    frame["expected_value"] = [1.0, 10, 1, 0]
    [finding] = plan_findings.at_a_loss(frame, book)
    assert said(finding).startswith("With 1 of them less is expected than it costs")
    assert not list(plan_findings.at_a_loss(frame.tail(3), book))


def test_what_rests_on_campaigns_and_what_on_assumptions_is_money():
    """All of 20, half of 10 and nothing of 10 was measured."""
    four = made(*["planned"] * 4, "held_back")
    table = actions().head(3).assign(expected_value=[20.0, 10.0, 10.0], measured_share=0.0)
    assert "All of that rests on assumptions that no campaign" in said(
        plan_findings.total(four, table, 1.0)
    )
    table["measured_share"] = [1.0, 0.5, 0.0]
    text = said(plan_findings.total(four, table, 1.0))
    assert text == (
        "Customers whom the plan reaches: 4, for $8. It is expected to bring $40. Of that, $25"
        " rests on measured campaigns and $15 on assumptions."
    )
    text = said(plan_findings.total(four, table.assign(measured_share=1.0), 1.0))
    assert text.endswith("All of that rests on measured campaigns.")
    text = said(plan_findings.total(four, table, None))
    assert "$40 of extra revenue, so it pays where the margin is above 20.0 %." in text
    assert "which is less" in said(plan_findings.total(made("planned", cost=11.0), table, 1.0))
    nothing = said(plan_findings.total(made("planned", value=0.0), table, 1.0))
    assert nothing == "Customers whom the plan reaches: 1, for $2."


@given(st.fixed_dictionaries({name: st.integers(0, 3) for name in plan.STATUSES}))
def test_only_reasons_that_there_are_are_named(statuses):
    text = said(plan_findings.left_out(statuses))
    named = sum(count > 0 for name, count in statuses.items() if name != "planned")
    assert text.count(";") == max(named - 1, 0)
    assert not any(word == "0" for word in text.split())
    assert (text == "Nobody is left out.") == (named == 0)


def test_what_is_kept_for_a_tier_and_what_that_costs_is_said():
    columns = ["customer_id", "rule", "gain", "cost", "tier"]
    rows = [(f"c{n}", "call", 10, 2, "ordinary") for n in range(5)]
    rows += [(f"p{n}", "ask", 3, 2, "potential") for n in range(5)]
    possible = pd.DataFrame(rows, columns=columns)

    def reserves(limits, frame=possible, margin=1.0):
        found = plan_findings.reserves(choose(frame, limits), frame, limits, margin)
        return [said(one) for one in found]

    share = {"potential": 0.2}
    assert reserves(Limits(10, {}, share)) == [
        "20 % of the budget and of each capacity is kept for the tier Potential: of 5 customers, 1"
        " have an action, for $2. Within the horizon the plan would bring $7 more if nothing were"
        " kept."
    ]
    assert "more" not in reserves(Limits(10, {}, share), margin=None)[0]
    dear = possible.assign(cost=lambda t: t.cost.where(t.tier == "ordinary", 9))
    assert "no action pays for any of its 5" in reserves(Limits(10, {}, share), dear)[0]
    assert reserves(Limits(None, {}, share)) == []
    assert reserves(Limits(10, {}, {})) == []
    assert reserves(Limits(10, {}, share), possible[possible.tier == "ordinary"]) == []


def test_every_word_of_a_status_and_of_what_pays_is_known():
    assert {*plan_findings.LEFT_OUT} | {"planned"} == {*plan.STATUSES}
    assert {*plan_findings.HOLDS} == {*plan.ENOUGH}
    assert {*plan.STATUSES, *plan.ENOUGH, "does_not_pay", "margin_unknown"} <= {*say.labels}
