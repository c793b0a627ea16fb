import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import xlogy
from scipy.stats import binom, binomtest, kstest, multinomial

from analysis.statistics import lots, net_share, wilson

IDS = pd.Series([f"c{n:05}" for n in range(20_000)])
HITS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
COUNTS = HITS.flatmap(
    lambda case: st.tuples(st.just(case[0]), st.integers(0, case[1] - case[0]), st.just(case[1]))
)


def test_lots_are_even_differ_by_seed_and_depend_on_the_customer_alone():
    found = lots(IDS, 3)
    assert found.min() >= 0 and found.max() < 1 and len({*found}) == len(IDS)
    assert kstest(found, "uniform").pvalue > 1e-4
    low, high = binom.interval(1 - 1e-6, len(IDS), 0.05)
    assert low <= (found < 0.05).sum() <= high
    assert abs(np.corrcoef(found, lots(IDS, 2))[0, 1]) < 0.03  # four standard errors
    some = IDS.sample(50, random_state=1)
    assert lots(some, 3).tolist() == found[some.index].tolist()
    assert len({*lots(pd.Series(["7", "007", "7 ", "", "张三"]), 1)}) == 5
    assert lots(pd.Series([], dtype="str"), 1).shape == (0,)


@given(HITS)
def test_wilson_agrees_with_scipy_and_net_share_where_nobody_is_in_between(case):
    hits, n = case
    low, high = wilson(pd.Series([hits / n]), pd.Series([n]))
    expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    # 1.96 is rounded
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=2e-5)
    doubled = (2 * low[0] - 1, 2 * high[0] - 1)
    assert net_share(hits, n - hits, n) == pytest.approx(doubled, abs=1e-6)


def test_net_share_is_the_published_one():
    """Airway reactivity of 21 children (Bentur and others, 2009), as Fagerland, Lydersen & Laake
    (2014) give Tango's interval.
    """
    assert net_share(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert np.isnan(net_share(0, 0, 0)).all()


@given(COUNTS)
def test_the_limits_of_net_share_are_where_the_score_test_rejects(case):
    """Tango's statistic, its nuisance share found by a search of the likelihood instead of the
    closed form.
    """
    more, less, n = case
    low, high = net_share(more, less, n)
    assert -1 <= low <= (more - less) / n <= high <= 1
    assert (-high, -low) == pytest.approx(net_share(less, more, n))
    for limit in (low, high):
        if abs(limit) > 0.999 or abs(limit - (more - less) / n) < 1e-3:
            continue
        opposite = np.linspace(max(0, -limit), (1 - limit) / 2, 20_001)[1:-1]
        likelihood = xlogy(more, opposite + limit) + xlogy(less, opposite)
        likelihood += xlogy(n - more - less, 1 - 2 * opposite - limit)
        likeliest = opposite[np.argmax(likelihood)]
        spread = np.sqrt((2 * likeliest + limit - limit**2) / n)
        assert abs((more - less) / n - limit) / spread == pytest.approx(1.96, rel=0.01)


def coverage(n, chances):
    """Probability that the interval holds the truth: over all outcomes of n answers, exactly."""
    outcomes = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    limits = np.array([net_share(a, b, n) for a, b, _ in outcomes])
    truth = chances[0] - chances[1]
    held = (limits[:, 0] - 1e-12 <= truth) & (truth <= limits[:, 1] + 1e-12)
    return float(multinomial(n, chances).pmf(outcomes) @ held)


def test_net_share_covers_the_truth_of_few_answers():
    truths = [(0.9, 0.02, 0.08), (0.6, 0.1, 0.3), (0.3, 0.3, 0.4), (0.1, 0.05, 0.85)]
    covered = [coverage(12, truth) for truth in truths]
    assert min(covered) > 0.92
    assert np.mean(covered) == pytest.approx(0.955, abs=0.02)
