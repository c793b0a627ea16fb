"""Pareto/NBD."""

from typing import Any, Self

import lifetimes
import numpy as np
from lifetimes.generate_data import pareto_nbd_model
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, expit, gammaln, xlogy

from analysis.models.btyd.histories import (
    Coded,
    Data,
    FitError,
    Floats,
    arrays,
    check_histories,
    shaped,
)
from analysis.models.btyd.likelihood import PRECISION, Timed

TABULATE = 4_000  # histories from which on the integrals are tabled
MANY_ORDERS = 60  # from which on they are not
PIECE = 0.05  # of a table's integration, in the logarithm of time


class ParetoNBDFitter(Timed, lifetimes.ParetoNBDFitter):
    """Pareto/NBD: an order rate and a rate of leaving that vary by gamma.

    The integral over the unseen time of leaving is Gauss-Legendre's in the logarithm of time, cut
    where what is left is below the precision of a float; it and its derivatives are exact to about
    1e-12.
    """

    names = ("r", "alpha", "s", "beta")
    generator = staticmethod(pareto_nbd_model)
    nodes, node_weights = np.polynomial.legendre.leggauss(32)
    few_nodes, few_weights = np.polynomial.legendre.leggauss(8)

    def fit(  # type: ignore[override]
        self,
        frequency: ArrayLike,
        recency: ArrayLike,
        T: ArrayLike,
        weights: ArrayLike | None = None,
        iterative_fitting: int = 1,
        initial_params: ArrayLike | None = None,
        verbose: bool = False,
        tol: float = PRECISION,
        index: Any = None,
        fit_method: str = "Nelder-Mead",
        maxiter: int = 2_000,
        **options: Any,
    ) -> Self:
        """Maximum likelihood, the best of `iterative_fitting` starts; `weights` counts customers
        who share a row.
        """
        if fit_method != "Nelder-Mead":
            raise FitError(
                f"fit_method {fit_method!r}: the fit follows exact gradients to the optimum, so"
                " there is no method to choose; leave it out"
            )
        if iterative_fitting < 1:
            raise FitError("iterative_fitting: the number of starts; give 1 or more")
        if iterative_fitting > 1 and initial_params is not None:
            raise FitError("iterative_fitting and initial_params: give one of the two")
        rows, options = check_histories(frequency, recency, T), options | {"maxiter": maxiter}
        starts = iterative_fitting
        self._fit_to(rows, weights, initial_params, verbose, tol, index, options, starts)
        self._negative_log_likelihood_ *= len(self.data)  # which lifetimes states as a sum
        return self

    def _penalised(self) -> Floats:
        """lifetimes adds the penalty to the sum over the rows."""
        return super()._penalised() / len(self.data)

    def _logs(self, initial_params: Floats) -> Floats:
        return super()._logs(np.log(initial_params))

    def _leaving(self, params: Floats, data: Data) -> tuple[Floats, Floats]:
        """The log of the integral over the times y of leaving, and the means over them of log(alpha
        + y), log(beta + y), 1 / (alpha + y), 1 / (beta + y) (shape 4 x histories).
        """
        x, t_x, T = data
        times, each = np.union1d(t_x.levels, T.levels), np.array([c.all() for c in data])
        if len(x.where) < TABULATE or x.levels[0] >= MANY_ORDERS or len(times) < 2:
            return self._integrate(params, *each)
        integral, means, known = self._tabulate(params, data, times)
        if not known.all():
            rest = self._integrate(params, *each[:, ~known])
            integral[~known], means[:, ~known] = rest
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
        near = 40 / np.where(steep_low > 0, steep_low, 1)
        reach = np.where(steep_low > 0, np.minimum(reach, near), reach)
        y = (low + t_x) * np.expm1(reach * (self.nodes + 1) / 2) + t_x
        log_alpha, log_beta = np.log(alpha + y), np.log(beta + y)
        logs = -(r + x) * log_alpha - (s + 1) * log_beta + np.log(low + y)
        logs += np.log(self.node_weights / 2)
        top = logs.max(axis=1, keepdims=True)
        parts = np.exp(logs - top)
        whole = parts.sum(axis=1, keepdims=True)
        parts /= whole
        functions = log_alpha, log_beta, 1 / (alpha + y), 1 / (beta + y)
        means = np.array([np.einsum("ij,ij->i", parts, function) for function in functions])
        with np.errstate(divide="ignore"):
            return (np.log(whole) + top + np.log(reach))[:, 0], means

    def _tabulate(
        self, params: Floats, data: Data, times: Floats
    ) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """All histories at once: the integrand depends on x and y alone, so its integral from each
        of the times there are to the last is tabled for each x, and a history's is a difference of
        two entries. Also which rows are known this way: not those of many orders, nor those where
        the difference loses digits.
        """
        r, alpha, s, beta = params
        x, t_x, T = data
        few = int(np.searchsorted(x.levels, MANY_ORDERS))
        y, log_weights, begins = self._pieces(times, min(alpha, beta))
        log_alpha, log_beta = np.log(alpha + y), np.log(beta + y)
        logs = log_weights - r * log_alpha - (s + 1) * log_beta - x.levels[:few, None] * log_alpha
        first = np.full(len(x.levels), np.inf)
        np.minimum.at(first, x.where, t_x.all())
        start = np.searchsorted(times, first[:few]).clip(max=len(begins) - 1)
        tops = [line[begins[n] :].max() for line, n in zip(logs, start, strict=True)]
        top = np.array(tops)[:, None]
        parts = np.exp(np.minimum(logs - top, 0))

        def upto_end(function: Floats | float) -> Floats:
            pieces = np.add.reduceat(parts * function, begins, axis=1)
            return np.pad(pieces[:, ::-1].cumsum(axis=1)[:, ::-1], ((0, 0), (0, 1)))

        rows = np.minimum(x.where, few - 1)
        begin, end = (c.spread(np.searchsorted(times, c.levels)) for c in (t_x, T))
        tables = [upto_end(f) for f in (1.0, log_alpha, log_beta, 1 / (alpha + y), 1 / (beta + y))]
        whole, *others = (table[rows, begin] - table[rows, end] for table in tables)
        exact = (whole > 1e-6 * tables[0][rows, begin]) & (whole > 1e-250) | (begin == end)
        with np.errstate(divide="ignore"):
            integral = np.log(whole) + top[rows, 0]
        means = np.array(others) / np.where(whole > 0, whole, 1)
        return integral, means, (x.where < few) & exact

    def _pieces(self, times: Floats, low: float) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Gauss-Legendre nodes y between successive times, in pieces short against low + y; the
        logs of their weights (with the derivative of y by its logarithm); and at which node each
        time begins.
        """
        marks = np.log(low + times)
        widths = np.diff(marks)
        number = np.maximum(np.ceil(widths / PIECE), 1).astype(int)
        before = number.cumsum() - number
        width = np.repeat(widths / number, number)[:, None]
        within = np.arange(number.sum()) - np.repeat(before, number)
        starts = np.repeat(marks[:-1], number)[:, None] + within[:, None] * width
        logs = starts + width * (self.few_nodes + 1) / 2
        log_weights = logs + np.log(width * self.few_weights / 2)
        return np.exp(logs).ravel() - low, log_weights.ravel(), before * len(self.few_nodes)

    def _alive_and_gone(self, params: Floats, data: Data) -> tuple[Floats, Floats, Floats]:
        r, alpha, s, beta = params
        x, _, T = data
        alive = -x.spread(r + x.levels) * T.spread(np.log(alpha + T.levels))
        alive -= T.spread(s * np.log(beta + T.levels))
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
    ) -> Any:
        """Probability that a customer with this history has not left."""
        columns = arrays(frequency, recency, T)
        return shaped(self._alive(*columns), frequency, recency, T)

    def _alive(self, *columns: Floats) -> Floats:
        alive, gone, _ = self._alive_and_gone(self._params(), tuple(map(Coded.of, columns)))
        return np.exp(-np.logaddexp(0, gone - alive)).reshape(columns[0].shape)

    def conditional_expected_number_of_purchases_up_to_time(
        self, t: ArrayLike, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Any:
        """Repeat orders expected in the next t."""
        r, alpha, s, beta = self._params()
        future, x, t_x, age = arrays(t, frequency, recency, T)
        staying = _power_integral(s - 1, np.log1p(future / (beta + age)))
        rate = (r + x) * (beta + age) / (alpha + age)
        return shaped(rate * staying * self._alive(x, t_x, age), t, frequency, recency, T)

    predict = conditional_expected_number_of_purchases_up_to_time

    def expected_number_of_purchases_up_to_time(self, t: ArrayLike) -> Any:
        """Repeat orders expected of a new customer by time t."""
        r, alpha, s, beta = self._params()
        until = np.log1p(np.asarray(t, float) / beta)
        return shaped(r * beta / alpha * _power_integral(s - 1, until), t)

    def probability_of_n_purchases_up_to_time(self, t: ArrayLike, n: int) -> Any:
        """Probability of n repeat orders of a new customer by time t: still here with n, or left
        with n before.

        Given the time of leaving, orders are negative binomial; the time is integrated by
        Gauss-Legendre in its logarithm.
        """
        r, alpha, s, beta = self._params()
        until = np.asarray(t, float)[..., None]

        def orders(time: Floats) -> Floats:
            logs = gammaln(r + n) - gammaln(r) - gammaln(n + 1) - r * np.log1p(time / alpha)
            return np.exp(logs + xlogy(n, time / (alpha + time)))

        reach = np.log1p(until / beta)
        leaves = beta * np.expm1(reach * (self.nodes + 1) / 2)
        density = s * np.exp(-s * np.log1p(leaves / beta))
        gone = (reach * self.node_weights / 2 * density * orders(leaves)).sum(axis=-1)
        return shaped(gone + (np.exp(-s * reach) * orders(until))[..., 0], t)


def _power_integral(power: float, length: Floats) -> Floats:
    """(1 - exp(-power length)) / power, which at power 0 is length."""
    return length if abs(power) < 1e-12 else -np.expm1(-power * length) / power
