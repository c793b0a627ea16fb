"""What models of leaving learn from: features by hand, whatever the currency, each in one group
that has a name.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.models import churn_features, orders
from analysis.models.churn_features import CONCEPTS, concept_features, features

MONEY = ("order_value", "revenue_28", "revenue_91")


def known(**columns):
    """Two customers as from signals.at: a steady one, and one who ordered once, today."""
    facts = {
        "orders": [5, 1],
        "frequency": [4, 0],
        "recency_days": [20, 0],
        "age_days": [99, 0],
        "order_value": [20.0, 60.0],
        "usual_pause": [10.0, np.nan],
        "recent_pause": [30.0, np.nan],
        "pause_deviation": [5.0, np.nan],
        **{
            f"orders_{n}": [count, 1]
            for n, count in zip(orders.TRAILING, (0, 1, 2, 4, 5), strict=True)
        },
        "revenue_28": [20.0, 60.0],
        "revenue_91": [80.0, 60.0],
        "expected": [0.5, 0.0],
        "returns": [1.0, 0.0],
    }
    return pd.DataFrame(facts | columns)


def many(n=50, seed=0):
    """Customers of all kinds, among them those who ordered once."""
    chance = np.random.default_rng(seed)
    age = chance.integers(0, 800, n)
    recency = chance.integers(0, age + 1)
    frequency = np.where(recency == age, 0, chance.poisson(3, n))
    pause = np.where(frequency > 0, chance.gamma(2, 20, n), np.nan)
    return pd.DataFrame(
        {
            "orders": frequency + 1,
            "frequency": frequency,
            "recency_days": recency,
            "age_days": age,
            "order_value": chance.gamma(2, 20, n),
            "usual_pause": pause,
            "recent_pause": pause * chance.uniform(0.5, 2, n),
            "pause_deviation": pause * chance.uniform(0, 1, n),
            **{f"orders_{n_days}": chance.integers(0, 5, n) for n_days in orders.TRAILING},
            "revenue_28": chance.normal(20, 30, n),
            "revenue_91": chance.normal(60, 50, n),
            "expected": chance.gamma(1, 1, n),
            **{name: chance.poisson(1, n).astype(float) for name in churn_features.FLAT},
            "contact_days_ago": np.where(chance.random(n) < 0.5, np.nan, chance.integers(0, 90, n)),
            "satisfaction": np.where(chance.random(n) < 0.5, np.nan, chance.random(n)),
            "renewal_days": chance.integers(1, 366, n),
            "due": chance.integers(0, 2, n).astype(float),
            "is_region_0": chance.integers(0, 2, n).astype(float),
            "is_region_1": chance.integers(0, 2, n).astype(float),
        }
    )


def test_features_by_hand():
    """The money is over its median of 40; orders of a window longer than the customer is old are
    those of a whole window.
    """
    told = features(known())
    first = {
        "recency": 20,
        "overdue": 2,
        "orders_14": 0,
        "orders_28": 1,
        "orders_56": 2,
        "orders_91": 4,
        "orders_182": (
            5 / 100 * 182
        ),  # 5 orders in 100 days, of which the first was the day of the first order
        "pause_change": 3,
        "irregular": 0.5,
        "frequency": 4,
        "usual_pause": 10,
        "order_value": 0.5,
        "revenue_28": 0.5,
        "revenue_91": 2,
        "age": 99,
        "returns": 1,
    }
    second = {f"orders_{n}": n for n in orders.TRAILING}  # an order a day, as far as is known
    second |= {
        "recency": 0,
        "frequency": 0,
        "order_value": 1.5,
        "revenue_28": 1.5,
        "revenue_91": 1.5,
        "age": 0,
        "returns": 0,
    }
    for row, by_hand in enumerate((first, second)):
        assert told.iloc[row][list(by_hand)].to_dict() == pytest.approx(
            {name: np.log1p(value) for name, value in by_hand.items()}
        )
    assert told.expected.tolist() == pytest.approx([np.log(0.5), np.log(orders.LEAST)])
    # 4 orders lately, against 5 in 100 days; one against one a day
    assert told.slowing.tolist() == pytest.approx(
        [np.log(5) - np.log(1 + 5 * 0.91), np.log(2) - np.log(92)]
    )
    assert {*told} == {*first, "expected", "slowing"}


def test_the_pauses_of_one_order_are_unknown():
    told = features(known()).iloc[1]
    assert {*told.index[told.isna()]} == {"overdue", "pause_change", "irregular", "usual_pause"}


def test_a_pause_below_a_day_is_a_day():
    told = features(
        known(
            usual_pause=[0.5, 0.0],
            recent_pause=[0.5, 0.0],
            pause_deviation=[0.0, 0.0],
            recency_days=[3, 3],
        )
    )
    assert np.expm1(told.overdue).tolist() == pytest.approx([3, 3])


@given(st.floats(1e-6, 1e9))
def test_features_do_not_depend_on_the_currency(rate):
    scaled = many().assign(**{name: many()[name] * rate for name in MONEY})
    pd.testing.assert_frame_equal(features(scaled), features(many()), rtol=1e-9)


@given(st.integers(0, 1000))
def test_features_are_finite_where_the_facts_are_known(seed):
    """A net below zero, days of the first order and customers without any money included."""
    customers = many(seed=seed)
    told = features(customers)
    once = customers.usual_pause.isna()
    empty = dict.fromkeys(("overdue", "pause_change", "irregular", "usual_pause"), once)
    empty |= {name: customers[name].isna() for name in ("contact_days_ago", "satisfaction")}
    for name, column in told.items():
        unknown = empty.get(name, np.zeros(len(told), bool))
        assert np.isfinite(column[~unknown]).all(), name
        assert column[unknown].isna().all(), name


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_features_are_finite_without_any_order_value(value):
    told = features(many().assign(**dict.fromkeys(MONEY, value)))
    assert np.isfinite(told[list(MONEY)]).all(axis=None)


def test_without_money_its_features_are_empty_and_the_others_are_not():
    told, priced = features(many().assign(**dict.fromkeys(MONEY, np.nan))), features(many())
    assert told[list(MONEY)].isna().all(axis=None)
    pd.testing.assert_frame_equal(told.drop(columns=list(MONEY)), priced.drop(columns=list(MONEY)))


def test_the_order_of_rows_does_not_matter():
    mixed = many().sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(features(mixed).sort_index(), features(many()), rtol=0, atol=0)


def test_nothing_is_made_of_what_the_records_do_not_tell_and_all_of_what_they_do():
    bare = {*features(known())}
    assert {*features(many())} - bare == {
        *churn_features.FLAT, "contact_days_ago", "satisfaction", "is_region_0", "is_region_1",
        "renewal_days", "due",
    } - {"returns"}  # fmt: skip
    assert {
        *features(
            known().assign(window_revenue=5.0, customer_id="a", left=True, next_order_days=3.0)
        )
    } == bare


def test_flags_of_profiles_stay_as_they_are():
    told = features(many())
    assert told.is_region_0.tolist() == many().is_region_0.tolist()


# Concepts
def test_each_feature_belongs_to_exactly_one_concept():
    told = features(many())
    grouped = concept_features(told.columns)
    every = [name for names in grouped.values() for name in names]
    assert sorted(every) == sorted(told.columns)  # none twice, none left out
    assert {*grouped} == {*CONCEPTS}
    assert grouped["profile"] == ["is_region_0", "is_region_1"]
    assert grouped["silence"] == [
        name
        for name in told
        if name in ("recency", "overdue", "expected", "orders_14", "orders_28")
    ]


def test_no_concept_names_a_feature_that_another_names_or_that_nothing_makes():
    named = [name for concept in CONCEPTS.values() for name in concept.features]
    assert len(named) == len({*named})
    assert {*named} <= {*features(many())}
    assert {*churn_features.FLAT} <= {*named}


def test_concepts_of_which_nothing_is_known_are_left_out():
    assert {*concept_features(features(known()).columns)} == {
        "silence",
        "pace",
        "orders",
        "spend",
        "time",
        "returns",
    }
    assert concept_features(pd.Index([])) == {}
