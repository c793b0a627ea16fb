from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from analysis.models import reasons
from analysis.models.churn_features import CONCEPTS, concept_features, facts
from analysis.models.churn_models import CHURN_MODELS, Risk
from analysis.report.text import say, values_in

NOTHING = float("nan")
FEATURES = [
    *(name for concept in CONCEPTS.values() for name in concept.features),
    "is_region_0",
    "is_region_1",
]
STRENGTH = st.sampled_from([-2.0, -1, -0.1, -0.05, 0, 0.05, 0.1, 1, 2])
EFFECTS = st.lists(st.lists(STRENGTH, min_size=6, max_size=6), min_size=1, max_size=8)
NUMBERS = st.sampled_from([NOTHING, 0.0, 1.0, 2.0, 90.0])


def drawn(customers=800, seed=1):
    """Features of customers, and who left: by silence, complaints and the profile, as a known truth
    says.
    """
    random = np.random.default_rng(seed)
    told = pd.DataFrame(random.normal(size=(customers, len(FEATURES))), columns=FEATURES)
    told["complaints"] = random.poisson(0.5, customers)
    told["is_region_0"] = random.integers(0, 2, customers)
    told.loc[random.random(customers) < 0.2, "usual_pause"] = NOTHING
    gone = random.random(customers) < expit(
        1.5 * told.recency - told.expected + told.complaints + told.is_region_0 - 1
    )
    return told, pd.Series(gone)


@pytest.fixture(scope="module", params=["logistic", "trees", "recency_rule"])
def fitted(request):
    """A model of each kind, with its customers and the median of those who stayed."""
    told, gone = drawn()
    model = CHURN_MODELS[request.param].make().fit(told, gone)
    return SimpleNamespace(
        risk=Risk(model, 0.8, -0.3), told=told, usual=told[~gone].median(), name=request.param
    )


class OnOne:
    """A model that goes by one feature alone."""

    def __init__(self, feature):
        self.feature = feature

    def predict_proba(self, told):
        chance = expit(told[self.feature].to_numpy())
        return np.column_stack([1 - chance, chance])


def replaced(fitted, concept):
    """The risk of all, were they in one respect as usual, by the model itself."""
    told = fitted.told.copy()
    for name in CONCEPTS[concept].features or ["is_region_0", "is_region_1"]:
        told[name] = fitted.usual[name]
    inside = logit(fitted.risk.model.predict_proba(told)[:, 1])
    return expit(0.8 * inside - 0.3)


# Faithful to the model
def test_an_effect_is_by_how_much_the_usual_features_change_the_log_odds(fitted):
    found = reasons.effects(fitted.risk, fitted.told, fitted.usual)
    now = logit(fitted.risk.predict(fitted.told))
    assert set(found) == set(CONCEPTS)
    for concept in found:
        np.testing.assert_allclose(
            found[concept], now - logit(replaced(fitted, concept)), atol=1e-8
        )
    assert found.abs().to_numpy().max() > 1  # something moves


def test_no_other_concept_lowers_a_high_risk_as_much_as_the_first_reason(fitted):
    found = reasons.effects(fitted.risk, fitted.told, fitted.usual)
    first = reasons.strongest(found, found.sum(axis=1) > 0)[0]
    high = ((found.sum(axis=1) > 0) & (first >= 0)).to_numpy()
    assert high.sum() > 100
    after = np.column_stack([replaced(fitted, concept) for concept in found])
    of_first = after[np.arange(len(after)), first.clip(lower=0)]
    np.testing.assert_allclose(of_first[high], after.min(axis=1)[high], rtol=1e-9)
    assert (of_first < fitted.risk.predict(fitted.told))[high].all()


@pytest.mark.parametrize(
    ("feature", "concept"), [("recency", "silence"), ("age", "time"), ("is_region_1", "profile")]
)
def test_what_the_model_goes_by_alone_is_the_only_reason_of_everybody(feature, concept):
    told, gone = drawn()
    told["is_region_1"] = np.random.default_rng(2).normal(size=len(told))
    usual = told[~gone].median()
    found = reasons.effects(Risk(OnOne(feature)), told, usual)
    first = reasons.strongest(found, found.sum(axis=1) > 0)
    far = ((told[feature] - usual[feature]).abs() >= reasons.LEAST_EFFECT).to_numpy()
    assert far.any() and not far.all()
    assert (first[0][far] == list(found).index(concept)).all()
    assert (first[0][~far] == -1).all() and (first.drop(columns=0) == -1).all(None)
    assert list(reasons.drivers(found)) == [
        pytest.approx((told[feature] - usual[feature]).abs().mean())
    ]
    assert reasons.drivers(found).index.tolist() == [concept]


def test_only_features_that_there_are_make_a_concept():
    told, gone = drawn(100)
    few = told[["recency", "age"]]
    assert list(reasons.effects(Risk(OnOne("age")), few, few[~gone].median())) == [
        "silence",
        "time",
    ]


def test_without_a_model_nothing_is_said():
    told, _ = drawn(3)
    found = reasons.effects(None, told, pd.Series(dtype=float))
    assert found.shape == (3, 0)
    assert reasons.sentences(people(3), found).tolist() == ["", "", ""]
    assert reasons.drivers(found).empty
    assert reasons.sentences(people(0), found.head(0)).tolist() == []


# Which are said
def test_strongest_by_hand():
    found = pd.DataFrame(
        [
            [0.5, 0.1, -3.0, 0.2, 0.3],  # above: the three that speak most for it
            [0.5, 0.1, -3.0, 0.2, 0.3],  # below: the one that speaks against it
            [0.2, 0.2, 0.2, 0.2, 0.2],  # of equals the first
            [np.nextafter(0.1, 0), 0.1, 0.0, -9, 0],  # too weak by a hair, just enough
            [0.0, 0.0, 0.0, 0.0, 0.0],
        ]
    )
    made = reasons.strongest(found, pd.Series([True, False, True, True, False]))
    assert made.to_numpy().tolist() == [
        [0, 4, 3],
        [2, -1, -1],
        [0, 1, 2],
        [1, -1, -1],
        [-1, -1, -1],
    ]


@given(EFFECTS, st.booleans())
def test_reasons_speak_one_way_the_strongest_first_and_no_strong_one_is_passed_over(rows, high):
    made = reasons.strongest(pd.DataFrame(rows), pd.Series([high] * len(rows)))
    for row, codes in zip(rows, made.to_numpy(), strict=True):
        towards = [value if high else -value for value in row]
        wanted = sorted(
            (-value, code) for code, value in enumerate(towards) if value >= reasons.LEAST_EFFECT
        )
        assert [code for code in codes if code >= 0] == [code for _, code in wanted[:3]]
        assert len(codes) == reasons.MOST_REASONS


def test_who_is_likelier_to_leave_is_told_what_speaks_for_it_and_others_what_against():
    found = pd.DataFrame({"time": [0.5, 0.5], "breadth": [-0.2, -0.6]})
    assert reasons.sentences(people(2, items=4.0), found).tolist() == [
        "customer for 400 days",
        "kinds of products bought: 4",
    ]


def test_drivers_are_mean_effects_of_either_sign_the_strongest_first():
    found = pd.DataFrame(
        {"time": [0.0, 0.0], "pace": [1.0, -1.0], "orders": [-2.0, 4.0], "spend": [-1.0, 1.0]}
    )
    told = reasons.drivers(found)
    assert told.index.tolist() == ["orders", "pace", "spend"]  # of equals the first
    assert told.tolist() == [3, 1, 1]


# Sentences
def people(count=1, **facts):
    """Customers as from churn.describe, as far as sentences need them; all alike."""
    usual = {
        "orders": 12,
        "frequency": 11,
        "age_days": 400,
        "recency_days": 68,
        "usual_pause": 29.6,
        "order_value": 19.5,
        "orders_91": 2,
        "orders_182": 7,
        "revenue_91": 30.0,
        "revenue_182": 130.0,
        "contacts": 2.0,
        "contact_days_ago": 12.0,
        "complaints": 1.0,
        "open_tickets": 0.0,
        "satisfaction": 0.75,
        "returns": 2.0,
        "items": 4.0,
        "treated": 3.0,
        "visits": 5.0,
        "renewal_days": 40.0,
    }
    return pd.DataFrame({"customer_id": [f"<b>{n}</b>" for n in range(count)]} | usual | facts)


def said(*concepts, **facts):
    return reasons.sentences(people(**facts), pd.DataFrame([dict.fromkeys(concepts, 1.0)]))[0]


@pytest.mark.parametrize(
    ("concept", "facts", "words"),
    [
        ("silence", {}, "days between orders, usually: 30; since the last: 68"),
        ("silence", {"frequency": 0, "usual_pause": NOTHING}, "has ordered once, 68 days ago"),
        ("pace", {}, "orders of the last 91 days: 2, of the 91 before: 5"),
        ("orders", {}, "12 order days in 400 days"),
        ("orders", {"frequency": 0, "orders": 1}, "has ordered once, 68 days ago"),
        ("spend", {}, "spend of the last 91 days down 70\N{NO-BREAK SPACE}%"),
        ("spend", {"revenue_182": 50.0}, "spend of the last 91 days up 50\N{NO-BREAK SPACE}%"),
        ("spend", {"revenue_91": 0.0}, "spend of the last 91 days down 100\N{NO-BREAK SPACE}%"),
        (
            "spend",
            {"revenue_91": 105.0, "revenue_182": 205.0},
            "an order is worth $20",
        ),  # 5 % up is no change
        (
            "spend",
            {"revenue_91": 110.0, "revenue_182": 210.0},
            "spend of the last 91 days up 10\N{NO-BREAK SPACE}%",
        ),
        ("spend", {"revenue_182": 30.0}, "an order is worth $20"),  # none before
        (
            "spend",
            {"revenue_182": 10.0},
            "an order is worth $20",
        ),  # more came back before than was bought
        ("time", {}, "customer for 400 days"),
        ("time", {"frequency": 0}, "has ordered once, 68 days ago"),
        ("returns", {}, "lines returned within a year: 2"),
        ("breadth", {}, "kinds of products bought: 4"),
        ("contacts", {}, "days with contact in the last 91: 2, the last 12 days ago"),
        ("contacts", {"contacts": 0.0, "contact_days_ago": NOTHING}, "no contact on record"),
        ("visits", {}, "days on the web site in the last 91: 5"),
        ("complaints", {}, "complaints in the last 91 days: 1, still open: 0"),
        ("satisfaction", {}, "last satisfaction 75\N{NO-BREAK SPACE}% of the scale"),
        ("satisfaction", {"satisfaction": NOTHING}, "has never said how satisfied"),
        ("campaigns", {}, "reached by campaigns within a year: 3"),
        ("renewal", {}, "the contract ends, or is renewed, in 40 days"),
        ("renewal", {"renewal_days": NOTHING}, "no end of the contract on record"),
        ("profile", {}, "like others of the same profile"),
    ],
)
def test_reasons_in_words(concept, facts, words):
    assert said(concept, **facts) == words


def test_reasons_stand_in_a_row_and_what_is_the_same_is_said_once():
    assert said("time", "breadth") == "customer for 400 days; kinds of products bought: 4"
    assert said("silence", "orders", "time", frequency=0) == "has ordered once, 68 days ago"
    assert (
        said("silence", "breadth", "time", frequency=0)
        == "has ordered once, 68 days ago; kinds of products bought: 4"
    )


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.sampled_from([0, 3])), min_size=1, max_size=8),
    st.randoms(),
)
def test_a_customer_is_told_the_same_alone_as_among_others(rows, random):
    """Sentences are made once for each set of figures: everybody must get the own one, unknown
    figures among them.
    """
    pauses, scores, counts, repeats = zip(*rows, strict=True)
    known = people(
        len(rows),
        usual_pause=pauses,
        satisfaction=scores,
        contact_days_ago=counts,
        frequency=repeats,
    )
    concepts = ["silence", "satisfaction", "contacts", "orders"]
    found = pd.DataFrame([{c: random.choice([0.0, 1.0, 2.0]) for c in concepts} for _ in rows])
    together = reasons.sentences(known, found)
    alone = [reasons.sentences(known.iloc[[n]], found.iloc[[n]]).iloc[0] for n in range(len(rows))]
    assert together.tolist() == alone


def test_rows_need_not_be_numbered_from_zero():
    known = people(3, age_days=[1, 2, 3]).iloc[[2, 0]]
    told = reasons.sentences(known, pd.DataFrame({"time": [1.0, 1.0]}, known.index))
    assert told.to_dict() == {2: "customer for 3 days", 0: "customer for 1 days"}


@pytest.mark.parametrize("concept", CONCEPTS)
def test_what_is_not_known_is_never_said_as_a_number(concept):
    unknown = dict.fromkeys(people().columns.drop("customer_id"), NOTHING)
    with_all, without = (
        people(**unknown),
        people(**unknown).drop(columns=["items", "returns", "complaints", "treated"]),
    )
    for known in (with_all, without):
        words = reasons.sentences(known, pd.DataFrame({concept: [1.0]}))[0]
        assert words
        assert not any(nothing in words for nothing in ("nan", "NaN", "None", "NaT", "<NA>", "inf"))


# The registries
VARIED = pd.concat(
    [
        people(),
        people(frequency=0),
        people(revenue_182=50.0),
        people(revenue_182=30.0),
        people(contact_days_ago=NOTHING),
        people(satisfaction=NOTHING),
    ],
    ignore_index=True,
)


def test_every_concept_and_every_model_has_its_words():
    """A concept a label and sentences whose values are known; a model a label."""
    told = facts(VARIED)
    for name, concept in CONCEPTS.items():
        which = concept.sentence
        for sentence in {which} if isinstance(which, str) else {*which(told)}:
            assert sentence and {value for value, _ in values_in(sentence)} <= {*told}, name
        assert say.labels[name] == concept.label
    assert {*concept_features(pd.Index(FEATURES))} == {*CONCEPTS}
    for name, model in CHURN_MODELS.items():
        assert say.labels[name] == model.label


def test_no_text_of_the_data_is_said():
    told = VARIED.assign(region="<script>", category="Robert'); --", last_items="=1+1")
    for concept in CONCEPTS:
        words = " ".join(reasons.sentences(told, pd.DataFrame({concept: 1.0}, told.index)))
        assert "<" not in words and "Robert" not in words and "=1" not in words
