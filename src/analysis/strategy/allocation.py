"""Which action for whom: of each customer's possible actions at most one, so that budget and
capacities bring the most profit.

Of every customer at most one option is taken (a multiple-choice knapsack). Money and places have
prices (Lagrange multipliers; Fisher 1981): at these, customers decide one by one, and what they
then gain, plus all money and places at their prices, is a bound that no plan can beat. The plan at
the prices is made to fit and filled up; of few options HiGHS then looks for the best.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp, minimize

from analysis.errors import InputError, did_you_mean
from analysis.report.text import N_

# seconds for HiGHS; of three times as many it proves nothing in a minute, and rounding costs 1e-5
# by then
EXACT_OPTIONS = 15_000
SECONDS, NODES = (
    60.0,
    500,
)  # of HiGHS's search; nodes end it at the same place on every machine, seconds only in an emergency
PROVEN = 1e-6  # gap below which a plan counts as the best
# of a limit on money: 0.1 + 0.2 is no more than 0.3, and of a billion this is a tenth of a cent
ROUNDING = 1e-12
SCALE = 1e6  # of profit and budget for HiGHS, whose tolerances are 1e-6 whatever the unit
MORE = 1e-6  # of the limits: prices tell what more would bring, not what less would lose
SAMPLE = 30_000  # customers whose prices are where those of all are looked for
SMOOTH = (
    0.1,
    0.01,
    0.001,
)  # of the gain of a chosen option: how sharply customers choose, from search to search
STEPS = 100  # of each search
HALVINGS = 60  # of the price of money: to its last digits
ROUNDS = 100  # of filling up; the last ones add next to nothing
STEP = 100  # units of money, whose worth the report tells: that of one is often below a cent
POINTS = 12  # of a curve, as many as a chart needs
FACTORS = (0.5, 1, 2)  # of the budget: what half and double would bring

Where = tuple[str, Hashable]


@dataclass(frozen=True)
class Limits:
    """What there is: money (None: no limit), and for (column, value) of the options the most
    customers.
    """

    budget: float | None = None
    capacity: Mapping[Any, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Who gets what. No plan brings more than `bound`, with the options that must happen as they
    are in this one.
    """

    chosen: pd.DataFrame  # rows of the options, by customer_id
    profit: float  # sum of gain - cost
    bound: float
    gap: float  # (bound - profit) / bound; nan where the bound is 0 and the profit is not
    price_of_budget: (
        float  # profit that one more unit of money would bring; 0 where not all is needed
    )
    prices: dict[Where, float]  # the same of one more customer, by capacity
    method: str  # exact: no plan is better by more than PROVEN; dual: none by more than the gap
    spent: float
    unmet: int  # customers for whom something must happen that does not fit


@dataclass(frozen=True)
class _Problem:
    """Options worth something, by customer, in an order that no order of rows changes; limits that
    cannot bind are infinite.
    """

    value: np.ndarray  # gain - cost
    cost: np.ndarray
    # of each option by column of the capacities: the number of the capacity, the last number for
    # none
    uses: np.ndarray
    customer: np.ndarray  # number of its customer, from 0, rising without holes
    budget: float
    capacity: np.ndarray  # most customers; infinite in the last place

    @property
    def starts(self) -> np.ndarray:
        return np.searchsorted(self.customer, np.arange(self.customers))

    @property
    def customers(self) -> int:
        return int(self.customer[-1]) + 1 if len(self.customer) else 0

    @property
    def limits(self) -> np.ndarray:
        return np.append(self.budget, self.capacity)


@dataclass(frozen=True)
class _Prices:
    """Of money and of each capacity, and which options (numbers) customers would take at them, so
    that limits nearly hold.
    """

    each: np.ndarray
    taken: np.ndarray


def choose(options: pd.DataFrame, limits: Limits, exact_up_to: int = EXACT_OPTIONS) -> Plan:
    """The plan of most profit within the limits.

    `options`: customer_id, rule (name of the action), gain (money expected to be won, before cost;
    unknown counts as none), cost (money, 0 or more; an option of unknown cost is not taken), the
    columns that capacities name, and optionally must (bool): those are taken first, whatever they
    bring, the highest gain - cost first; of several of a customer one. For whom none of them fits
    is counted in `unmet`. Other options are only taken where gain is above cost. Of more options
    than `exact_up_to` the plan is that of the prices. The order of rows decides nothing. Raises
    InputError for costs below 0, infinite money, a limit below 0, or a column of a capacity that is
    not there.
    """
    ordered, uses, capacity = _ordered(options, limits)
    must, unmet, free, left = _musts(ordered, uses, _budget(limits), capacity)
    problem, rows = _problem(ordered, uses, free, *left)
    found = _prices(problem)
    taken, bound = _filled(problem, found), _bound(problem, found.each)
    if _gap(problem.value[taken].sum(), bound) > PROVEN and len(problem.value) <= exact_up_to:
        taken, bound = _exact(problem, found.each, taken, bound)
    chosen = options.iloc[ordered.index[np.sort(np.append(must, rows[taken]))]]
    fixed = _profit(ordered.iloc[must])
    profit, bound = fixed + problem.value[taken].sum(), fixed + bound
    gap = _gap(profit, bound)
    return Plan(
        chosen=chosen.reset_index(drop=True),
        profit=float(profit),
        bound=float(max(bound, profit)),
        gap=gap,
        price_of_budget=float(found.each[0]),
        prices=dict(zip(limits.capacity, found.each[1:].tolist(), strict=False)),
        method="exact" if _gap(problem.value[taken].sum(), bound - fixed) <= PROVEN else "dual",
        spent=float(min(chosen.cost.sum(), _budget(limits))),
        unmet=unmet,
    )


def what_if(
    options: pd.DataFrame, limits: Limits, factors: Sequence[float] = FACTORS
) -> pd.DataFrame:
    """Plans with other budgets: multiples of the budget, or of what a plan without one would spend.

    Columns: factor, budget, profit, bound, customers, price_of_budget, unmet.
    """
    budget = base_budget(options, limits)
    plans = {factor: choose(options, replace(limits, budget=factor * budget)) for factor in factors}
    rows = [
        (
            factor,
            factor * budget,
            plan.profit,
            plan.bound,
            len(plan.chosen),
            plan.price_of_budget,
            plan.unmet,
        )
        for factor, plan in plans.items()
    ]
    return pd.DataFrame(
        rows,
        columns=["factor", "budget", "profit", "bound", "customers", "price_of_budget", "unmet"],
    )


def base_budget(options: pd.DataFrame, limits: Limits) -> float:
    """The budget, or where there is none what the plan without one spends."""
    budget = _budget(limits)
    return budget if np.isfinite(budget) else choose(options, replace(limits, budget=None)).spent


def curve(options: pd.DataFrame, limits: Limits, points: int = POINTS) -> pd.DataFrame:
    """The most profit by budget, from what must happen to twice the budget (as in what_if): columns
    budget, profit.

    The profit is the bound, which plans of many customers reach but for their gap; prices are those
    of a sample.
    """
    ordered, uses, capacity = _ordered(options, limits)
    budget = base_budget(options, limits)
    must, _, free, (left, places) = _musts(ordered, uses, budget, capacity)
    spent, fixed = budget - left, _profit(ordered.iloc[must])
    whole, _ = _problem(ordered, uses, free, np.inf, places)
    few, prices, told = _sample(whole), None, []
    for money in np.linspace(0, 2 * budget - spent, points):
        prices = _prices(
            _with_budget(few, money * few.customers / max(whole.customers, 1)), prices
        ).each
        told.append((spent + money, fixed + _bound(_with_budget(whole, money), prices)))
    return pd.DataFrame(told, columns=["budget", "profit"]).drop_duplicates(
        "budget", ignore_index=True
    )


def verdict(plan: Plan, limits: Limits) -> tuple[str, dict[str, object]]:
    """The key of a finding on the plan, with its values."""
    values: dict[str, object] = {
        "customers": len(plan.chosen),
        "cost": plan.spent,
        "profit": plan.profit,
        "budget": limits.budget,
    }
    if not len(plan.chosen):
        return (
            N_(
                "No action is worth its cost within the budget and the capacities, or nothing is"
                " known of money."
            ),
            {},
        )
    if not np.isfinite(_budget(limits)):
        return (
            N_(
                "Without a budget, the plan spends {cost:money} on {customers:int} customers,"
                " before some of them are held back, and is assumed to bring {profit:money} more"
                " than it costs."
            ),
            values,
        )
    more: dict[str, object] = {"step": STEP, "price": STEP * plan.price_of_budget}
    return (
        N_(
            "The plan spends {cost:money} of {budget:money} on {customers:int} customers, before"
            " some of them are held back, and is assumed to bring {profit:money} more than it"
            " costs; each further {step:money} of budget would bring about {price:money} more than"
            " that costs."
        )
        if plan.price_of_budget > 0
        else N_(
            "The plan spends {cost:money} of {budget:money} on {customers:int} customers, before"
            " some of them are held back, and is assumed to bring {profit:money} more than it"
            " costs; more budget would bring nothing."
        )
    ), values | more


def half_and_double(plans: pd.DataFrame) -> dict[str, float]:
    """What half and double the budget would bring, of plans as from what_if: half, same, double;
    nan where it was not asked.
    """
    profit = plans.set_index("factor").profit
    return {
        name: float(profit.get(factor, np.nan))
        for name, factor in zip(("half", "same", "double"), FACTORS, strict=True)
    }


# From the options to numbers
def _budget(limits: Limits) -> float:
    return np.inf if limits.budget is None else float(limits.budget)


def _ordered(options: pd.DataFrame, limits: Limits) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The options by customer_id and rule with known gains (index: their places as given), what
    each uses of the capacities, and these.
    """
    gain, cost = (options[name].to_numpy(float, na_value=np.nan) for name in ("gain", "cost"))
    _check(gain, cost, options, limits)
    uses = _uses(options, limits)
    customer, rule = (pd.factorize(options[name], sort=True)[0] for name in ("customer_id", "rule"))
    order = np.lexsort([*uses.T, cost, -np.nan_to_num(gain), rule, customer])
    known = options.assign(gain=np.nan_to_num(gain), cost=cost).iloc[order].set_axis(order)
    capacity = np.append(np.floor(np.array(list(limits.capacity.values()), float)), np.inf)
    return known, uses[order], capacity


def _check(gain: np.ndarray, cost: np.ndarray, options: pd.DataFrame, limits: Limits) -> None:
    if np.isinf(gain).any() or np.isinf(cost).any() or (cost < 0).any():
        raise InputError(
            "options: gains and costs are money, costs 0 or more; mend the rows that are infinite"
            " or below"
        )
    if options.customer_id.isna().any():
        raise InputError("options: every row needs a customer_id")
    if not _budget(limits) >= 0 or not all(most >= 0 for most in limits.capacity.values()):
        raise InputError("limits: budget and capacities are 0 or more")
    for column, _ in limits.capacity:
        if column not in options:
            raise InputError(
                f"limits: the options have no column {column};"
                f" {did_you_mean(column, options.columns)}"
            )


def _uses(options: pd.DataFrame, limits: Limits) -> np.ndarray:
    none, columns = (
        len(limits.capacity),
        list(dict.fromkeys(column for column, _ in limits.capacity)),
    )
    uses = np.full((len(options), len(columns)), none)
    for place, column in enumerate(columns):
        numbers = {
            value: number for number, (of, value) in enumerate(limits.capacity) if of == column
        }
        codes, values = pd.factorize(options[column])
        uses[:, place] = np.append([numbers.get(value, none) for value in values], none).astype(
            int
        )[codes]  # the last: unknown
    return uses


def _musts(
    ordered: pd.DataFrame, uses: np.ndarray, budget: float, capacity: np.ndarray
) -> tuple[np.ndarray, int, np.ndarray, tuple[float, np.ndarray]]:
    """Rows of what must happen and fits; for how many customers it does not; which rows are left to
    choose from; what is left of the limits.
    """
    must = (
        ordered["must"].fillna(False).to_numpy(bool)
        if "must" in ordered
        else np.zeros(len(ordered), bool)
    )
    rows = np.flatnonzero(must)
    customer, cost = pd.factorize(ordered.customer_id)[0], ordered.cost.to_numpy(float)
    worth = (ordered.gain - ordered.cost).to_numpy(float)
    taken, served, left, places = [], set(), budget, capacity.copy()
    for row in rows[np.lexsort([rows, -np.nan_to_num(worth[rows], nan=-np.inf)])]:
        fits = cost[row] <= left + ROUNDING * _finite(budget) and (places[uses[row]] >= 1).all()
        if fits and customer[row] not in served:
            taken.append(row)
            served.add(customer[row])
            left = max(left - cost[row], 0.0)
            places[uses[row]] -= 1
    unmet = len(set(customer[rows])) - len(served)
    return np.array(taken, int), unmet, ~np.isin(customer, list(served)), (left, places)


def _finite(money: float) -> float:
    return money if np.isfinite(money) else 0.0


def _profit(rows: pd.DataFrame) -> float:
    return float((rows.gain - rows.cost).sum())


def _problem(
    ordered: pd.DataFrame, uses: np.ndarray, free: np.ndarray, budget: float, capacity: np.ndarray
) -> tuple[_Problem, np.ndarray]:
    """The problem of the rows that are free and worth something, and these rows."""
    value, cost = (ordered.gain - ordered.cost).to_numpy(float), ordered.cost.to_numpy(float)
    rows = np.flatnonzero(free & (value > 0))
    problem = _Problem(
        value[rows],
        cost[rows],
        uses[rows],
        pd.factorize(ordered.customer_id.iloc[rows])[0],
        budget,
        capacity,
    )
    return _without_idle_limits(problem), rows


def _without_idle_limits(problem: _Problem) -> _Problem:
    """Limits that all customers together cannot reach are none, and have no price."""
    if not problem.customers:
        return replace(problem, budget=np.inf, capacity=np.full(len(problem.capacity), np.inf))
    who = np.repeat(problem.customer, problem.uses.shape[1])
    pairs = pd.DataFrame({"use": problem.uses.ravel(), "who": who}).drop_duplicates()
    wanted = np.bincount(pairs.use, minlength=len(problem.capacity))
    capacity = np.where(wanted <= problem.capacity, np.inf, problem.capacity)
    return _with_budget(replace(problem, capacity=capacity), problem.budget)


def _with_budget(problem: _Problem, budget: float) -> _Problem:
    """The problem with another budget, which is none where all customers together cannot spend it."""
    most = np.maximum.reduceat(problem.cost, problem.starts).sum() if problem.customers else 0.0
    return replace(problem, budget=np.inf if most <= budget else budget)


def _of_rows(problem: _Problem, rows: np.ndarray, share: float = 1.0) -> _Problem:
    """The problem of some options, with a share of the limits."""
    few = (
        problem.value[rows],
        problem.cost[rows],
        problem.uses[rows],
        pd.factorize(problem.customer[rows])[0],
    )
    return _Problem(*few, problem.budget * share, problem.capacity * share)


def _sample(problem: _Problem) -> _Problem:
    """Some customers, always the same, with their share of the limits."""
    if problem.customers <= SAMPLE:
        return problem
    picked = np.zeros(problem.customers, bool)
    picked[np.random.default_rng(0).choice(problem.customers, SAMPLE, replace=False)] = True
    return _of_rows(problem, picked[problem.customer], SAMPLE / problem.customers)


# Prices
def _reduced(problem: _Problem, prices: np.ndarray) -> np.ndarray:
    """What each option brings beyond what its money and places are worth."""
    reduced = problem.value - prices[0] * problem.cost
    for use in problem.uses.T:
        reduced -= prices[1:][use]
    return reduced


def _worth(problem: _Problem, prices: np.ndarray) -> float:
    """What all money and places are worth; prices of what has no limit are 0."""
    return float(prices @ np.where(np.isfinite(problem.limits), problem.limits, 0))


def _bound(problem: _Problem, prices: np.ndarray) -> float:
    """What no plan can beat: any prices of 0 or more give one (weak duality); also none does
    without limits. Options that do not fit even alone are in no plan.
    """
    if not problem.customers:
        return 0.0
    alone = problem.cost <= problem.budget + ROUNDING * _finite(problem.budget)
    alone &= (problem.capacity[problem.uses] >= 1).all(axis=1)
    bounds = [
        _worth(problem, each)
        + np.maximum.reduceat(np.where(alone, _reduced(problem, each), 0), problem.starts)
        .clip(min=0)
        .sum()
        for each in (prices, np.zeros(len(prices)))
    ]
    return float(min(bounds))


def _gap(profit: float, bound: float) -> float:
    """(bound - profit) / bound."""
    if bound - profit <= ROUNDING * abs(bound):
        return 0.0
    return float((bound - profit) / abs(bound)) if bound else float("nan")


def _prices(problem: _Problem, start: np.ndarray | None = None) -> _Prices:
    """The prices at which the limits nearly hold: of few options those of the linear programme,
    else searched from a start.
    """
    if not np.isfinite(problem.limits).any():
        prices = np.zeros(len(problem.limits))
        return _Prices(prices, _best(problem, _reduced(problem, prices)))
    return (_by_programme(problem) if len(problem.value) <= EXACT_OPTIONS else None) or _by_search(
        problem, start
    )


def _best(problem: _Problem, reduced: np.ndarray) -> np.ndarray:
    """For each customer the number of the best option, the first of equal ones, if it is above 0."""
    if not problem.customers:
        return np.empty(0, int)
    best = np.maximum.reduceat(reduced, problem.starts)
    at = np.flatnonzero((reduced > 0) & (reduced == best[problem.customer]))
    who = problem.customer[at]
    return at[np.append(True, who[1:] != who[:-1])] if len(at) else at


def _matrix(problem: _Problem) -> sparse.csr_matrix:
    """One column for each option; rows: its customer, then money, then capacities."""
    n, each = len(problem.value), np.arange(len(problem.value))
    places = problem.uses.shape[1]
    use = sparse.csr_matrix(
        (np.ones(n * places), (problem.uses.ravel(), np.repeat(each, places))),
        (len(problem.capacity), n),
    )
    who = sparse.csr_matrix((np.ones(n), (problem.customer, each)), (problem.customers, n))
    return sparse.vstack([who, sparse.csr_matrix(problem.cost), use]).tocsr()


def _programme(
    problem: _Problem, more: float = 0.0
) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Matrix and limits in units that suit HiGHS, without limits that are none; and the unit of
    every row, nan for these.
    """
    matrix, n = _matrix(problem), problem.customers
    unit = np.ones(matrix.shape[0])
    unit[n] = SCALE / (max(_finite(problem.budget), problem.cost.max() / SCALE) or 1.0)
    limits = np.append(np.ones(n), problem.limits * (1 + more))
    if not problem.budget:
        limits[n] = more * problem.cost.sum()  # the first unit of money, too, has a price
    rows = np.isfinite(limits)
    return (
        (sparse.diags(unit) @ matrix).tocsr()[rows],
        (unit * limits)[rows],
        np.where(rows, unit, np.nan),
    )


def _by_programme(problem: _Problem) -> _Prices | None:
    """The linear programme that allows parts of options; None where HiGHS fails."""
    matrix, limits, unit = _programme(problem, MORE)
    scale = SCALE / problem.value.sum()
    solved = linprog(
        -problem.value * scale, A_ub=matrix, b_ub=limits, bounds=(0, 1), method="highs"
    )
    if solved.status != 0:
        return None
    prices = np.zeros(len(unit))
    prices[~np.isnan(unit)] = (-solved.ineqlin.marginals / scale).clip(min=0)
    return _Prices(
        (prices * np.nan_to_num(unit))[problem.customers :], np.flatnonzero(solved.x > 0.5)
    )


def _by_search(problem: _Problem, start: np.ndarray | None = None) -> _Prices:
    """Prices by descent. Customers first choose softly, as if by a chance that is the better the
    more an option brings: so the bound has a slope everywhere (Nesterov 2005), and whom equal
    options leave undecided is shared out.
    """
    few = _sample(problem)
    if start is None and few is not problem:
        start = _by_search(few).each
    prices, sharpness = np.zeros(len(problem.limits)) if start is None else start, 0.0
    for smooth in SMOOTH if start is None else SMOOTH[-1:]:
        chosen = _best(problem, _reduced(problem, prices))
        sharpness = smooth * (problem.value[chosen] if len(chosen) else problem.value).mean()
        prices = _descended(problem, prices, sharpness)
    chance = np.random.default_rng(0)
    at_random = _reduced(problem, prices) + sharpness * chance.gumbel(size=len(problem.value))
    against = sharpness * chance.gumbel(size=problem.customers)
    return _Prices(
        _with_price_of_money(problem, prices), _best(problem, at_random - against[problem.customer])
    )


def _descended(problem: _Problem, prices: np.ndarray, sharpness: float) -> np.ndarray:
    """Prices that make the soft bound least, by L-BFGS-B, in units of the mean value."""
    bound, limited = _soft_bound(problem, sharpness), np.isfinite(problem.limits)
    unit = np.full(len(prices), problem.value.mean())
    unit[0] /= problem.cost[problem.cost > 0].mean() if limited[0] else 1.0
    total = problem.value.mean() * problem.customers

    def scaled(x: np.ndarray) -> tuple[float, np.ndarray]:
        at, slope = bound(x * unit)
        return at / total, slope * unit / total

    ends = [(0, None) if known else (0, 0) for known in limited]
    steps = {"maxiter": STEPS, "ftol": 1e-10, "gtol": 1e-7}
    return (
        np.asarray(
            minimize(
                scaled,
                np.where(limited, prices / unit, 0),
                jac=True,
                method="L-BFGS-B",
                bounds=ends,
                options=steps,
            ).x
        )
        * unit
    )


def _soft_bound(
    problem: _Problem, sharpness: float
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """The bound with a soft maximum, and its slope: what is left of the limits."""
    starts, limits = problem.starts, np.where(np.isfinite(problem.limits), problem.limits, 0)

    def bound(prices: np.ndarray) -> tuple[float, np.ndarray]:
        reduced = _reduced(problem, prices)
        best = np.maximum.reduceat(reduced, starts).clip(min=0)
        weight = np.exp((reduced - best[problem.customer]) / sharpness)
        total = np.add.reduceat(weight, starts) + np.exp(-best / sharpness)
        weight /= total[problem.customer]
        used = sum(np.bincount(use, weight, len(problem.capacity)) for use in problem.uses.T)
        slope = limits - np.append(weight @ problem.cost, used + np.zeros(len(problem.capacity)))
        return float(limits @ prices + best.sum() + sharpness * np.log(total).sum()), slope

    return bound


def _with_price_of_money(problem: _Problem, prices: np.ndarray) -> np.ndarray:
    """The lowest price of money at which customers spend no more than there is, all else as it is:
    by halving.
    """
    if not np.isfinite(problem.budget):
        return prices
    at_no_price = _reduced(problem, np.append(0.0, prices[1:]))

    def spent(price: float) -> float:
        return float(problem.cost[_best(problem, at_no_price - price * problem.cost)].sum())

    costly = problem.cost > 0
    low, high = (
        0.0,
        float(max((at_no_price[costly] / problem.cost[costly]).max(), 0)),
    )  # there nobody spends anything
    if spent(low) <= problem.budget:
        return np.append(0.0, prices[1:])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > problem.budget else (low, middle)
    return np.append(high, prices[1:])


# Plans that fit
def _filled(problem: _Problem, found: _Prices) -> np.ndarray:
    """Numbers of options that fit: first those proposed, the most above their price first, then
    what else still does, and better options for customers who have one.
    """
    reduced, current = _reduced(problem, found.each), np.full(problem.customers, -1)
    proposed = found.taken
    for _ in range(ROUNDS):
        if not len(fitting := proposed[_fit(problem, proposed, current)]):
            break
        more = reduced[fitting] - _of(reduced, current[problem.customer[fitting]])
        fitting = fitting[np.argsort(-more, kind="stable")]
        fitting = fitting[_together(problem, fitting, current)]
        current[problem.customer[fitting]] = fitting
        proposed = _proposed(problem, reduced, current)
    return current[current >= 0]


def _of(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The values of options by number, 0 for none (-1)."""
    return np.append(values, 0.0)[numbers]


def _left(problem: _Problem, current: np.ndarray) -> tuple[float, np.ndarray]:
    taken = current[current >= 0]
    used = np.bincount(problem.uses[taken].ravel(), minlength=len(problem.capacity))
    slack = ROUNDING * _finite(problem.budget)
    return problem.budget - problem.cost[taken].sum() + slack, problem.capacity - used


def _needs(
    problem: _Problem, numbers: np.ndarray, current: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What options need beyond what their customers have: money, and capacities (the last number:
    none).
    """
    has = current[problem.customer[numbers]]
    uses, none = problem.uses[numbers], len(problem.capacity) - 1
    same = (uses == problem.uses[has]) & (has >= 0)[:, None]
    return problem.cost[numbers] - _of(problem.cost, has), np.where(same, none, uses)


def _fit(problem: _Problem, numbers: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Which options fit alone."""
    money, places = _left(problem, current)
    cost, uses = _needs(problem, numbers, current)
    return (cost <= np.maximum(money, 0)) & (places[uses] >= 1).all(axis=1)


def _together(problem: _Problem, numbers: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Which options, one of each customer at most, fit with all before them; the first, which fits
    alone, always does.
    """
    money, places = _left(problem, current)
    cost, uses = _needs(problem, numbers, current)
    fit = cost.clip(min=0).cumsum() <= max(money, 0)
    fit |= cost <= 0
    for use in uses.T:
        fit &= pd.Series(use).groupby(use).cumcount().to_numpy() < places[use]
    return fit


def _proposed(problem: _Problem, reduced: np.ndarray, current: np.ndarray) -> np.ndarray:
    """For each customer the option most above its price among those that bring more than the one
    taken, and fit.
    """
    better = np.flatnonzero(problem.value > _of(problem.value, current)[problem.customer])
    better = better[_fit(problem, better, current)]
    order = better[np.lexsort([-reduced[better], problem.customer[better]])]
    return order[~pd.Series(problem.customer[order]).duplicated().to_numpy()]


# The best plan of few options
def _exact(
    problem: _Problem, prices: np.ndarray, taken: np.ndarray, bound: float
) -> tuple[np.ndarray, float]:
    """The better plan of HiGHS and `taken`, and the lower bound of the two; as they are where HiGHS
    finds nothing in its time.
    """
    alone = _fit(problem, np.arange(len(problem.value)), np.full(problem.customers, -1))
    few, rows = _of_rows(problem, alone), np.flatnonzero(alone)
    matrix, limits, _ = _programme(few)
    scale = SCALE / max(bound, np.finfo(float).tiny)
    with _silent():
        solved = milp(
            -few.value * scale,
            integrality=1,
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(matrix, ub=limits),
            options={"time_limit": SECONDS, "node_limit": NODES, "mip_rel_gap": PROVEN / 2},
        )
    if solved.mip_dual_bound is not None and np.isfinite(solved.mip_dual_bound):
        bound = min(bound, -solved.mip_dual_bound / scale)
    if solved.x is not None:
        whole = _filled(problem, _Prices(prices, rows[solved.x > 0.5]))
        taken = max(taken, whole, key=lambda numbers: problem.value[numbers].sum())
    return taken, max(bound, float(problem.value[taken].sum()))


@contextmanager
def _silent() -> Iterator[None]:
    """HiGHS leaves notes for its developers on the standard output of the process, past Python and
    so past its options.
    """
    library = ctypes.CDLL(None)
    sys.stdout.flush()
    library.fflush(None)
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        library.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
