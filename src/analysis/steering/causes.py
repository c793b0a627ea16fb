"""Why revenue moved between two spans of months: by factor, by what customers did, and by group.
Each adds up to the whole.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from ibis import _
from scipy.stats import norm

from analysis.report.text import N_, labelled, say
from analysis.segments.segmentation import first_that_holds
from analysis.segments.small_cells import grouped
from analysis.steering.facts import Facts, Span
from analysis.steering.kpis import SURE

FACTORS = ("customers", "orders_each", "order_value")
MAINLY = labelled(
    {
        "customers_less": N_("fewer customers ordered"),
        "customers_more": N_("more customers ordered"),
        "orders_each_less": N_("customers ordered less often"),
        "orders_each_more": N_("customers ordered more often"),
        "order_value_less": N_("an order was worth less"),
        "order_value_more": N_("an order was worth more"),
    },
    str,
)
COURSES = labelled(
    {
        "course_new": N_("first ordered since then"),
        "course_back": N_("ordered now and earlier, not then"),
        "course_more": N_("ordered both times, bring more"),
        "course_less": N_("ordered both times, bring less"),
        "course_stopped": N_("ordered then, not now"),
        "course_returned": N_("only sent something back"),
    },
    str,
)
AGAINST = {
    "before": {
        "less": N_("{share:percent} less than in the quarter before"),
        "more": N_("{share:percent} more than in the quarter before"),
        "chance": N_("within chance as much as in the quarter before"),
    },
    "year": {
        "less": N_("{share:percent} less than a year before"),
        "more": N_("{share:percent} more than a year before"),
        "chance": N_("within chance as much as a year before"),
    },
}
OF_PROFILES = ("region", "industry", "owner")
MOST_CAUSES = 3
NEARLY_ALL = 0.9  # of the revenue of a dimension
UNKNOWN = "unknown"
CLOSED = ("tier_then", "segment_then")  # dimensions of what customers were at the time before


def times(facts: Facts) -> dict[str, Span]:
    """now (the last quarter), before (the one before it) and year (the same months a year before),
    as far as the log goes back; none where it has no money.
    """
    now = [] if facts.by_month.revenue.isna().all() else facts.spans(3, 1)
    found = {"now": now[0], "before": now[0].before, "year": now[0].ago(12)} if now else {}
    return {name: span for name, span in found.items() if facts.covers(span)}


def factors(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Revenue is customers x orders each x value of an order. What each of these changed (money):
    on average over the orders in which they could have moved one after another, so that they add up
    (Shapley's; Shorrocks 2013). `now`, `before` as from Facts.during.

    Columns: factor (of FACTORS), before, now, change. No rows where nobody ordered.
    """
    one, other = _factors(before), _factors(now)
    if not one[0] and not other[0]:
        return pd.DataFrame(columns=["factor", "before", "now", "change"])
    # of nobody no orders are known: as many as at the other time
    a, b = np.where(np.isnan(one), other, one), np.where(np.isnan(other), one, other)
    moved = b - a
    changes = []
    for n in range(3):
        x, y = (n + 1) % 3, (n + 2) % 3
        even, mixed = a[x] * a[y] + b[x] * b[y], a[x] * b[y] + b[x] * a[y]
        changes.append(moved[n] * (2 * even + mixed) / 6)
    return pd.DataFrame({"factor": FACTORS, "before": one, "now": other, "change": changes})


def _factors(months: pd.DataFrame) -> np.ndarray:
    ordered, orders = (months.orders > 0).sum(), months.orders.sum()
    each = orders / ordered if ordered else np.nan
    return np.array([ordered, each, months.revenue.sum() / orders if orders else np.nan], float)


def courses(facts: Facts, now: Span, before: Span) -> pd.DataFrame:
    """What customers did: first ordered since (new), ordered earlier than then (back), bring more
    or less than then, ordered nothing any more (stopped), or neither then nor now (returned).

    Columns: course (of COURSES), customers, before, now (money), change.
    """
    both = _side_by_side(facts, now, before)
    first = facts.life["first"].reindex(both.index)
    ordered, then = both.orders > 0, both.orders_before > 0
    tests = {
        "course_new": ordered & (first > before.end),
        "course_back": ordered & ~then,
        "course_more": ordered & (both.change >= 0),
        "course_less": ordered,
        "course_stopped": then,
    }
    course = first_that_holds(tests, "course_returned")
    return _sums(both, course.astype(pd.CategoricalDtype([*COURSES])), "course")


def _side_by_side(facts: Facts, now: Span, before: Span) -> pd.DataFrame:
    """By customer: orders, orders_before, revenue, revenue_before, change."""
    columns = ["orders", "revenue"]
    both = facts.during(now)[columns].join(
        facts.during(before)[columns], how="outer", rsuffix="_before"
    )
    both = both.fillna(0.0)
    return both.assign(change=both.revenue - both.revenue_before)


def _sums(both: pd.DataFrame, groups: pd.Series, name: str) -> pd.DataFrame:
    by = both.groupby(groups.rename(name), observed=True)
    found = by.agg(
        customers=("change", "size"),
        before=("revenue_before", "sum"),
        now=("revenue", "sum"),
        change=("change", "sum"),
        error=("change", lambda moved: np.sqrt((moved**2).sum())),
    )
    return found.reset_index()


def groups(facts: Facts, now: Span, before: Span) -> pd.DataFrame:
    """By groups, as far as the records know them: tier and RFM segment at the end of the time
    before, region, industry and owner of the profile, and the category of what was bought.

    Columns: dimension, group, customers, before, now (money), change, error (standard, by how much
    customers differ from one time to the next), low, high (95 %), verdict (more, less or chance:
    beyond what chance moves any of a dimension by in one of 20 cases, Bonferroni's).
    """
    both, found = _side_by_side(facts, now, before), []
    of_then = (facts.tier(before.end), facts.segment(before.end))
    for name, classes in zip(CLOSED, of_then, strict=True):
        if len(classes):
            named = classes.astype("str").reindex(both.index).fillna("new")
            found.append(_sums(both, named, "group").assign(dimension=name))
    for name in facts.groups:
        column = facts.groups[name].dropna()
        if len(column.unique()) > 1:
            classes = grouped(column, both.index, facts.settings.of_persons)
            of = _sums(both, classes.set_axis(both.index), "group")
            found.append(of.assign(dimension=name))
    if "category" in facts.records.transactions.columns:
        found.append(_by_category(facts, now, before).assign(dimension="category"))
    columns = ["dimension", "group", "customers", "before", "now", "change", "error"]
    types = {"group": "str", **dict.fromkeys(columns[3:], float)}
    every = pd.concat([pd.DataFrame(columns=columns), *found])[columns].astype(types)
    reach = SURE * every.error
    every = every.assign(low=every.change - reach, high=every.change + reach)
    tests = every.groupby("dimension").change.transform("size")
    far = every.change.abs() > norm.isf(0.025 / tests) * every.error
    verdict = np.where(far, np.where(every.change > 0, "more", "less"), "chance")
    verdict[every.dimension.isin(CLOSED)] = ""  # they can only lose, and the new ones only gain
    return every.assign(verdict=verdict).reset_index(drop=True)


def _by_category(facts: Facts, now: Span, before: Span) -> pd.DataFrame:
    """The same by category, of each customer's lines of it."""
    lines = facts.records.transactions.mutate(
        late=_.day.between((now.start + pd.Timedelta(days=1)).date(), now.end.date()),
        early=_.day.between((before.start + pd.Timedelta(days=1)).date(), before.end.date()),
    ).filter(_.late | _.early)
    each = lines.group_by("customer_id", group=_.category.fill_null(UNKNOWN)).agg(
        revenue=_.amount.sum(where=_.late).cast("float64").fill_null(0),
        revenue_before=_.amount.sum(where=_.early).cast("float64").fill_null(0),
    )
    both = each.order_by("customer_id", "group").to_pandas()
    return _sums(both.assign(change=both.revenue - both.revenue_before), both.group, "group")


def largest(by_group: pd.DataFrame, moved: float) -> pd.DataFrame:
    """The group of each dimension that moved most the way the whole did, beyond chance, the largest
    first; none that holds nearly all, and none of CLOSED: nobody can have joined it since.
    """
    whole = by_group.groupby("dimension").before.transform("sum")
    beyond = by_group.verdict == ("more" if moved > 0 else "less")
    named = by_group[beyond & by_group.before.between(0, NEARLY_ALL * whole, inclusive="neither")]
    named = named[(named.group != UNKNOWN) & ~named.dimension.isin(CLOSED)]
    ordered = named.sort_values("change", key=abs, ascending=False, kind="stable")
    return ordered.drop_duplicates("dimension").head(MOST_CAUSES)


def standing(facts: Facts, spans: dict[str, Span]) -> Iterator[tuple[str, dict[str, object]]]:
    """Better or worse: revenue of the last quarter against the earlier ones of `times`, as
    sentences with their values.
    """
    for name in [name for name in ("before", "year") if name in spans]:
        both = _side_by_side(facts, spans["now"], spans[name])
        now, then, moved = both.revenue.sum(), both.revenue_before.sum(), both.change.sum()
        reach = SURE * np.sqrt((both.change**2).sum())
        values = {"end": spans["now"].end, "now": now, "then": then, "moved": moved}
        values |= {"share": abs(moved) / then if then > 0 else np.nan}
        values |= {"low": moved - reach, "high": moved + reach}
        yield _against(name, abs(moved) <= reach, moved < 0), values


def headline(
    facts: Facts, spans: dict[str, Span], top: dict[str, float]
) -> Iterator[tuple[str, dict[str, object]]]:
    """The first sentences of all: revenue of the last quarter, better or worse, mainly why, and
    what came from strategic customers at high risk (`top` as from picture.strategic).
    """
    against = {}
    for name in [name for name in ("before", "year") if name in spans]:
        both = _side_by_side(facts, spans["now"], spans[name])
        moved, then = both.change.sum(), both.revenue_before.sum()
        sure = abs(moved) > SURE * np.sqrt((both.change**2).sum()) and then > 0
        said = AGAINST[name]["less" if moved < 0 else "more"] if sure else AGAINST[name]["chance"]
        against[name] = sure, say(said, share=abs(moved) / then if then > 0 else np.nan)
    if "now" in spans:
        now = facts.during(spans["now"])
        values = {"end": spans["now"].end, "now": now.revenue.sum()}
        told = [text for _, text in against.values()]
        text = (
            N_(
                "Revenue in the quarter to {end:date}: {now:compact}, against the quarter before"
                " and a year before no more and no less than chance explains."
            )
            if len(told) > 1 and not any(sure for sure, _ in against.values())
            else N_(
                "Revenue in the quarter to {end:date}: {now:compact}, {first:text} and {last:text}."
            )
            if len(told) > 1
            else N_("Revenue in the quarter to {end:date}: {now:compact}, {first:text}.")
            if told
            else N_("Revenue in the quarter to {end:date}: {now:compact}.")
        )
        yield text, values | {"first": told[0] if told else "", "last": told[-1] if told else ""}
    for name in [name for name, told in against.items() if told[0]][-1:]:
        by_factor = factors(now, facts.during(spans[name]))
        yield N_("Mainly because {main:word}."), {"main": main_factor(by_factor)}
    if top["risky"] and top["risky_revenue"] > 0:
        yield (
            N_(
                "Strategic customers at high risk of leaving: {risky:int}, who brought"
                " {risky_revenue:compact} in the value window."
            ),
            {name: top[name] for name in ("risky", "risky_revenue")},
        )


def main_factor(by_factor: pd.DataFrame) -> str:
    """Which factor moved most the way the whole did, of MAINLY."""
    factor, moved = by_factor.set_index("factor"), float(by_factor.change.sum())
    main = (factor.change * np.sign(moved or 1)).idxmax()
    return f"{main}_{'less' if moved < 0 else 'more'}"


def _against(name: str, by_chance: bool, less: bool) -> str:
    if name == "before" and by_chance:
        return N_(
            "In the quarter to {end:date} {now:money} came in, {then:money} in the quarter"
            " before: within what chance brings (95 % sure: {low:compact} to {high:compact})."
        )
    if name == "before" and less:
        return N_(
            "In the quarter to {end:date} {now:money} came in, {share:percent} less than in the"
            " quarter before ({then:money}; 95 % sure: {low:compact} to {high:compact})."
        )
    if name == "before":
        return N_(
            "In the quarter to {end:date} {now:money} came in, {share:percent} more than in the"
            " quarter before ({then:money}; 95 % sure: {low:compact} to {high:compact})."
        )
    if by_chance:
        return N_(
            "Against the same months a year before ({then:money}) the difference is"
            " {moved:compact}, within what chance brings (95 % sure: {low:compact} to"
            " {high:compact})."
        )
    if less:
        return N_(
            "That is {share:percent} less than in the same months a year before ({then:money}; 95"
            " % sure: {low:compact} to {high:compact})."
        )
    return N_(
        "That is {share:percent} more than in the same months a year before ({then:money}; 95 %"
        " sure: {low:compact} to {high:compact})."
    )


def reasons(
    by_factor: pd.DataFrame, by_course: pd.DataFrame, by_group: pd.DataFrame
) -> Iterator[tuple[str, dict[str, object]]]:
    """What the tables say of why, in sentences with their values."""
    factor, moved = by_factor.set_index("factor"), float(by_factor.change.sum())
    chance = SURE * float(np.sqrt((by_course.error**2).sum()))
    text = (
        N_(
            "Mainly because {main:word}: of the difference of {moved:compact} the number of"
            " customers ({customers_share:text}) makes {customers:compact}, orders of each"
            " ({orders_each_share:text}) {orders_each:compact}, the value of an order"
            " ({order_value_share:text}) {order_value:compact}."
        )
        if abs(moved) > chance
        else N_(
            "Behind the difference of {moved:compact}, which chance may explain, stand the number"
            " of customers ({customers_share:text}) with {customers:compact}, orders of each"
            " ({orders_each_share:text}) with {orders_each:compact}, and the value of an order"
            " ({order_value_share:text}) with {order_value:compact}."
        )
    )
    shares = factor.now / factor.before.where(factor.before > 0) - 1
    told = {f"{name}_share": say.signed("percent", share) for name, share in shares.items()}
    yield text, {"moved": moved, "main": main_factor(by_factor), **factor.change, **told}
    change = by_course.set_index("course").change.reindex(COURSES).fillna(0.0)
    new, back, more, less, stopped, _returned = change.tolist()
    yield (
        N_(
            "Who first ordered since then brought {new:compact}, who ordered now and earlier but"
            " not then {back:compact}; who ordered then and not now had brought {stopped:compact}."
            " Of those who ordered both times some brought {more:compact} more, others"
            " {less:compact} less."
        ),
        {"new": new, "back": back, "more": more, "less": -less, "stopped": -stopped},
    )
    for row in largest(by_group, moved).to_dict("records"):
        yield (
            N_(
                "{dimension:field} – {group:word}: {now:compact} after {before:compact}, a"
                " difference of {change:compact} (95 % sure: {low:compact} to {high:compact})."
            ),
            row,
        )


def campaigns(effects: pd.DataFrame, span: Span) -> Iterator[tuple[str, dict[str, object]]]:
    """The campaigns of a span that are proven to have brought orders, which the other time lacks.
    `effects` is the table campaign_effects.
    """
    during = (effects.day > span.start) & (effects.day <= span.end)
    worked = effects[during & (effects.proof == "random") & (effects.orders_low > 0)]
    for row in worked.to_dict("records"):
        each = {name: row[f"orders_{name}"] * row["treated"] for name in ("effect", "low", "high")}
        yield (
            N_(
                "Among the orders of the months to {end:date} are {effect:int} (95 % sure:"
                " {low:int} to {high:int}) that campaign {campaign:text} of {day:date} brought."
            ),
            {"end": span.end, "campaign": row["campaign_id"], "day": row["day"], **each},
        )
