"""When contracts end as was known on a day, and whether a risk that knows it comes true."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier

from analysis.models.churn_models import Due, Risk, told_by
from analysis.models.contracts import contracts
from analysis.models.leaving import Past
from tests.bench import contracts as companies
from tests.models.churn_cases import AS_OF, HORIZON, ago, lines, profiles, shop
from tests.models.churn_cases import log as records_of

OLDEST, NEWEST = pd.Timestamp("2022-01-01"), pd.Timestamp("2024-12-31")


def found(*rows, month=12, oldest=OLDEST):
    """Contracts of 40 customers in step, c00 to c39, whose terms end through the year; and of these
    (first order, end, churned), a, b, c, …
    """
    starts = pd.date_range("2022-05-01", "2024-11-30", periods=40).normalize()
    whole = np.ceil((NEWEST - starts).days / (month * 365.25 / 12))
    ends = starts + pd.to_timedelta((whole * month * 365.25 / 12).round(), unit="D")
    usual = pd.DataFrame({"first_order": starts, "contract_end": ends, "churned": False})
    usual.index = [f"c{n:02}" for n in range(40)]
    own = pd.DataFrame(rows, list("abcdef"[: len(rows)]), usual.columns)
    own = own.astype({"first_order": "datetime64[s]", "contract_end": "datetime64[s]"})
    people = pd.concat([usual, own]) if rows else usual
    return contracts(people.rename_axis("customer_id"), oldest, NEWEST)


def days(of, day, *names):
    return of.days_to_end(pd.Series(names), pd.Timestamp(day)).tolist()


def test_ends_lie_whole_terms_before():
    """30 June of each year; on the day itself the contract is over, and the next one begun."""
    told = found(("2022-06-30", "2025-06-30", False))
    assert told.months == 12
    assert days(told, "2024-12-31", "a") == [181]
    assert days(told, "2024-06-29", "a") == [1]
    assert days(told, "2024-06-30", "a") == [365]
    assert days(told, "2023-06-20", "a") == [10]


@given(st.integers(1, 365), st.integers(1, 900))
def test_a_past_day_does_not_know_whether_the_contract_was_renewed(ended, before):
    """One of two customers alike has left `ended` days ago, the other renewed: earlier, both were
    due on the same day, but for a leap year.
    """
    end = NEWEST - pd.Timedelta(days=ended)
    first = end - pd.DateOffset(years=1)
    told = found((first, end, True), (first, end + pd.DateOffset(years=1), False))
    gone, stays = days(told, end - pd.Timedelta(days=before), "a", "b")
    assert min(abs(gone - stays), 365 - abs(gone - stays)) <= 1


def test_the_end_of_today_is_the_one_on_record_though_it_is_years_away():
    """Of three years: no end lay in between. And renewed a fortnight before its day."""
    told = found(("2024-06-30", "2027-06-30", False), ("2024-01-14", "2026-01-14", False))
    assert days(told, NEWEST, "a", "b") == [911, 379]
    assert days(told, "2024-07-01", "a") == [1094]


def test_who_ended_in_the_midst_was_due_as_first_orders_say():
    """Begun in May, ended in November: in October the next end was in May. Not so of who may have
    begun before the log.
    """
    midst = ("2023-05-01", "2024-11-01", True)
    assert days(found(midst), "2024-10-02", "a") == [pytest.approx(211, abs=1)]
    assert days(found(midst, oldest=pd.Timestamp("2023-04-15")), "2024-10-02", "a") == [30]


@pytest.mark.parametrize("months", [3, 6, 12, 24])
def test_terms_are_told_by_first_orders_or_else_by_what_is_left(months):
    assert found(month=months).months == months
    assert found(month=months, oldest=NEWEST).months == months


@pytest.mark.parametrize("empty", [3, 6])
def test_where_ends_are_empty_nothing_is_reconstructed(empty):
    """Of 40 customers and these: 43 in all have 93 % of ends, 46 have 87 %."""
    told = found(*[("2023-05-01", None, False)] * empty)
    assert told.months == (12 if empty == 3 else None)
    assert np.isnan(days(told, NEWEST, "a")).all()


def test_few_contracts_tell_no_term():
    people = pd.DataFrame(
        {"first_order": [pd.Timestamp("2023-01-01")], "contract_end": [pd.Timestamp("2025-01-01")]}
    )
    assert contracts(people, OLDEST, NEWEST).months is None


def test_the_days_to_renewal_are_known_whatever_leaving_is():
    """But that one is due says who left only of contracts."""
    rows = lines(60, days=300)
    names = sorted({row[0] for row in rows})
    people = profiles(
        records_of(rows), customer_id=names, contract_end=[ago(-6 * n - 1) for n in range(60)]
    )
    for churn in ("horizon", "contract"):
        known = Past(people, shop(["contract_end"], churn=churn)).known(AS_OF)
        assert known.renewal_days.tolist() == [6 * n + 1 for n in range(60)]
        assert ("due" in known) == (churn == "contract")
    assert known.due.tolist() == [float(6 * n + 1 <= HORIZON) for n in range(60)]
    assert not {"due", "renewal_days"} & {*Past(records_of(rows), shop()).known(AS_OF)}


def test_who_is_not_due_has_the_rate_of_those_who_were_not():
    """Of 4 due 3 left, of 5 others 1; the average of all is 4 of 9. Calibration leaves them be."""
    facts = pd.DataFrame({"due": [1.0] * 4 + [0.0] * 5, "age": range(9)})
    gone = pd.Series([True] * 3 + [False] * 5 + [True])
    model = Due(DummyClassifier(strategy="prior")).fit(facts, gone)
    rest = (1 + 4 / 9) / 6
    assert model.predict_proba(facts)[:, 1].tolist() == pytest.approx([3 / 4] * 4 + [rest] * 5)
    assert told_by(model, facts).tolist() == [True] * 4 + [False] * 5
    risk = Risk(model, slope=2.0, shift=-np.log(3)).predict(facts)
    assert risk.tolist() == pytest.approx([3 / 4] * 4 + [rest] * 5)  # odds of 3: squared, a third
    assert Risk(model, shift=1.0).predict(facts)[4:].tolist() == pytest.approx([rest] * 5)


def test_the_risk_of_contracts_comes_true(with_contracts):
    """Better ranked than by who is due alone, as well as the page says, and nobody at risk who is
    not due.
    """
    told = companies.came_true(*with_contracts)
    assert told["auc"] >= told["flag"]
    assert told["auc"] == pytest.approx(told["shown"], abs=0.03)
    assert told["rest_risk"] < 0.002


def test_who_leaves_in_the_midst_of_a_term_was_not_due():
    """As many of those not due leave as will, where a fifth of the contracts end in their midst."""
    made = companies.simulate(companies.COMPANIES["early"], seed=0)
    past = Past(companies.records(made), companies.settings(made))
    held = past.at(companies.DAY - pd.Timedelta(days=HORIZON).to_pytimedelta())
    later = made.later.left[~made.later.due].mean()
    assert held.left[held.due == 0].mean() == pytest.approx(later, abs=0.01)
    assert later > 0.005
