import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import customers
from analysis.intake import readers
from analysis.segments import lifecycle as module
from analysis.segments.lifecycle import (
    Limits,
    Rhythm,
    conversion,
    headline,
    lifecycle,
    limits,
    rhythm,
    stage_moves,
    verdict,
)
from tests.segments.made import frame


def test_stages_by_hand():
    """The limits themselves are not yet beyond; loyal begins at five order days."""
    people = frame(
        orders=[0, 0, 1, 4, 5, 9, 9, 1, 9],
        recency_days=[np.nan, np.nan, 30, 30, 30, 31, 60, 61, 61],
        revenue=[0.0, -5, 9, 9, 9, 9, 9, 9, 9],
        frequency=0,
        age_days=100,
    )
    made = lifecycle(people, silent_days=30, lost_days=60)
    assert " ".join(made.stage) == "prospect lost new repeat loyal silent silent lost lost"
    assert made.silent_after_days.tolist() == [pd.NA, pd.NA, *[30] * 7]
    assert made.lost_after_days.tolist() == [pd.NA, pd.NA, *[60] * 7]


def test_a_limit_that_is_given_holds_whatever_is_learned():
    people = frame(orders=[2, 9], frequency=[1, 8], recency_days=31, age_days=400, revenue=9.0)
    slow = lifecycle(people, learned=Limits(Rhythm(2.0, 500.0)), lost_days=30)
    assert slow.stage.tolist() == ["lost", "lost"]
    assert set(slow.silent_after_days) == {30}
    late = lifecycle(people, learned=Limits(Rhythm(50.0, 1.0)), silent_days=3_000)
    assert set(late.lost_after_days) == {3_000}


def test_limits_are_the_pauses_that_one_in_five_and_one_in_twenty_exceed():
    """The gap of a customer whose rate is gamma(2, 30 days) and who repeated 4 times in 50 days is
    Pareto II (Lomax) of shape 6 and scale 80; nobody is lost before one of whom nothing is known.
    """
    people = frame(orders=[5, 5], frequency=[4, 4], recency_days=[10, 10], age_days=[60, 4_010])
    people["revenue"] = 9.0
    made = lifecycle(people, learned=Limits(Rhythm(2.0, 30.0)))
    known, slow, unknown = (stats.lomax(n, scale=d) for n, d in ((6, 80), (6, 4_030), (2, 30)))
    silent = np.ceil([known.isf(0.2), slow.isf(0.2)])
    assert made.silent_after_days.tolist() == silent.tolist()
    assert made.lost_after_days.tolist() == np.ceil([unknown.isf(0.05), slow.isf(0.05)]).tolist()
    assert made.pause_chance.tolist() == pytest.approx([known.sf(10), slow.sf(10)])


def test_longer_limits_are_multiples_and_without_one_nobody_is_silent_or_lost():
    """By this rhythm one in five pauses for over 10 days (2.5 * 4), one in twenty for over 47.5."""
    pauses = [20, 21, 95, 96]
    people = frame(orders=1, frequency=0, recency_days=pauses, age_days=pauses, revenue=9.0)

    def stages(silent, lost, **given):
        made = lifecycle(people, learned=Limits(Rhythm(1.0, 2.5), silent, lost), **given)
        return " ".join(made.stage), made[["silent_after_days", "lost_after_days"]].iloc[0].tolist()

    nobody = "new new new new"
    assert stages(2, 2) == ("new silent silent lost", [20, 95])
    assert stages(np.inf, 2) == ("new new new lost", [95, 95])
    assert stages(2, np.inf) == ("new silent silent silent", [20, pd.NA])
    assert stages(np.inf, np.inf) == (nobody, [pd.NA, pd.NA])
    assert stages(np.inf, np.inf, lost_days=95) == ("new new new lost", [95, 95])
    assert stages(np.inf, np.inf, silent_days=20) == ("new silent silent silent", [20, pd.NA])


def paused(pauses, came, horizon_days=91):
    """Customers of one order who had paused so long a horizon ago, and whether they came since."""
    came = np.asarray(came, int)
    return pd.DataFrame({"recency_91": pauses, "orders_91": came, "orders": 1 + came}).assign(
        frequency=came, recency_days=1.0, age_days=np.asarray(pauses) + horizon_days
    )


PAUSES = np.arange(1, 101)
UNTIL_25_AND_49_TO_59 = (PAUSES <= 25) | ((PAUSES >= 49) & (PAUSES <= 59))


@pytest.mark.parametrize(
    ("pauses", "came", "silent", "lost"),
    [
        # after more than 48 days 12 of 52 came, after more than 53 = ceil(1.1 * 47.5) 7 of 47; of
        # all others, none of whom is lost, everybody
        (PAUSES, PAUSES <= 60, np.inf, 1.1),
        # 11 of 52, and 6 of 47; of those not lost, after more than 10 days, 20 of 43
        (PAUSES, UNTIL_25_AND_49_TO_59, 1.0, 1.1),
        # half: after more than 10 days 45 of 90, after more than 11 44 of 89
        (PAUSES, PAUSES % 2 == 1, 1.1, np.inf),
        (PAUSES, PAUSES < 0, 1.0, 1.0),
        (PAUSES, PAUSES > 0, np.inf, np.inf),
        # 29 with a longer pause tell nothing, 30 do
        (np.arange(11, 40), np.ones(29), 1.0, 1.0),
        (np.arange(11, 41), np.ones(30), np.inf, 1.0),
    ],
)
def test_limits_are_longer_where_too_many_came_back(monkeypatch, pauses, came, silent, lost):
    monkeypatch.setattr(module, "rhythm", lambda people: Rhythm(1.0, 2.5))
    found = limits(paused(pauses, came), 91)
    assert (found.silent_times, found.lost_times) == pytest.approx((silent, lost))
    assert found.longer == (max(silent, lost) > 1)


def ordering(shape, days, count=2_000, watched=400, seed=1):
    """Customers whose own rates are drawn from a gamma distribution, watched for so many days."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(shape, 1 / days, count)
    orders = (np.cumsum(rng.exponential(1 / r, 500)) for r in rate)
    seen = [times[times < watched].astype(int) for times in orders]
    repeats = np.array([len(times) for times in seen])
    last = np.array([times[-1] if len(times) else 0 for times in seen])
    people = pd.DataFrame({"orders": repeats + 1, "frequency": repeats, "age_days": watched})
    people["revenue"] = 9.0
    return people.assign(recency_days=watched - last, customer_id=[f"c{n}" for n in range(count)])


def test_the_rhythm_of_generated_customers_is_learned():
    """Rates are cut off by the end of watching, so the pauses come out a little short."""
    learned, true = rhythm(ordering(3.0, 60.0)), Rhythm(3.0, 60.0)
    assert learned.pause(0.2) == pytest.approx(true.pause(0.2), rel=0.25)
    assert learned.pause(0.2, 10, 100) == pytest.approx(true.pause(0.2, 10, 100), rel=0.1)


def test_of_customers_who_never_leave_one_in_five_pauses_and_one_in_twenty_seems_lost_at_most():
    stages = lifecycle(ordering(3.0, 20.0)).stage.value_counts(normalize=True)
    assert stages.silent + stages.lost == pytest.approx(0.2, abs=0.04)
    assert stages.lost <= 0.05


def watched(orders, day, horizon_days=91):
    """Customers as of a day with trailing horizon, from the days of all their orders."""
    people = pd.DataFrame({"customer_id": [f"c{n}" for n in range(len(orders))], "revenue": 9.0})
    then = day - horizon_days
    by = {until: [days[days <= until] for days in orders] for until in (day, then)}
    first = np.array([days[0] for days in orders])
    last, before = (np.array([max(days, default=np.nan) for days in by[d]]) for d in (day, then))
    count = np.array([len(days) for days in by[day]])
    people = people.assign(orders=count, frequency=np.maximum(count - 1, 0), age_days=day - first)
    earlier = count - np.array([len(days) for days in by[then]])
    people = people.assign(recency_days=day - last, orders_91=earlier, recency_91=then - before)
    return people[people.orders > 0]


def lives(count, days_between, mean_life, seed=2):
    """Days of the orders of customers who come in two years and stay for so long on average."""
    rng = np.random.default_rng(seed)
    first, stay = rng.integers(0, 730, count), rng.exponential(mean_life, count)
    pauses = days_between / rng.gamma(3.0, 1 / 3.0, count)
    orders = [np.cumsum(rng.exponential(pause, 400)) for pause in pauses]
    return [
        np.unique(np.r_[begin, begin + days[days < life]].astype(int))
        for begin, life, days in zip(first, stay, orders, strict=True)
    ]


@pytest.mark.parametrize("days_between", [4, 30, 120])
@pytest.mark.parametrize("mean_life", [200, 800, 5_000])
def test_of_the_silent_few_come_back_and_of_the_lost_fewer_after_the_limits_were_chosen(
    days_between, mean_life
):
    """Within a horizon that the limits have not seen; a share of some hundred may be off by chance.
    A horizon before, which they have, the shares hold exactly.
    """
    orders = lives(3_000, days_between, mean_life)
    now, then, later = (watched(orders, day) for day in (730, 730 - 91, 730 + 91))
    learned = limits(now, 91)
    for people, since, seen in ((then, now, True), (now, later, False)):
        staged = lifecycle(people, learned=learned).reset_index()
        back = headline(conversion(staged.assign(orders=people.orders.to_numpy()), since))
        assert not back["silent"] >= (0.5 if seen else 0.6)
        assert not back["lost"] >= (0.2 if seen else 0.3)


def test_the_pauses_of_customers_who_always_come_back_make_nobody_lost():
    """Weekly buyers who never leave: beyond one in twenty pauses all come back in a quarter."""
    learned = limits(watched(lives(2_000, 7, 1e6), 730), 91)
    assert np.isinf(learned.lost_times)


def test_all_who_repeat_alike_have_one_rhythm_and_without_repeats_the_pauses_stand_in():
    for pause in (1, 365):
        alike = {"frequency": 4, "recency_days": 0, "age_days": 4 * pause}
        learned = rhythm(pd.DataFrame(alike, index=range(50)))
        assert learned.pause(0.5) == pytest.approx(pause * np.log(2), rel=0.05)
    nine, ten = (pd.DataFrame(alike, index=range(n)) for n in (9, 10))
    assert rhythm(nine) == Rhythm(50.0, 50.0) != rhythm(ten)
    few = pd.DataFrame({"frequency": 0, "recency_days": [10.0, 20, 60] * 4, "age_days": 60.0})
    assert rhythm(few).pause(0.5) == pytest.approx(30 * np.log(2), rel=0.05)
    assert rhythm(few.iloc[:0]) == Rhythm(50.0, 50.0)


def test_the_invented_companys_leavers_are_the_lost(crm_demo):
    """Who left at least half a year before, against who truly still buys; what the records show a
    month before is no proof.
    """
    as_of = crm_demo.dataset.as_of
    stage = lifecycle(customers.at(crm_demo.transactions, as_of)).stage
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet")
    left = stage.index.map(truth.set_index("customer_id").dropout_day)
    gone, here = left < pd.Timestamp(as_of) - pd.Timedelta(days=183), left.isna()
    assert (stage[gone].isin(["lost", "silent"])).mean() > 0.9
    assert (stage[here] == "lost").mean() < 0.1
    assert (here | gone | (stage != "lost").to_numpy())[stage == "lost"].mean() > 0.7


def test_moves_between_stages_by_hand():
    before = ["prospect", "new", "new", "silent", "silent"]
    then = frame(stage=before, orders=[0, 1, 1, 3, 3])
    now = ["new", "repeat", "silent", "silent", "loyal", "new"]
    now = frame(stage=now, orders=[1, 2, 1, 3, 5, 1])
    moves = stage_moves(then, now)
    assert moves.index.tolist() == ["prospect", "new", "silent"]
    assert list(moves) == ["prospect", "new", "repeat", "loyal", "silent", "lost"]
    assert moves.loc["new"].tolist() == [0, 0, 0.5, 0, 0.5, 0]
    ordered = conversion(then, now).set_index("stage")
    assert ordered.customers.to_dict() == {"prospect": 1, "new": 2, "silent": 2}
    assert ordered.ordered.to_dict() == {"prospect": 1, "new": 1, "silent": 1}
    assert ordered.share.to_dict() == {"prospect": 1, "new": 0.5, "silent": 0.5}
    wilson = stats.binomtest(1, 2).proportion_ci(0.95, "wilson")
    assert ordered.loc["new", ["low", "high"]].tolist() == pytest.approx(list(wilson), abs=1e-4)


def test_shares_of_few_customers_are_no_headline():
    known = pd.DataFrame({"stage": ["new", "lost"], "customers": [29, 30], "share": [0.9, 0.1]})
    shares = module.headline(known)
    assert shares["lost"] == 0.1
    assert np.isnan([shares["new"], shares["prospect"]]).all()


def test_the_verdict_names_no_share_that_is_not_known():
    known = {"silent": 0.3, "lost": 0.1}
    for unknown in ((), ("lost",), ("silent",)):
        said = verdict(known | dict.fromkeys(unknown, np.nan))
        assert [name for name in known if f"{{{name}:" in said] == [
            name for name in known if name not in unknown
        ]
