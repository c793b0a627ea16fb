"""Customers by the month of their first order: how many order again and what they bring, by age."""

import numpy as np
import pandas as pd

from analysis.report.text import N_
from analysis.steering.facts import UNSEEN, Facts, Span, month_end
from analysis.steering.kpis import FEWEST, SURE

AGAIN = 3  # months after the first one, in which a new customer orders again or does not
NEWEST, EARLIER = 3, 12  # cohorts that are held against those before them
QUARTERS = 6
BY_QUARTER = ["quarter", "customers", "again_share", "revenue_each", "orders_ahead", "spend_ahead"]


def table(facts: Facts) -> pd.DataFrame:
    """Every cohort at every age that is over: cohort (end of the month of the first order), age
    (months since), customers (of the cohort), active (with an order in the month), active_share,
    revenue_each (net money up to then, by customer). Customers of the log's first month may be
    older than the log; a month of which the log lacks days is left out.
    """
    months = facts.by_month
    cohort = facts.life["first"] + pd.offsets.MonthEnd(0)
    known = months.assign(cohort=months.customer.map(cohort)).dropna(subset="cohort")
    known = known[known.month_end >= known.cohort]
    sizes = cohort.value_counts().sort_index()
    sums = known.groupby(["cohort", "month_end"]).agg(
        active=("orders", lambda orders: (orders > 0).sum()), revenue=("revenue", "sum")
    )
    pairs = [
        (first, end)
        for first in sizes.index
        if facts.covers(Span(first, 1))
        for end in pd.date_range(first, facts.last, freq="ME")
    ]
    ends = pd.DataFrame(pairs, columns=["cohort", "month_end"], dtype="datetime64[s]")
    index = pd.MultiIndex.from_frame(ends)
    found = sums.reindex(index, fill_value=0).reset_index()
    end, first = found.month_end.dt, found.cohort.dt
    found["age"] = (end.year - first.year) * 12 + end.month - first.month
    found["customers"] = found.cohort.map(sizes)
    found["active_share"] = found.active / found.customers
    found["revenue_each"] = found.groupby("cohort").revenue.cumsum() / found.customers
    if months.revenue.isna().all():
        found["revenue_each"] = np.nan
    return found[["cohort", "age", "customers", "active", "active_share", "revenue_each"]]


def quarters(facts: Facts, worth: pd.DataFrame) -> pd.DataFrame:
    """Those who first ordered in each of the last QUARTERS quarters, the newest first: what they
    did and what is forecast of them. `worth` is the table clv.

    Columns: quarter (its end), customers, again_share (who ordered again within AGAIN months of the
    calendar; empty where these are not over), revenue_each (net money of a customer up to the last
    month), orders_ahead, spend_ahead (of a customer within the horizon).
    """
    cohort = facts.life["first"] + pd.offsets.MonthEnd(0)
    came = facts.life["first"] + pd.to_timedelta(facts.life.second_after, unit="D")
    until = cohort.map({end: month_end(end, AGAIN) for end in cohort.unique()})
    spent = facts.by_month.groupby("customer").revenue.sum(min_count=1)
    ahead = worth.set_index(facts.ids.get_indexer(worth.customer_id))
    rows = []
    for span in (Span(month_end(facts.last, -3 * n), 3) for n in range(QUARTERS)):
        who = cohort.index[(cohort > span.start) & (cohort <= span.end)]
        if len(who) < FEWEST or not facts.covers(Span(span.end, span.months + UNSEEN)):
            continue
        again = float((came <= until)[who].mean()) if until[who].max() <= facts.last else np.nan
        row = {"quarter": span.end, "customers": len(who), "again_share": again}
        row |= {"revenue_each": spent.reindex(who).mean()}
        mean = ahead.reindex(who)[["expected_orders", "expected_spend"]].mean()
        rows.append(row | {"orders_ahead": mean.iloc[0], "spend_ahead": mean.iloc[1]})
    return pd.DataFrame(rows, columns=BY_QUARTER)


def newest(facts: Facts) -> tuple[str, dict[str, object]] | None:
    """Whether the newest cohorts order again as often as those before them did at the same age: a
    sentence and its values; None where there are too few of either.
    """
    cohort = facts.life["first"] + pd.offsets.MonthEnd(0)
    last = month_end(facts.last, -AGAIN)
    now, before = Span(last, NEWEST), Span(month_end(last, -NEWEST), EARLIER)
    # who first ordered in the first half year of the log may be older than it
    known = (Span(before.end, n) for n in range(EARLIER, 0, -1))
    before = next((s for s in known if facts.covers(Span(s.end, s.months + UNSEEN))), now)
    again = facts.life["first"] + pd.to_timedelta(facts.life.second_after, unit="D")
    came = again <= cohort.map({c: month_end(c, AGAIN) for c in cohort.unique()})
    these, those = (came[(cohort > s.start) & (cohort <= s.end)] for s in (now, before))
    if before is now or min(len(these), len(those)) < FEWEST:
        return None
    share, then = float(these.mean()), float(those.mean())
    error = np.sqrt(share * (1 - share) / len(these) + then * (1 - then) / len(those))
    values = {"customers": len(these), "first": now.start + pd.Timedelta(days=1), "end": now.end}
    values |= {"share": share, "then": then, "months": AGAIN}
    ends = {"points": 0.0, "low": -SURE * error, "high": SURE * error}
    values |= {name: round(100 * (share - then + end), 1) for name, end in ends.items()}
    values |= {"earlier": len(those), "span": before.months}
    return N_(
        "Of {customers:int} customers who first ordered from {first:date} to {end:date},"
        " {share:percent} ordered again within {months:int} months of the calendar; of"
        " {earlier:int} of the {span:int} months before {then:percent} (a difference of"
        " {points:short} points, 95 % sure: {low:short} to {high:short})."
    ), values
