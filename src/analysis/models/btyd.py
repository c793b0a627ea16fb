"""Buy-till-you-die models with exact likelihoods, analytic gradients and predictions that do not
overflow.

Symbols are the literature's: x repeat orders, t_x the time of the last, T the age, both since the
first order; n opportunities; m the mean spend of x orders. Each class is lifetimes' fitter of that
model with another `fit` (on distinct histories with their counts) and with predictions in forms
that stay finite for thousands of orders.

Sources: BG/NBD: Fader, Hardie & Lee 2005; MBG/NBD: Batislam, Denizel & Filiztekin 2007; Pareto/NBD:
Schmittlein, Morrison & Colombo 1987, as derived by Fader & Hardie 2005; BG/BB: Fader, Hardie &
Shang 2010; Gamma-Gamma: Fader & Hardie 2013.
"""

from typing import Any, ClassVar, Self

import lifetimes
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import betaincinv, betaln, digamma, expit, gammaln, hyp2f1, logsumexp

from analysis.errors import InputError

SCHEMA = 1
RUNAWAY = (
    1e4  # a parameter in units of the data's own scale beyond this is not determined by the data
)
WARM_START = (
    2_000  # customers that find the neighbourhood of the optimum before all of them are used
)
CURVATURE = 10_000  # customers that tell how the likelihood bends
MOST_STEPS, PRECISION = 25, 1e-8  # of Newton's method, in log parameters
# a direction in which the log-likelihood of all bends less than this is known to a factor of e^60
# only
FLAT = 1e-3
TABULATE = 4_000  # histories from which on Pareto/NBD's integrals are tabled
MANY_ORDERS = 60  # from which on they are not
PIECE = 0.05  # of a table's integration, in the logarithm of time
STEP = 1e-4  # of log parameters, for second derivatives from exact first ones
LIKE_ONE = 1e-5  # nearer to 1 than this, a formula with a - 1 below is taken from both sides of it
Floats = NDArray[np.float64]


class Coded:
    """A column with its few distinct values, so that a costly function is computed once for each of
    them.
    """

    def __init__(self, levels: Floats, where: NDArray[np.intp]) -> None:
        self.levels, self.where = levels, where

    @classmethod
    def of(cls, column: ArrayLike) -> "Coded":
        values, where = np.unique(np.atleast_1d(np.asarray(column, float)), return_inverse=True)
        return cls(values, where)

    def spread(self, table: Floats) -> Floats:
        """One entry per row of a table with one entry per distinct value."""
        return table[self.where]

    def all(self) -> Floats:
        return self.levels[self.where]

    def some(self, rows: NDArray[Any]) -> "Coded":
        return Coded(self.levels, self.where[rows])


Data = tuple[Coded, ...]


class Exact:
    """What the fitters share: checking, scaling, maximum likelihood, standard errors, JSON.

    Learned: params_ (per unit of the data), log_likelihood_ (as the papers state it),
    standard_errors_, confidence_intervals_ (95 %), variance_matrix_, problem_ ('' or why the
    parameters mean nothing: not_identified).
    """

    names: ClassVar[tuple[str, ...]]
    timed: ClassVar[tuple[str, ...]] = ()  # parameters in the data's unit (of time, or of money)
    columns: ClassVar[tuple[str, ...]]
    params_: pd.Series
    _scale: float

    def _terms(self, params: Floats, data: Data) -> tuple[Floats, list[Floats]]:
        """Log-likelihood of each history and its derivatives by each parameter, in scaled units."""
        raise NotImplementedError

    def _unit(self, rows: tuple[Floats, ...]) -> tuple[float, Floats]:
        """The unit in which the data are of the order of one, and the log-density that it adds to
        each history.
        """
        raise NotImplementedError

    # type: ignore[override]
    def _fit(self, data: tuple[Floats, ...], weights: ArrayLike | None) -> Self:
        coded, counts = _distinct(data, weights)
        rows = tuple(column.all() for column in coded)
        self._scale, density = self._unit(rows)
        self._coded, self._counts = self._in_unit(coded), counts
        self._maximise()
        self.log_likelihood_ += float(counts @ density)
        self._negative_log_likelihood_ = -self.log_likelihood_ / counts.sum()
        self.data = pd.DataFrame(dict(zip(self.columns, rows, strict=True)) | {"weights": counts})
        return self

    def _in_unit(self, coded: Data) -> Data:
        raise NotImplementedError

    def _units(self) -> Floats:
        return np.array([self._scale if name in self.timed else 1.0 for name in self.names])

    def _objective(self, theta: Floats, data: Data, counts: Floats) -> tuple[float, Floats]:
        """Mean negative log-likelihood and its gradient in the logarithms of the parameters."""
        params = np.exp(theta)
        value, slopes = self._terms(params, data)
        total = counts.sum()
        added = [
            np.einsum("i,i->", counts, term) for term in (value, *slopes)
        ]  # no BLAS: its threads cost more than they save
        return -float(added[0]) / total, -np.array(added[1:]) * params / total

    def _sample(self, customers: int) -> tuple[Data, Floats]:
        """About so many customers, drawn by their counts; everybody where they are few."""
        if len(self._counts) <= 2 * customers:
            return self._coded, self._counts
        counts = np.random.default_rng(0).multinomial(customers, self._counts / self._counts.sum())
        drawn = np.flatnonzero(counts)
        return tuple(column.some(drawn) for column in self._coded), counts[drawn].astype(float)

    def _maximise(self) -> None:
        """A sample finds the neighbourhood of the optimum and its curvature, so that all need few
        passes.
        """
        theta = self._descend(np.zeros(len(self.names)), *self._sample(WARM_START))
        curvature = self._hessian(theta, *self._sample(CURVATURE))
        near = self._newton(theta, _inverse(curvature), self._coded, self._counts)
        if near is None:
            near = self._descend(theta, self._coded, self._counts)
            curvature = self._hessian(near, self._coded, self._counts)
        self._finish(near, curvature)

    def _descend(self, theta: Floats, data: Data, counts: Floats) -> Floats:
        options = {"ftol": 1e-15, "gtol": 1e-9, "maxcor": 20, "maxiter": 500}
        bounds = [(-12.0, 12.0)] * len(theta)
        with np.errstate(
            all="ignore"
        ):  # a line search may step where nothing is finite, and steps back
            found = minimize(
                self._objective,
                theta,
                (data, counts),
                "L-BFGS-B",
                jac=True,
                bounds=bounds,
                options=options,
            )
        return np.asarray(found.x)

    def _newton(self, theta: Floats, inverse: Floats, data: Data, counts: Floats) -> Floats | None:
        """Steps by a curvature that Broyden's rule (BFGS) keeps up to date; None where they do not
        settle.
        """
        slope = self._objective(theta, data, counts)[1]
        for _ in range(MOST_STEPS):
            step = -inverse @ slope
            if not np.isfinite(step).all():
                return None
            step /= max(1.0, np.abs(step).max())
            theta = theta + step
            if np.abs(step).max() < PRECISION:
                return theta if np.abs(theta).max() < 12 else None
            new = self._objective(theta, data, counts)[1]
            inverse, slope = _updated(inverse, step, new - slope), new
        return None

    def _hessian(self, theta: Floats, data: Data, counts: Floats) -> Floats:
        steps = np.eye(len(theta)) * STEP
        rise = [
            self._objective(theta + s, data, counts)[1]
            - self._objective(theta - s, data, counts)[1]
            for s in steps
        ]
        hessian = np.array(rise) / (2 * STEP)
        return (hessian + hessian.T) / 2

    def _finish(self, theta: Floats, curvature: Floats) -> None:
        total = self._counts.sum()
        self._theta, self._curvature = theta, curvature
        self.params_ = pd.Series(np.exp(theta) * self._units(), index=list(self.names))
        self.log_likelihood_ = -self._objective(theta, self._coded, self._counts)[0] * total
        settled = np.linalg.eigvalsh(curvature).min() * total > FLAT
        self.problem_ = (
            "" if settled and np.exp(np.abs(theta)).max() < RUNAWAY else "not_identified"
        )
        self.log_covariance_ = np.linalg.pinv(curvature * total, hermitian=True)
        self._errors()

    def _errors(self) -> None:
        spread = np.sqrt(np.clip(np.diag(self.log_covariance_), 0, None))
        params = self.params_.to_numpy()
        index = list(self.names)
        with np.errstate(over="ignore"):
            bounds = {
                "lower 95% bound": params * np.exp(-1.96 * spread),
                "upper 95% bound": params * np.exp(1.96 * spread),
            }
        self.standard_errors_ = pd.Series(params * spread, index)
        self.confidence_intervals_ = pd.DataFrame(bounds, index)
        self.variance_matrix_ = pd.DataFrame(
            np.outer(params, params) * self.log_covariance_, index, index
        )

    def log_likelihoods(self, *columns: ArrayLike) -> Floats:
        """The log-likelihood of each history (columns as in fit) under the parameters."""
        return self._terms(self.params_.to_numpy(), tuple(map(Coded.of, columns)))[0]

    def refits(self, times: int, seed: int) -> Floats:
        """Parameters of `times` refits to resampled customers (Poisson bootstrap of the counts);
        shape (times, parameters).

        Starts at the optimum with its curvature, so that a refit costs a few passes over the
        distinct histories.
        """
        generator = np.random.default_rng(seed)
        drawn = np.empty((times, len(self.names)))
        for row in drawn:
            counts = generator.poisson(self._counts).astype(float)
            theta = self._newton(self._theta, _inverse(self._curvature), self._coded, counts)
            row[:] = np.exp(self._theta if theta is None else theta) * self._units()
        return drawn

    def with_parameters(self, params: ArrayLike) -> Self:
        """The same model with other parameters, in the order of `names`."""
        other = type(self)()
        other.params_ = pd.Series(np.asarray(params, float), list(self.names))
        other._bind()
        return other

    def _bind(self) -> None:
        # type: ignore[attr-defined]
        self.predict = self.conditional_expected_number_of_purchases_up_to_time

    def to_dict(self) -> dict[str, Any]:
        """All that is learned, as plain data for JSON; no row of any customer."""
        return {
            "schema": SCHEMA,
            "model": type(self).__name__,
            "parameters": {name: float(value) for name, value in self.params_.items()},
            "log_covariance": self.log_covariance_.tolist(),
            "log_likelihood": self.log_likelihood_,
            "problem": self.problem_,
        }

    @classmethod
    def from_dict(cls, kept: dict[str, Any]) -> Self:
        """The fitter that `to_dict` kept. Raises InputError for another model or schema."""
        if kept.get("schema") != SCHEMA or kept.get("model") != cls.__name__:
            raise InputError(
                f"not a {cls.__name__} of schema {SCHEMA} but {kept.get('model')} of"
                f" {kept.get('schema')}; retrain"
            )
        fitter = cls()
        fitter.params_ = pd.Series({name: float(kept["parameters"][name]) for name in cls.names})
        fitter.log_covariance_ = np.array(kept["log_covariance"])
        fitter.log_likelihood_, fitter.problem_ = float(kept["log_likelihood"]), str(
            kept["problem"]
        )
        fitter._errors()
        fitter._bind()
        return fitter


def _updated(inverse: Floats, step: Floats, change: Floats) -> Floats:
    """The inverse curvature that explains how the slope changed over a step (BFGS); the same where
    it bends the wrong way.
    """
    along = float(step @ change)
    if along <= 0:
        return inverse
    turn = np.eye(len(step)) - np.outer(step, change) / along
    return np.asarray(turn @ inverse @ turn.T + np.outer(step, step) / along)


def _inverse(hessian: Floats) -> Floats:
    """The inverse, with directions in which the likelihood hardly bends or bends the wrong way held
    to a modest step.
    """
    values, vectors = np.linalg.eigh(hessian)
    inverse = (vectors / np.maximum(np.abs(values), 1e-4)) @ vectors.T
    return np.asarray((inverse + inverse.T) / 2)


def _distinct(data: tuple[Floats, ...], weights: ArrayLike | None) -> tuple[Data, Floats]:
    """Distinct rows in sorted order, so that the order of customers changes nothing, and how many
    share each.
    """
    codes = [pd.factorize(column, sort=True) for column in data]
    key = np.zeros(len(data[0]), np.int64)
    for where, values in codes:
        key = key * len(values) + where
    rows, distinct = pd.factorize(key)
    counts = np.bincount(rows, None if weights is None else np.asarray(weights, float)).astype(
        float
    )
    order = np.argsort(distinct)
    rest, columns = distinct[order], []
    for _, values in reversed(codes):
        rest, where = np.divmod(rest, len(values))
        columns.append(Coded(np.asarray(values), where))
    return tuple(reversed(columns)), counts[order]


def check_histories(x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The histories as float arrays. Raises one InputError that counts the rows of each fault."""
    frequency, recency, age = (np.asarray(column, float) for column in (x, t_x, T))
    with np.errstate(invalid="ignore"):
        faults = {
            "without frequency, recency or age": ~(
                np.isfinite(frequency) & np.isfinite(recency) & np.isfinite(age)
            ),
            "with a negative frequency, recency or age": (
                (frequency < 0) | (recency < 0) | (age < 0)
            ),
            "with a frequency that is no whole number": frequency != np.round(frequency),
            "with a recency over the age": recency > age,
            "with repeat orders but a recency of 0": (frequency > 0) & (recency == 0),
            "without repeat orders but a recency above 0": (frequency == 0) & (recency > 0),
        }
    _refuse(faults, len(frequency), "make them with customers.at, one row per customer")
    return frequency, recency, age


def check_spend(x: ArrayLike, m: ArrayLike) -> tuple[Floats, Floats]:
    """The numbers of orders and their mean spend. Raises one InputError that counts the rows of
    each fault.
    """
    orders, spend = np.asarray(x, float), np.asarray(m, float)
    with np.errstate(invalid="ignore"):
        faults = {
            "without orders or spend": ~(np.isfinite(orders) & np.isfinite(spend)),
            "with no order or a number of orders that is no whole number": (
                (orders < 1) | (orders != np.round(orders))
            ),
            "with a spend of zero or below": spend <= 0,
        }
    _refuse(faults, len(orders), "leave out customers without a repeat order above zero")
    return orders, spend


def _refuse(faults: dict[str, NDArray[np.bool_]], rows: int, remedy: str) -> None:
    if not rows:
        raise InputError(
            "no customers to fit a model to; choose a day by which somebody has ordered"
        )
    if found := [f"{int(bad.sum()):,} {fault}" for fault, bad in faults.items() if bad.any()]:
        raise InputError(f"of {rows:,} rows {', '.join(found)}; {remedy}")


class Timed(Exact):
    timed: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    columns = ("frequency", "recency", "T")

    def fit(
        self,
        frequency: ArrayLike,
        recency: ArrayLike,
        T: ArrayLike,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Maximum likelihood on x, t_x, T (in one unit of time); `weights` counts customers who
        share a row.
        """
        fitted = self._fit(check_histories(frequency, recency, T), weights)
        self._bind()
        return fitted

    def expected_number_of_purchases_up_to_time(self, t: ArrayLike) -> Floats:
        """Repeat orders expected of a new customer by time t."""
        raise NotImplementedError

    def probability_of_n_purchases_up_to_time(self, t: ArrayLike, n: int) -> Floats:
        """Probability of n repeat orders of a new customer by time t."""
        raise NotImplementedError

    def _unit(self, rows: tuple[Floats, ...]) -> tuple[float, Floats]:
        unit = rows[2].max() / 10 or 1.0
        return unit, -rows[0] * np.log(unit)

    def _in_unit(self, coded: Data) -> Data:
        x, *times = coded
        return (x, *(Coded(time.levels / self._scale, time.where) for time in times))


class _Geometric(Timed):
    """BG/NBD and MBG/NBD differ in one thing: whether a customer may leave right after the first
    order (`first`).
    """

    names = ("r", "alpha", "a", "b")
    timed = ("alpha",)
    first: ClassVar[int]

    def _terms(self, params: Floats, data: Data) -> tuple[Floats, list[Floats]]:
        r, alpha, a, b = params
        x, t_x, T = data
        n = x.levels + self.first
        last = np.where(n > 0, b + n - 1, np.inf)  # with none there was no chance to leave
        base = gammaln(r + x.levels) - gammaln(r) + r * np.log(alpha)
        base += gammaln(b + n) - gammaln(a + b + n) + gammaln(a + b) - gammaln(b)
        both = digamma(a + b) - digamma(a + b + n)
        rate, log_T = x.spread(r + x.levels), T.spread(np.log(alpha + T.levels))
        gap = log_T - t_x.spread(np.log(alpha + t_x.levels))
        odds = x.spread(np.log(a) - np.log(last)) + rate * gap
        gone = expit(odds)
        per_T, per_t = T.spread(1 / (alpha + T.levels)), t_x.spread(1 / (alpha + t_x.levels))
        return x.spread(base) - rate * log_T + np.logaddexp(0, odds), [
            x.spread(digamma(r + x.levels) - digamma(r) + np.log(alpha)) - log_T + gone * gap,
            r / alpha - rate * (per_T + gone * (per_t - per_T)),
            x.spread(both) + gone / a,
            x.spread(both + digamma(b + n) - digamma(b)) - gone * x.spread(1 / last),
        ]

    def conditional_probability_alive(
        self, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Probability that a customer with this history has not left."""
        r, alpha, a, b = self.params_
        x, t_x, age = (np.asarray(v, float) for v in (frequency, recency, T))
        n = x + self.first
        with np.errstate(divide="ignore"):
            odds = (
                np.log(a)
                - np.log(np.maximum(b + n - 1, 1e-300))
                + (r + x) * (np.log(alpha + age) - np.log(alpha + t_x))
            )
        return np.atleast_1d(np.where(n > 0, np.exp(-np.logaddexp(0, odds)), 1.0))

    def conditional_expected_number_of_purchases_up_to_time(
        self, t: ArrayLike, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Repeat orders expected in the next t. Euler's transformation leaves a hypergeometric
        function of small parameters over a large one, so thousands of orders do not overflow.
        """
        r, alpha, a, b = self.params_
        x, age = np.asarray(frequency, float), np.asarray(T, float)
        future = np.asarray(t, float)
        expected = _if_staying(r, a, b + self.first, x, future / (alpha + age + future))
        return expected * self.conditional_probability_alive(frequency, recency, T)

    def expected_number_of_purchases_up_to_time(self, t: ArrayLike) -> Floats:
        """Repeat orders expected of a new customer by time t."""
        nothing = np.zeros_like(np.asarray(t, float))
        return self.conditional_expected_number_of_purchases_up_to_time(
            t, nothing, nothing, nothing
        )

    def probability_of_n_purchases_up_to_time(self, t: ArrayLike, n: int) -> Floats:
        """Probability of n repeat orders of a new customer by time t."""
        r, alpha, a, b = self.params_
        t = np.asarray(t, float)
        gone, alive = np.log(t) - np.log(alpha + t) if n else np.zeros_like(t), -np.log1p(t / alpha)
        orders = np.exp(gammaln(r + n) - gammaln(r) - gammaln(n + 1) + r * alive + n * gone)
        k = n + self.first
        staying = np.exp(betaln(a, b + k) - betaln(a, b)) * orders
        if not k:
            return staying
        more = self._at_least(t, n)
        return staying + np.exp(betaln(a + 1, b + k - 1) - betaln(a, b)) * more

    def _at_least(self, t: Floats, n: int) -> Floats:
        """Probability of n or more orders by time t of somebody who does not leave."""
        r, alpha, *_ = self.params_
        j = np.arange(n)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = (
                gammaln(r + j)
                - gammaln(r)
                - gammaln(j + 1)
                - r * np.log1p(t / alpha)
                + j * np.log(t / (alpha + t))
            )
        return 1 - np.exp(np.where(np.isnan(logs), 0, logs)).sum(axis=0) if n else np.ones_like(t)


def _if_staying(r: float, a: float, b: float, x: Floats, z: Floats) -> Floats:
    """Orders expected of a customer who has not left; z is t / (alpha + T + t)."""
    if abs(a - 1) < LIKE_ONE:
        below, above = (_if_staying(r, 1 + side * 2 * LIKE_ONE, b, x, z) for side in (-1, 1))
        return below + (above - below) * ((a - 1) / (4 * LIKE_ONE) + 0.5)
    c = a + b + x - 1
    c = np.where(np.abs(c) < 1e-9, 1e-9, c)
    kept, power = hyp2f1(a + b - 1 - r, a - 1, c, z), (a - 1) * np.log1p(-z)
    with np.errstate(all="ignore"):
        loss = np.where(
            kept > 0, np.expm1(power + np.log(kept)), np.expm1(power) * kept + (kept - 1)
        )
        plain = np.expm1((r + x) * np.log1p(-z) + np.log(hyp2f1(r + x, b + x, c, z)))
        expected = -np.where(np.isfinite(loss), loss, plain) * c / (a - 1)
        sound = np.isfinite(expected) & (expected >= 0)
    return expected if sound.all() else np.where(sound, expected, _by_quadrature(r, a, b, x, z))


def _by_quadrature(r: float, a: float, b: float, x: Floats, z: Floats) -> Floats:
    """The same as a mean over the chance p of leaving, at quantiles of its beta distribution; to
    about 1e-6.
    """
    u, weights = np.polynomial.legendre.leggauss(128)
    x, w = (np.asarray(v, float)[..., None] for v in np.broadcast_arrays(x, z / (1 - z)))
    p = np.maximum(betaincinv(a, b + x, (u + 1) / 2), 1e-300)
    return np.asarray((-np.expm1(-(r + x) * np.log1p(p * w)) / p) @ (weights / 2))


class BetaGeoFitter(_Geometric, lifetimes.BetaGeoFitter):
    """BG/NBD: an order rate that varies by gamma, a chance of leaving after each repeat order that
    varies by beta.
    """

    first = 0


class ModifiedBetaGeoFitter(_Geometric, lifetimes.ModifiedBetaGeoFitter):
    """MBG/NBD: the same, but a customer may leave right after the first order too."""

    first = 1


class ParetoNBDFitter(Timed, lifetimes.ParetoNBDFitter):
    """Pareto/NBD: an order rate and a rate of leaving that vary by gamma.

    The integral over the unseen time of leaving is Gauss-Legendre's in the logarithm of time, cut
    where what is left is below the precision of a float; it and its derivatives are exact to about
    1e-12.
    """

    names = ("r", "alpha", "s", "beta")
    nodes, node_weights = np.polynomial.legendre.leggauss(32)
    few_nodes, few_weights = np.polynomial.legendre.leggauss(8)

    def _leaving(self, params: Floats, data: Data) -> tuple[Floats, Floats]:
        """The log of the integral over the times y of leaving, and the means over them of log(alpha
        + y), log(beta + y), 1 / (alpha + y), 1 / (beta + y) (shape 4 x histories).
        """
        x, t_x, T = data
        if (
            len(x.where) < TABULATE
            or x.levels[0] >= MANY_ORDERS
            or len(np.union1d(t_x.levels, T.levels)) < 2
        ):
            return self._integrate(params, x.all(), t_x.all(), T.all())
        integral, means, known = self._tabulate(params, data)
        rest = ~known
        if rest.any():
            rows = x.all()[rest], t_x.all()[rest], T.all()[rest]
            integral[rest], means[:, rest] = self._integrate(params, *rows)
        return integral, means

    def _integrate(self, params: Floats, *data: Floats) -> tuple[Floats, Floats]:
        """Each history by itself."""
        r, alpha, s, beta = params
        x, t_x, T = (column[:, None] for column in data)
        low, high = min(alpha, beta), max(alpha, beta)
        steep_low, steep_high = (r + x - 1, s + 1) if alpha < beta else (np.full_like(x, s), r + x)
        with np.errstate(over="ignore"):
            far = np.log1p((high + t_x) / (low + t_x) * np.expm1(np.minimum(40 / steep_high, 700)))
        reach = np.minimum(np.log((low + T) / (low + t_x)), far)
        reach = np.where(
            steep_low > 0, np.minimum(reach, 40 / np.where(steep_low > 0, steep_low, 1)), reach
        )
        y = (low + t_x) * np.expm1(reach * (self.nodes + 1) / 2) + t_x
        log_alpha, log_beta = np.log(alpha + y), np.log(beta + y)
        logs = (
            -(r + x) * log_alpha
            - (s + 1) * log_beta
            + np.log(low + y)
            + np.log(self.node_weights / 2)
        )
        top = logs.max(axis=1, keepdims=True)
        parts = np.exp(logs - top)
        whole = parts.sum(axis=1, keepdims=True)
        parts /= whole
        means = np.array(
            [
                np.einsum("ij,ij->i", parts, f)
                for f in (log_alpha, log_beta, 1 / (alpha + y), 1 / (beta + y))
            ]
        )
        with np.errstate(divide="ignore"):
            return (np.log(whole) + top + np.log(reach))[:, 0], means

    def _tabulate(self, params: Floats, data: Data) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """All histories at once: the integrand depends on x and y alone, so its integral from each
        time there is to the last is tabled for each x, and a history's is a difference of two
        entries. Also which rows are known this way: not those of many orders, nor those where the
        difference loses digits.
        """
        r, alpha, s, beta = params
        x, t_x, T = data
        few = int(np.searchsorted(x.levels, MANY_ORDERS))
        times = np.union1d(t_x.levels, T.levels)
        y, log_weights, begins = self._pieces(times, min(alpha, beta))
        log_alpha, log_beta = np.log(alpha + y), np.log(beta + y)
        logs = log_weights - r * log_alpha - (s + 1) * log_beta - x.levels[:few, None] * log_alpha
        first = np.full(len(x.levels), np.inf)
        np.minimum.at(first, x.where, t_x.all())
        start = np.searchsorted(times, first[:few]).clip(max=len(begins) - 1)
        top = np.array([line[begins[n] :].max() for line, n in zip(logs, start, strict=True)])[
            :, None
        ]
        parts = np.exp(np.minimum(logs - top, 0))

        def upto_end(function: Floats | float) -> Floats:
            pieces = np.add.reduceat(parts * function, begins, axis=1)
            return np.pad(pieces[:, ::-1].cumsum(axis=1)[:, ::-1], ((0, 0), (0, 1)))

        rows = np.minimum(x.where, few - 1)
        begin, end = (
            np.searchsorted(times, t_x.levels)[t_x.where],
            np.searchsorted(times, T.levels)[T.where],
        )
        tables = [upto_end(f) for f in (1.0, log_alpha, log_beta, 1 / (alpha + y), 1 / (beta + y))]
        whole, *others = (table[rows, begin] - table[rows, end] for table in tables)
        known = (x.where < few) & (
            (whole > 1e-6 * tables[0][rows, begin]) & (whole > 1e-250) | (begin == end)
        )
        with np.errstate(divide="ignore"):
            integral = np.log(whole) + top[rows, 0]
        return integral, np.array(others) / np.where(whole > 0, whole, 1), known

    def _pieces(self, times: Floats, low: float) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Gauss-Legendre nodes y between successive times, in pieces short against low + y; the
        logs of their weights (with the derivative of y by its logarithm); and at which node each
        time begins.
        """
        marks = np.log(low + times)
        widths = np.diff(marks)
        number = np.maximum(np.ceil(widths / PIECE), 1).astype(int)
        width = np.repeat(widths / number, number)
        within = np.arange(number.sum()) - np.repeat(number.cumsum() - number, number)
        logs = (np.repeat(marks[:-1], number) + within * width)[:, None] + width[:, None] * (
            self.few_nodes + 1
        ) / 2
        log_weights = logs + np.log(width[:, None] * self.few_weights / 2)
        return (
            np.exp(logs).ravel() - low,
            log_weights.ravel(),
            (number.cumsum() - number) * len(self.few_nodes),
        )

    def _alive_and_gone(self, params: Floats, data: Data) -> tuple[Floats, Floats, Floats]:
        r, alpha, s, beta = params
        x, _, T = data
        alive = -x.spread(r + x.levels) * T.spread(np.log(alpha + T.levels)) - T.spread(
            s * np.log(beta + T.levels)
        )
        integral, means = self._leaving(params, data)
        return alive, np.log(s) + integral, means

    def _terms(self, params: Floats, data: Data) -> tuple[Floats, list[Floats]]:
        r, alpha, s, beta = params
        x, _, T = data
        alive, gone, (log_alpha, log_beta, per_alpha, per_beta) = self._alive_and_gone(params, data)
        left = expit(gone - alive)
        stay = 1 - left
        base = gammaln(r + x.levels) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        rate = digamma(r + x.levels) - digamma(r) + np.log(alpha)
        return x.spread(base) + np.logaddexp(alive, gone), [
            x.spread(rate) - stay * T.spread(np.log(alpha + T.levels)) - left * log_alpha,
            r / alpha
            - x.spread(r + x.levels) * (stay * T.spread(1 / (alpha + T.levels)) + left * per_alpha),
            np.log(beta) - stay * T.spread(np.log(beta + T.levels)) + left * (1 / s - log_beta),
            s / beta - stay * T.spread(s / (beta + T.levels)) - (s + 1) * left * per_beta,
        ]

    def conditional_probability_alive(
        self, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Probability that a customer with this history has not left."""
        data = tuple(Coded.of(column) for column in np.broadcast_arrays(frequency, recency, T))
        alive, gone, _ = self._alive_and_gone(self.params_.to_numpy(), data)
        return np.exp(-np.logaddexp(0, gone - alive))

    def conditional_expected_number_of_purchases_up_to_time(
        self, t: ArrayLike, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Repeat orders expected in the next t."""
        r, alpha, s, beta = self.params_
        x, age = np.asarray(frequency, float), np.asarray(T, float)
        staying = _power_integral(s - 1, np.log1p(np.asarray(t, float) / (beta + age)))
        return (
            (r + x)
            * (beta + age)
            / (alpha + age)
            * staying
            * self.conditional_probability_alive(frequency, recency, T)
        )

    def expected_number_of_purchases_up_to_time(self, t: ArrayLike) -> Floats:
        """Repeat orders expected of a new customer by time t."""
        r, alpha, s, beta = self.params_
        return r * beta / alpha * _power_integral(s - 1, np.log1p(np.asarray(t, float) / beta))

    def probability_of_n_purchases_up_to_time(self, t: ArrayLike, n: int) -> Floats:
        """Probability of n repeat orders of a new customer by time t: still here with n, or left
        with n before.

        Given the time of leaving, orders are negative binomial; the time is integrated by
        Gauss-Legendre in its logarithm.
        """
        r, alpha, s, beta = self.params_
        t = np.atleast_1d(np.asarray(t, float))[:, None]

        def orders(until: Floats) -> Floats:
            with np.errstate(divide="ignore", invalid="ignore"):
                many = n * (np.log(until) - np.log(alpha + until)) if n else 0.0
            return np.exp(
                gammaln(r + n) - gammaln(r) - gammaln(n + 1) - r * np.log1p(until / alpha) + many
            )

        reach = np.log1p(t / beta)
        leaves = beta * np.expm1(reach * (self.nodes + 1) / 2)
        gone = (
            reach
            * self.node_weights
            / 2
            * s
            * np.exp(-s * np.log1p(leaves / beta))
            * orders(leaves)
        )
        return gone.sum(axis=1) + (np.exp(-s * reach) * orders(t))[:, 0]


def _power_integral(power: float, length: Floats) -> Floats:
    """(1 - exp(-power length)) / power, which at power 0 is length."""
    return length if abs(power) < 1e-12 else -np.expm1(-power * length) / power


class BetaGeoBetaBinomFitter(Exact, lifetimes.BetaGeoBetaBinomFitter):
    """BG/BB: n opportunities, at each an order by chance p while the customer stays, who leaves by
    chance theta.
    """

    names = ("alpha", "beta", "gamma", "delta")
    columns = ("frequency", "recency", "n_periods")

    # fmt: skip  # noqa: E501
    def fit(self, frequency: ArrayLike, recency: ArrayLike, n_periods: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """Maximum likelihood on x orders, the last at opportunity t_x, of n; `weights` counts who
        share a row.
        """
        x, t_x, n = check_histories(frequency, recency, n_periods)
        _refuse(
            {"with more orders than opportunities up to the last": x > t_x},
            len(x),
            "count opportunities, not days",
        )
        fitted = self._fit((x, t_x, n), weights)
        self._bind()
        return fitted

    def _unit(self, rows: tuple[Floats, ...]) -> tuple[float, Floats]:
        return 1.0, np.zeros_like(rows[0])

    def _in_unit(self, coded: Data) -> Data:
        return coded

    def _ways(self, params: Floats, *data: Floats) -> tuple[Floats, Floats, Floats]:
        """For each history the log of each way it can have come about: left after opportunity t_x +
        i, or (last) not; the opportunities lived, and whether the customer left. Shape histories x
        ways.
        """
        alpha, beta, gamma, delta = params
        x, t_x, n = (column[:, None] for column in data)
        i = np.arange(int((data[2] - data[1]).max()) + 1)
        lived = np.minimum(t_x + i, n)
        left = (t_x + i < n).astype(float)
        logs = betaln(alpha + x, beta + lived - x) + betaln(gamma + left, delta + lived)
        logs -= betaln(alpha, beta) + betaln(gamma, delta)
        return np.where(t_x + i <= n, logs, -np.inf), lived, left

    def _terms(self, params: Floats, data: Data) -> tuple[Floats, list[Floats]]:
        alpha, beta, gamma, delta = params
        x = data[0].all()[:, None]
        logs, lived, left = self._ways(params, *(column.all() for column in data))
        value = logsumexp(logs, axis=1)
        share = np.exp(logs - value[:, None])
        orders, stays = digamma(alpha + beta + lived), digamma(gamma + delta + lived + left)
        mean = lambda f: np.einsum("ij,ij->i", share, f)  # noqa: E731  over the ways
        base_orders, base_stays = digamma(alpha + beta), digamma(gamma + delta)
        return value, [
            mean(digamma(alpha + x) - orders) - digamma(alpha) + base_orders,
            mean(digamma(beta + lived - x) - orders) - digamma(beta) + base_orders,
            mean(digamma(gamma + left) - stays) - digamma(gamma) + base_stays,
            mean(digamma(delta + lived) - stays) - digamma(delta) + base_stays,
        ]

    def conditional_probability_alive(  # type: ignore[override]
        self, m: ArrayLike, frequency: ArrayLike, recency: ArrayLike, n_periods: ArrayLike
    ) -> Floats:
        """Probability that a customer with this history is still here m opportunities later."""
        *_, gamma, delta = self.params_
        data = tuple(
            np.atleast_1d(np.asarray(v, float))
            for v in np.broadcast_arrays(frequency, recency, n_periods)
        )
        logs, _, left = self._ways(self.params_.to_numpy(), *data)
        here = logsumexp(np.where(left > 0, -np.inf, logs), axis=1)
        later = betaln(gamma, delta + data[2] + np.asarray(m, float)) - betaln(
            gamma, delta + data[2]
        )
        return np.exp(here - logsumexp(logs, axis=1) + later)

    def conditional_expected_number_of_purchases_up_to_time(  # type: ignore[override]
        self,
        m_periods_in_future: ArrayLike,
        frequency: ArrayLike,
        recency: ArrayLike,
        n_periods: ArrayLike,
    ) -> Floats:
        """Orders expected at the next m opportunities: the sum of the chances to be still here at
        each.
        """
        alpha, beta, gamma, delta = self.params_
        x, n = np.asarray(frequency, float), np.asarray(n_periods, float)
        m = np.asarray(m_periods_in_future)
        steps = np.arange(1, int(m.max()) + 1)[:, None]
        here = np.exp(betaln(gamma, delta + n + steps) - betaln(gamma, delta + n))
        here = np.where(steps <= m, here, 0).sum(axis=0)
        alive = self.conditional_probability_alive(0, frequency, recency, n_periods)
        return (alpha + x) / (alpha + beta + n) * here * alive


class GammaGammaFitter(Exact, lifetimes.GammaGammaFitter):
    """Gamma-Gamma: each customer's mean spend varies by inverse gamma, and orders vary around it by
    gamma.

    problem_ is also no_mean_spend: with q at or under 1 the mean over customers does not exist.
    """

    names = ("p", "q", "v")
    timed = ("v",)
    columns = ("frequency", "monetary_value")

    # type: ignore[override]  # fmt: skip
    def fit(self, frequency: ArrayLike, monetary_value: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """Maximum likelihood on x orders and their mean spend, both above zero."""
        self._fit(check_spend(frequency, monetary_value), weights)
        if not self.problem_ and self.params_["q"] <= 1:
            self.problem_ = "no_mean_spend"
        self._bind()
        return self

    def _bind(self) -> None:
        """Spend has no prediction over time."""

    def _unit(self, rows: tuple[Floats, ...]) -> tuple[float, Floats]:
        unit = float(np.exp(np.mean(np.log(rows[1]))))
        return unit, np.full_like(rows[0], -np.log(unit))

    def _in_unit(self, coded: Data) -> Data:
        x, m = coded
        return x, Coded(m.levels / self._scale, m.where)

    def _terms(self, params: Floats, data: Data) -> tuple[Floats, list[Floats]]:
        p, q, v = params
        x, log_m = data[0], data[1].spread(np.log(data[1].levels))
        n = x.levels
        orders = x.all()
        total = orders * data[1].all() + v
        log_all = np.log(total)
        both = x.spread(digamma(p * n + q))
        value = (
            x.spread(gammaln(p * n + q) - gammaln(p * n) + p * n * np.log(n))
            - gammaln(q)
            + q * np.log(v)
        )
        return value + (p * orders - 1) * log_m - (p * orders + q) * log_all, [
            orders * (both - x.spread(digamma(p * n) - np.log(n)) + log_m - log_all),
            both - digamma(q) + np.log(v) - log_all,
            q / v - (p * orders + q) / total,
        ]

    # type: ignore[override]
    def conditional_expected_average_profit(self, frequency: ArrayLike, monetary_value: ArrayLike) -> Floats:
        """Expected mean spend of a customer's orders: the own mean drawn towards that of all."""
        p, q, v = self.params_
        x, m = np.asarray(frequency, float), np.asarray(monetary_value, float)
        return np.asarray(p * (v + np.where(x > 0, x * m, 0.0)) / (p * x + q - 1))
