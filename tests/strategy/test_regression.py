import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats
from statsmodels.regression.linear_model import OLS

from analysis.strategy.regression import UNTOLD, cr2, hc2, independent

RANDOM = np.random.default_rng(7)


def arms(treated, control):
    """Columns: one, arm."""
    return np.column_stack([np.ones(treated + control), np.r_[np.ones(treated), np.zeros(control)]])


def literally(y, columns, place, clusters):
    """Error and degrees of freedom as the papers write them, with matrices of rows by rows: A_g is
    the inverse square root of I - H within the cluster; df = trace(G'G)² / trace((G'G)²) with the
    columns (I - H)_g' A_g X_g (X'X)^-1 l.
    """
    bread = np.linalg.inv(columns.T @ columns)
    rest = np.eye(len(y)) - columns @ bread @ columns.T
    direction, total, found = bread[:, place], 0.0, []
    for name in np.unique(clusters):
        inside = clusters == name
        adjust = linalg.pinvh(linalg.sqrtm(rest[np.ix_(inside, inside)]).real)
        weight = adjust @ columns[inside] @ direction
        total += float(weight @ (rest @ y)[inside]) ** 2
        found.append(rest[:, inside] @ weight)
    gram = np.array(found) @ np.array(found).T
    return np.sqrt(total), np.trace(gram) ** 2 / np.trace(gram @ gram)


def test_two_groups_have_welchs_error_and_his_difference():
    y = RANDOM.gamma(1, 3, 30)
    value, error = hc2(y, arms(22, 8), 1)
    welch = stats.ttest_ind(y[:22], y[22:], equal_var=False)
    assert value / error == pytest.approx(welch.statistic)


def test_degrees_of_freedom_of_two_groups_are_those_of_the_paper():
    """Imbens & Kolesár (2016), section II: with alike variances, for two groups."""
    for treated, control in [(5, 5), (27, 3), (4, 90)]:
        rows = treated + control
        told = cr2(RANDOM.normal(size=rows), arms(treated, control), 1, np.arange(rows))
        above = rows**2 * (treated - 1) * (control - 1)
        below = treated**2 * (treated - 1) + control**2 * (control - 1)
        assert told.df == pytest.approx(above / below)


def test_errors_and_degrees_are_those_of_the_formula_written_out():
    x = RANDOM.lognormal(size=(40, 2))
    columns = np.column_stack([arms(15, 25), x, x * arms(15, 25)[:, 1:]])
    y = x[:, 0] * RANDOM.normal(size=40)
    clusters = RANDOM.integers(0, 9, 40)
    told = cr2(y, columns, 1, clusters)
    error, df = literally(y, columns, 1, clusters)
    assert told.value == pytest.approx(np.linalg.lstsq(columns, y, rcond=None)[0][1])
    assert (told.error, told.df) == (pytest.approx(error), pytest.approx(df))
    assert told.told(0.9) == pytest.approx(
        {
            "effect": told.value,
            "error": error,
            "low": told.value + error * stats.t.ppf(0.05, df),
            "high": told.value + error * stats.t.ppf(0.95, df),
            "p": 2 * stats.t.sf(abs(told.value) / error, df),
        }
    )


def test_hc2_is_that_of_statsmodels_and_bears_dependent_columns():
    x = RANDOM.normal(size=(50, 3))
    columns = np.column_stack([arms(30, 20), x])
    y = x[:, 0] + RANDOM.normal(size=50)
    fit = OLS(y, columns).fit(cov_type="HC2")
    assert hc2(y, columns, 1) == pytest.approx((fit.params[1], fit.bse[1]))
    more = np.column_stack([columns, x[:, 0], np.zeros(50)])
    assert hc2(y, more, 1) == pytest.approx((fit.params[1], fit.bse[1]))
    alone = cr2(y, columns, 1, RANDOM.permutation(50))
    assert hc2(y, columns, 1) == pytest.approx((alone.value, alone.error))


def test_customers_that_repeat_each_other_are_no_new_evidence():
    """Twice the same customers, as clusters of two, tell what they told once; taken for new ones,
    they would seem surer.
    """
    y, columns = RANDOM.normal(size=30), arms(18, 12)
    again, both = np.tile(y, 2), np.tile(columns, (2, 1))
    _, once = hc2(y, columns, 1)
    assert cr2(again, both, 1, np.tile(np.arange(30), 2)).error == pytest.approx(once)
    assert hc2(again, both, 1)[1] < 0.8 * once


def test_what_cannot_be_told_is_unknown():
    assert np.isnan(cr2(np.zeros(9), arms(5, 4), 1, np.arange(9)).error)
    assert np.isnan(cr2(np.array([1.0, 2.0]), arms(1, 1), 1, np.arange(2)).error)
    assert np.isnan(list(UNTOLD.values())).all()
    assert hc2(np.zeros(9), arms(5, 4), 1)[1] == hc2(np.r_[np.ones(5), 0, 0], arms(5, 2), 1)[1] == 0


@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=6, max_size=6), min_size=1, max_size=5),
    st.sampled_from([1e-6, 1, 1e9]),
)
@settings(max_examples=25)
def test_independent_columns_span_the_same_and_none_is_too_many(rows, unit):
    columns = np.array(rows, float).T * unit
    kept = independent(columns)
    assert kept.shape[1] == np.linalg.matrix_rank(columns)
    assert np.linalg.matrix_rank(np.hstack([kept, columns])) == kept.shape[1]


def test_the_first_of_equal_columns_stays():
    kept = independent(np.array([[1.0, 2, 5], [1, 2, 7]]))
    assert kept.tolist() == [[1, 5], [1, 7]]
