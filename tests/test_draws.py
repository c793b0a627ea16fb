"""Chance that stays the same, and is as even as chance should be."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from analysis.draws import lots

IDS = pd.Series([f"c{n:05}" for n in range(20_000)])


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_share_below_a_probability_is_near_it(share):
    held = (lots(IDS, 7) < share).sum()
    low, high = binom.interval(1 - 1e-6, len(IDS), share)
    assert low <= held <= high


def test_lots_are_even_between_0_and_1():
    found = lots(IDS, 3)
    assert found.min() >= 0
    assert found.max() < 1
    assert kstest(found, "uniform").pvalue > 1e-4
    assert len({*found}) == len(IDS)


@given(
    st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=20),
    st.randoms(use_true_random=False),
)
@settings(max_examples=50)
def test_a_lot_depends_on_the_customer_alone(ids, mixer):
    """Neither on the order of rows nor on who else there is."""
    whole = dict(zip(ids, lots(pd.Series(ids, dtype="str"), 1), strict=True))
    some = mixer.sample(ids, mixer.randint(1, len(ids)))
    assert lots(pd.Series(some, dtype="str"), 1).tolist() == [whole[name] for name in some]


def test_another_seed_draws_others():
    one, other = lots(IDS, 1), lots(IDS, 2)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03  # four standard errors
    assert not (one == other).any()


def test_ids_that_look_alike_have_lots_of_their_own():
    assert len({*lots(pd.Series(["7", "007", "7 ", "", "张三"]), 1)}) == 5


def test_nobody_draws_no_lot():
    assert lots(pd.Series([], dtype="str"), 1).shape == (0,)
