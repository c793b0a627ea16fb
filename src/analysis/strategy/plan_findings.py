"""What a plan comes to, in sentences: what to decide, what it rests on, whom it leaves out."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from analysis.report.text import N_, say
from analysis.strategy.allocation import Limits, Plan
from analysis.strategy.plan import EFFECTS
from analysis.strategy.playbook import Playbook

Said = tuple[str, dict[str, Any]]
DECISIONS = 5  # that the report puts first: what a manager reads in a minute
HOLDS = {
    "even_a_quarter": N_("even a quarter of them would pay"),
    "even_half": N_("half of them would pay, a quarter would not"),
    "as_counted_on": N_("half of them would not pay"),
}
LEFT_OUT = {
    "held_back": N_("{count:int} held back by lot, so that the effect can be measured"),
    "no_consent": N_("{count:int} who have not agreed to be contacted"),
    "contacted_lately": N_("{count:int} who were contacted lately"),
    "not_worth": N_("{count:int} for whom no action pays"),
    "beyond_budget": N_("{count:int} beyond the budget or the capacity"),
    "open_complaint": N_("{count:int} with an open complaint"),
    "next_cycle": N_("{count:int} who join the next cycle"),
}


def largest(actions: pd.DataFrame) -> pd.DataFrame:
    """The actions with most at stake, in the order of `actions` (as from plan.by_rule); their
    effects in extra orders of 100 customers.
    """
    stake = actions.gain.abs().fillna(actions.expected_value)
    biggest = actions.loc[stake.sort_values(ascending=False, kind="stable").index].head(DECISIONS)
    per_100 = [*EFFECTS, "break_even"]
    rows = biggest.assign(**100 * biggest[per_100])
    return rows.loc[actions.index[actions.index.isin(rows.index)]]


def decisions(chosen: pd.DataFrame) -> list[Said]:
    """What to decide, as sentences with their values; `chosen` as from largest."""
    return [(_decision(row), _values(row)) for _, row in chosen.iterrows()]


def _values(row: pd.Series) -> dict[str, Any]:
    return {"proof": _proof(row), "holds": say(HOLDS.get(row.pays, ""))} | row.to_dict()


def _decision(row: pd.Series) -> str:
    if row.pays == "margin_unknown":
        return _without_margin(row)
    if row.gain > 0:
        return N_(
            "{action:text}. Customers to reach: {customers:int}, by {due:date} ({channel:word},"
            " {owner:word}), for {cost:money}. Expected to bring {expected_value:money}:"
            " {effect:short} extra orders of 100 customers are counted on, {proof:text}. It pays"
            " from {break_even:short}: {holds:text}."
        )
    return N_(
        "{action:text}. Customers to reach: {customers:int}, by {due:date} ({channel:word},"
        " {owner:word}), for {cost:money}, though it is expected to bring only"
        " {expected_value:money}: it is done for the relationship, or not at all."
    )


def _without_margin(row: pd.Series) -> str:
    """What revenue may come, and from which margin on that pays."""
    if row.margin_at_half <= 1:
        return N_(
            "{action:text}. Customers to reach: {customers:int}, by {due:date} ({channel:word},"
            " {owner:word}), for {cost:money}. Expected to bring {expected_value:money} of extra"
            " revenue: {effect:short} extra orders of 100 customers are counted on, {proof:text}."
            " It costs what {break_even:short} of them bring, so it pays where the margin is above"
            " {margin_needed:percent}; if half of them come, above {margin_at_half:percent}."
        )
    if row.margin_needed <= 1:
        return N_(
            "{action:text}. Customers to reach: {customers:int}, by {due:date} ({channel:word},"
            " {owner:word}), for {cost:money}. Expected to bring {expected_value:money} of extra"
            " revenue: {effect:short} extra orders of 100 customers are counted on, {proof:text}."
            " It costs what {break_even:short} of them bring, so it pays where the margin is above"
            " {margin_needed:percent}; if half of them come, it never pays."
        )
    return N_(
        "{action:text}. Customers to reach: {customers:int}, by {due:date} ({channel:word},"
        " {owner:word}), for {cost:money}, though it is expected to bring only"
        " {expected_value:money} of extra revenue, which no margin makes enough: it is done for the"
        " relationship, or not at all."
    )


def _proof(row: pd.Series) -> str:
    if pd.isna(row.effect_low):
        return say("assumed and not yet measured")
    return say(
        "measured by campaigns {source:text} ({effect_low:short} to {effect_high:short})",
        **row,
    )


def total(made: pd.DataFrame, actions: pd.DataFrame, margin: float | None) -> Said:
    """Whom the plan reaches, for what, what is expected, and what of that was measured."""
    done = made[made.status == "planned"]
    cost, value = done.cost.sum(), done.expected_value.sum()
    measured = (actions.expected_value * actions.measured_share).sum()
    values = {"planned": len(done), "cost": cost, "value": value, "rests": _rests(measured, value)}
    if not value > 0:
        return N_("Customers whom the plan reaches: {planned:int}, for {cost:money}."), values
    if margin is None:
        return N_(
            "Customers whom the plan reaches: {planned:int}, for {cost:money}. It is expected to"
            " bring {value:money} of extra revenue, so it pays where the margin is above"
            " {needed:percent}. {rests:text}"
        ), values | {"needed": cost / value}
    if value < cost:
        return N_(
            "Customers whom the plan reaches: {planned:int}, for {cost:money}. It is expected to"
            " bring {value:money}, which is less, because of what is done whatever it brings."
            " {rests:text}"
        ), values
    return N_(
        "Customers whom the plan reaches: {planned:int}, for {cost:money}. It is expected to bring"
        " {value:money}. {rests:text}"
    ), values


def at_a_loss(made: pd.DataFrame, book: Playbook) -> Iterator[Said]:
    """How many are reached because they must be, though less is expected than it costs."""
    done = made[made.status == "planned"]
    must = done.rule.map(book.table.must).eq(True)
    count = int((must & (done.expected_value < done.cost)).sum())
    if count:
        yield (
            N_(
                "With {count:int} of them less is expected than it costs: the playbook says that"
                " what is done for them must be, for the relationship."
            ),
            {"count": count},
        )


def _rests(measured: float, value: float) -> str:
    """What of the money expected was measured, and what is assumed."""
    assumed = value - measured
    if not measured > 0:
        return say("All of that rests on assumptions that no campaign has proved yet.")
    if not assumed > 0:
        return say("All of that rests on measured campaigns.")
    return say(
        "Of that, {measured:money} rests on measured campaigns and {assumed:money} on assumptions.",
        measured=measured,
        assumed=assumed,
    )


def left_out(statuses: Mapping[str, int]) -> Said:
    """Who gets no action, and why, as far as there are such; `statuses` as from plan.statuses."""
    reasons = [say(text, count=statuses[name]) for name, text in LEFT_OUT.items() if statuses[name]]
    if not reasons:
        return N_("Nobody is left out."), {}
    return N_("Left out: {reasons:text}."), {"reasons": say("; ").join(reasons)}


def reserves(
    allocated: Plan, possible: pd.DataFrame, limits: Limits, margin: float | None
) -> Iterator[Said]:
    """What is kept for tiers and who of them has an action; nothing where nothing is scarce."""
    if limits.budget is None and not limits.capacity:
        return
    for tier, share in limits.reserve.items():
        could = possible[possible.tier == tier].customer_id.nunique()
        own = allocated.chosen[allocated.chosen.tier == tier]
        values = {"tier": tier, "share": share, "could": could, "own": len(own)}
        values |= {"cost": own.cost.sum(), "forgone": allocated.forgone}
        if could and share:
            yield _reserve(allocated, own, margin), values


def _reserve(allocated: Plan, own: pd.DataFrame, margin: float | None) -> str:
    if own.empty:
        return N_(
            "{share:whole_percent} of the budget and of each capacity is kept for the tier"
            " {tier:word}, but no action pays for any of its {could:int} customers."
        )
    if allocated.forgone > 0 and margin is not None:
        return N_(
            "{share:whole_percent} of the budget and of each capacity is kept for the tier"
            " {tier:word}: of {could:int} customers, {own:int} have an action, for {cost:money}."
            " Within the horizon the plan would bring {forgone:money} more if nothing were kept."
        )
    return N_(
        "{share:whole_percent} of the budget and of each capacity is kept for the tier"
        " {tier:word}: of {could:int} customers, {own:int} have an action, for {cost:money}."
    )
