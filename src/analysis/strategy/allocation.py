"""Which action for whom: of each customer's possible actions at most one, so that budget and
capacities bring the most profit.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import InputError, did_you_mean
from analysis.report.text import N_, say
from analysis.strategy.knapsack import (
    EXACT_OPTIONS,
    PROVEN,
    ROUNDING,
    Problem,
    gap,
    prices,
    solve,
    upper_bound,
)

STEP = 100  # units of money, whose worth the report tells: that of one is often below a cent
POINTS = 12  # of a curve, as many as a chart needs
FACTORS = (0.5, 1, 2)  # of the budget: what half and double would bring

Where = tuple[str, Hashable]


@dataclass(frozen=True)
class Limits:
    """Money (None: no limit), and for (column, value) of the options the most customers. `reserve`:
    by tier of the options the share of money and of each capacity that is kept for it first.
    """

    budget: float | None = None
    capacity: Mapping[Any, float] = field(default_factory=dict)
    reserve: Mapping[Any, float] = field(default_factory=dict)

    @property
    def money(self) -> float:
        return np.inf if self.budget is None else float(self.budget)

    def less(self, chosen: pd.DataFrame) -> "Limits":
        """What is left when these are done."""
        done = {(c, v): most - (chosen[c] == v).sum() for (c, v), most in self.capacity.items()}
        money = None if self.budget is None else max(self.budget - chosen.cost.sum(), 0.0)
        return Limits(money, done)

    def part(self, share: float, left: "Limits") -> "Limits":
        """A share of the limits, as far as it is left."""
        places = {at: min(share * most, left.capacity[at]) for at, most in self.capacity.items()}
        return Limits(min(share * self.money, left.money), places)


@dataclass(frozen=True)
class Plan:
    """Who gets what; with what must happen as it is here, none brings more than `bound`."""

    chosen: pd.DataFrame  # rows of the options, by customer_id
    profit: float  # sum of gain - cost
    bound: float
    gap: float  # (bound - profit) / bound; nan where the bound is 0 and the profit is not
    price_of_budget: float  # what one more unit of money would bring; 0 where not all is needed
    prices: dict[Where, float]  # the same of one more customer, by capacity
    # exact: no plan is better by more than PROVEN; dual: none by more than the gap; reserve: none,
    # of those that keep nothing for a tier either
    method: str
    spent: float
    unmet: int  # customers for whom something must happen that does not fit
    forgone: float = 0.0  # what the plan would bring besides if nothing were kept for a tier


def choose(options: pd.DataFrame, limits: Limits, exact_up_to: int = EXACT_OPTIONS) -> Plan:
    """The plan of most profit within the limits.

    `options`: customer_id, rule (name of the action), gain (money, before cost; unknown counts as
    none), cost (money; an option of unknown cost is not taken), the columns that capacities name,
    and optionally must (bool): taken first, the highest gain - cost first, at most one of a
    customer; for whom none fits is counted in `unmet`. Others are taken only where gain is above
    cost. Of more options than `exact_up_to` the plan is that of the prices. The order of rows
    decides nothing. InputError for negative or infinite money, or an unknown column.

    Where limits.reserve keeps a share for a tier (column tier), the tier gets at least what that
    share brings at its best: first comes what must happen, then each share, then all the rest with
    what is left, so that nothing kept lies idle. `bound` is that of a plan without it.
    """
    freely = _best(options, limits, exact_up_to)
    shares = {tier: share for tier, share in limits.reserve.items() if share > 0}
    shares = {tier: share for tier, share in shares.items() if (options.tier == tier).any()}
    if not shares:
        return freely
    must, rest, left = _must(options, limits, exact_up_to)
    kept = {}
    for tier, share in shares.items():
        kept[tier] = _best(rest[rest.tier == tier], limits.part(share, left), exact_up_to)
        left = left.less(kept[tier].chosen)
    fair = (_profit(freely.chosen, t) >= kept[t].profit * (1 - PROVEN) for t in kept)
    if all(fair):
        return freely
    done = pd.concat([plan.chosen.customer_id for plan in kept.values()])
    others = _best(rest[~rest.customer_id.isin(done)], left, exact_up_to)
    more = sum(
        shares[t] * (plan.price_of_budget or others.price_of_budget) for t, plan in kept.items()
    )
    price = more + (1 - sum(shares.values())) * others.price_of_budget
    return _together([must, *kept.values(), others], freely, price, limits)


def _must(
    options: pd.DataFrame, limits: Limits, exact_up_to: int
) -> tuple[Plan, pd.DataFrame, Limits]:
    """What must happen, and the options and limits that it leaves."""
    none = pd.Series(False, options.index)
    must = options.must.fillna(False).astype(bool) if "must" in options else none
    plan = _best(options[must], limits, exact_up_to)
    rest = options[~must & ~options.customer_id.isin(plan.chosen.customer_id)]
    return plan, rest, limits.less(plan.chosen)


def _profit(chosen: pd.DataFrame, tier: str) -> float:
    """What the choice brings of a tier, besides what must happen."""
    free = chosen[chosen.tier == tier]
    free = free[~free.must.astype(bool)] if "must" in free else free
    return float((free.gain.fillna(0) - free.cost).sum())


def _together(stages: list[Plan], freely: Plan, price: float, limits: Limits) -> Plan:
    """The plan of what must happen, then of what is kept for tiers, and last of the rest."""
    found = [stage.chosen for stage in stages if len(stage.chosen)]
    chosen = pd.concat(found).sort_values("customer_id", ignore_index=True)
    profit = sum(stage.profit for stage in stages)
    return replace(
        freely,
        chosen=chosen,
        profit=profit,
        gap=gap(profit, freely.bound),
        price_of_budget=price,
        prices=stages[-1].prices,
        method="reserve",
        spent=float(min(chosen.cost.sum(), limits.money)),
        unmet=stages[0].unmet,
        forgone=max(freely.profit - profit, 0.0),
    )


def _best(options: pd.DataFrame, limits: Limits, exact_up_to: int) -> Plan:
    """The plan of most profit, nothing kept for anybody."""
    given = _Given(options, limits, limits.money)
    problem, rows = given.problem()
    found = solve(problem, exact_up_to)
    profit = problem.value[found.taken].sum()
    places = given.order[np.sort(np.append(given.musts, rows[found.taken]))]
    chosen = options.iloc[places].reset_index(drop=True)
    return Plan(
        chosen=chosen,
        profit=float(given.fixed + profit),
        bound=float(given.fixed + max(found.bound, profit)),
        gap=gap(given.fixed + profit, given.fixed + found.bound),
        price_of_budget=float(found.prices[0]),
        prices=dict(zip(limits.capacity, found.prices[1:].tolist(), strict=False)),
        method="exact" if gap(profit, found.bound) <= PROVEN else "dual",
        spent=float(min(chosen.cost.sum(), limits.money)),
        unmet=given.unmet,
    )


def what_if(options: pd.DataFrame, limits: Limits) -> pd.DataFrame:
    """Plans with other budgets: FACTORS of the budget, or of what a plan without one would spend.

    Columns: factor, budget, profit, customers, price_of_budget, unmet.
    """
    rows, base = [], _base_budget(options, limits)
    for factor in FACTORS:
        plan = choose(options, replace(limits, budget=factor * base))
        row = {"factor": factor, "budget": factor * base, "customers": len(plan.chosen)}
        told = {name: getattr(plan, name) for name in ("profit", "price_of_budget", "unmet")}
        rows.append(row | told)
    return pd.DataFrame(rows)


def _base_budget(options: pd.DataFrame, limits: Limits) -> float:
    """The budget, or where there is none what the plan without one spends."""
    return limits.money if np.isfinite(limits.money) else choose(options, limits).spent


def curve(options: pd.DataFrame, limits: Limits, points: int = POINTS) -> pd.DataFrame:
    """The most profit by budget, from what must happen to twice the budget (as in what_if): columns
    budget, profit (the bound, at the prices of a sample).
    """
    budget = _base_budget(options, limits)
    given = _Given(options, limits, budget)
    spent = budget - given.left
    whole, _ = given.problem(np.inf)
    few, each, rows = whole.sample(), None, []
    share = few.customers / max(whole.customers, 1)
    for money in np.linspace(0, 2 * budget - spent, points):
        each, _ = prices(few.with_budget(money * share), each)
        bound = upper_bound(whole.with_budget(money), each)
        rows.append({"budget": spent + money, "profit": given.fixed + bound})
    return pd.DataFrame(rows).drop_duplicates("budget", ignore_index=True)


def verdict(plan: Plan, limits: Limits, margin: float | None) -> tuple[str, dict[str, object]]:
    """A sentence on the plan, with its values; without a margin gains are revenue."""
    values: dict[str, object] = {
        "customers": len(plan.chosen),
        "cost": plan.spent,
        "profit": plan.profit,
        "revenue": plan.profit + plan.spent,
        "loss": -plan.profit,
        "budget": limits.budget,
    }
    if plan.chosen.empty:
        return N_(
            "No action is worth its cost within the budget and the capacities, or nothing is known"
            " of money."
        ), {}
    if margin is None:
        return N_(
            "The plan spends {cost:money} on {customers:int} customers, before some of them are"
            " held back; {revenue:money} of extra revenue is counted on."
        ), values
    if plan.profit < 0:
        return N_(
            "The plan spends {cost:money} on {customers:int} customers, before some of them are"
            " held back, and is assumed to bring {loss:money} less than it costs, because of what"
            " is done whatever it brings."
        ), values
    if not np.isfinite(limits.money):
        return N_(
            "Without a budget, the plan spends {cost:money} on {customers:int} customers, before"
            " some of them are held back, and is assumed to bring {profit:money} more than it"
            " costs."
        ), values
    more = say(
        "each further {step:money} of budget would bring about {price:money} more than that costs"
        if plan.price_of_budget > 0
        else "more budget would bring nothing",
        step=STEP,
        price=STEP * plan.price_of_budget,
    )
    return N_(
        "The plan spends {cost:money} of {budget:money} on {customers:int} customers, before some"
        " of them are held back, and is assumed to bring {profit:money} more than it costs;"
        " {more:text}."
    ), values | {"more": more}


def half_and_double(plans: pd.DataFrame) -> dict[str, float]:
    """What half, the same and double the budget would bring, of plans as from what_if."""
    profit = plans.set_index("factor").profit.reindex(FACTORS)
    return dict(zip(("half", "same", "double"), profit.tolist(), strict=True))


class _Given:
    """The options in order of customer_id and rule, as numbers, with what must happen done.

    `order`: the place of each as given; `musts`: which of them happen and bring `fixed`; `unmet`:
    for how many customers they do not fit; `left`, `places`: what is left of money and capacities.
    """

    def __init__(self, options: pd.DataFrame, limits: Limits, budget: float) -> None:
        gain, cost = (options[name].to_numpy(float, na_value=np.nan) for name in ("gain", "cost"))
        _check(gain, cost, options, limits)
        gain, uses = np.nan_to_num(gain), _uses(options, limits)
        customer, rule = (
            pd.factorize(options[name], sort=True)[0] for name in ("customer_id", "rule")
        )
        self.order = np.lexsort([*uses.T, cost, -gain, rule, customer])
        self.customer, self.uses = customer[self.order], uses[self.order]
        self.cost, self.value = cost[self.order], (gain - cost)[self.order]
        self.places = np.append(np.floor([*limits.capacity.values()]), np.inf)
        self.budget = self.left = budget
        must = options.must.fillna(False) if "must" in options else np.zeros(len(options))
        self._do(np.flatnonzero(np.asarray(must, bool)[self.order]))

    def _do(self, rows: np.ndarray) -> None:
        """Do what must happen as far as it fits, what brings most first."""
        slack = ROUNDING * self.budget if np.isfinite(self.budget) else 0.0
        done: dict[int, int] = {}
        for row in rows[np.lexsort([rows, -np.nan_to_num(self.value[rows], nan=-np.inf)])]:
            fits = self.cost[row] <= self.left + slack and (self.places[self.uses[row]] >= 1).all()
            if fits and self.customer[row] not in done:
                done[self.customer[row]] = row
                self.left = max(self.left - self.cost[row], 0.0)
                self.places[self.uses[row]] -= 1
        self.musts, self.served = np.array([*done.values()], int), [*done]
        self.fixed = float(self.value[self.musts].sum())
        self.unmet = len({*self.customer[rows]}) - len(done)

    def problem(self, budget: float | None = None) -> tuple[Problem, np.ndarray]:
        """What is left to choose within the limits that are left, and the rows of its options."""
        rows = np.flatnonzero(~np.isin(self.customer, self.served) & (self.value > 0))
        few = (self.value[rows], self.cost[rows], self.uses[rows])
        money = self.left if budget is None else budget
        customer = pd.factorize(self.customer[rows])[0]
        return Problem(*few, customer, money, self.places).without_idle_limits(), rows


def _check(gain: np.ndarray, cost: np.ndarray, options: pd.DataFrame, limits: Limits) -> None:
    if np.isinf(gain).any() or np.isinf(cost).any() or (cost < 0).any():
        raise InputError(
            "options: gains and costs are money, costs 0 or more; mend the rows that are infinite"
            " or below"
        )
    if options.customer_id.isna().any():
        raise InputError("options: every row needs a customer_id")
    if not limits.money >= 0 or not all(most >= 0 for most in limits.capacity.values()):
        raise InputError("limits: budget and capacities are 0 or more")
    shares = limits.reserve.values()
    if not all(share >= 0 for share in shares) or sum(shares) > 1:
        raise InputError("limits: shares kept for tiers are 0 or more, together 1 at most")
    for column, _ in limits.capacity:
        if column not in options:
            raise InputError(
                f"limits: the options have no column {column};"
                f" {did_you_mean(column, options.columns)}"
            )


def _uses(options: pd.DataFrame, limits: Limits) -> np.ndarray:
    """The number of the capacity that each option uses, by column of the capacities; the last
    number for none.
    """
    none = len(limits.capacity)
    columns = list(dict.fromkeys(column for column, _ in limits.capacity))
    uses = np.full((len(options), len(columns)), none)
    for place, column in enumerate(columns):
        number = {value: n for n, (its, value) in enumerate(limits.capacity) if its == column}
        uses[:, place] = options[column].astype(object).map(number).fillna(none)
    return uses
