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
from analysis.segments import clusters, habits, registry, summaries
from analysis.segments.registry import ALWAYS, SEGMENTATIONS
from analysis.segments.rfm import RFM_SEGMENTS

AS_OF = dt.date(2024, 3, 31)
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


# Two kinds of buyers: ten who come each week for little, ten who come in two months for much.
BUYERS = [
    (f"{kind}{who}", AS_OF - dt.timedelta(days=days + who), f"{money + who}.5")
    for kind, every, money in (("a", 7, 5), ("b", 60, 500))
    for who in range(10)
    for days in range(0, 200, every)
]


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch):
    """The rest of ten would only take time."""
    monkeypatch.setattr(clusters, "DRAWS", 2)
    monkeypatch.setattr(clusters, "STARTS", 2)
    monkeypatch.setattr(clusters, "MOST", 3)


def test_each_entry_is_complete():
    """Words, classes, columns, what it needs, and its place in the contract of `segments`."""
    contract = registry.CONTRACT.columns
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
    schema.conform("segments", whole, registry.CONTRACT)
    assert whole.customer_id.tolist() == people.customer_id.tolist()
    for entry in EVERY:
        classes = whole[entry.class_column]
        assert classes.isna().sum() == 0 or entry.makes[entry.class_column].empty, entry.name
        words = {word for name in classes.dropna() for word in name.split("+")}
        assert entry.name in OWN_WORDS or words <= set(entry.classes), entry.name
    counted = summaries.overview(people, whole, EVERY).groupby("segmentation").customers.sum()
    assert counted.drop("clusters", errors="ignore").eq(len(people)).all()


@given(LOG)
@settings(max_examples=2)
def test_every_customer_stands_in_one_known_class(ledger, log):
    keeps_the_contract(everything(ledger, log))


def test_degenerate_customers_and_nobody_are_segmented_all_the_same(ledger):
    for log in DEGENERATE.values():
        keeps_the_contract(everything(ledger, log))
    nobody = everything(ledger, DEGENERATE["one customer"]).iloc[:0]
    assert registry.segment(nobody, EVERY).empty


def test_input_stays_untouched_and_the_order_of_rows_does_not_matter(ledger):
    log = [("abcdef"[n % 6], AS_OF - dt.timedelta(days=7 * n), str(n)) for n in range(40)]
    people = everything(ledger, log)
    before, made = people.copy(), registry.segment(people, EVERY)
    shuffled = registry.segment(people.sample(frac=1, random_state=7), EVERY)
    pd.testing.assert_frame_equal(people, before)
    pd.testing.assert_frame_equal(shuffled.sort_values("customer_id", ignore_index=True), made)


def test_neither_the_currencys_unit_nor_whole_weeks_change_a_segment(ledger):
    """As far as the columns of a bare log of orders allow."""
    made = [entry for entry in EVERY if set(entry.needs) <= {"transactions.amount"}]
    weeks = dt.timedelta(weeks=26)
    people, moved = people_of(ledger(BUYERS), AS_OF), [(w, d + weeks, m) for w, d, m in BUYERS]
    found = registry.segment(people, made)
    assert len(found.cluster.unique()) > 1
    pd.testing.assert_frame_equal(
        registry.segment(people_of(ledger(moved), AS_OF + weeks), made), found
    )
    money = ["window_revenue", "order_value", "revenue", "repeat_value"]
    for factor in (0.001, 1000):
        scaled = people.assign(**{name: people[name] * factor for name in money})
        pd.testing.assert_frame_equal(registry.segment(scaled, made), found)


def test_asked_for_by_name_rfm_abc_and_stages_come_along():
    columns = {"transactions.amount", "transactions.channel"}
    made, lacking = registry.chosen(columns, ["buys_through", "prices"])
    assert [entry.name for entry in made] == ["abc", "lifecycle", "rfm", "buys_through"]
    assert lacking.to_numpy().tolist() == [["prices", "transactions", "discount"]]
    made, lacking = registry.chosen(columns)
    assert {"clusters", "basket", "regularity"} < {entry.name for entry in made}
    of_needs = lacking[lacking.segmentation == "needs"]
    assert of_needs.table.tolist() == ["interactions", "transactions"]


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


def test_what_the_dataset_and_the_notebook_want_is_made(ledger):
    people = people_of(ledger(BUYERS), AS_OF)
    made = registry.segment(people, ALWAYS, shop(rfm_scores=3), lifecycle={"lost_days": 1})
    assert made.r_score.max() == 3
    assert set(made.lost_after_days) == {1}


def test_knobs_that_make_no_sense_are_named():
    for knobs, said in (
        ({"rfm_scores": 2}, "rfm_scores"),
        ({"rfm_scores": 11}, "rfm_scores"),
        ({"rfm_cuts": {"recency": [30, 90]}}, "5 scores need 4 ascending cut points"),
        ({"rfm_scores": 3, "rfm_cuts": {"recency": [90, 30]}}, "3 scores need 2 ascending"),
        ({"rfm_cuts": {"age": [1, 2, 3, 4]}}, "rfm_cuts.age"),
        ({"rfm_weights": {"money": 0}}, "rfm_weights.money"),
        ({"rfm_segments": [["a", "b"], ["c"]]}, "as many names in each row as there are rows"),
        ({"abc_a": 0.95, "abc_b": 0.9}, "abc_b"),
        ({"silent_days": 90, "lost_days": 30}, "must not be below silent_days"),
    ):
        with pytest.raises(ValueError, match=said):
            shop(**knobs)
