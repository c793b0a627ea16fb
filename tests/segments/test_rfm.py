import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import customers, schema
from analysis.errors import InputError
from analysis.intake import readers
from analysis.intake.dataset import Dataset
from analysis.segments import habits, summaries
from analysis.segments import rfm as segments
from analysis.segments.rfm import SEGMENTATIONS, Rhythm

AS_OF = dt.date(2024, 3, 31)
NOW = dt.date(1998, 6, 30)  # end of CDNOW
LINES = st.tuples(
    st.sampled_from("abcdef"),
    st.dates(dt.date(2024, 1, 1), AS_OF),
    st.sampled_from(["-20", "-0.01", "0", "0.01", "5", "5", "19.99", "1000000"]),
)
LOG = st.lists(LINES, min_size=1, max_size=30)
DEGENERATE = {
    "one customer": [("a", AS_OF, "5")],
    "all alike": [(str(n), AS_OF, "5") for n in range(30)],
    "none who repeats": [(str(n), AS_OF - dt.timedelta(days=n), str(n + 1)) for n in range(30)],
    "returns only": [(str(n), AS_OF, "-5") for n in range(30)],
    "no money": [(str(n), AS_OF - dt.timedelta(days=n), "0") for n in range(30)],
}


def frame(**columns):
    count = max(len(values) for values in columns.values() if isinstance(values, list))
    return pd.DataFrame({"customer_id": list("abcdefghij"[:count])} | columns)


def everything(ledger, log):
    """`people` as of a log in which each line also has a clock, a channel, a discount, a cost, a
    category and so on.
    """
    number = ibis.row_number().over(order_by=["customer_id", "day", "amount"])
    lines = ledger(log).mutate(n=number)
    transactions = lines.mutate(
        moment=lines.day.cast("timestamp") + (lines.n * 5 % 24).as_interval("h"),
        channel=(lines.n % 3 > 0).ifelse("web", "<b>shop</b>"),
        discount=(lines.n % 4).cast("decimal(38, 12)"),
        cost=lines.amount / 2 + (lines.n % 5).cast("decimal(38, 12)"),
    ).drop("n")
    return people_of(transactions, AS_OF)


def people_of(transactions, as_of, window_days=0):
    known = customers.at(transactions, as_of, window_days)
    return segments.gather(known, habits.habits(transactions, as_of))


@pytest.fixture(scope="module")
def sample(cdnow_sample):
    return people_of(cdnow_sample, NOW, 365)


@pytest.fixture(scope="module")
def sample_segments(sample):
    return segments.segment(sample)


def keeps_the_contract(people, entry):
    made = entry(people)
    assert made.index.name == "customer_id"
    assert made.index.tolist() == people.customer_id.tolist()
    assert set(made.columns) == set(entry.makes)
    found, contract = set(made[entry.class_column].dropna()), entry.makes[entry.class_column]
    assert made[entry.class_column].isna().sum() == 0 or contract.empty
    own_words = entry.name in ("buys_through", "attributes", "interests", "needs")
    assert own_words or {word for name in found for word in name.split("+")} <= set(entry.classes)


@pytest.mark.parametrize("entry", SEGMENTATIONS.values(), ids=list(SEGMENTATIONS))
@given(LOG)
@settings(max_examples=8)
def test_every_customer_stands_in_one_known_class(ledger, entry, log):
    keeps_the_contract(everything(ledger, log), entry)


@pytest.mark.parametrize("entry", SEGMENTATIONS.values(), ids=list(SEGMENTATIONS))
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_customers_are_segmented_all_the_same(ledger, entry, case):
    keeps_the_contract(everything(ledger, DEGENERATE[case]), entry)


@pytest.mark.parametrize("case", DEGENERATE)
def test_segments_of_degenerate_customers_keep_the_tables_contract(ledger, case):
    people = everything(ledger, DEGENERATE[case])
    made = list(SEGMENTATIONS.values())
    schema.conform("segments", segments.segment(people, made))
    assert summaries.overview(people, segments.segment(people, made), made).customers.sum() <= len(
        made
    ) * len(people)


def test_segments_of_the_sample_keep_the_tables_contract(sample_segments):
    schema.conform("segments", sample_segments)


@pytest.mark.parametrize("entry", SEGMENTATIONS.values(), ids=list(SEGMENTATIONS))
def test_nobody_is_segmented_into_nothing(ledger, entry):
    assert len(entry(everything(ledger, [("a", AS_OF, "5")]).iloc[:0])) == 0


@pytest.mark.parametrize("entry", SEGMENTATIONS.values(), ids=list(SEGMENTATIONS))
def test_input_stays_untouched_and_the_order_of_rows_does_not_matter(ledger, entry):
    people = everything(
        ledger, [("abcdef"[n % 6], AS_OF - dt.timedelta(days=7 * n), str(n)) for n in range(40)]
    )
    before, made = people.copy(), entry(people)
    shuffled = entry(people.sample(frac=1, random_state=7))
    pd.testing.assert_frame_equal(people, before)
    pd.testing.assert_frame_equal(shuffled.sort_index(), made)


def test_the_order_of_the_samples_customers_does_not_matter(sample, sample_segments):
    shuffled = segments.segment(sample.sample(frac=1, random_state=7))
    pd.testing.assert_frame_equal(
        shuffled.sort_values("customer_id", ignore_index=True), sample_segments
    )


@pytest.mark.parametrize("factor", ["0.001", "1000"])
def test_the_currencys_unit_changes_no_segment(cdnow_sample, sample, factor):
    made = [
        entry
        for entry in SEGMENTATIONS.values()
        if not entry.needs or entry.needs == ("transactions.amount",)
    ]
    scaled = cdnow_sample.mutate(
        amount=(cdnow_sample.amount * ibis.literal(float(factor))).cast("decimal(38, 12)")
    )
    pd.testing.assert_frame_equal(
        segments.segment(people_of(scaled, NOW, 365), made), segments.segment(sample, made)
    )


@given(LOG, st.integers(-60, 60))
@settings(max_examples=10)
def test_a_shift_by_whole_weeks_changes_no_segment(ledger, log, weeks):
    shift, made = (
        dt.timedelta(weeks=weeks),
        [
            SEGMENTATIONS[n]
            for n in ("rfm", "abc", "lifecycle", "day_of_week", "regularity", "basket")
        ],
    )
    before = segments.segment(people_of(ledger(log), AS_OF), made)
    after = segments.segment(
        people_of(ledger([(who, day + shift, money) for who, day, money in log]), AS_OF + shift),
        made,
    )
    pd.testing.assert_frame_equal(before, after)


@given(LOG, LINES.filter(lambda line: float(line[2]) > 0), st.sampled_from([0, 30]))
@settings(max_examples=15)
def test_no_score_falls_with_another_order(ledger, log, line, window_days):
    before = segments.rfm(customers.at(ledger(log), AS_OF, window_days))
    after = segments.rfm(customers.at(ledger([*log, line]), AS_OF, window_days))
    if line[0] in before.index:
        scores = ["r_score", "f_score", "m_score"]
        assert (after.loc[line[0], scores] >= before.loc[line[0], scores].fillna(0)).all()


@pytest.mark.parametrize(
    ("values", "scores"),
    [
        ([10, 20, 30, 40, 50], [1, 2, 3, 4, 5]),
        ([50, 10, 40, 20, 30], [5, 1, 4, 2, 3]),
        ([10, 10, 20, 30, 30], [1, 1, 3, 4, 4]),
        ([1, 2, 2, 2, 2], [1, 2, 2, 2, 2]),
        ([7, 7, 7], [1, 1, 1]),
        ([1, 2, 3, 4, 5, 6, 7], [1, 1, 2, 3, 3, 4, 5]),
        ([-1, 0], [1, 3]),
        ([7], [1]),
    ],
)
def test_scores_by_rank_with_ties_at_the_lowest(values, scores):
    assert segments.score(pd.Series(values)).tolist() == scores


def test_an_empty_value_has_no_score_and_takes_no_rank():
    scores = segments.score(pd.Series([10, np.nan, 20, 30, 40, 50]))
    assert scores.isna().tolist() == [False, True, False, False, False, False]
    assert scores.dropna().tolist() == [1, 2, 3, 4, 5]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_scores_follow_values_and_equal_values_score_alike(values):
    scores = segments.score(pd.Series(values))
    assert scores.between(1, 5).all()
    for value, score in zip(values, scores, strict=True):
        for other, its in zip(values, scores, strict=True):
            assert (value < other) <= (score <= its)
            assert (value == other) <= (score == its)


def test_rfm_by_hand():
    """b and c tie in recency (third of five), b and e in frequency, c and d in frequency, b and c
    in money.
    """
    people = frame(
        orders=[9, 1, 3, 3, 1, 0],
        recency_days=[1, 10, 10, 50, 90, np.nan],
        window_orders=[9, 1, 3, 3, 1, 0],
        window_revenue=[900.0, 500, 500, 100, 0, -7],
    )
    made = segments.rfm(people)
    assert made.r_score.tolist()[:5] == [5, 3, 3, 2, 1]
    assert made.f_score.tolist()[:5] == [5, 1, 3, 3, 1]
    assert made.m_score.tolist()[:5] == [5, 3, 3, 2, 1]
    assert made.loc["f", ["r_score", "f_score", "m_score"]].isna().all()
    assert made.rfm_segment.tolist() == [
        "champions",
        "about_to_sleep",
        "need_attention",
        "at_risk",
        "lost",
        "prospect",
    ]


def test_rfm_with_cut_points_by_hand():
    """Three scores: recency up to 30 and up to 90 days, from 2 and from 5 orders, from 100 and from
    500 of money.
    """
    people = frame(
        orders=1,
        recency_days=[30, 31, 90, 91],
        window_orders=[5, 4, 2, 1],
        window_revenue=[500.0, 499.99, 100, 99],
    )
    cuts = {"recency": [30, 90], "frequency": [2, 5], "money": [100, 500]}
    made = segments.rfm(people, scores=3, cuts=cuts)
    assert made.r_score.tolist() == [3, 2, 2, 1]
    assert made.f_score.tolist() == [3, 2, 2, 1]
    assert made.m_score.tolist() == [3, 2, 2, 1]
    assert made.rfm_segment.tolist() == ["champions", "need_attention", "need_attention", "lost"]


def test_rfm_weights_by_hand():
    """Ranks 1, 2, 3 of three: scores 1, 2, 4; recency is the same for all: 1. Money alone names the
    segment.
    """
    people = frame(orders=1, recency_days=5, window_orders=[1, 2, 3], window_revenue=[30.0, 20, 10])
    by_money = segments.rfm(people, weights={"frequency": 0.001, "money": 1000})
    assert by_money.rfm_segment.tolist() == ["cannot_lose", "hibernating", "lost"]
    assert segments.rfm(people, weights={"recency": 2}).rfm_score.tolist() == [
        (2 * 1 + 1 + 4) / 4,
        (2 + 2 + 2) / 4,
        (2 + 4 + 1) / 4,
    ]


@pytest.mark.parametrize("scores", range(3, 11))
def test_any_number_of_scores_uses_the_corners_of_the_names(scores):
    """The best of all is a champion, the worst of all lost, and a late buyer with few orders new."""
    count = scores * 4
    people = pd.DataFrame(
        {
            "customer_id": [f"c{n:03}" for n in range(count)],
            "orders": 1,
            "recency_days": range(count, 0, -1),
        }
        | {"window_orders": range(1, count + 1), "window_revenue": np.arange(count, dtype=float)}
    )
    made = segments.rfm(people, scores=scores)
    assert made.r_score.value_counts().tolist() == [4] * scores
    assert (made.rfm_segment.iloc[0], made.rfm_segment.iloc[-1]) == ("lost", "champions")
    reverse = segments.rfm(people.assign(recency_days=range(1, count + 1)), scores=scores)
    assert (reverse.rfm_segment.iloc[0], reverse.rfm_segment.iloc[-1]) == (
        "new_customers",
        "cannot_lose",
    )


def test_a_companys_own_segment_names():
    people = frame(
        orders=1, recency_days=[1, 2, 3], window_orders=[3, 2, 1], window_revenue=[3.0, 2, 1]
    )
    names = [
        ["low now", "mid now", "top now"],
        ["low", "mid", "top"],
        ["low ago", "mid ago", "top ago"],
    ]
    made = segments.rfm(people, scores=3, names=names)
    assert made.rfm_segment.tolist() == ["top now", "mid", "low ago"]
    assert summaries.segment_names(
        [["a", "b", "b"], ["c", "c", "c"], ["d", "e", "f"]], 3
    ).to_numpy().tolist() == [
        [3, "a", 1, 1],
        [3, "b", 2, 3],
        [2, "c", 1, 3],
        [1, "d", 1, 1],
        [1, "e", 2, 2],
        [1, "f", 3, 3],
    ]


def test_the_definition_printed_is_the_one_applied():
    """With four scores the middles lie at 1/8, 3/8, 5/8 and 7/8 of the five rows: rows 1, 2, 4 and
    5; the third is unused.
    """
    names = summaries.segment_names(scores=4)
    assert set(names.recency) == {1, 2, 3, 4}
    assert "need_attention" not in set(names.segment)
    best = names[names.recency == 4].set_index("segment")[["fm_low", "fm_high"]].to_numpy().tolist()
    assert best == [[1, 1], [2, 2], [3, 4]]


def test_who_stayed_away_for_the_whole_window_is_neither_new_nor_promising():
    people = frame(
        orders=1, recency_days=[400, 500, 600, 700, 800], window_orders=0, window_revenue=0.0
    )
    assert segments.rfm(people).rfm_segment.tolist() == ["hibernating"] * 4 + ["lost"]


def test_all_eleven_usual_names_are_used_and_explained():
    used = {name for row in segments.RFM_SEGMENTS for name in row}
    assert used == set(segments.rfm.classes) - {"prospect"}
    assert len(used) == 11


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ([60, 20, 10, 6, 4], "A A B B C"),
        ([4, 6, 10, 20, 60], "C B B A A"),
        ([50, 20, 20, 5, 5], "A A A B B"),
        ([95, 5], "A C"),
        ([1, 1, 1, 1], "A A A A"),
        ([100, 0, -3, np.nan], "A none none none"),
        ([0, -1], "none none"),
    ],
)
def test_abc_by_hand(values, classes):
    assert segments.abc_classes(pd.Series(values, dtype=float)).tolist() == classes.split()


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([1.0, 2.0]), min_size=1, max_size=30))
def test_abc_never_ranks_less_money_higher(values):
    classes = segments.abc_classes(pd.Series(values))
    letters = [
        letter
        for _, letter in sorted(
            zip(values, classes, strict=True), key=lambda pair: (-pair[0], pair[1])
        )
    ]
    assert letters == sorted(letters, key=["A", "B", "C", "none"].index)
    assert [letter == "none" for letter in classes] == [value <= 0 for value in values]


def test_stages_by_hand():
    """The limits themselves are not yet beyond; loyal begins at five order days."""
    people = frame(
        orders=[0, 1, 4, 5, 9, 9, 1, 9],
        recency_days=[np.nan, 30, 30, 30, 31, 60, 61, 61],
        frequency=0,
        age_days=100,
    )
    made = segments.lifecycle(people, silent_days=30, lost_days=60)
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
    assert segments.lifecycle(people, learned=slow, lost_days=30).stage.tolist() == ["lost", "lost"]
    assert segments.lifecycle(people, learned=Rhythm(2.0, 0.1), silent_days=30).stage.tolist() != [
        "loyal",
        "loyal",
    ]
    late = segments.lifecycle(people, learned=Rhythm(50.0, 1.0), silent_days=3_000)
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
    learned = segments.rhythm(ordering(3.0, 60.0))
    assert learned.pause(0.2) == pytest.approx(Rhythm(3.0, 60.0).pause(0.2), rel=0.25)
    assert learned.pause(0.2, 10, 100) == pytest.approx(
        Rhythm(3.0, 60.0).pause(0.2, 10, 100), rel=0.1
    )


def test_of_customers_who_never_leave_one_in_five_pauses_and_one_in_twenty_seems_lost_at_most():
    stages = segments.lifecycle(ordering(3.0, 20.0)).stage.value_counts(normalize=True)
    assert stages.silent + stages.lost == pytest.approx(0.2, abs=0.04)
    assert stages.lost <= 0.05


def test_who_stops_is_lost_sooner_the_more_often_he_ordered():
    people = frame(orders=[2, 11, 41], frequency=[1, 10, 40], recency_days=40, age_days=240)
    made = segments.lifecycle(people, learned=Rhythm(2.0, 20.0))
    assert made.silent_after_days.is_monotonic_decreasing
    assert made.lost_after_days.iloc[-1] == np.ceil(Rhythm(2.0, 20.0).pause(0.05)), (
        "not before one of whom nothing is known"
    )


@pytest.mark.parametrize("pause", [1, 30, 365])
def test_all_who_repeat_alike_have_one_rhythm(pause):
    people = pd.DataFrame(
        {"frequency": 4, "recency_days": 0, "age_days": 4 * pause}, index=range(50)
    )
    learned = segments.rhythm(people)
    assert learned.pause(0.5) == pytest.approx(pause * np.log(2), rel=0.05)


def test_nobody_who_repeats_leaves_the_pauses_so_far():
    people = pd.DataFrame(
        {"frequency": 0, "recency_days": [10.0, 20, 60], "age_days": [10.0, 20, 60]}
    )
    assert segments.rhythm(people).pause(0.5) == pytest.approx(30 * np.log(2), rel=0.05)
    assert segments.rhythm(people.iloc[:0]).pause(0.5) > 0


def test_the_invented_companys_leavers_are_the_lost(crm_demo):
    """Who left at least half a year before, against who truly still buys; what the records show a
    month before is no proof.
    """
    as_of = crm_demo.dataset.as_of
    people = customers.at(crm_demo.transactions, as_of)
    stage = segments.lifecycle(people).stage
    truth = pd.read_parquet(readers.sample_path("crm_demo/truth") / "customers.parquet").set_index(
        "customer_id"
    )
    left = stage.index.map(truth.dropout_day)
    gone, here = left < pd.Timestamp(as_of) - pd.Timedelta(days=183), left.isna()
    assert (stage[gone].isin(["lost", "silent"])).mean() > 0.9
    assert (stage[here] == "lost").mean() < 0.1
    assert (here | gone | (stage != "lost").to_numpy())[stage == "lost"].mean() > 0.7


# Profit
def with_profit():
    people = frame(
        orders=1,
        window_orders=1,
        recency_days=1,
        frequency=0,
        age_days=1,
        window_revenue=[60.0, 25, 10, 5, -3],
    )
    return people.assign(window_profit=[2.0, 20, 4, -5, -3])


def test_abc_by_profit_by_hand():
    """Of 26 positive profit b holds 20 (77 %), with c 24 (92 %), with a all; d and e cost money."""
    people = with_profit()
    segmented = segments.segment(people, [segments.abc, segments.abc_profit])
    assert segmented.abc_revenue.tolist() == ["A", "A", "B", "C", "none"]
    assert segmented.abc_profit.tolist() == ["B", "A", "A", "loss", "loss"]
    assert summaries.profit_facts(people, segmented) == {
        "a": 2,
        "differ": 4,
        "loss": 2,
        "lost": 8.0,
    }
    apart = summaries.disagreements(people, segmented)
    assert apart.customer_id.tolist() == ["d", "a", "c", "e"]
    assert apart.margin.iloc[1] == pytest.approx(2 / 60)


def test_without_costs_there_is_no_class_of_profit(sample, sample_segments):
    made, lacking = segments.chosen({"transactions.amount"})
    assert "abc_profit" not in [entry.name for entry in made]
    assert lacking["abc_profit"] == ["transactions.cost"]
    assert summaries.profit_facts(sample, sample_segments) == {}
    assert set(summaries.concentrations(sample).measure) == {"revenue"}


def test_profit_of_the_log_is_amount_less_cost(ledger):
    lines = ledger(
        [("a", AS_OF, "100"), ("a", AS_OF, "-40"), ("b", AS_OF - dt.timedelta(days=400), "7")]
    )
    costs = lines.mutate(
        cost=ibis.cases((lines.amount > 50, 60), (lines.amount < 0, -25), else_=None).cast(
            "decimal(38, 12)"
        )
    )
    people = customers.at(costs, AS_OF, 365)
    assert people.window_profit.tolist() == [100 - 60 - 40 + 25, 0]


def test_profit_is_unknown_where_costs_are_not_known_for_nine_tenths_of_the_sales(ledger):
    """a: costs for 90 of 100, b: for 89 of 100, c: for nothing. Unknown is a class of its own."""
    lines = ledger(
        [
            ("a", AS_OF, "90"),
            ("a", AS_OF, "10"),
            ("b", AS_OF, "89"),
            ("b", AS_OF, "11"),
            ("c", AS_OF, "5"),
        ]
    )
    people = customers.at(
        lines.mutate(
            cost=(lines.amount > 80).ifelse(lines.amount / 2, None).cast("decimal(38, 12)")
        ),
        AS_OF,
    )
    assert people.window_profit.isna().tolist() == [False, True, True]
    assert people.window_profit[0] == 45
    segmented = segments.segment(people, [segments.abc, segments.abc_profit])
    assert segmented.abc_profit.tolist() == ["A", "unknown", "unknown"]
    assert "b" not in summaries.disagreements(people, segmented).customer_id.tolist()


# Which segmentations
def test_asked_for_by_name_rfm_abc_and_stages_come_along():
    columns = {"transactions.amount", "transactions.channel"}
    made, lacking = segments.chosen(columns, ["buys_through", "prices"])
    assert [entry.name for entry in made] == ["rfm", "abc", "lifecycle", "buys_through"]
    assert lacking == {"prices": ["transactions.discount"]}


def test_a_segmentation_that_is_none_is_named():
    with pytest.raises(InputError, match=r"there is no lifecycel; did you mean lifecycle\?"):
        segments.chosen(set(), ["lifecycel"])


@pytest.mark.parametrize("entry", SEGMENTATIONS.values(), ids=list(SEGMENTATIONS))
def test_each_entry_says_what_it_is(entry):
    assert entry.texts.term
    assert entry.texts.meaning.endswith(".")
    assert entry.lacks([]) == list(entry.needs)
    assert entry.class_column in entry.makes
    assert set(entry.makes) <= set(schema.TABLES["segments"].columns)


def test_two_entries_never_call_the_same_class_differently():
    said = {}
    for entry in SEGMENTATIONS.values():
        for name, words in entry.texts.classes.items():
            assert said.setdefault(name, words) == words


def shop(**knobs):
    columns = {"customer_id": "c", "date": "d"}
    return Dataset(
        name="shop", tables={"transactions": {"path": "x.csv", "columns": columns}}, **knobs
    )


def test_a_dataset_says_how_its_segmentations_are_made():
    knobs = {"rfm_scores": 3, "rfm_cuts": {"recency": [30, 90]}, "abc_a": 0.7, "silent_days": 30}
    found = segments.options(shop(**knobs), k=4)
    assert found["rfm"] == {
        "scores": 3,
        "weights": {},
        "cuts": {"recency": [30, 90]},
        "names": segments.RFM_SEGMENTS,
    }
    assert found["abc"] == found["abc_profit"] == {"cuts": (0.7, 0.95)}
    assert found["lifecycle"] == {"silent_days": 30, "lost_days": 0}
    assert found["clusters"]["k"] == 4


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"rfm_scores": 2}, "rfm_scores"),
        ({"rfm_scores": 11}, "rfm_scores"),
        ({"rfm_cuts": {"recency": [30, 90]}}, "5 scores need 4 ascending cut points"),
        (
            {"rfm_scores": 3, "rfm_cuts": {"recency": [90, 30]}},
            "3 scores need 2 ascending cut points",
        ),
        ({"rfm_cuts": {"age": [1, 2, 3, 4]}}, "rfm_cuts.age"),
        ({"rfm_weights": {"money": 0}}, "rfm_weights.money"),
        ({"rfm_segments": [["a", "b"], ["c"]]}, "as many names in each row as there are rows"),
        ({"abc_a": 0.95, "abc_b": 0.9}, "abc_b"),
        ({"silent_days": 90, "lost_days": 30}, "must not be below silent_days"),
    ],
)
def test_knobs_that_make_no_sense_are_named(knobs, said):
    with pytest.raises(ValueError, match=said):
        shop(**knobs)
