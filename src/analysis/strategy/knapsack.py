"""Of each customer at most one option, so that money and places bring the most: a multiple-choice
knapsack.

Money and places have prices (Lagrange multipliers; Fisher 1981). At these, customers decide one by
one; what they gain, plus all money and places at their prices, no plan can beat. The plan at the
prices is made to fit and filled up; of few options HiGHS then looks for the best.
"""

from dataclasses import dataclass, replace

import highspy
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.optimize import bisect, minimize

# of three times as many HiGHS proves nothing in a minute, and rounding costs 1e-5 by then
EXACT_OPTIONS = 15_000
# of HiGHS's search; nodes end it at the same place on every machine, seconds only in an emergency
SECONDS, NODES = 60.0, 500
PROVEN = 1e-6  # gap below which a plan counts as the best
# of a limit on money: 0.1 + 0.2 is no more than 0.3, and of a billion this is a tenth of a cent
ROUNDING = 1e-12
SCALE = 1e6  # of profit and budget for HiGHS, whose tolerances are 1e-6 whatever the unit
MORE = 1e-6  # of the limits: prices tell what more would bring, not what less would lose
SAMPLE = 30_000  # customers whose prices are where those of all are looked for
# of the gain of a chosen option: how sharply customers choose, from search to search
SMOOTH = (0.1, 0.01, 0.001)
STEPS = 100  # of each search
ROUNDS = 100  # of filling up; the last ones add next to nothing


@dataclass(frozen=True)
class Problem:
    """Options worth something, by customer, in an order that no order of rows changes."""

    value: np.ndarray  # gain - cost
    cost: np.ndarray
    uses: np.ndarray  # options by columns of capacities: the number of the capacity, the last: none
    customer: np.ndarray  # number of its customer, from 0, rising without holes
    budget: float
    capacity: np.ndarray  # most customers; infinite in the last place

    @property
    def customers(self) -> int:
        return int(self.customer[-1]) + 1 if len(self.customer) else 0

    @property
    def limits(self) -> np.ndarray:
        return np.append(self.budget, self.capacity)

    @property
    def slack(self) -> float:
        """What may be spent beyond the budget by rounding."""
        return ROUNDING * self.budget if np.isfinite(self.budget) else 0.0

    def per_customer(self, function: np.ufunc, values: np.ndarray) -> np.ndarray:
        """A sum or a maximum of each customer's options."""
        starts = np.searchsorted(self.customer, np.arange(self.customers))
        return function.reduceat(values, starts) if len(values) else values[:0]

    def with_budget(self, budget: float) -> "Problem":
        """With another budget, which is none where all customers together cannot spend it."""
        most = self.per_customer(np.maximum, self.cost).sum()
        return replace(self, budget=np.inf if most <= budget else budget)

    def without_idle_limits(self) -> "Problem":
        """Limits that all customers together cannot reach are none, and have no price."""
        who = np.repeat(self.customer, self.uses.shape[1])
        wanted = pd.DataFrame({"use": self.uses.ravel(), "who": who}).drop_duplicates().use
        reached = np.bincount(wanted, minlength=len(self.capacity)) > self.capacity
        capacity = np.where(reached, self.capacity, np.inf)
        return replace(self, capacity=capacity).with_budget(self.budget)

    def of_options(self, which: np.ndarray, share: float = 1.0) -> "Problem":
        """The problem of some options, with a share of the limits."""
        few = (self.value[which], self.cost[which], self.uses[which])
        customer = pd.factorize(self.customer[which])[0]
        return Problem(*few, customer, self.budget * share, self.capacity * share)

    def sample(self) -> "Problem":
        """Some customers, always the same, with their share of the limits."""
        if self.customers <= SAMPLE:
            return self
        picked = np.zeros(self.customers, bool)
        picked[np.random.default_rng(0).choice(self.customers, SAMPLE, replace=False)] = True
        return self.of_options(picked[self.customer], SAMPLE / self.customers)


@dataclass(frozen=True)
class Solution:
    taken: np.ndarray  # numbers of options
    bound: float  # what no other plan can beat
    prices: np.ndarray  # of money and of each capacity


def solve(problem: Problem, exact_up_to: int = EXACT_OPTIONS) -> Solution:
    """The plan of the prices, and of `exact_up_to` options or fewer the best plan there is."""
    each, proposed = prices(problem)
    taken, bound = _filled(problem, each, proposed), upper_bound(problem, each)
    if gap(problem.value[taken].sum(), bound) > PROVEN and len(problem.value) <= exact_up_to:
        taken, bound = _exact(problem, each, taken, bound)
    return Solution(taken, bound, each)


def gap(profit: float, bound: float) -> float:
    """(bound - profit) / bound; nan where the bound is 0 and the profit is not."""
    if bound - profit <= ROUNDING * abs(bound):
        return 0.0
    return float((bound - profit) / abs(bound)) if bound else float("nan")


def upper_bound(problem: Problem, each: np.ndarray) -> float:
    """What no plan can beat, by weak duality; options that do not fit even alone are in none."""
    alone = problem.cost <= problem.budget + problem.slack
    alone &= (problem.capacity[problem.uses] >= 1).all(axis=1)
    limits = np.where(np.isfinite(problem.limits), problem.limits, 0)

    def bound(at: np.ndarray) -> float:
        best = problem.per_customer(np.maximum, np.where(alone, _reduced(problem, at), 0))
        return float(at @ limits + best.clip(min=0).sum())

    return min(bound(each), bound(np.zeros(len(each))))


# Prices
def prices(problem: Problem, start: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The prices of money and of each capacity at which the limits nearly hold, and the options
    taken at them: of few options by linear programme, else by search from `start`.
    """
    if not np.isfinite(problem.limits).any():
        each = np.zeros(len(problem.limits))
        return each, _best(problem, _reduced(problem, each))
    if len(problem.value) <= EXACT_OPTIONS:
        share, each, _ = _by_highs(problem, whole=False)
        if share is not None:
            return each, np.flatnonzero(share > 0.5)
    return _by_search(problem, start)


def _reduced(problem: Problem, each: np.ndarray) -> np.ndarray:
    """What each option brings beyond what its money and places are worth."""
    reduced = problem.value - each[0] * problem.cost
    for use in problem.uses.T:
        reduced -= each[1:][use]
    return reduced


def _best(problem: Problem, reduced: np.ndarray) -> np.ndarray:
    """For each customer the number of the best option, the first of equal ones, if above 0."""
    best = problem.per_customer(np.maximum, reduced)
    at = np.flatnonzero((reduced > 0) & (reduced == best[problem.customer]))
    who = problem.customer[at]
    return at[np.diff(who, prepend=-1) > 0]


def _by_search(problem: Problem, start: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Prices by descent. Customers choose softly, by a chance that grows with what an option
    brings: so the bound has a slope everywhere (Nesterov 2005), and the undecided are shared out.
    """
    few = problem.sample()
    if start is None and few is not problem:
        start, _ = _by_search(few, None)
    each, sharpness = np.zeros(len(problem.limits)) if start is None else start, 0.0
    for smooth in SMOOTH if start is None else SMOOTH[-1:]:
        chosen = _best(problem, _reduced(problem, each))
        sharpness = smooth * (problem.value[chosen] if len(chosen) else problem.value).mean()
        each = _descended(problem, each, sharpness)
    chance = np.random.default_rng(0)
    at_random = _reduced(problem, each) + sharpness * chance.gumbel(size=len(problem.value))
    against = sharpness * chance.gumbel(size=problem.customers)
    proposed = _best(problem, at_random - against[problem.customer])
    return _with_price_of_money(problem, each), proposed


def _descended(problem: Problem, each: np.ndarray, sharpness: float) -> np.ndarray:
    """Prices that make the bound with a soft maximum least, in units of the mean value."""
    limited = np.isfinite(problem.limits)
    limits = np.where(limited, problem.limits, 0)
    unit = np.full(len(each), problem.value.mean())
    if limited[0]:
        unit[0] /= problem.cost[problem.cost > 0].mean()
    total = problem.value.mean() * problem.customers

    def bound(x: np.ndarray) -> tuple[float, np.ndarray]:
        reduced = _reduced(problem, x * unit)
        best = problem.per_customer(np.maximum, reduced).clip(min=0)
        weight = np.exp((reduced - best[problem.customer]) / sharpness)
        chances = problem.per_customer(np.add, weight) + np.exp(-best / sharpness)
        weight /= chances[problem.customer]
        used = np.zeros(len(problem.capacity))
        for use in problem.uses.T:
            used += np.bincount(use, weight, len(used))
        height = float(limits @ (x * unit) + best.sum() + sharpness * np.log(chances).sum())
        return height / total, (limits - np.append(weight @ problem.cost, used)) * unit / total

    found = minimize(
        bound,
        np.where(limited, each / unit, 0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None) if there else (0, 0) for there in limited],
        options={"maxiter": STEPS, "ftol": 1e-10, "gtol": 1e-7},
    )
    return np.asarray(found.x) * unit


def _with_price_of_money(problem: Problem, each: np.ndarray) -> np.ndarray:
    """The lowest price of money at which customers spend no more than there is."""
    if not np.isfinite(problem.budget):
        return each
    free = _reduced(problem, np.append(0.0, each[1:]))
    costly = problem.cost > 0
    most = float(max((free[costly] / problem.cost[costly]).max(), 0))  # there nobody spends

    def beyond(price: float) -> float:
        spent = problem.cost[_best(problem, free - price * problem.cost)].sum()
        return 1.0 if spent > problem.budget else -1.0

    if beyond(0.0) < 0:
        return np.append(0.0, each[1:])
    price = bisect(beyond, 0.0, most, xtol=most * 1e-15, rtol=1e-14)
    price = price if beyond(price) < 0 else min(price * (1 + 1e-13), most)
    return np.append(price, each[1:])


# HiGHS
def _by_highs(problem: Problem, whole: bool) -> tuple[np.ndarray | None, np.ndarray, float]:
    """What HiGHS takes of each option (None where it finds nothing), the prices, and its bound: of
    whole options, or of parts, a little beyond the limits. Rows are customers, money, capacities.
    """
    count, places, n = len(problem.value), problem.uses.shape[1], problem.customers
    each, more = np.arange(count), 0.0 if whole else MORE
    who = sparse.csr_matrix((np.ones(count), (problem.customer, each)), (n, count))
    ones = (np.ones(count * places), (problem.uses.ravel(), np.repeat(each, places)))
    use = sparse.csr_matrix(ones, (len(problem.capacity), count))
    budget = problem.budget if np.isfinite(problem.budget) else 0.0
    unit = np.ones(n + len(problem.limits))
    unit[n] = SCALE / (max(budget, problem.cost.max() / SCALE) or 1.0)
    limits = np.append(np.ones(n), problem.limits * (1 + more))
    if not problem.budget:
        limits[n] = more * problem.cost.sum()  # the first unit of money, too, has a price
    rows = np.isfinite(limits)
    matrix = sparse.diags(unit) @ sparse.vstack([who, sparse.csr_matrix(problem.cost), use])
    scale = SCALE / problem.value.sum()
    solver = _highs(
        problem.value * scale, matrix.tocsr()[rows].tocsc(), (unit * limits)[rows], whole
    )
    found, told = solver.getSolution(), np.zeros(len(unit))
    if not found.value_valid:
        return None, told[n:], np.inf
    if found.dual_valid:
        told[rows] = np.abs(found.row_dual) / scale
    bound = solver.getInfo().mip_dual_bound / scale if whole else np.inf
    return np.array(found.col_value), (told * unit)[n:], bound


class _Silent(highspy.Highs):
    """HiGHS that writes nothing: its own constructor would name itself on the process's output."""

    def enableCallbacks(self) -> None:  # the first thing that the constructor does
        self.silent()
        super().enableCallbacks()


def _highs(
    value: np.ndarray, matrix: sparse.csc_matrix, limits: np.ndarray, whole: bool
) -> highspy.Highs:
    model = highspy.HighsLp()
    model.num_row_, model.num_col_ = matrix.shape
    model.sense_, model.col_cost_ = highspy.ObjSense.kMaximize, value
    model.col_lower_, model.col_upper_ = np.zeros(len(value)), np.ones(len(value))
    model.row_lower_, model.row_upper_ = np.full(len(limits), -highspy.kHighsInf), limits
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
    model.a_matrix_.value_ = matrix.data
    if whole:
        model.integrality_ = [highspy.HighsVarType.kInteger] * len(value)
    solver = _Silent()
    options = {"output_flag": False, "threads": 1, "time_limit": SECONDS}
    options |= {"mip_max_nodes": NODES, "mip_rel_gap": PROVEN / 2}
    for name, setting in options.items():
        solver.setOptionValue(name, setting)
    solver.passModel(model)
    solver.run()
    return solver


def _exact(
    problem: Problem, each: np.ndarray, taken: np.ndarray, bound: float
) -> tuple[np.ndarray, float]:
    """The better plan of HiGHS and `taken`, and the lower bound of the two."""
    nobody = np.full(problem.customers, -1)
    alone = np.flatnonzero(_fit(problem, np.arange(len(problem.value)), nobody))
    share, _, proven = _by_highs(problem.of_options(alone), whole=True)
    if np.isfinite(proven):
        bound = min(bound, proven)
    if share is not None:
        whole = _filled(problem, each, alone[share > 0.5])
        taken = max(taken, whole, key=lambda numbers: problem.value[numbers].sum())
    return taken, max(bound, float(problem.value[taken].sum()))


# Plans that fit
def _filled(problem: Problem, each: np.ndarray, proposed: np.ndarray) -> np.ndarray:
    """Options that fit: those proposed, the most above their price first, then what else does, and
    better options for customers who have one.
    """
    reduced, current = _reduced(problem, each), np.full(problem.customers, -1)
    for _ in range(ROUNDS):
        fitting = proposed[_fit(problem, proposed, current)]
        if not len(fitting):
            break
        more = reduced[fitting] - _of(reduced, current[problem.customer[fitting]])
        fitting = fitting[np.argsort(-more, kind="stable")]
        fitting = fitting[_fit(problem, fitting, current, together=True)]
        current[problem.customer[fitting]] = fitting
        better = np.flatnonzero(problem.value > _of(problem.value, current)[problem.customer])
        better = better[_fit(problem, better, current)]
        order = better[np.lexsort([-reduced[better], problem.customer[better]])]
        proposed = order[np.diff(problem.customer[order], prepend=-1) > 0]
    return current[current >= 0]


def _of(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The values of options by number, 0 for none (-1)."""
    return np.append(values, 0.0)[numbers]


def _fit(
    problem: Problem, numbers: np.ndarray, current: np.ndarray, together: bool = False
) -> np.ndarray:
    """Which options fit, beyond what their customers have: each alone, or with all before it."""
    taken = current[current >= 0]
    places = problem.capacity - np.bincount(
        problem.uses[taken].ravel(), minlength=len(problem.capacity)
    )
    money = max(problem.budget - problem.cost[taken].sum() + problem.slack, 0)
    has = current[problem.customer[numbers]]
    cost = problem.cost[numbers] - _of(problem.cost, has)
    same = (problem.uses[numbers] == problem.uses[has]) & (has >= 0)[:, None]
    uses = np.where(same, len(places) - 1, problem.uses[numbers])
    if not together:
        return (cost <= money) & (places[uses] >= 1).all(axis=1)
    fit = (cost.clip(min=0).cumsum() <= money) | (cost <= 0)
    for use in uses.T:
        fit &= pd.Series(use).groupby(use).cumcount().to_numpy() < places[use]
    return fit
