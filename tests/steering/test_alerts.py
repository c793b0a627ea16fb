import copy

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.report.text import Language
from analysis.steering import alerts
from analysis.strategy import tiers
from tests.steering.companies import PLANTED, company, end_of_log, facts

RAISES = {
    "prices": "order_value", "region": "share_of_group", "satisfaction": "strategic_satisfaction",
    "important": "important_orders", "prospects": "prospects_won", "source": "lines_of_source",
}  # fmt: skip


def months(values):
    ends = pd.date_range("2022-01-31", periods=len(values), freq="ME")
    return pd.DataFrame({"": values}, ends)


def at(company, end):
    """The same facts at an earlier end of month; what is counted up to it is counted anew."""
    then = copy.copy(company)
    then.last = end
    for counted in ("lines", "complaints"):
        then.__dict__.pop(counted, None)
    return then


def test_an_entry_says_all_that_an_alert_needs():
    for name, entry in alerts.RULES.items():
        assert entry.label and entry.measure, name
        assert entry.form in ("percent", "number", "money", "int"), name


def test_the_last_two_months_are_held_against_those_before_by_students_t():
    """With both kinds of months of the same spread this is the t test of two samples, but for whose
    spread is known: that of the months before.
    """
    usual = [9.0, 11, 10, 12, 8, 9, 11, 10, 12, 8, 10, 10]
    found = alerts.tested(months([*usual, 7, 6]), "lower", 0.1).iloc[0]
    spread = np.std(usual, ddof=1) * np.sqrt(1 / 2 + 1 / 12)
    assert (found.now, found.usual) == (6.5, 10)
    assert found.p == pytest.approx(stats.t.cdf(-3.5 / spread, 11))
    higher = alerts.tested(months([*usual, 7, 6]), "higher", 0.1).iloc[0]
    assert higher.p == pytest.approx(1 - found.p)
    either = alerts.tested(months([*usual, 13, 14]), "either", 0.1).iloc[0]
    assert either.p == pytest.approx(2 * stats.t.cdf(-3.5 / spread, 11))


def test_too_little_time_too_small_a_change_and_old_figures_are_no_alert():
    usual = [10.0, 10.01] * 6
    assert alerts.tested(months([*usual[:9], 5, 5]), "lower", 0.1).empty
    assert alerts.tested(months([*usual, 9.5, 9.5]), "lower", 0.1).p.tolist() == [1]
    assert alerts.tested(months([*usual, 5, np.nan]), "lower", 0.1).empty
    steady = alerts.tested(months([10.0] * 12 + [5, 5]), "lower", 0.1)
    assert steady.p[0] < 1e-6  # what never moved has moved


def test_tests_share_one_chance_and_what_is_certain_stands_by_itself(monkeypatch):
    """Of two tests each may have half of the chance; a third one leaves neither enough."""
    half = alerts.FALSE / 2
    rows = {
        "tests": [("a", 1, 2, half * 0.99), ("b", 1, 2, half * 1.01)],
        "facts": [("", 3, 1, np.nan)],
        "unknown": [],
    }

    def raised():
        for name, given in rows.items():
            alerts.rule("Label", "int", "do")(named(name, pd.DataFrame(given, columns=alerts.ROWS)))
        return alerts.raised(None)

    def named(name, frame):
        def of(facts):
            return frame

        of.__name__ = name
        return of

    monkeypatch.setattr(alerts, "RULES", {})
    found = raised()
    assert found[["alert", "group"]].to_numpy().tolist() == [["facts", ""], ["tests", "a"]]
    assert found.attrs["rules"] == 2
    rows["third"] = [("c", 1, 2, 1.0)]
    assert raised().alert.tolist() == ["facts"]


def test_what_is_planted_is_found_named_and_told_and_nothing_else():
    """Six changes at once in the last two months, and the same company without them."""
    found = facts(company(3, *PLANTED, customers=900, months=40), end_of_log(40))
    raised = alerts.listed(found)
    assert {*RAISES.values()} <= {*raised.alert}
    assert {"north"} == {*raised.group[raised.alert == "share_of_group"]}
    named = raised.set_index("alert").customers["important_orders"].split(", ")
    middle = found.tier(alerts.month_end(found.last, -2))
    assert {middle[found.ids.get_loc(one)] for one in named} == {"important"}
    for text, values in alerts.sentences(raised):
        assert Language("en")(text, **values).startswith("Alert: ")
    calm = facts(company(3, customers=900, months=40), end_of_log(40))
    assert alerts.listed(calm).empty


@pytest.mark.slow
def test_without_change_one_false_alarm_in_half_a_year_and_planted_changes_are_found(monkeypatch):
    """Over 24 months of 50 companies; and each of six changes in 50 companies, two months later."""
    monkeypatch.setattr(tiers, "MONTH_ENDS", 50)
    false = 0
    for seed in range(50):
        calm, before = facts(company(seed), end_of_log()), set()
        for end in pd.date_range(end=calm.last, periods=24, freq="ME"):
            now = {
                *alerts.raised(at(calm, end))[["alert", "group"]].itertuples(index=False, name=None)
            }
            false += len(now - before)
            before = now
    assert false / 50 / 4 <= 1
    for planted, name in RAISES.items():
        seen = [
            name in {*alerts.raised(facts(company(s, planted), end_of_log())).alert}
            for s in range(100, 150)
        ]
        assert np.mean(seen) >= 0.9, planted
