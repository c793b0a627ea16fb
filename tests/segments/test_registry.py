"""One contract over all segmentations, whatever the customers."""

import datetime as dt

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import customers, schema
from analysis.errors import InputError
from analysis.intake.dataset import Dataset
from analysis.schema import RECORDS, Column
from analysis.segments import habits, registry, summaries
from analysis.segments.registry import ALWAYS, SEGMENTATIONS
from analysis.segments.rfm import RFM_SEGMENTS

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
OWN_WORDS = ("buys_through", "attributes", "interests", "needs")  # classes are the company's
EVERY = tuple(SEGMENTATIONS.values())


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
    return registry.gather(known, habits.habits(transactions, as_of))


@pytest.fixture(scope="module")
def sample(cdnow_sample):
    return people_of(cdnow_sample, NOW, 365)


def test_each_entry_is_complete():
    """Words, classes, columns, what it needs, and its place in the contract of `segments`."""
    contract = schema.contract("segments").columns
    columns = {f"{table}.{name}" for table, of in RECORDS.items() for name in of.columns}
    columns.add("transactions.moment")  # kept of transactions.date
    for name, entry in SEGMENTATIONS.items():
        assert entry.term and entry.meaning.endswith("."), name
        assert entry.classes and all(entry.classes.values()), name
        assert entry.class_column in entry.makes, name
        assert all(isinstance(column, Column) for column in entry.makes.values()), name
        assert set(entry.makes) <= set(contract), name
        assert {contract[column].optional for column in entry.makes} == {not entry.always}, name
        assert set(entry.needs) <= columns and not (entry.always and entry.needs), name
        assert entry.lacks([]) == list(entry.needs) and entry.lacks(entry.needs) == [], name
        assert entry.options(shop()).keys() <= entry.make.__annotations__.keys(), name
    made = [column for entry in EVERY for column in entry.makes]
    assert sorted(contract) == sorted(["customer_id", *made])


def test_two_entries_never_call_the_same_class_differently():
    said = {}
    for entry in EVERY:
        for name, words in entry.classes.items():
            assert said.setdefault(name, words) == words
    assert registry.labels() == said | {entry.name: entry.term for entry in EVERY}


def keeps_the_contract(people):
    whole = registry.segment(people, EVERY)
    schema.conform("segments", whole)
    assert whole.customer_id.tolist() == people.customer_id.tolist()
    for entry in EVERY:
        classes = whole[entry.class_column]
        assert classes.isna().sum() == 0 or entry.makes[entry.class_column].empty, entry.name
        words = {word for name in classes.dropna() for word in name.split("+")}
        assert entry.name in OWN_WORDS or words <= set(entry.classes), entry.name
    counted = summaries.overview(people, whole, EVERY).groupby("segmentation").customers.sum()
    assert counted.drop("clusters", errors="ignore").eq(len(people)).all()


@given(LOG)
@settings(max_examples=10)
def test_every_customer_stands_in_one_known_class(ledger, log):
    keeps_the_contract(everything(ledger, log))


def test_degenerate_customers_and_nobody_are_segmented_all_the_same(ledger):
    for log in DEGENERATE.values():
        keeps_the_contract(everything(ledger, log))
    nobody = everything(ledger, DEGENERATE["one customer"]).iloc[:0]
    assert registry.segment(nobody, EVERY).empty


def test_input_stays_untouched_and_the_order_of_rows_does_not_matter(ledger, sample):
    log = [("abcdef"[n % 6], AS_OF - dt.timedelta(days=7 * n), str(n)) for n in range(40)]
    for people, entries in ((everything(ledger, log), EVERY), (sample, ALWAYS)):
        before, made = people.copy(), registry.segment(people, entries)
        shuffled = registry.segment(people.sample(frac=1, random_state=7), entries)
        pd.testing.assert_frame_equal(people, before)
        pd.testing.assert_frame_equal(shuffled.sort_values("customer_id", ignore_index=True), made)


@pytest.mark.parametrize("factor", ["0.001", "1000"])
def test_the_currencys_unit_changes_no_segment(cdnow_sample, sample, factor):
    made = [entry for entry in EVERY if set(entry.needs) <= {"transactions.amount"}]
    amount = cdnow_sample.amount * ibis.literal(float(factor))
    scaled = cdnow_sample.mutate(amount=amount.cast("decimal(38, 12)"))
    pd.testing.assert_frame_equal(
        registry.segment(people_of(scaled, NOW, 365), made), registry.segment(sample, made)
    )


@given(LOG, st.integers(-60, 60))
@settings(max_examples=10)
def test_a_shift_by_whole_weeks_changes_no_segment(ledger, log, weeks):
    shift = dt.timedelta(weeks=weeks)
    names = ("rfm", "abc", "lifecycle", "day_of_week", "regularity", "basket")
    made = [SEGMENTATIONS[name] for name in names]
    moved = [(who, day + shift, money) for who, day, money in log]
    pd.testing.assert_frame_equal(
        registry.segment(people_of(ledger(log), AS_OF), made),
        registry.segment(people_of(ledger(moved), AS_OF + shift), made),
    )


def test_asked_for_by_name_rfm_abc_and_stages_come_along():
    columns = {"transactions.amount", "transactions.channel"}
    made, lacking = registry.chosen(columns, ["buys_through", "prices"])
    assert [entry.name for entry in made] == ["rfm", "abc", "lifecycle", "buys_through"]
    assert lacking == {"prices": ["transactions.discount"]}
    made, lacking = registry.chosen(columns)
    assert {"clusters", "basket", "regularity"} < {entry.name for entry in made}
    assert lacking["needs"] == ["interactions.category", "transactions.category"]


def test_a_segmentation_that_is_none_is_named():
    with pytest.raises(InputError, match=r"there is no lifecycel; did you mean lifecycle\?"):
        registry.chosen(set(), ["lifecycel"])


def shop(**knobs):
    columns = {"customer_id": "c", "date": "d"}
    return Dataset(
        name="shop", tables={"transactions": {"path": "x.csv", "columns": columns}}, **knobs
    )


def test_a_dataset_says_how_its_segmentations_are_made():
    knobs = {"rfm_scores": 3, "rfm_cuts": {"recency": [30, 90]}, "abc_a": 0.7, "silent_days": 30}
    found = {name: entry.options(shop(**knobs)) for name, entry in SEGMENTATIONS.items()}
    assert found["rfm"] == {
        "scores": 3,
        "weights": {},
        "cuts": {"recency": [30, 90]},
        "names": RFM_SEGMENTS,
    }
    assert found["abc"] == found["abc_profit"] == {"cuts": (0.7, 0.95)}
    assert found["lifecycle"] == {"silent_days": 30, "lost_days": 0}
    assert found["clusters"] == {"seed": 1997}
    assert found["basket"] == {}


def test_what_the_dataset_and_the_notebook_want_is_made(sample):
    made = registry.segment(sample, ALWAYS, shop(rfm_scores=3), lifecycle={"lost_days": 1})
    assert made.r_score.max() == 3
    assert set(made.lost_after_days) == {1}


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
