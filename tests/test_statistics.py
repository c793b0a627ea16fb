import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy
from scipy.stats import binomtest, multinomial

from analysis.statistics import net_share, wilson


@settings(max_examples=50)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(case):
    hits, n = case
    low, high = wilson(pd.Series([hits / n]), pd.Series([n]))
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert (low[0], high[0]) == pytest.approx(
        (expected.low, expected.high), abs=2e-5
    )  # 1.96 is rounded


# A share less its opposite
COUNTS = st.integers(1, 300).flatmap(
    lambda n: st.integers(0, n).flatmap(
        lambda m: st.tuples(st.just(m), st.integers(0, n - m), st.just(n))
    )
)


def test_net_share_is_the_published_one():
    """Airway reactivity of 21 children (Bentur and others, 2009), as Fagerland, Lydersen & Laake
    (2014) give Tango's interval.
    """
    assert net_share(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@settings(max_examples=100)
@given(COUNTS)
def test_net_share_holds_the_share_stays_within_its_bounds_and_turns_with_its_sides(case):
    more, less, n = case
    low, high = net_share(more, less, n)
    assert -1 <= low <= (more - less) / n <= high <= 1
    assert (-high, -low) == pytest.approx(net_share(less, more, n))


@settings(max_examples=50)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_net_share_where_nobody_is_in_between_is_wilsons(case):
    hits, n = case
    expected = [2 * limit - 1 for limit in wilson(hits / n, float(n))]
    assert net_share(hits, n - hits, n) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=50)
@given(COUNTS)
def test_the_limits_of_net_share_are_where_the_score_test_rejects(case):
    """Tango's statistic, its nuisance share found by a search of the likelihood instead of the
    closed form.
    """
    more, less, n = case
    for limit in net_share(more, less, n):
        if abs(limit) > 0.999 or abs(limit - (more - less) / n) < 1e-3:
            continue
        between = np.linspace(max(0, -limit), (1 - limit) / 2, 20_001)[
            1:-1
        ]  # the share of the opposite
        parts = (
            xlogy(more, between + limit)
            + xlogy(less, between)
            + xlogy(n - more - less, 1 - 2 * between - limit)
        )
        opposite = between[np.argmax(parts)]
        spread = np.sqrt((2 * opposite + limit - limit**2) / n)
        assert abs((more - less) / n - limit) / spread == pytest.approx(1.96, rel=0.01)


def coverage(interval, n, chances):
    """Probability that the interval holds the truth: over all outcomes of n answers, exactly."""
    outcomes = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    weights = multinomial(n, chances).pmf(outcomes)
    truth = chances[0] - chances[1]
    held = [
        low - 1e-12 <= truth <= high + 1e-12
        for low, high in (interval(a, b, n) for a, b, _ in outcomes)
    ]
    return float(weights @ held)


def wald(more, less, n):
    share = (more - less) / n
    half = 1.96 * np.sqrt(((more + less) / n - share**2) / n)
    return share - half, share + half


@pytest.mark.parametrize("n", [5, 12, 30])
def test_net_share_covers_the_truth_where_the_plain_interval_does_not(n):
    truths = [
        (0.9, 0.02, 0.08),
        (0.6, 0.1, 0.3),
        (0.45, 0.2, 0.35),
        (0.3, 0.3, 0.4),
        (0.1, 0.05, 0.85),
    ]
    covered = [coverage(net_share, n, truth) for truth in truths]
    assert min(covered) > 0.92
    assert np.mean(covered) == pytest.approx(0.955, abs=0.02)
    assert min(coverage(wald, n, truth) for truth in truths) < 0.9


def test_net_share_of_nobody_is_unknown():
    assert np.isnan(net_share(0, 0, 0)).all()
