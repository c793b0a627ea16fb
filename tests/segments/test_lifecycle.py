import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import customers
from analysis.intake import readers
from analysis.segments.lifecycle import (
    Rhythm,
    conversion,
    lifecycle,
    rhythm,
    shares_of,
    stage_moves,
)


def frame(**columns):
    count = max(len(values) for values in columns.values() if isinstance(values, list))
    return pd.DataFrame({"customer_id": list("abcdefghij"[:count])} | columns)


def test_stages_by_hand():
    """The limits themselves are not yet beyond; loyal begins at five order days."""
    people = frame(
        orders=[0, 1, 4, 5, 9, 9, 1, 9],
        recency_days=[np.nan, 30, 30, 30, 31, 60, 61, 61],
        frequency=0,
        age_days=100,
    )
    made = lifecycle(people, silent_days=30, lost_days=60)
    assert made.stage.tolist() == [
        "prospect",
        "new",
        "repeat",
        "loyal",
        "silent",
        "silent",
        "lost",
        "lost",
    ]
    assert made.silent_after_days.tolist() == [pd.NA, *[30] * 7]
    assert made.lost_after_days.tolist() == [pd.NA, *[60] * 7]


def test_a_limit_that_is_given_holds_whatever_is_learned():
    people = frame(orders=[2, 9], frequency=[1, 8], recency_days=31, age_days=400)
    slow = Rhythm(2.0, 500.0)
    assert lifecycle(people, learned=slow, lost_days=30).stage.tolist() == ["lost", "lost"]
    assert lifecycle(people, learned=Rhythm(2.0, 0.1), silent_days=30).stage.tolist() != [
        "loyal",
        "loyal",
    ]
    late = lifecycle(people, learned=Rhythm(50.0, 1.0), silent_days=3_000)
    assert (late.lost_after_days >= late.silent_after_days).all()


def test_a_pause_is_as_rare_as_it_is_said_to_be():
    """The gap of a customer whose rate is gamma(2, 30 days) and who ordered 4 times in 50 days is
    Pareto II (Lomax) of shape 6 and scale 80: the chance to exceed the pause is the survival
    function of scipy.
    """
    learned = Rhythm(2.0, 30.0)
    for chance in (0.2, 0.05):
        pause = learned.pause(chance, 4, 50)
        assert stats.lomax(6, scale=80).sf(pause) == pytest.approx(chance)


def ordering(shape, days, count=4000, watched=400, seed=1):
    """Customers whose own rates are drawn from a gamma distribution, watched for so many days."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(shape, 1 / days, count)
    orders = [np.cumsum(rng.exponential(1 / r, 2000)) for r in rate]
    seen = [times[times < watched].astype(int) for times in orders]
    last = np.array([times[-1] if len(times) else 0 for times in seen])
    repeats = np.array([len(times) for times in seen])
    return pd.DataFrame(
        {
            "customer_id": [f"c{n:05}" for n in range(count)],
            "orders": repeats + 1,
            "frequency": repeats,
            "age_days": watched,
            "recency_days": watched - last,
        }
    )


def test_the_rhythm_of_generated_customers_is_learned():
    """Short rates are cut off by the end of watching, so the pauses come out a little short; within
    a quarter.
    """
    learned = rhythm(ordering(3.0, 60.0))
    assert learned.pause(0.2) == pytest.approx(Rhythm(3.0, 60.0).pause(0.2), rel=0.25)
    assert learned.pause(0.2, 10, 100) == pytest.approx(
        Rhythm(3.0, 60.0).pause(0.2, 10, 100), rel=0.1
    )


def test_of_customers_who_never_leave_one_in_five_pauses_and_one_in_twenty_seems_lost_at_most():
    stages = lifecycle(ordering(3.0, 20.0)).stage.value_counts(normalize=True)
    assert stages.silent + stages.lost == pytest.approx(0.2, abs=0.04)
    assert stages.lost <= 0.05


def test_who_stops_is_lost_sooner_the_more_often_he_ordered():
    people = frame(orders=[2, 11, 41], frequency=[1, 10, 40], recency_days=40, age_days=240)
    made = lifecycle(people, learned=Rhythm(2.0, 20.0))
    assert made.silent_after_days.is_monotonic_decreasing
    assert made.lost_after_days.iloc[-1] == np.ceil(Rhythm(2.0, 20.0).pause(0.05)), (
        "not before one of whom nothing is known"
    )


@pytest.mark.parametrize("pause", [1, 30, 365])
def test_all_who_repeat_alike_have_one_rhythm(pause):
    people = pd.DataFrame(
        {"frequency": 4, "recency_days": 0, "age_days": 4 * pause}, index=range(50)
    )
    learned = rhythm(people)
    assert learned.pause(0.5) == pytest.approx(pause * np.log(2), rel=0.05)


def test_nobody_who_repeats_leaves_the_pauses_so_far():
    people = pd.DataFrame(
        {"frequency": 0, "recency_days": [10.0, 20, 60], "age_days": [10.0, 20, 60]}
    )
    assert rhythm(people).pause(0.5) == pytest.approx(30 * np.log(2), rel=0.05)
    assert rhythm(people.iloc[:0]).pause(0.5) > 0


def test_the_invented_companys_leavers_are_the_lost(crm_demo):
    """Who left at least half a year before, against who truly still buys; what the records show a
    month before is no proof.
    """
    as_of = crm_demo.dataset.as_of
    people = customers.at(crm_demo.transactions, as_of)
    stage = lifecycle(people).stage
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet").set_index(
        "customer_id"
    )
    left = stage.index.map(truth.dropout_day)
    gone, here = left < pd.Timestamp(as_of) - pd.Timedelta(days=183), left.isna()
    assert (stage[gone].isin(["lost", "silent"])).mean() > 0.9
    assert (stage[here] == "lost").mean() < 0.1
    assert (here | gone | (stage != "lost").to_numpy())[stage == "lost"].mean() > 0.7


def test_moves_between_stages_by_hand():
    then = pd.DataFrame(
        {
            "customer_id": list("abcde"),
            "stage": ["prospect", "new", "new", "silent", "silent"],
            "orders": [0, 1, 1, 3, 3],
        }
    )
    stages = ["new", "repeat", "silent", "silent", "loyal", "new"]
    now = frame(stage=stages, orders=[1, 2, 1, 3, 5, 1])
    moves = stage_moves(then, now)
    assert moves.index.tolist() == ["prospect", "new", "silent"]
    assert moves.loc["new"].to_dict() == {
        "prospect": 0,
        "new": 0,
        "repeat": 0.5,
        "loyal": 0,
        "silent": 0.5,
        "lost": 0,
    }
    assert moves.sum(axis=1).eq(1).all()
    ordered = conversion(then, now).set_index("stage")
    assert ordered.customers.to_dict() == {"prospect": 1, "new": 2, "silent": 2}
    assert ordered.share.to_dict() == {"prospect": 1, "new": 0.5, "silent": 0.5}


def test_shares_of_few_customers_are_no_headline():
    known = pd.DataFrame({"stage": ["new", "lost"], "customers": [29, 30], "share": [0.9, 0.1]})
    shares = shares_of(known)
    assert (shares["lost"], np.isnan(shares["new"]), np.isnan(shares["prospect"])) == (
        0.1,
        True,
        True,
    )
