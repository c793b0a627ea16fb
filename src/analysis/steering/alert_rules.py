"""The rules of alerts: each gives what is now beside what is usual, and the chance of that."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from analysis.models import history
from analysis.report.text import N_, say
from analysis.steering.alert_registry import (
    AGO,
    LEAST_USUAL,
    ROWS,
    USUAL,
    WHOLE,
    by_month,
    in_group,
    in_tier,
    lately,
    months,
    rule,
    tested,
)
from analysis.steering.alert_registry import RULES as RULES
from analysis.steering.facts import Facts, Span, month_end
from analysis.steering.kpis import FEWEST, KPIS, estimate
from analysis.steering.record import missed
from analysis.strategy import cycles, tiers
from analysis.strategy.feedback import LIMITS

PAUSED = ("silent", "lost")
LATE, MONTH_DAYS = 2, 31  # times the longest time without a line; what is longer months tell
LARGE = 0.05  # share of revenue with one customer that a company has to think of
SLOW = 0.9  # of the closed complaints were closed sooner
CLASSES, SHIFT = 8, 0.1  # of a mix, beside the others; the least index that is called a shift
UNDONE, GRACE_DAYS = 5, 7  # actions at least, and days after they were due


def _kpi(facts: Facts, span: Span, name: str, tier: str = "") -> dict[str, float]:
    """A key figure, of all or of those in a tier when the month began."""
    parts = KPIS[name].of(facts, span)
    if tier:
        parts = parts[parts.index.map(facts.tier(span.start)) == tier]
    return {WHOLE: estimate(parts)}


def _of_tier(facts: Facts, span: Span, tier: str, column: str) -> dict[str, float]:
    """What a customer who was in a tier when the month began, and not lost, has in it: orders or
    money. The lost grow in number with a log's age, without anything having changed.
    """
    then = facts.standing(span.start)
    mine = then.index[(then.tier == tier) & (then.stage != "lost")]
    if len(mine) < FEWEST:
        return {WHOLE: np.nan}
    return {WHOLE: facts.during(span)[column].reindex(mine).sum() / len(mine)}


@by_month(
    N_("Satisfaction of strategic customers"),
    "percent",
    "lower",
    0.1,
    in_tier("strategic"),
)
def strategic_satisfaction(facts: Facts, span: Span) -> dict[str, float]:
    return _kpi(facts, span, "satisfied", "strategic")


@by_month(
    N_("Orders of a strategic customer in a month"),
    "number",
    "lower",
    0.1,
    in_tier("strategic"),
)
def strategic_orders(facts: Facts, span: Span) -> dict[str, float]:
    return _of_tier(facts, span, "strategic", "orders")


@by_month(
    N_("Orders of an important customer in a month"),
    "number",
    "lower",
    0.1,
    in_tier("important"),
)
def important_orders(facts: Facts, span: Span) -> dict[str, float]:
    return _of_tier(facts, span, "important", "orders")


@by_month(
    N_("Money from an important customer in a month"),
    "money",
    "lower",
    0.1,
    in_tier("important"),
)
def important_money(facts: Facts, span: Span) -> dict[str, float]:
    return _of_tier(facts, span, "important", "revenue")


@by_month(
    N_("Orders of an ordinary customer in a month"),
    "number",
    "lower",
    0.1,
    in_tier("ordinary"),
)
def ordinary_orders(facts: Facts, span: Span) -> dict[str, float]:
    return _of_tier(facts, span, "ordinary", "orders")


@by_month(
    N_("Prospects who order within a month of the first contact"),
    "percent",
    "lower",
    0.2,
)
def prospects_won(facts: Facts, span: Span) -> dict[str, float]:
    """Of those whose first contact lies in the month before."""
    until = facts.prospects + pd.Timedelta(days=30)
    due = until[(until > span.start) & (until <= span.end)]
    first = facts.life["first"].reindex(due.index)
    return {WHOLE: float((first <= due).mean()) if len(due) else np.nan}


@by_month(
    N_("Value of an order"),
    "money",
    "either",
    0.08,
)
def order_value(facts: Facts, span: Span) -> dict[str, float]:
    return _kpi(facts, span, "order_value")


@rule(
    N_("Share of the customers with an order"),
    "percent",
    in_group,
)
def share_of_group(facts: Facts) -> pd.DataFrame:
    """By region, industry and owner: what moves all moves none of them. Classes of FEWEST customers
    or more.
    """
    found = months(facts, customers_by_group).fillna(0)
    large = found.columns[found.mean() >= FEWEST].drop(WHOLE, errors="ignore")
    return tested(
        found[large].div(found[WHOLE], axis=0) if len(large) else found[large], "lower", 0.2
    )


def customers_by_group(facts: Facts, span: Span) -> dict[str, float]:
    """Who ordered in a month, by group and of all."""
    ordered = facts.during(span)
    mine = facts.groups.reindex(ordered.index[ordered.orders > 0])
    every = [mine[name].value_counts() for name in mine]
    counts = pd.concat([pd.Series(dtype=float), *every]).groupby(level=0).sum()
    return {**counts, WHOLE: len(mine)}


@by_month(
    N_("Lines of a source of the records"),
    "int",
    "lower",
    0.8,
)
def lines_of_source(facts: Facts, span: Span) -> dict[str, float]:
    """By table of the records, and by channel of each."""
    return {**facts.lines.loc[span.start + pd.Timedelta(days=1) : span.end].sum()}


@by_month(
    N_("Complaints opened"),
    "int",
    "higher",
    0.25,
)
def complaints(facts: Facts, span: Span) -> dict[str, float]:
    return _kpi(facts, span, "complaints")


def largest(facts: Facts, group: str) -> pd.Index:
    """Who brought most in the last AGO months."""
    return facts.during(Span(facts.last, AGO)).revenue.nlargest(1).index


@rule(
    N_("Share of revenue with the largest customer"),
    "percent",
    largest,
)
def concentration(facts: Facts) -> pd.DataFrame:
    """Nothing that matters below LARGE."""
    rows = tested(months(facts, largest_share), "higher", 0.25)
    return rows.assign(p=rows.p.where(rows.now >= LARGE, 1.0))


def largest_share(facts: Facts, span: Span) -> dict[str, float]:
    money = facts.during(span).revenue
    return {WHOLE: money.max() / money.sum() if money.sum() > 0 else np.nan}


@rule(
    N_("What came in the horizon of an earlier run"),
    "int",
    told=N_("{now:text}, foretold {usual:text}"),
)
def missed_forecasts(facts: Facts) -> pd.DataFrame:
    """Of the latest run whose horizon ended within the last AGO months."""
    if facts.record is None:
        return pd.DataFrame(columns=ROWS)
    horizon = pd.Timedelta(days=facts.settings.horizon_days)
    return missed(facts.record[facts.record.day + horizon > month_end(facts.last, -AGO)])


def in_trouble(facts: Facts, span: Span) -> pd.Series:
    """WHOLE, by customer who was strategic when the month began and in it fell silent, was lost, or
    last gave a bad score.
    """
    then, now = facts.standing(span.start), facts.standing(span.end).stage.isin(PAUSED)
    awake = then.index[(then.tier == "strategic") & ~then.stage.isin(PAUSED)]
    said = {kind: facts.scores(kind, span) for kind in LIMITS}
    bad = [scores.index[scores <= LIMITS[kind][1]] for kind, scores in said.items()]
    strategic = then.index[then.tier == "strategic"]
    silent = awake[now.reindex(awake, fill_value=False)]
    return pd.Series(WHOLE, silent.union(strategic.intersection(bad[0].union(bad[1]))))


@by_month(
    N_("Strategic customers who in a month fell silent or gave a bad score"),
    "int",
    "higher",
    0.25,
    lately(in_trouble),
)
def strategic_trouble(facts: Facts, span: Span) -> dict[str, float]:
    known = len(facts.standing(span.start))
    return {WHOLE: len(in_trouble(facts, span)) if known else np.nan}


@by_month(
    N_("Value to come of a tier, against a month before"),
    "percent",
    "lower",
    0.25,
    in_tier(),
)
def tier_value(facts: Facts, span: Span) -> dict[str, float]:
    """Of those who were in the tier when the month began."""
    then, now = facts.standing(span.start), facts.standing(span.end)
    if then.empty:
        return {WHOLE: np.nan}
    value = pd.DataFrame({"then": tiers.value_to_come(then), "now": tiers.value_to_come(now)})
    by = value.loc[then.index].groupby(then.tier)
    sums = by.sum()[(by.size() >= FEWEST) & (by.then.sum() > 0)]
    return {**(sums.now / sums.then - 1)}


@rule(
    N_("Days without a line of a source"),
    "int",
    told=N_("{now:text}, never more than {usual:text} before"),
)
def late(facts: Facts) -> pd.DataFrame:
    """Sources that have been without a line LATE times as long as ever in the USUAL months; after a
    month lines_of_source tells it.
    """
    rows, end = [], pd.Timestamp(facts.as_of)
    for name, lines in facts.lines.loc[month_end(end, -USUAL) : end].items():
        days = lines.index[lines > 0]
        if len(days) >= FEWEST:
            now, longest = (end - days[-1]).days, int(np.diff(days).max() / np.timedelta64(1, "D"))
            if LATE * longest < now <= MONTH_DAYS:
                rows.append((name, now, longest, np.nan))
    return pd.DataFrame(rows, columns=ROWS)


@rule(
    N_("Share in what models learn from"),
    "percent",
)
def drift(facts: Facts) -> pd.DataFrame:
    """By mix: the class that moved most. A mix has shifted where the population stability index of
    its last months against those before is SHIFT or more, and their distance from the mean of all
    others further than months usually have.
    """
    parts = []
    for name, counts in facts.mixes.items():
        there = counts.reindex([span.end for span in facts.spans(1, USUAL + AGO)][::-1]).dropna()
        if len(there) < LEAST_USUAL + AGO or there.index[-1] != facts.last:
            continue
        common = there.sum().nlargest(CLASSES).index
        few = there[common].assign(others=there.drop(columns=common).sum(axis=1)) + 0.5
        mix = few.div(few.sum(axis=1), axis=0)
        usual, now = mix[:-AGO], mix[-AGO:].mean()
        rest = (usual.sum() - usual) / (len(usual) - 1)
        far = pd.concat([shifts(usual, rest), shifts(mix[-AGO:], usual.mean())]).sum(axis=1)
        row = tested(np.sqrt(far).to_frame(), "higher", 0.0)
        moved = shifts(now.to_frame().T, usual.mean()).iloc[0]
        most = moved.idxmax()
        shown = {"group": _class(name, most), "now": now[most], "usual": usual[most].mean()}
        parts.append(row.assign(**shown, p=row.p if moved.sum() >= SHIFT else 1.0))
    return pd.concat([pd.DataFrame(columns=ROWS), *parts])


def _class(mix: str, of: Any) -> str:
    """A class of Facts.mixes in words."""
    if of != "others" and mix in ("order_value", "pause"):
        of = f"{2.0**of:g}–{2.0 ** (of + 1):g}"
    texts = {
        "order_value": N_("orders worth {of:text}"),
        "pause": N_("pauses of {of:text} days"),
        "channel": N_("channel {of:text}"),
        "category": N_("category {of:text}"),
    }
    return say(texts[mix], of=str(of))


def shifts(mix: pd.DataFrame, usual: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """What each class adds to the population stability index."""
    return (mix - usual) * np.log(mix / usual)


def visits_overdue(facts: Facts, span: Span) -> pd.Series:
    """The owner, by customer whose visit is overdue at the end of a month: of those in the tiers
    that the care calendar visits, and who may be contacted.
    """
    then, care = facts.tier(span.end), facts.settings.care
    wait = {"strategic": care.strategic_days, "important": care.important_days}
    wait = {tier: days for tier, days in wait.items() if days}
    last = facts.touched[facts.touched.day <= span.end].drop_duplicates("customer", keep="last")
    paused = (span.end - last.set_index("customer").day).dt.days
    late = paused.reindex(then.index) > then.map(wait).astype(float)
    refused = facts.consent.index[~facts.consent]
    return facts.owners.reindex(then.index[late].difference(refused)).dropna()


@by_month(
    N_("Visits overdue"),
    "int",
    "higher",
    0.25,
    lately(visits_overdue),
)
def overdue(facts: Facts, span: Span) -> dict[str, float]:
    if facts.tier(span.end).empty:
        return {}
    return _by_owner(facts, span, visits_overdue)


def open_long(facts: Facts, span: Span) -> pd.Series:
    """The owner, by customer with a complaint of the last year that at the end of a month is open
    for longer than most take.
    """
    told = facts.complaints[facts.complaints.day <= span.end]
    closed = told.closed.where(told.closed <= span.end)
    age = span.end - told.day
    long = age > (closed - told.day).quantile(SLOW)
    mine = told[closed.isna() & long & (age <= pd.Timedelta(days=history.LONG_DAYS))]
    return facts.owners.reindex(mine.customer.unique()).dropna()


@by_month(
    N_("Customers with a complaint that is open for longer than nine in ten"),
    "int",
    "higher",
    0.25,
    lately(open_long),
)
def complaints_open(facts: Facts, span: Span) -> dict[str, float]:
    """From the log's second year on: before there are few that could be open for long."""
    return _by_owner(facts, span, open_long) if facts.covers(Span(span.end, 12)) else {}


def _by_owner(facts: Facts, span: Span, of: Callable[[Facts, Span], pd.Series]) -> dict[str, float]:
    """Customers by owner, of those who look after any."""
    counts = of(facts, span).value_counts()
    return {**counts.reindex(facts.owners.unique(), fill_value=0)}


def calls_due(facts: Facts) -> pd.DataFrame:
    """By customer whom the plan in force was to call or visit by GRACE_DAYS ago: owner, done (was
    in contact since it began).
    """
    plan = None if facts.plans is None else cycles.in_force(facts.plans, facts.as_of)
    if plan is None or facts.records.interactions is None:
        return pd.DataFrame({"owner": [], "done": []})
    due = plan[(plan.status == "planned") & plan.channel.isin(["phone", "visit"])]
    due = due[due.due < pd.Timestamp(facts.as_of) - pd.Timedelta(days=GRACE_DAYS)]
    met = history.last_contact(facts.records.interactions, facts.as_of).reindex(due.customer_id)
    numbers = facts.ids.get_indexer(due.customer_id)
    done = (met.to_numpy() >= due["first"]).to_numpy()
    return pd.DataFrame({"owner": facts.owners.reindex(numbers), "done": done}, numbers)


def _undone(facts: Facts, group: str) -> pd.Index:
    found = calls_due(facts)
    mine = (found.owner == group) | (group == WHOLE)
    return found.index[mine & ~found.done.astype(bool)]


@rule(
    N_("Calls and visits of the plan that are past due without a contact"),
    "int",
    _undone,
    N_("{now:text} of {usual:text}"),
)
def calls_undone(facts: Facts) -> pd.DataFrame:
    """Where more than half of UNDONE or more are not done: of all, else of owners."""
    found = calls_due(facts)
    for by in (WHOLE, found.owner):
        each = found.assign(by=by).groupby("by").done.agg(due="size", done="sum")
        mostly = each[(each.due >= UNDONE) & (2 * each.done < each.due)]
        rows = zip(mostly.index, mostly.due - mostly.done, mostly.due, strict=True)
        if len(mostly):
            break
    return pd.DataFrame([(*row, np.nan) for row in rows], columns=ROWS)
