"""What has changed beyond chance in the last two months, and what to do about it.

A rule gives what is now beside what is usual, of the whole or of groups, and the chance of that.
Most are a figure by month, which raises an alert where the last AGO months together lie further
from the months before than these differ among themselves, so that a season or a noisy figure asks
for more. All tests of a month share one chance of a false alarm. A rule of facts that are certain
gives no chance, and only what is worth an alert.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from analysis.report.privacy import shown_staff
from analysis.report.text import N_, say
from analysis.steering.causes import OF_PROFILES
from analysis.steering.facts import Facts, Span, month_end
from analysis.steering.kpis import FEWEST, KPIS, estimate
from analysis.steering.record import missed

MOST_NAMED = 5  # customers of an alert
AGO = 2  # months that are held against those before
USUAL, LEAST_USUAL = 24, 10  # months before, at most and at least
FALSE = 1 / 12  # false alarms a month that all tests together may raise: half of one in six months
WHOLE = ""  # the group of all
SMALLEST = 0.001  # of the usual figure: what a month differs by at least, where it never did


Who = Callable[[Facts, str], pd.Index]


def nobody(facts: Facts, group: str) -> pd.Index:
    """Of a rule that is of no customers."""
    return pd.Index([], dtype="int64")


ROWS = ["group", "now", "usual", "p"]  # what a rule gives


@dataclass(frozen=True)
class Rule:
    """`measure`: the change of strategy it asks for. `of` gives a row for each group that could be
    judged: group (WHOLE, or a name), now, usual, p (the chance of that where nothing has changed;
    empty: certain, and worth an alert). `who`: the customers that it is of. `beside`: what the
    usual figure is called.
    """

    label: str
    form: str
    measure: str
    of: Callable[[Facts], pd.DataFrame]
    who: Who
    beside: str = N_("usually")


RULES: dict[str, Rule] = {}
Entered = Callable[[Callable[[Facts], pd.DataFrame]], None]


def rule(
    label: str, form: str, measure: str, who: Who = nobody, beside: str = N_("usually")
) -> Entered:
    """Enter a function into RULES, by its name."""

    def entered(of: Callable[[Facts], pd.DataFrame]) -> None:
        RULES[of.__name__] = Rule(label, form, measure, of, who, beside)

    return entered


def by_month(
    label: str, form: str, bad: str, least: float, measure: str, who: Who = nobody
) -> Entered:
    """Enter a function that gives a figure by end of month (index) and group (columns). `bad`,
    `least` as in `tested`.
    """

    def entered(figures: Callable[[Facts], pd.DataFrame]) -> None:
        @wraps(figures)
        def rows(facts: Facts) -> pd.DataFrame:
            return tested(figures(facts), bad, least)

        rule(label, form, measure, who)(rows)

    return entered


def _months(facts: Facts, of: Callable[[Span], pd.Series]) -> pd.DataFrame:
    """A figure by month and group."""
    found = {span.end: of(span) for span in facts.spans(1, USUAL + AGO)}
    return pd.DataFrame(found).T.sort_index()


def _of_tier(facts: Facts, tier: str, column: str) -> pd.DataFrame:
    """What a customer who was in a tier when the month began has in it: orders or money."""

    def each(span: Span) -> pd.Series:
        tiers = facts.tier(span.start)
        mine = tiers.index[tiers == tier]
        if len(mine) < FEWEST:
            return pd.Series({WHOLE: np.nan})
        return pd.Series({WHOLE: facts.during(span)[column].reindex(mine).sum() / len(mine)})

    return _months(facts, each)


def in_tier(tier: str) -> Who:
    """Those of a tier before the last AGO months."""

    def found(facts: Facts, group: str) -> pd.Index:
        tiers = facts.tier(month_end(facts.last, -AGO))
        return tiers.index[tiers == tier]

    return found


def in_group(facts: Facts, group: str) -> pd.Index:
    """Those whose profile names the group."""
    people = _people(facts)
    return people.index[people.eq(group).any(axis=1)]


def _people(facts: Facts) -> pd.DataFrame:
    """The groups that profiles put each customer in."""
    people = facts.records.profile_columns(*OF_PROFILES)
    numbers = facts.ids.get_indexer(people.pop("customer_id"))
    shown = people.map(lambda name: shown_staff(name) if pd.notna(name) else None)
    return shown.set_index(numbers)


def _kpi(facts: Facts, name: str, tier: str = "") -> pd.DataFrame:
    """A key figure of each month, of all or of those in a tier when the month began."""

    def figure(span: Span) -> pd.Series:
        parts = KPIS[name].of(facts, span)
        if tier:
            parts = parts[parts.index.map(facts.tier(span.start)) == tier]
        return pd.Series({WHOLE: estimate(parts)})

    return _months(facts, figure)


@by_month(
    N_("Satisfaction of strategic customers"),
    "percent",
    "lower",
    0.1,
    N_("adjust the service: talk to those who answered badly, and let their owners visit sooner"),
    in_tier("strategic"),
)
def strategic_satisfaction(facts: Facts) -> pd.DataFrame:
    return _kpi(facts, "satisfied", "strategic")


@by_month(
    N_("Orders of a strategic customer in a month"),
    "number",
    "lower",
    0.1,
    N_("have their owners ask why, beginning with those who have gone silent"),
    in_tier("strategic"),
)
def strategic_orders(facts: Facts) -> pd.DataFrame:
    return _of_tier(facts, "strategic", "orders")


@by_month(
    N_("Orders of an important customer in a month"),
    "number",
    "lower",
    0.1,
    N_("adjust the offer: products and terms for those who order less often"),
    in_tier("important"),
)
def important_orders(facts: Facts) -> pd.DataFrame:
    return _of_tier(facts, "important", "orders")


@by_month(
    N_("Money from an important customer in a month"),
    "money",
    "lower",
    0.1,
    N_("adjust the offer: larger orders by bundles or terms"),
    in_tier("important"),
)
def important_money(facts: Facts) -> pd.DataFrame:
    return _of_tier(facts, "important", "revenue")


@by_month(
    N_("Orders of an ordinary customer in a month"),
    "number",
    "lower",
    0.1,
    N_("adjust campaigns: other occasions, other channels, other offers"),
    in_tier("ordinary"),
)
def ordinary_orders(facts: Facts) -> pd.DataFrame:
    return _of_tier(facts, "ordinary", "orders")


@by_month(
    N_("Prospects who order within a month of the first contact"),
    "percent",
    "lower",
    0.2,
    N_("adjust acquisition: where prospects come from, and what they are offered first"),
)
def prospects_won(facts: Facts) -> pd.DataFrame:
    """Of those whose first contact lies in the month before."""
    month = pd.Timedelta(days=30)

    def share(span: Span) -> pd.Series:
        due = facts.prospects[
            (facts.prospects + month > span.start) & (facts.prospects + month <= span.end)
        ]
        first = facts.life["first"].reindex(due.index)
        return pd.Series({WHOLE: float((first <= due + month).mean()) if len(due) else np.nan})

    return _months(facts, share)


@by_month(
    N_("Value of an order"),
    "money",
    "either",
    0.08,
    N_("look whether prices, products or quantities changed, and whether forecasts know it"),
)
def order_value(facts: Facts) -> pd.DataFrame:
    return _kpi(facts, "order_value")


@by_month(
    N_("Share of the customers with an order"),
    "percent",
    "lower",
    0.2,
    N_("ask who serves them what happened there"),
    in_group,
)
def share_of_group(facts: Facts) -> pd.DataFrame:
    """By region, industry and owner: what moves all moves none of them. Classes of FEWEST customers
    or more.
    """
    people = _people(facts)
    if people.columns.empty:
        return pd.DataFrame()

    def counts(span: Span) -> pd.Series:
        ordered = facts.during(span)
        mine = people.reindex(ordered.index[ordered.orders > 0])
        every = [mine[name].value_counts() for name in mine]
        return pd.concat([*every, pd.Series({WHOLE: len(mine)})]).groupby(level=0).sum()

    found = _months(facts, counts).fillna(0)
    large = found.columns[found.mean() >= FEWEST].drop(WHOLE, errors="ignore")
    return found[large].div(found[WHOLE], axis=0)


@by_month(
    N_("Lines of a source of the records"),
    "int",
    "lower",
    0.8,
    N_("find out whether the source still delivers; what rests on it is out of date"),
)
def lines_of_source(facts: Facts) -> pd.DataFrame:
    """By table of the records, and of order lines by channel."""
    return facts.lines.reindex(columns=facts.lines.columns[facts.lines.max() >= FEWEST])


@by_month(
    N_("Complaints opened"),
    "int",
    "higher",
    0.25,
    N_("find the product, process or owner that the complaints are about"),
)
def complaints(facts: Facts) -> pd.DataFrame:
    return _kpi(facts, "complaints")


@by_month(
    N_("Share of revenue with the largest customer"),
    "percent",
    "higher",
    0.25,
    N_("widen what the company rests on: plan for the day this customer leaves"),
)
def concentration(facts: Facts) -> pd.DataFrame:
    def share(span: Span) -> pd.Series:
        money = facts.during(span).revenue
        return pd.Series({WHOLE: money.max() / money.sum() if money.sum() > 0 else np.nan})

    return _months(facts, share)


@rule(
    N_("What came in the horizon of an earlier run"),
    "int",
    N_("look for what changed since, and do not plan by totals until forecasts hold again"),
    beside=N_("foretold"),
)
def missed_forecasts(facts: Facts) -> pd.DataFrame:
    """Of the latest run whose horizon ended within the last AGO months."""
    if facts.record is None:
        return pd.DataFrame(columns=ROWS)
    horizon = pd.Timedelta(days=facts.settings.horizon_days)
    return missed(facts.record[facts.record.day + horizon > month_end(facts.last, -AGO)])


def tested(figures: pd.DataFrame, bad: str, least: float) -> pd.DataFrame:
    """The ROWS of figures by month: the mean of the last AGO months and of those before, and the
    chance of a difference as bad as that (Student's t); 1 where it is less than `least`, as a
    share of the usual. `bad`: lower, higher, or either.
    """
    rows = []
    for group in figures:
        known = figures[group].dropna()
        now, usual = known.iloc[-AGO:], known.iloc[:-AGO].iloc[-USUAL:]
        if len(usual) < LEAST_USUAL or known.index[-1] != figures.index[-1]:
            continue
        spread = max(float(usual.std()), SMALLEST * abs(float(usual.mean())), 1e-12)
        far = (now.mean() - usual.mean()) / (spread * np.sqrt(1 / len(now) + 1 / len(usual)))
        tail = {"lower": far, "higher": -far, "either": -abs(far)}[bad]
        p = float(student.cdf(tail, len(usual) - 1)) * (2 if bad == "either" else 1)
        p = p if abs(now.mean() - usual.mean()) >= least * abs(usual.mean()) else 1.0
        rows.append((str(group), float(now.mean()), float(usual.mean()), p))
    return pd.DataFrame(rows, columns=ROWS)


def raised(facts: Facts) -> pd.DataFrame:
    """The alerts of the last month, what is certain first, then the surest.

    Columns: alert (of RULES), and ROWS. `attrs`: rules, how many could be judged.
    """
    parts = [entry.of(facts).assign(alert=name) for name, entry in RULES.items()]
    every = pd.concat([part for part in parts if len(part)] or parts[:1])[["alert", *ROWS]]
    found = every[every.p.isna() | (every.p < FALSE / max(every.p.count(), 1))]
    found = found.sort_values(["p", "alert", "group"], na_position="first", ignore_index=True)
    found.attrs["rules"] = every.alert.nunique()
    return found


def listed(facts: Facts) -> pd.DataFrame:
    """The table alerts.csv: `raised`, with month_end, text (the alert in words), measure (what to
    do) and customers (ids of up to MOST_NAMED who brought most less than in the year before).
    """
    found = raised(facts)
    rows = found.to_dict("records")
    words = [
        dict(zip(("text", "measure", "customers"), _words(facts, r), strict=True)) for r in rows
    ]
    told = pd.DataFrame(words, columns=["text", "measure", "customers"], dtype="str")
    listed = found.assign(month_end=facts.last).join(told)
    listed.attrs = found.attrs
    return listed


def _words(facts: Facts, row: dict[str, Any]) -> tuple[str, str, str]:
    entry = RULES[row["alert"]]
    now, usual = (say.form(entry.form, row[name]) for name in ("now", "usual"))
    values = {"label": entry.label, "group": row["group"], "now": now, "usual": usual}
    values["beside"] = entry.beside
    text = (
        say("{label:word}, {group:word}: {now:text}, {beside:word} {usual:text}", **values)
        if row["group"]
        else say("{label:word}: {now:text}, {beside:word} {usual:text}", **values)
    )
    return text, say.word(entry.measure), ", ".join(whom(facts, row["alert"], row["group"]))


def whom(facts: Facts, name: str, group: str) -> list[str]:
    """Ids of the customers of a tier or group whose revenue of the last AGO months fell most
    against as many months of the year before; none where an alert is of no customers.
    """
    mine = RULES[name].who(facts, group)
    now, year = Span(facts.last, AGO), Span(month_end(facts.last, -AGO), 12)
    bought = (facts.during(s).revenue.reindex(mine).fillna(0) for s in (now, year))
    fall = next(bought) - next(bought) * AGO / 12
    return facts.ids[fall[fall < 0].nsmallest(MOST_NAMED).index].tolist()


def sentences(found: pd.DataFrame) -> Iterator[tuple[str, dict[str, object]]]:
    """The alerts of `listed` for a page."""
    for row in found.to_dict("records"):
        yield N_("Alert: {text:text}. What to do: {measure:text}."), row
