"""What differs between two runs of a company: key figures, tiers, stages, risk, what the plan says,
and who came onto lists, left them, or is to get another action.
"""

from typing import Any, Protocol

import pandas as pd

from analysis.report.text import N_, say
from analysis.steering import movement
from analysis.steering.kpis import KPIS
from analysis.strategy.call_lists import as_planned

FIGURES, QUARTER, STATUS = "figures", "quarter", "status"
PARTS = {
    FIGURES: N_("Key figures"),
    QUARTER: N_("The last three whole months"),
    "tier": N_("Tiers"),
    "stage": N_("Stages of life"),
    "risk_band": N_("Risk"),
    STATUS: N_("What the plan says"),
    "lists": N_("Lists"),
}
CLASSES = {kind: movement.CLASSES[kind] for kind in ("tier", "stage", "risk_band")}  # of the matrix
EVERYBODY = "everybody"
LISTS = {
    EVERYBODY: N_("Customers and prospects"),
    "plan": N_("Reached by the plan"),
    "warnings": N_("With most to lose"),
    "winback": N_("To win back"),
}
COLUMNS = ["part", "measure", "label", "form", "before", "after", "change"]
COUNTED = ["joined", "left", "changed"]


class Run(Protocol):
    """The tables of a run, and its key figures: label, form, value, by name."""

    @property
    def figures(self) -> pd.DataFrame: ...

    def __contains__(self, table: object, /) -> bool: ...

    def __getitem__(self, table: str, /) -> pd.DataFrame: ...


def measures(before: Run, after: Run) -> pd.DataFrame:
    """One row a measure: key figures as on the pages, those of the last three whole months, and
    counts of customers.

    Columns: part (of PARTS), measure, label, form (as in report.text), before, after, change, and
    of counts joined and left (customers who came and went), of lists changed (who is on it before
    and after, with another action).
    """
    rows = _figures(FIGURES, before.figures, after.figures)
    rows += _figures(QUARTER, _quarter(before), _quarter(after))
    for part, pair in _pairs(before, after).items():
        if part in LISTS:
            rows.append(_counts("lists", part, pair.before.notna(), pair.after.notna(), pair))
            continue
        for one in movement.in_order(part, {*pair.before.dropna(), *pair.after.dropna()}):
            rows.append(_counts(part, one, pair.before == one, pair.after == one))
    table = pd.DataFrame(rows, columns=[*COLUMNS, *COUNTED])
    table["change"] = table.after - table.before
    return table.astype(dict.fromkeys(COUNTED, "Int64"))


def moved(before: Run, after: Run) -> pd.DataFrame:
    """Customers of both runs whose class is another, and whoever came onto a list, left it, or is
    to get another action; of each those with most revenue first.

    Columns: customer_id, what (tier, stage, risk_band, plan, warnings, winback), before, after (the
    class or the action; empty: not on the list), revenue (of the value window, as last known).
    """
    frames = [_of_whom(what, pair) for what, pair in _pairs(before, after).items()]
    table = pd.concat(frames)
    then, now = (run["matrix"].set_index("customer_id").revenue for run in (before, after))
    table["revenue"] = table.customer_id.map(now.combine_first(then))
    order = {what: place for place, what in enumerate([*CLASSES, *LISTS])}
    placed = table.assign(place=table.what.map(order))
    by = placed.sort_values(["place", "revenue", "customer_id"], ascending=[True, False, True])
    return by.drop(columns="place").reset_index(drop=True)


def findings(moved: pd.DataFrame) -> list[tuple[str, dict[str, Any]]]:
    """What is said of `moved`: sentences and their values."""
    tiers, plan = (moved[moved.what == what] for what in ("tier", "plan"))
    way = movement.ways("tier", tiers.before, tiers.after)
    came, went = plan.before.isna(), plan.after.isna()
    return [
        (
            N_(
                "Customers in a higher tier than before: {up:int}; in a lower one: {down:int}; at"
                " another stage of life: {stage:int}."
            ),
            {"up": sum(way > 0), "down": sum(way < 0), "stage": sum(moved.what == "stage")},
        ),
        (
            N_(
                "Customers whom only the later plan reaches: {came:int}; whom only the earlier one"
                " reached: {went:int}; who are to get another action: {changed:int}."
            ),
            {"came": sum(came), "went": sum(went), "changed": sum(~came & ~went)},
        ),
    ]


def _of_whom(what: str, pair: pd.DataFrame) -> pd.DataFrame:
    known = pair.before.notna() & pair.after.notna()
    differs = known & (pair.before != pair.after)
    if what in LISTS:
        differs |= pair.before.notna() != pair.after.notna()
    if what in (STATUS, EVERYBODY):  # counted, and told by the lists
        differs &= False
    found = pair[differs].rename_axis("customer_id").reset_index()
    return found.assign(what=what)[["customer_id", "what", "before", "after"]].astype("str")


def _pairs(before: Run, after: Run) -> dict[str, pd.DataFrame]:
    """What is told of each customer (index) before and after, by class and list; empty of whom
    nothing is.
    """
    then, now = _told(before), _told(after)
    return {what: pd.DataFrame({"before": then[what], "after": now[what]}) for what in then}


def _told(run: Run) -> dict[str, pd.Series]:
    matrix, made, churn = run["matrix"].set_index("customer_id"), run["plan"], run["churn"]
    action = as_planned(made).set_index("customer_id").action.astype("str")
    listed = {
        EVERYBODY: matrix.index,
        "plan": made.customer_id[made.status == "planned"],
        "warnings": churn.customer_id[churn.warned],
        "winback": run["winback"].customer_id,
    }
    classes = {name: matrix[name] for name in CLASSES}
    classes[STATUS] = made.set_index("customer_id").status
    return classes | {name: action.reindex(ids).fillna("") for name, ids in listed.items()}


def _quarter(run: Run) -> pd.DataFrame:
    """The table kpis of a run's last three whole months as key figures."""
    if "kpis" not in run:  # which an older version made
        return pd.DataFrame(columns=["label", "form", "value"])
    kept = run["kpis"]
    last = kept[(kept.months == 3) & (kept.month_end == kept.month_end.max())].set_index("kpi")
    rows = {
        name: (say(entry.label), entry.form, last.value[name])
        for name, entry in KPIS.items()
        if name in last.index
    }
    return pd.DataFrame.from_dict(rows, "index", columns=["label", "form", "value"])


def _figures(part: str, before: pd.DataFrame, after: pd.DataFrame) -> list[dict[str, Any]]:
    """A figure whose label has changed, as its horizon, has both."""
    rows = []
    for name in dict.fromkeys([*after.index, *before.index]):
        then, now = ({} if name not in t.index else dict(t.loc[name]) for t in (before, after))
        labels = dict.fromkeys(facts["label"] for facts in (then, now) if facts)
        row = {"part": part, "measure": name, "label": " → ".join(labels)}
        row |= {
            "form": (now or then)["form"],
            "before": then.get("value"),
            "after": now.get("value"),
        }
        rows.append(row)
    return rows


def _counts(
    part: str, measure: str, then: pd.Series, now: pd.Series, pair: pd.DataFrame | None = None
) -> dict[str, Any]:
    label = say(LISTS[measure]) if part == "lists" else say.word(measure)
    row = {"part": part, "measure": measure, "label": label, "form": "int"}
    row |= {"before": then.sum(), "after": now.sum()}
    row |= {"joined": (now & ~then).sum(), "left": (then & ~now).sum()}
    if pair is not None and measure != EVERYBODY:
        row["changed"] = (then & now & (pair.before != pair.after)).sum()
    return row
