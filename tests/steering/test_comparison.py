"""Two runs compared, by hand and by what must hold of any two."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.steering import comparison
from analysis.steering.comparison import CLASSES, COUNTED, LISTS


class Run(dict):
    """Tables of a run: of each customer tier, stage, risk, revenue, status and action."""

    def __init__(self, figures=None, warned=(), away=(), kpis=None, **customers):
        rows = [(name, *facts) for name, facts in customers.items()]
        columns = ["customer_id", "tier", "stage", "risk_band", "revenue", "status", "action"]
        facts = pd.DataFrame(rows, columns=columns).astype({"revenue": "float64"})
        made = facts[["customer_id", "status", "action"]].astype("str")
        made = made.assign(channel="phone", owner="sales", account_owner="", due=pd.NaT)
        churn = facts[["customer_id"]].assign(warned=facts.customer_id.isin(warned))
        winback = pd.DataFrame({"customer_id": list(away)}, dtype="str")
        super().__init__(matrix=facts[columns[:5]], plan=made, churn=churn, winback=winback)
        if kpis is not None:
            kept = pd.DataFrame(kpis, columns=["kpi", "months", "month_end", "value"])
            self["kpis"] = kept.astype({"month_end": "datetime64[s]"})
        index = ["label", "form", "value"]
        self.figures = pd.DataFrame.from_dict(figures or {}, "index", columns=index)


PLANNED, NOT = ("planned", "call"), ("not_worth", None)
BEFORE = Run(
    {"revenue": ("Revenue", "money", 1000.0), "leavers": ("Leave in 91 days", "int", 12.0)},
    warned=["a", "b"],
    a=("strategic", "loyal", "low", 500, *PLANNED),
    b=("ordinary", "repeat", "high", 90, *PLANNED),
    d=("ordinary", "loyal", "low", 40, *PLANNED),
    e=("ordinary", "loyal", "low", 30, *PLANNED),
    c=("ordinary", "silent", "high", 10, *NOT),
    gone=("potential", "prospect", "none", np.nan, *NOT),
    kpis=[("revenue", 3, "2026-06-30", 50.0), ("revenue", 1, "2026-06-30", 20.0)],
)
AFTER = Run(
    {"revenue": ("Revenue", "money", 1100.0), "leavers": ("Leave in 60 days", "int", 9.0)},
    warned=["b", "c"],
    away=["c"],
    a=("important", "loyal", "low", 300, "planned", "visit"),
    b=("strategic", "repeat", "medium", 700, *NOT),
    c=("ordinary", "lost", "high", 10, *PLANNED),
    d=("ordinary", "silent", "low", 40, "planned", "visit"),
    e=("important", "silent", "low", 30, *PLANNED),
    new=("ordinary", "new", "low", 20, *PLANNED),
    more=("potential", "prospect", "none", np.nan, *PLANNED),
    kpis=[
        ("repeat_rate", 3, "2026-09-30", 0.5),
        ("revenue", 3, "2026-06-30", 50.0),
        ("revenue", 3, "2026-09-30", 60.0),
        ("revenue", 12, "2026-09-30", 200.0),
    ],
)


def counted(measures, part, measure):
    [row] = measures[(measures.part == part) & (measures.measure == measure)].to_dict("records")
    return [row[name] for name in ("before", "after", "change", "joined", "left")]


def test_measures_by_hand():
    found = comparison.measures(BEFORE, AFTER)
    assert counted(found, "tier", "strategic") == [1, 1, 0, 1, 1]
    assert counted(found, "tier", "important") == [0, 2, 2, 2, 0]
    assert counted(found, "tier", "ordinary") == [4, 3, -1, 1, 2]
    assert counted(found, "tier", "potential") == [1, 1, 0, 1, 1]
    assert counted(found, "stage", "loyal") == [3, 1, -2, 0, 2]
    assert counted(found, "risk_band", "high") == [2, 1, -1, 0, 1]
    assert counted(found, "status", "planned") == [4, 6, 2, 3, 1]
    assert counted(found, "lists", "everybody") == [6, 7, 1, 2, 1]
    assert counted(found, "lists", "plan") == [4, 6, 2, 3, 1]
    assert counted(found, "lists", "warnings") == [2, 2, 0, 1, 1]
    assert counted(found, "lists", "winback") == [0, 1, 1, 1, 0]
    lists = found[found.part == "lists"].set_index("measure")
    # a and d are to be visited, not called; of b, warned of before and after, nobody calls any more
    assert lists.changed.dropna().to_dict() == {"plan": 2, "warnings": 1, "winback": 0}
    figures = found[found.part == "figures"].set_index("measure")
    assert figures.change.to_dict() == {"revenue": 100.0, "leavers": -3.0}
    assert figures.label.to_dict() == {
        "revenue": "Revenue",
        "leavers": "Leave in 91 days → Leave in 60 days",
    }
    quarter = found[found.part == "quarter"]
    assert quarter.measure.tolist() == ["revenue", "repeat_rate"]
    assert quarter.label.tolist() == ["Revenue", "Customers with two orders or more"]
    assert quarter[["before", "after", "change"]].iloc[0].tolist() == [50.0, 60.0, 10.0]
    assert quarter.before.isna().tolist() == [False, True] and quarter.form.iloc[1] == "percent"
    tiers = found[found.part == "tier"].measure.tolist()
    assert tiers == ["strategic", "important", "ordinary", "potential"]


def test_who_moved_by_hand():
    found = comparison.moved(BEFORE, AFTER).astype(object)
    rows = found.where(found.notna(), None).to_numpy().tolist()
    not_worth = "No action: none pays"
    assert rows == [
        ["b", "tier", "ordinary", "strategic", 700.0],
        ["a", "tier", "strategic", "important", 300.0],
        ["e", "tier", "ordinary", "important", 30.0],
        ["d", "stage", "loyal", "silent", 40.0],
        ["e", "stage", "loyal", "silent", 30.0],
        ["c", "stage", "silent", "lost", 10.0],
        ["b", "risk_band", "high", "medium", 700.0],
        ["b", "plan", "call", None, 700.0],
        ["a", "plan", "call", "visit", 300.0],
        ["d", "plan", "call", "visit", 40.0],
        ["new", "plan", None, "call", 20.0],
        ["c", "plan", None, "call", 10.0],
        ["more", "plan", None, "call", None],
        ["b", "warnings", "call", not_worth, 700.0],
        ["a", "warnings", "call", None, 300.0],
        ["c", "warnings", None, "call", 10.0],
        ["c", "winback", None, "call", 10.0],
    ]
    [(_, tiers), (_, plan)] = comparison.findings(comparison.moved(BEFORE, AFTER))
    assert tiers == {"up": 2, "down": 1, "stage": 3}
    assert plan == {"came": 3, "went": 1, "changed": 2}


def test_a_figure_that_only_one_run_has_is_not_compared():
    found = comparison.measures(Run(), AFTER)
    figures = found[found.part == "figures"]
    assert figures.before.isna().all() and figures.change.isna().all()
    assert figures.after.tolist() == [1100.0, 9.0]
    assert comparison.measures(AFTER, Run())[lambda t: t.part == "figures"].before.notna().all()


def test_of_nobody_nothing_is_said():
    found = comparison.measures(Run(), Run())
    assert found.part.unique().tolist() == ["lists"] and (found.after == 0).all()
    assert comparison.moved(Run(), Run()).empty
    assert comparison.findings(comparison.moved(Run(), Run()))[0][1]["up"] == 0


@st.composite
def runs_of(draw):
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    facts = {
        name: (
            *(draw(st.sampled_from(CLASSES[part])) for part in CLASSES),
            draw(st.floats(0, 100)),
            draw(st.sampled_from(["planned", "not_worth", "held_back"])),
            draw(st.sampled_from(["call", "visit"])),
        )
        for name in names
    }
    some = st.lists(st.sampled_from(names), unique=True) if names else st.just([])
    return Run(warned=draw(some), away=draw(some), **facts)


@given(runs_of(), runs_of())
def test_counts_add_up_and_turn_round(one, two):
    there, back = comparison.measures(one, two), comparison.measures(two, one)
    assert (there.before + there.joined - there.left == there.after).all()
    assert (there.change == there.after - there.before).all()
    both = there.merge(back, on=["part", "measure"], suffixes=("", "_back"))
    assert len(both) == len(there) == len(back)
    assert (both.change == -both.change_back).all() and (both.joined == both.left_back).all()
    assert both.changed.fillna(0).equals(both.changed_back.fillna(0))
    for part in (*CLASSES, "status"):
        some = there[there.part == part]
        assert (some.before.sum(), some.after.sum()) == (len(one["matrix"]), len(two["matrix"]))
    moved = comparison.moved(one, two)
    assert not moved.duplicated(["customer_id", "what"]).any()
    assert (moved.before.fillna("") != moved.after.fillna("")).all()
    lists = there[there.part == "lists"].set_index("measure")[COUNTED].sum(axis=1)
    for name in LISTS.keys() - {"everybody"}:
        assert (moved.what == name).sum() == lists[name]


@given(runs_of())
def test_a_run_is_no_different_from_itself(one):
    found = comparison.measures(one, one)
    assert (found.change == 0).all() and not found[COUNTED].fillna(0).any(axis=None)
    assert comparison.moved(one, one).empty
