"""BG/BB."""

from typing import Any, Self

import lifetimes
import numpy as np
import pandas as pd
from lifetimes.generate_data import beta_geometric_beta_binom_model
from numpy.typing import ArrayLike
from scipy.special import betaln, digamma, logsumexp

from analysis.models.btyd.histories import Data, Floats, arrays, check_histories, refuse, shaped
from analysis.models.btyd.likelihood import PRECISION, Fitter


class BetaGeoBetaBinomFitter(Fitter, lifetimes.BetaGeoBetaBinomFitter):
    """BG/BB: n opportunities, at each an order by chance p while the customer stays, who leaves by
    chance theta.
    """

    names = ("alpha", "beta", "gamma", "delta")
    columns = ("frequency", "recency", "n_periods")

    def fit(
        self,
        frequency: ArrayLike,
        recency: ArrayLike,
        n_periods: ArrayLike,
        weights: ArrayLike | None = None,
        initial_params: ArrayLike | None = None,
        verbose: bool = False,
        tol: float = PRECISION,
        index: Any = None,
        **options: Any,
    ) -> Self:
        """Maximum likelihood on x orders, the last at opportunity t_x, of n; `weights` counts who
        share a row.
        """
        x, t_x, n = check_histories(frequency, recency, n_periods)
        fault = "with more orders than opportunities up to the last"
        refuse({fault: x > t_x}, len(x), "count opportunities, not days")
        fitted = self._fit_to((x, t_x, n), weights, initial_params, verbose, tol, index, options)
        self.data = self.data.astype({"recency": int, "n_periods": int})
        return fitted

    def generate_new_data(self, size: int = 1) -> pd.DataFrame:
        """Customers drawn from the model, of the opportunities that were fitted."""
        chances = np.repeat(self.data.n_periods.to_numpy(), self.data.weights.to_numpy())
        return beta_geometric_beta_binom_model(chances, *self._params(), size=size)

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

    def conditional_probability_alive(
        self,
        m_periods_in_future: ArrayLike,
        frequency: ArrayLike,
        recency: ArrayLike,
        n_periods: ArrayLike,
    ) -> Any:
        """Probability that a customer with this history is here so many opportunities later."""
        *_, gamma, delta = self._params()
        m, *data = arrays(m_periods_in_future, frequency, recency, n_periods)
        n = data[2]
        later = betaln(gamma, delta + n + m) - betaln(gamma, delta + n)
        alive = self._alive(*data) * np.exp(later)
        return shaped(alive, m_periods_in_future, frequency, recency, n_periods)

    def _alive(self, *data: Floats) -> Floats:
        logs, _, left = self._ways(self._params(), *map(np.ravel, data))
        here = logsumexp(np.where(left > 0, -np.inf, logs), axis=1)
        return np.exp(here - logsumexp(logs, axis=1)).reshape(data[0].shape)

    def conditional_expected_number_of_purchases_up_to_time(
        self,
        m_periods_in_future: ArrayLike,
        frequency: ArrayLike,
        recency: ArrayLike,
        n_periods: ArrayLike,
    ) -> Any:
        """Orders expected at the next opportunities: the sum of the chances to be still here at
        each.
        """
        alpha, beta, gamma, delta = self._params()
        m, *data = arrays(m_periods_in_future, frequency, recency, n_periods)
        x, _, n = data
        steps = np.arange(1, int(m.max()) + 1).reshape(-1, *[1] * m.ndim)
        here = np.exp(betaln(gamma, delta + n + steps) - betaln(gamma, delta + n))
        here = np.where(steps <= m, here, 0).sum(axis=0)
        expected = (alpha + x) / (alpha + beta + n) * here * self._alive(*data)
        return shaped(expected, m_periods_in_future, frequency, recency, n_periods)

    predict = conditional_expected_number_of_purchases_up_to_time
