"""Key figures of whole months: against the months before, the same months a year before, and
chance.

Each is a sum over customers, or a sum over another, so that how far it moves by chance follows from
how much customers differ from one time to the next (Taylor's rule for a ratio).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis import schema
from analysis.report.text import N_, labelled, say
from analysis.steering.facts import UNSEEN, Facts, Span
from analysis.strategy import tiers
from analysis.strategy.feedback import LIMITS

SPANS = (1, 3, 12)  # months
ENDS = 24  # of months, that the series have
SURE = 1.96  # standard errors: 95 %
FEWEST = 30  # customers that a ratio is of; of fewer chance is not known
MOST_CARDS, QUARTER = 6, 3
ON_CARDS = (
    "revenue",
    "active",
    "stopped",
    "new",
    "satisfied",
    "strategic_share",
    "order_value",
    "orders_each",
    "repeat_rate",
)
AGAINST = {
    "before": N_("{moved:text} on the quarter before"),
    "year": N_("{moved:text} on a year before"),
}
VERDICT_COLUMNS = ["before_verdict", "year_verdict"]
VERDICTS = labelled(
    {
        "better": N_("better"),
        "worse": N_("worse"),
        "more": N_("more"),
        "less": N_("less"),
        "chance": N_("within chance"),
    },
    str,
)


@dataclass(frozen=True)
class Kpi:
    """`better` is higher, lower, or empty where it depends. `of` gives, by customer, what the
    figure sums: above, and below where it is divided by that sum; nothing where it is not known.
    `of_sample`: of those who happened to answer, who stand for the others. `stock`: a sum as of the
    end of the months, whatever their number.
    """

    label: str
    form: str
    better: str
    of: Callable[[Facts, Span], pd.DataFrame]
    of_sample: bool
    stock: bool


KPIS: dict[str, Kpi] = {}


def kpi(
    label: str, form: str, better: str = "", of_sample: bool = False, stock: bool = False
) -> Callable[[Callable[..., pd.DataFrame]], None]:
    """Enter a function into KPIS, by its name."""

    def entered(of: Callable[[Facts, Span], pd.DataFrame]) -> None:
        KPIS[of.__name__] = Kpi(label, form, better, of, of_sample, stock)

    return entered


def _sum(values: pd.Series) -> pd.DataFrame:
    return values.astype(float).to_frame("above")


def _ratio(above: pd.Series, below: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"above": above.astype(float), "below": below.astype(float)})


def _share(holds: pd.Series) -> pd.DataFrame:
    return _ratio(holds, pd.Series(1.0, holds.index))


def _within(days: pd.Series, span: Span) -> pd.Series:
    return (days > span.start) & (days <= span.end)


def _active(facts: Facts, span: Span) -> pd.DataFrame:
    found = facts.during(span)
    return found[found.orders > 0]


@kpi(N_("Revenue"), "money", "higher")
def revenue(facts: Facts, span: Span) -> pd.DataFrame:
    """Net money: returns are taken off in their own month."""
    return _sum(facts.during(span).revenue.dropna())


@kpi(N_("Margin, where costs are known"), "money", "higher")
def profit(facts: Facts, span: Span) -> pd.DataFrame:
    found = facts.during(span)
    return _sum(found.profit.dropna() if "profit" in found else pd.Series(dtype=float))


@kpi(N_("Customers with an order"), "int", "higher")
def active(facts: Facts, span: Span) -> pd.DataFrame:
    return _sum(_active(facts, span).orders > 0)


@kpi(N_("New customers"), "int", "higher")
def new(facts: Facts, span: Span) -> pd.DataFrame:
    """Whose first order lies in the months; in the log's first half year they may be older."""
    if not facts.covers(Span(span.end, span.months + UNSEEN)):
        return _sum(pd.Series(dtype=float))
    return _sum(_within(facts.life["first"], span).loc[lambda holds: holds])


@kpi(N_("Customers who came back"), "int", "higher")
def back(facts: Facts, span: Span) -> pd.DataFrame:
    """With an order, none in as many months before, and one before these."""
    if not facts.covers(Span(span.end, span.months + max(span.months, UNSEEN))):
        return _sum(pd.Series(dtype=float))
    known = _active(facts, span).index.difference(_active(facts, span.before).index)
    return _sum((facts.life["first"].reindex(known) <= span.start).loc[lambda holds: holds])


@kpi(N_("Customers who stopped"), "int", "lower")
def stopped(facts: Facts, span: Span) -> pd.DataFrame:
    """With an order in as many months before, and none in these."""
    if not facts.covers(Span(span.end, span.months + max(span.months, UNSEEN))):
        return _sum(pd.Series(dtype=float))
    gone = _active(facts, span.before).index.difference(_active(facts, span).index)
    return _sum(pd.Series(1.0, gone))


@kpi(N_("Orders per customer"), "number", "higher")
def orders_each(facts: Facts, span: Span) -> pd.DataFrame:
    """Of who ordered in the months."""
    return _share(_active(facts, span).orders)


@kpi(N_("Value of an order"), "money", "higher")
def order_value(facts: Facts, span: Span) -> pd.DataFrame:
    """Net money by orders."""
    found = facts.during(span).dropna(subset="revenue")
    return _ratio(found.revenue, found.orders)


@kpi(N_("Customers with two orders or more"), "percent")
def repeat_rate(facts: Facts, span: Span) -> pd.DataFrame:
    """Of all who ever ordered by the end of the months: without newcomers it can only rise."""
    known = facts.life[facts.life["first"] <= span.end]
    second = known["first"] + pd.to_timedelta(known.second_after, unit="D")
    return _share(second <= span.end)


@kpi(N_("New customers who ordered again within the horizon"), "percent", "higher")
def second_order_rate(facts: Facts, span: Span) -> pd.DataFrame:
    """Of those whose first order is a horizon old, those of as many months."""
    horizon = pd.Timedelta(days=facts.settings.horizon_days)
    due = facts.life[_within(facts.life["first"] + horizon, span)]
    return _share(due.second_after <= facts.settings.horizon_days)


@kpi(N_("Share of revenue with strategic customers"), "percent")
def strategic_share(facts: Facts, span: Span) -> pd.DataFrame:
    """By the tier at the end of the months."""
    money, tiers = facts.during(span).revenue.dropna(), facts.tier(span.end)
    if tiers.empty:
        return _share(pd.Series(dtype=float))
    return _ratio(money.where(money.index.map(tiers) == "strategic", 0.0), money)


@kpi(N_("Revenue of the value window, less after long pauses"), "money", "higher", stock=True)
def value_to_come(facts: Facts, span: Span) -> pd.DataFrame:
    """As tiers count it at any day: what the value window brought, less after a long pause."""
    people = facts.standing(span.end)
    known = len(people) and people.window_revenue.notna().any()
    return _sum(tiers.value_to_come(people) if known else pd.Series(dtype=float))


@kpi(N_("Satisfied customers"), "percent", "higher", of_sample=True)
def satisfied(facts: Facts, span: Span) -> pd.DataFrame:
    """Of those who answered, by the last answer: 4 or 5 of 5."""
    return _share(facts.scores("csat", span) >= LIMITS["csat"][0])


@kpi(N_("Net promoter score"), "short", "higher", of_sample=True)
def nps(facts: Facts, span: Span) -> pd.DataFrame:
    """Points of 100: those who would recommend less those who would not, by the last answer."""
    said, (from_, up_to) = facts.scores("nps", span), LIMITS["nps"]
    return _share(100.0 * ((said >= from_).astype(int) - (said <= up_to).astype(int)))


@kpi(N_("Complaints opened"), "int", "lower")
def complaints(facts: Facts, span: Span) -> pd.DataFrame:
    opened = facts.complaints[_within(facts.complaints.day, span)]
    return _sum(opened.groupby("customer").size())


@kpi(N_("Days until a complaint is closed"), "number", "lower")
def days_to_close(facts: Facts, span: Span) -> pd.DataFrame:
    """Of those closed in the months."""
    closed = facts.complaints[_within(facts.complaints.closed, span)]
    by = (closed.closed - closed.day).dt.days.groupby(closed.customer)
    return _ratio(by.sum(), by.size())


@kpi(N_("New prospects who ordered within the horizon"), "percent", "higher")
def conversion(facts: Facts, span: Span) -> pd.DataFrame:
    """Of those whose first contact is a horizon old, those of as many months."""
    horizon = pd.Timedelta(days=facts.settings.horizon_days)
    due = facts.prospects[_within(facts.prospects + horizon, span)]
    return _share(facts.life["first"].reindex(due.index) <= due + horizon)


@kpi(N_("Customers who may be contacted"), "percent", "higher")
def contactable(facts: Facts, span: Span) -> pd.DataFrame:
    """Of those with a profile. Since when, profiles do not say: it is known of today alone."""
    return _share(facts.consent if span.end == facts.last else facts.consent[:0])


@kpi(N_("Contacts with a strategic customer"), "number", "higher")
def strategic_contacts(facts: Facts, span: Span) -> pd.DataFrame:
    """Days with a contact by staff, by strategic customer at the end of the months."""
    tiers = facts.tier(span.end)
    mine = tiers.index[tiers == "strategic"] if len(facts.contacts) else tiers.index[:0]
    met = facts.contacts[_within(facts.contacts.day, span)].groupby("customer").size()
    return _share(met.reindex(mine, fill_value=0))


def estimate(parts: pd.DataFrame) -> float:
    """The figure; nan where nothing is known of it."""
    if parts.empty:
        return float("nan")
    if "below" not in parts:
        return float(parts.above.sum())
    below = parts.below.sum()
    return float(parts.above.sum() / below) if below > 0 else float("nan")


def _apart(parts: pd.DataFrame) -> pd.Series:
    """How far each customer moves a figure that is a ratio."""
    return (parts.above - estimate(parts) * parts.below) / parts.below.sum()


def interval(name: str, parts: pd.DataFrame) -> tuple[float, float]:
    """The 95 % interval of a figure of a sample; nan of any other, and of too few."""
    if not KPIS[name].of_sample or len(parts) < FEWEST:
        return float("nan"), float("nan")
    reach = SURE * float(np.sqrt((_apart(parts) ** 2).sum()))
    return estimate(parts) - reach, estimate(parts) + reach


def change(now: pd.DataFrame, before: pd.DataFrame) -> tuple[float, float]:
    """How much the figure moved, and the standard error of that were all customers alike to chance:
    who is in both counts in both. nan where it is not known, or of too few.
    """
    nothing = float("nan"), float("nan")
    if now.empty or before.empty:
        return nothing
    moved = estimate(now) - estimate(before)
    if "below" in now:
        if min(now.below.gt(0).sum(), before.below.gt(0).sum()) < FEWEST:
            return moved, float("nan")
        one, other = _apart(now), _apart(before)
    else:
        one, other = now.above, before.above
    each = one.sub(other, fill_value=0.0)
    return moved, float(np.sqrt((each**2).sum()))


def verdict(name: str, low: float, high: float, closed: bool = False) -> str:
    """One of VERDICTS, by the 95 % interval of the change; empty where that is not known. Of a
    closed group, which can only fall, nothing is better or worse.
    """
    if np.isnan(low):
        return ""
    if low <= 0 <= high:
        return "chance"
    better = KPIS[name].better
    if closed or not better:
        return "more" if low > 0 else "less"
    return "better" if (low > 0) == (better == "higher") else "worse"


def compared(facts: Facts, name: str, span: Span, tier: str = "") -> dict[str, Any]:
    """One figure: value; before (as many months before) and year (the same months a year before),
    each with change, low, high (95 %) and verdict. `tier`: of customers who are in it at the end of
    the months.
    """

    def parts(of: Span) -> pd.DataFrame:
        found = KPIS[name].of(facts, of) if facts.covers(of) else pd.DataFrame()
        return found[found.index.map(facts.tier(span.end)) == tier] if tier else found

    now = parts(span)
    row = _row(name, span, now)
    for which, of in (("before", span.before), ("year", span.ago(12))):
        then = parts(of)
        moved, error = change(now, then)
        low, high = moved - SURE * error, moved + SURE * error
        row |= {which: estimate(then), f"{which}_change": moved, f"{which}_low": low}
        row |= {f"{which}_high": high, f"{which}_verdict": verdict(name, low, high, facts.closed)}
    return row


def _row(name: str, span: Span, parts: pd.DataFrame) -> dict[str, Any]:
    row = {"kpi": name, "months": span.months, "month_end": span.end, "value": estimate(parts)}
    return row | dict(zip(("low", "high"), interval(name, parts), strict=True))


def table(facts: Facts) -> pd.DataFrame:
    """The table `kpis`: every figure that is known, of each of SPANS, at the last ENDS ends of
    months; `compared` at the last one.
    """
    rows = [
        compared(facts, name, span)
        if span.end == facts.last
        else _row(name, span, entry.of(facts, span))
        for months in SPANS
        for span in facts.spans(months, ENDS)
        for name, entry in KPIS.items()
    ]
    found = pd.DataFrame(rows, columns=[*schema.TABLES["kpis"].columns])
    known = found[found.value.notna()].astype(dict.fromkeys(VERDICT_COLUMNS, "str"))
    return known.sort_values(["kpi", "months", "month_end"], ignore_index=True)


def in_words(figures: pd.DataFrame, months: int) -> pd.DataFrame:
    """The last of so many months as a table for people, in the order of KPIS: kpi, now, and
    before_moved and year_moved, each the change and its verdict.
    """
    last = figures[(figures.months == months) & (figures.month_end == figures.month_end.max())]
    rows = last.set_index("kpi").reindex([name for name in KPIS if name in {*last.kpi}])
    forms = [KPIS[name].form for name in rows.index]
    values = rows[["value", "low", "high"]].round(4).itertuples(index=False, name=None)
    words = {
        "kpi": [KPIS[name].label for name in rows.index],
        "now": [_written(form, *row) for form, row in zip(forms, values, strict=True)],
    }
    for which in ("before", "year"):
        columns = [which, f"{which}_change", f"{which}_verdict"]
        of = rows[columns].itertuples(index=False, name=None)
        words[f"{which}_moved"] = [_moved(form, *row) for form, row in zip(forms, of, strict=True)]
    return pd.DataFrame(words)


def _written(form: str, value: float, low: float, high: float) -> str:
    now, first, last = (say.form(form, x) for x in (value, low, high))
    if np.isnan(low):
        return now
    return say("{now:text} ({low:text} to {high:text})", now=now, low=first, high=last)


def _moved(form: str, before: float, moved: float, verdict: str) -> str:
    """A change with its sign and verdict: of a share or a score in points, of anything else as a
    share of what it was.
    """
    share = moved / before if before > 0 else np.nan
    said = say.moved(form, moved) if form in ("percent", "short") else say.signed("percent", share)
    return say("{moved:text}, {verdict:word}", moved=said, verdict=verdict) if verdict else said


def cards(figures: pd.DataFrame, targets: dict[str, str]) -> list[dict[str, Any]]:
    """Of the last quarter the first MOST_CARDS of ON_CARDS known: label, of (which months),
    now, changes (text, and whether it is bad) and spark, the series as a small picture. `targets`:
    what is to be reached, in words.
    """
    figures = figures[figures.months == QUARTER]
    rows = figures[figures.month_end == figures.month_end.max()].set_index("kpi")
    found: list[dict[str, Any]] = []
    for name in [name for name in ON_CARDS if name in rows.index][:MOST_CARDS]:
        row, form = rows.loc[name], KPIS[name].form
        changes = [
            {
                "text": say(text, moved=_moved(form, row[which], row[f"{which}_change"], "")),
                "bad": row[f"{which}_verdict"] == "worse",
            }
            for which, text in AGAINST.items()
            if pd.notna(row[f"{which}_change"])
        ]
        changes += [{"text": targets[name], "bad": False}] if name in targets else []
        series = figures[figures.kpi == name].value
        card = {"label": say(KPIS[name].label), "changes": changes, "spark": spark(series)}
        card["of"] = say(
            "The quarter to {end:date}, and its course over two years", end=row.month_end
        )
        found.append(card | {"now": say.form(form, row.value)})
    return found


def spark(series: pd.Series) -> str:
    """A line through a series, without axes: what its course looks like beside its number."""
    if len(series) < 3:
        return ""
    low, high = float(series.min()), float(series.max())
    heights = 22 - 20 * (series - low) / ((high - low) or 1.0)
    across = np.linspace(1, 99, len(series))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, heights, strict=True))
    line = f'<polyline points="{points}" fill="none" stroke="var(--accent)" stroke-width="1.5"/>'
    return f'<svg viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">{line}</svg>'
