"""A programme of points and levels before it is begun: what customers would hold today, what it
would cost, what it must bring.

Points are earned by what is paid, and taken back by returns; those that expire first are used
first. Redemptions are assumed: the dataset file says what share of the points that reach their end
was redeemed before it.
"""

import datetime as dt
from collections.abc import Iterator

import ibis
import numpy as np
import pandas as pd
from ibis import _
from ibis.expr.types import Table, Value

from analysis.intake.settings import Loyalty
from analysis.report.text import N_

YEAR = 365  # days of which costs are told
# On the same day points expire first: what a return takes back is taken of those still there.
EXPIRES, TAKEN_BACK = 0, 1
HELD = ["customer_id", "level", "window_spend", "year_spend", "year_points", "outstanding"]
SUMMED = ["customers", "revenue", "points_cost", "benefit_cost", "cost", "liability", "breakage"]
BY_LEVEL = ["level", *SUMMED, "revenue_share", "break_even", "assumed_lift", "brought", "gain"]
BY_LEVEL += ["margin_needed"]


def _ended(days: Table, as_of: dt.date, expiry_days: int) -> Table:
    """customer_id, ended: money whose points had come to their end by `as_of`, redeemed or expired.

    What expires first is used first. So at the end of a day's points all that was earned up to that
    day is gone: what returns had not taken back by then has ended. The largest of these sums is
    what has ended by now.
    """
    up_to = ibis.cumulative_window(group_by="customer_id", order_by="day")
    ends = days.select(
        "customer_id",
        day=(_.day + ibis.interval(days=expiry_days)).cast("date"),
        kind=EXPIRES,
        earned=_.sold.sum().over(up_to),
        back=ibis.literal(0).cast(days.back.type()),
    )
    returns = days.select(
        "customer_id", "day", kind=TAKEN_BACK, earned=ibis.null(ends.earned.type()), back=_.back
    )
    before = ibis.cumulative_window(group_by="customer_id", order_by=["day", "kind"])
    events = ibis.union(ends.filter(_.day <= as_of), returns)
    gone = events.mutate(ended=_.earned - _.back.sum().over(before))
    return gone.group_by("customer_id").agg(ended=ibis.greatest(_.ended.max().fill_null(0), 0))


def accounts(transactions: Table, as_of: dt.date, expiry_days: int, window_days: int = 0) -> Table:
    """What everybody spent, by what became of its points, an expression.

    Columns: customer_id; earned, taken_back, ended, outstanding (money; the first is the sum of the
    others); year_spend, window_spend (net money of the last YEAR and `window_days` days; 0: of
    all). Returns that take back more than there is leave a debt, which points earned later pay
    first; none is below zero.
    """
    past = transactions.filter(_.day <= as_of, _.amount.notnull())
    days = past.group_by("customer_id", "day").agg(
        sold=ibis.greatest(_.amount, 0).sum(), back=ibis.greatest(-_.amount, 0).sum()
    )
    sums = days.group_by("customer_id").agg(
        earned=_.sold.sum(),
        back=_.back.sum(),
        year_spend=_net(days, as_of, YEAR),
        window_spend=_net(days, as_of, window_days),
    )
    whole = sums.join(_ended(days, as_of, expiry_days), "customer_id")
    whole = whole.mutate(taken_back=ibis.least(_.back, _.earned - _.ended))
    exact = whole.mutate(outstanding=_.earned - _.ended - _.taken_back).drop("back")
    money = {name: exact[name].cast("float64") for name in exact.columns if name != "customer_id"}
    return exact.select("customer_id", **money).order_by("customer_id")


def _net(days: Table, as_of: dt.date, last: int) -> Value:
    since = as_of - dt.timedelta(days=last) if last else dt.date.min
    return (days.sold - days.back).sum(where=days.day > since).fill_null(0)


def levels(spend: pd.Series, programme: Loyalty) -> pd.Series:
    """The name of each customer's level by spend within the value window. A share counts those who
    spend less, of all who spent: customers who spend the same are in the same level, and all alike
    are in the lowest.
    """
    below = (spend.where(spend > 0).rank(method="min") - 1) / max((spend > 0).sum(), 1)
    found = pd.Series(programme.levels[0].name, spend.index, dtype="str")
    for level in programme.levels[1:]:
        by_share = level.from_amount is None
        reached = below >= level.from_share if by_share else spend >= level.from_amount
        found = found.mask(reached, level.name)
    return found


def holdings(
    transactions: Table, as_of: dt.date, programme: Loyalty, window_days: int = YEAR
) -> pd.DataFrame:
    """What each customer would hold on `as_of` had the programme always run at today's level; no
    rows where there is no money.

    Columns: customer_id, level (by window_spend), window_spend, year_spend (net money, as in
    accounts), year_points (of year_spend), outstanding (points).
    """
    found = accounts(transactions, as_of, programme.expiry_days, window_days).to_pandas()
    level = levels(found.window_spend, programme)
    times = {one.name: one.multiplier * programme.points for one in programme.levels}
    each = level.map(times).astype(float)
    points = {"year_points": found.year_spend.clip(lower=0) * each}
    points["outstanding"] = found.outstanding * each
    return found.assign(level=level, **points)[HELD]


def by_level(held: pd.DataFrame, programme: Loyalty, margin: float | None) -> pd.DataFrame:
    """What each level would cost and must bring in a year like the last, the lowest first; no rows
    without holdings.

    `held` as from holdings. Columns: level, customers, revenue (money of the last YEAR, as all that
    follows), points_cost (points that will be redeemed), benefit_cost, cost (both), liability
    (outstanding points that will be redeemed, undiscounted), breakage (points that will not be),
    revenue_share, break_even (share of further orders that pays for the level, infinite where none
    does: they earn points, too), assumed_lift, brought (margin that the lift brings, less its
    points), gain (less cost), margin_needed (from which the assumed lift pays). Where no margin is
    known, break_even, brought and gain are nan.
    """
    if held.empty:
        return pd.DataFrame(columns=BY_LEVEL)
    each = pd.DataFrame([dict(level) for level in programme.levels]).set_index("name")
    sums = held.groupby("level").agg(
        customers=("customer_id", "size"),
        revenue=("year_spend", "sum"),
        points=("year_points", "sum"),
        outstanding=("outstanding", "sum"),
    )
    table = sums.reindex(each.index, fill_value=0).rename_axis("level")
    total, value = table.revenue.sum(), programme.point_value * programme.redeemed
    table["revenue_share"] = table.revenue / total if total > 0 else np.nan
    table["points_cost"] = table.points * value
    by_share = each.benefit_share * table.revenue.clip(lower=0)
    table["benefit_cost"] = (each.benefit_cost.astype(float) * table.customers).fillna(by_share)
    table["cost"] = table.points_cost + table.benefit_cost
    table["liability"] = table.outstanding * value
    table["breakage"] = table.points * programme.point_value - table.points_cost
    left = table.revenue * (np.nan if margin is None else margin) - table.points_cost
    table["break_even"] = list(map(break_even, table.cost, left))
    table["assumed_lift"] = each.lift
    table["brought"] = each.lift * left
    table["gain"] = table.brought - table.cost
    lifted, its_points = each.lift * table.revenue, each.lift * table.points_cost
    table["margin_needed"] = (table.cost + its_points) / lifted.where(lifted > 0)
    return table.reset_index()[BY_LEVEL]


def break_even(cost: float, left: float) -> float:
    """The share of further orders that pays for a cost, where all orders leave so much money after
    their points.
    """
    return 0.0 if not cost else cost / left if not left <= 0 else float("inf")


def cost(by_level: pd.DataFrame, programme: Loyalty, margin: float | None) -> dict[str, float]:
    """The programme as a whole, against none. Keys: back (share of spend that points of the lowest
    level give back), the sums of by_level (money a year); lift (break-even, the same for all),
    assumed (the mean lift by what orders leave), margin_needed. nan without holdings, and as in
    by_level.
    """
    table = by_level.set_index("level").astype(float)
    sums = table[[*SUMMED, "brought", "gain"]].sum(min_count=1).to_dict()
    left = sums["revenue"] * (float("nan") if margin is None else margin) - sums["points_cost"]
    lifted, points = (table.assumed_lift * table[c] for c in ("revenue", "points_cost"))
    needed = (sums["cost"] + points.sum()) / lifted.sum() if lifted.sum() > 0 else float("nan")
    return sums | {
        "margin_needed": needed,
        "back": programme.points * programme.point_value * programme.levels[0].multiplier,
        "lift": break_even(sums["cost"], left),
        "assumed": sums["brought"] / left if left > 0 else float("nan"),
    }


def findings(total: dict[str, float]) -> Iterator[tuple[str, dict[str, float]]]:
    """What is said of `cost`: sentences with their values."""
    yield (
        N_(
            "A programme that gives back {back:percent} of the spend in points, and more in higher"
            " levels, would cost {cost:money} a year ({points_cost:money} for points,"
            " {benefit_cost:money} for benefits) and leave {liability:money} of points outstanding."
        ),
        total,
    )
    if total["lift"] == float("inf"):
        text = N_(
            "It does not pay however much members order, because points cost as much as orders"
            " bring."
        )
    elif total["lift"] >= 0:
        yield N_("It pays if members order {lift:percent} more."), total
        text = N_(
            "If they order {assumed:percent} more, as assumed, that brings {brought:money} a year"
            " after its own points; against no programme the balance, cost deducted, is"
            " {gain:money} a year."
        )
    elif total["margin_needed"] <= 1:
        text = N_(
            "No margin is known. If members order as much more as assumed, it pays from a margin of"
            " {margin_needed:percent}."
        )
    elif total["cost"] >= 0:
        text = N_("If members order as much more as assumed, it pays with no margin.")
    else:
        return
    yield text, total


def caveats(
    transactions: Table, as_of: dt.date, programme: Loyalty, margin: float | None
) -> Iterator[tuple[str, dict[str, object]]]:
    """What to bear in mind: sentences with their values."""
    if margin is not None:
        text = N_(
            "What further orders bring is margin: {margin:percent} of revenue, less their own"
            " points."
        )
        yield text, {"margin": margin}
    text = N_(
        "Nothing of this is measured: that {redeemed:whole_percent} of the points are redeemed, at"
        " the end of their {expiry_days:time}, and what lifts orders is assumed (loyalty in the"
        " dataset file). Points count as if the programme had always run and everybody had joined,"
        " in today's level. Whoever would have ordered anyway gets points, too, so only a group"
        " held back can tell what a programme brings."
    )
    yield text, dict(programme)
    text = N_(
        "Under IFRS 15 such points are a material right: part of the price of each order is"
        " deferred as a contract liability until they are redeemed or expire, with expected"
        " breakage taken into account (B39 to B47). The liability here is what the points that will"
        " be redeemed are worth, undiscounted; accounts allocate the price by stand-alone selling"
        " prices."
    )
    yield text, {}
    first = transactions.filter(_.day <= as_of).day.min().execute()
    days = 0 if pd.isna(first) else (as_of - pd.Timestamp(first).date()).days + 1
    if days < YEAR:
        text = N_(
            "The log reaches back {days:time}, so what stands here for a year is of that time only."
        )
        yield text, {"days": days}
