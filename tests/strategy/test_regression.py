import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from analysis.strategy.regression import UNKNOWN, coefficient, independent, t_of

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
    told = coefficient(y, arms(22, 8), 1)
    welch = stats.ttest_ind(y[:22], y[22:], equal_var=False)
    assert told.value / told.error == pytest.approx(welch.statistic)


@pytest.mark.parametrize(("treated", "control"), [(5, 5), (27, 3), (4, 90)])
def test_degrees_of_freedom_of_two_groups_are_those_of_the_paper(treated, control):
    """Imbens & Kolesár (2016), section II: with alike variances, for two groups."""
    told = coefficient(RANDOM.normal(size=treated + control), arms(treated, control), 1)
    above = (treated + control) ** 2 * (treated - 1) * (control - 1)
    assert told.df == pytest.approx(
        above / (treated**2 * (treated - 1) + control**2 * (control - 1))
    )


@pytest.mark.parametrize("by_cluster", [False, True])
def test_errors_and_degrees_are_those_of_the_formula_written_out(by_cluster):
    x = RANDOM.lognormal(size=(40, 2))
    columns = np.column_stack([arms(15, 25), x, x * arms(15, 25)[:, 1:]])
    y = x[:, 0] * RANDOM.normal(size=40)
    clusters = RANDOM.integers(0, 9, 40) if by_cluster else None
    told = coefficient(y, columns, 1, clusters)
    error, df = literally(y, columns, 1, np.arange(40) if clusters is None else clusters)
    assert told.value == pytest.approx(np.linalg.lstsq(columns, y, rcond=None)[0][1])
    assert told.error == pytest.approx(error)
    assert told.df == pytest.approx(df)


def test_clusters_of_one_are_no_clusters_and_names_do_not_matter():
    y, columns = RANDOM.normal(size=20), arms(12, 8)
    np.testing.assert_allclose(
        coefficient(y, columns, 1), coefficient(y, columns, 1, RANDOM.permutation(20))
    )


def test_customers_that_repeat_each_other_are_no_new_evidence():
    """Twice the same customers, as clusters of two, tell what they told once; taken for new ones,
    they would seem surer.
    """
    y, columns = RANDOM.normal(size=30), arms(18, 12)
    once, twice = (
        coefficient(y, columns, 1),
        coefficient(np.tile(y, 2), np.tile(columns, (2, 1)), 1, np.tile(np.arange(30), 2)),
    )
    assert twice.error == pytest.approx(once.error)
    assert coefficient(np.tile(y, 2), np.tile(columns, (2, 1)), 1).error < 0.8 * once.error


def test_what_cannot_be_told_is_unknown():
    assert np.isnan(coefficient(np.zeros(9), arms(5, 4), 1).error)
    assert np.isnan(coefficient(np.array([1.0, 2.0]), arms(1, 1), 1).error)
    assert np.isnan(UNKNOWN.p)
    assert np.isnan(UNKNOWN.interval()).all()


@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=6, max_size=6), min_size=1, max_size=5),
    st.sampled_from([1e-6, 1, 1e9]),
)
@settings(max_examples=40)
def test_independent_columns_span_the_same_and_none_is_too_many(rows, unit):
    columns = np.array(rows, float).T * unit
    kept = independent(columns)
    assert kept.shape[1] == np.linalg.matrix_rank(columns)
    assert np.linalg.matrix_rank(np.hstack([kept, columns])) == kept.shape[1]


def test_the_first_of_equal_columns_stays():
    kept = independent(np.array([[1.0, 2, 5], [1, 2, 7]]))
    assert kept.tolist() == [[1, 5], [1, 7]]


def test_the_quick_t_is_that_of_the_careful_fit_and_bears_dependent_columns():
    x = RANDOM.normal(size=(50, 3))
    columns = np.column_stack([arms(30, 20), x])
    y = x[:, 0] + RANDOM.normal(size=50)
    careful = coefficient(y, columns, 1)
    assert t_of(y, columns, 1) == pytest.approx(careful.value / careful.error)
    assert t_of(y, np.column_stack([columns, x[:, 0], np.zeros(50)]), 1) == pytest.approx(
        careful.value / careful.error
    )
    assert t_of(np.zeros(50), columns, 1) == 0
