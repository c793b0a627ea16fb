"""Gamma-Gamma."""

from typing import Any, Self

import lifetimes
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from analysis.models.btyd.histories import Data, Floats, arrays, check_spend, shaped
from analysis.models.btyd.likelihood import PRECISION, REACH, Fitter


class GammaGammaFitter(Fitter, lifetimes.GammaGammaFitter):
    """Gamma-Gamma: each customer's mean spend varies by inverse gamma, and orders vary around it by
    gamma.

    problem_ is also no_mean_spend: with q at or under 1 the mean over customers does not exist.
    """

    names = ("p", "q", "v")
    columns = ("frequency", "monetary_value")
    in_unit = ("v", "monetary_value")

    def fit(
        self,
        frequency: ArrayLike,
        monetary_value: ArrayLike,
        weights: ArrayLike | None = None,
        initial_params: ArrayLike | None = None,
        verbose: bool = False,
        tol: float = PRECISION,
        index: Any = None,
        q_constraint: bool = False,
        **options: Any,
    ) -> Self:
        """Maximum likelihood on x orders and their mean spend, both above zero; with `q_constraint`
        q is 1 or more.
        """
        self._least_q = 0.0 if q_constraint else -REACH
        rows = check_spend(frequency, monetary_value)
        self._fit_to(rows, weights, initial_params, verbose, tol, index, options)
        columns = ["monetary_value", "frequency", "weights"]
        self.data = self.data[columns].astype({"frequency": float})
        if not self.problem_ and self.params_["q"] <= 1:
            self.problem_ = "no_mean_spend"
        return self

    def _bounds(self) -> list[tuple[float, float]]:
        p, _, v = super()._bounds()
        return [p, (self._least_q, REACH), v]

    def _theirs(self) -> tuple[Floats, float]:
        return self._units(), float(np.log(self._scale))

    def _unit(self, rows: tuple[Floats, ...]) -> tuple[float, Floats]:
        unit = float(np.exp(np.mean(np.log(rows[1]))))
        return unit, np.full_like(rows[0], -np.log(unit))

    def _terms(self, params: Floats, data: Data) -> tuple[Floats, list[Floats]]:
        p, q, v = params
        x, log_m = data[0], data[1].spread(np.log(data[1].levels))
        n, orders = x.levels, x.all()
        total = orders * data[1].all() + v
        log_all, both = np.log(total), x.spread(digamma(p * n + q))
        value = x.spread(gammaln(p * n + q) - gammaln(p * n) + p * n * np.log(n))
        value = value - gammaln(q) + q * np.log(v)
        return value + (p * orders - 1) * log_m - (p * orders + q) * log_all, [
            orders * (both - x.spread(digamma(p * n) - np.log(n)) + log_m - log_all),
            both - digamma(q) + np.log(v) - log_all,
            q / v - (p * orders + q) / total,
        ]

    def conditional_expected_average_profit(
        self, frequency: ArrayLike | None = None, monetary_value: ArrayLike | None = None
    ) -> Any:
        """Expected mean spend: the own one drawn to that of all; by default of those fitted."""
        p, q, v = self._params()
        columns = [
            self.data[name] if given is None else given
            for name, given in zip(self.columns, (frequency, monetary_value), strict=True)
        ]
        x, m = arrays(*columns)
        return shaped(p * (v + np.where(x > 0, x * m, 0.0)) / (p * x + q - 1), *columns)
