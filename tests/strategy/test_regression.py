import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.regression.linear_model import OLS

from analysis.strategy.regression import UNTOLD, hc2, independent

RANDOM = np.random.default_rng(7)


def arms(treated, control):
    """Columns: one, arm."""
    return np.column_stack([np.ones(treated + control), np.r_[np.ones(treated), np.zeros(control)]])


def test_two_groups_have_welchs_error_and_his_difference():
    y = RANDOM.gamma(1, 3, 30)
    value, error = hc2(y, arms(22, 8), 1)
    welch = stats.ttest_ind(y[:22], y[22:], equal_var=False)
    assert value / error == pytest.approx(welch.statistic)


def test_hc2_is_that_of_statsmodels_and_bears_dependent_columns():
    x = RANDOM.normal(size=(50, 3))
    columns = np.column_stack([arms(30, 20), x])
    y = x[:, 0] + RANDOM.normal(size=50)
    fit = OLS(y, columns).fit(cov_type="HC2")
    assert hc2(y, columns, 1) == pytest.approx((fit.params[1], fit.bse[1]))
    more = np.column_stack([columns, x[:, 0], np.zeros(50)])
    assert hc2(y, more, 1) == pytest.approx((fit.params[1], fit.bse[1]))


def test_what_cannot_be_told_is_unknown():
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
