"""BG/NBD and MBG/NBD, and BG/CNBD-k, which is BG/NBD for regular orders."""

from typing import Any, ClassVar

import lifetimes
import numpy as np
import pandas as pd
from lifetimes.generate_data import beta_geometric_nbd_model, modified_beta_geometric_nbd_model
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, betaln, digamma, expit, gammaln, hyp2f1, xlogy

from analysis.models.btyd.histories import Data, FitError, Floats, arrays, shaped
from analysis.models.btyd.likelihood import Timed

LIKE_ONE = 1e-5  # nearer to 1 than this, a formula with a - 1 is taken from both sides of it


class _Geometric(Timed):
    """BG/NBD and MBG/NBD differ in one thing: whether a customer may leave right after the first
    order (`first`). The time to the next order is the sum of `phases` exponential ones of one rate:
    the more there are, the more regular are the orders.
    """

    names = ("r", "alpha", "a", "b")
    first: ClassVar[int]

    def _terms(self, params: Floats, data: Data) -> tuple[Floats, list[Floats]]:
        r, alpha, a, b = params
        x, t_x, T = data
        n = x.levels + self.first
        last = np.where(n > 0, b + n - 1, np.inf)  # with none there was no chance to leave
        passed = self.phases * x.levels
        base = gammaln(r + passed) - gammaln(r) + r * np.log(alpha)
        base += gammaln(b + n) - gammaln(a + b + n) + gammaln(a + b) - gammaln(b)
        both = digamma(a + b) - digamma(a + b + n)
        rate, log_T = x.spread(r + passed), T.spread(np.log(alpha + T.levels))
        gap = log_T - t_x.spread(np.log(alpha + t_x.levels))
        per_T, per_t = T.spread(1 / (alpha + T.levels)), t_x.spread(1 / (alpha + t_x.levels))
        odds = x.spread(np.log(a) - np.log(last)) + rate * gap
        if self.phases > 1:
            begun, phase, slope = self._waiting(rate, (T.all() - t_x.all()) * per_T)
            odds -= begun
        gone = expit(odds)
        value = x.spread(base) - rate * log_T + np.logaddexp(0, odds)
        slopes = [
            x.spread(digamma(r + passed) - digamma(r) + np.log(alpha)) - log_T + gone * gap,
            r / alpha - rate * (per_T + gone * (per_t - per_T)),
            x.spread(both) + gone / a,
            x.spread(both + digamma(b + n) - digamma(b)) - gone * x.spread(1 / last),
        ]
        if self.phases > 1:
            value += begun
            slopes[0] += (1 - gone) * slope
            slopes[1] -= (1 - gone) * phase * per_T
        return value, slopes

    def _chances(self, rate: Floats, waited: Floats) -> list[Floats]:
        """How likely each phase of the time to the next order is against the first one, given the
        share of alpha + T since the last order.
        """
        chances = [np.ones_like(rate)]
        for phase in range(1, self.phases):
            chances.append(chances[-1] * (rate + phase - 1) / phase * waited)
        return chances

    def _waiting(self, rate: Floats, waited: Floats) -> tuple[Floats, Any, Any]:
        """The log of the sum of `_chances`, the mean phase, and the derivative of the log by r."""
        chances = self._chances(rate, waited)
        total = sum(chances)
        slopes = np.cumsum([0 * rate, *(1 / (rate + n) for n in range(self.phases - 1))], axis=0)
        mean = sum(n * chance for n, chance in enumerate(chances)) / total
        slope = sum(chance * by for chance, by in zip(chances, slopes, strict=True)) / total
        return np.log(total), mean, slope

    def conditional_probability_alive(
        self, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Floats:
        """Probability that a customer with this history has not left."""
        return np.atleast_1d(self._alive(*arrays(frequency, recency, T)))

    def _alive(self, x: Floats, t_x: Floats, age: Floats) -> Floats:
        r, alpha, a, b = self._params()
        n = x + self.first
        per_order = np.log(a) - np.log(np.maximum(b + n - 1, 1e-300))
        rate = r + self.phases * x
        odds = per_order + rate * (np.log(alpha + age) - np.log(alpha + t_x))
        odds = odds - np.log(sum(self._chances(rate, (age - t_x) / (alpha + age))))
        return np.where(n > 0, np.exp(-np.logaddexp(0, odds)), 1.0)

    def conditional_expected_number_of_purchases_up_to_time(
        self, t: ArrayLike, frequency: ArrayLike, recency: ArrayLike, T: ArrayLike
    ) -> Any:
        """Repeat orders expected in the next t. Euler's transformation leaves a hypergeometric
        function of small parameters over a large one, so thousands of orders do not overflow.

        Of regular orders it is a close approximation: at the same rate, who is in the last phase is
        ahead of one who orders by chance, by up to half an order, while the customer stays.
        """
        r, alpha, a, b = self._params()
        future, x, t_x, age = arrays(t, frequency, recency, T)
        k, waiting = self.phases, alpha + age
        chances = self._chances(r + k * x, (age - t_x) / waiting)
        expected = np.zeros_like(future + waiting)
        # many have ordered as often and are as old, and the function of both is costly
        where, pairs = pd.factorize((x + 1j * (future / (k * waiting + future))).ravel())
        orders, share = pairs.real, pairs.imag
        for phase, chance in enumerate(chances):
            rate = r + (k - 1) * orders + phase
            by_chance = _if_staying(rate, a, b + self.first, orders, share)[where].reshape(x.shape)
            if k > 1:
                moves = -np.expm1(-(r + k * x + phase) * np.log1p(future / waiting))
                stays = ((b + self.first + x) / (a + b + self.first + x)) ** by_chance
                by_chance += (phase - (k - 1) / 2) / k * moves * stays
            expected += chance / sum(chances) * np.maximum(by_chance, 0)
        return shaped(expected * self._alive(x, t_x, age), t, frequency, recency, T)

    predict = conditional_expected_number_of_purchases_up_to_time

    def expected_number_of_purchases_up_to_time(self, t: ArrayLike) -> Any:
        """Repeat orders expected of a new customer by time t."""
        return self.conditional_expected_number_of_purchases_up_to_time(t, 0, 0, 0)

    def probability_of_n_purchases_up_to_time(self, t: ArrayLike, n: int) -> Any:
        """Probability of n repeat orders of a new customer by time t."""
        r, alpha, a, b = self._params()
        until, k = np.asarray(t, float), n + self.first
        passed = _counts(r, alpha, until, np.arange(self.phases * (n + 1)))
        orders = passed.reshape(n + 1, self.phases, *until.shape).sum(axis=1)
        found = np.exp(betaln(a, b + k) - betaln(a, b)) * orders[n]
        if k:  # or left after the last of them, where somebody staying would have had more
            more = 1 - orders[:n].sum(axis=0)
            found = found + np.exp(betaln(a + 1, b + k - 1) - betaln(a, b)) * more
        return shaped(found, t)


def _counts(r: float, alpha: float, t: Floats, n: NDArray[np.intp]) -> Floats:
    """Probability of each number of orders by time t of somebody who stays; shape n x t."""
    n = n.reshape(-1, *[1] * t.ndim)
    logs = gammaln(r + n) - gammaln(r) - gammaln(n + 1) - r * np.log1p(t / alpha)
    return np.exp(logs + xlogy(n, t / (alpha + t)))


def _if_staying(r: Any, a: float, b: float, x: Floats, z: Floats) -> Floats:
    """Orders expected of a customer who has not left; z is t / (alpha + T + t)."""
    if abs(a - 1) < LIKE_ONE:
        below, above = (_if_staying(r, 1 + side * 2 * LIKE_ONE, b, x, z) for side in (-1, 1))
        return below + (above - below) * ((a - 1) / (4 * LIKE_ONE) + 0.5)
    c = a + b + x - 1
    c = np.where(np.abs(c) < 1e-9, 1e-9, c)
    kept, power = hyp2f1(a + b - 1 - r, a - 1, c, z), (a - 1) * np.log1p(-z)
    with np.errstate(all="ignore"):
        loss = np.expm1(power) * kept + (kept - 1)
        loss = np.where(kept > 0, np.expm1(power + np.log(kept)), loss)
        plain = np.expm1((r + x) * np.log1p(-z) + np.log(hyp2f1(r + x, b + x, c, z)))
        expected = -np.where(np.isfinite(loss), loss, plain) * c / (a - 1)
        sound = np.isfinite(expected) & (expected >= 0)
    return expected if sound.all() else np.where(sound, expected, _by_quadrature(r, a, b, x, z))


def _by_quadrature(r: Any, a: float, b: float, x: Floats, z: Floats) -> Floats:
    """The same as a mean over the chance p of leaving, at quantiles of its beta distribution; to
    about 1e-6.
    """
    u, weights = np.polynomial.legendre.leggauss(128)
    r, x, w = (np.asarray(v, float)[..., None] for v in np.broadcast_arrays(r, x, z / (1 - z)))
    p = np.maximum(betaincinv(a, b + x, (u + 1) / 2), 1e-300)
    return np.asarray((-np.expm1(-(r + x) * np.log1p(p * w)) / p) @ (weights / 2))


class BetaGeoFitter(_Geometric, lifetimes.BetaGeoFitter):
    """BG/NBD: an order rate that varies by gamma, a chance of leaving after each repeat order that
    varies by beta.
    """

    first, generator = 0, staticmethod(beta_geometric_nbd_model)


class ModifiedBetaGeoFitter(_Geometric, lifetimes.ModifiedBetaGeoFitter):
    """MBG/NBD: the same, but a customer may leave right after the first order too."""

    first, generator = 1, staticmethod(modified_beta_geometric_nbd_model)


class RegularBetaGeoFitter(BetaGeoFitter):
    """BG/CNBD-k: the time between orders is Erlang's of `phases`. Its log-likelihood leaves out
    what the times between orders add whatever the parameters are.
    """

    def generate_new_data(self, size: int = 1) -> pd.DataFrame:
        """lifetimes draws no regular orders."""
        raise FitError("generate_new_data: customers who order regularly are not drawn")


MOST_PHASES = 12
REGULAR: dict[int, type[RegularBetaGeoFitter]] = {
    n: type(f"BetaGeo{n}Fitter", (RegularBetaGeoFitter,), {"phases": n})
    for n in range(2, MOST_PHASES + 1)
}
