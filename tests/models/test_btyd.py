"""The models against the papers' tables, against 40-digit arithmetic, against lifetimes and against
simulated shops.
"""

import datetime as dt
import json
from itertools import chain
from pathlib import Path

import ibis
import lifetimes
import mpmath as mp
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import gammaln
from threadpoolctl import threadpool_limits

from analysis.errors import InputError
from analysis.models import btyd, origins
from analysis.models.btyd import likelihood, pareto_nbd

CALIBRATION_END, HOLDOUT_WEEKS = dt.date(1997, 9, 30), 39
TIMED = (btyd.BetaGeoFitter, btyd.ModifiedBetaGeoFitter, btyd.ParetoNBDFitter)
MODELS = (*TIMED, btyd.BetaGeoBetaBinomFitter, btyd.GammaGammaFitter)
TRUTH = {  # parameters of the simulated shops, in weeks and in units of money
    btyd.BetaGeoFitter: (0.8, 6.0, 0.9, 2.5),
    btyd.ModifiedBetaGeoFitter: (0.8, 6.0, 0.9, 2.5),
    btyd.ParetoNBDFitter: (0.8, 6.0, 0.7, 9.0),
    btyd.BetaGeoBetaBinomFitter: (1.2, 0.75, 0.66, 2.8),
    btyd.GammaGammaFitter: (6.0, 4.0, 15.0),
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On a busy machine the threads of the linear algebra wait for each other twenty times as long
    as they work.
    """
    with threadpool_limits(1):
        yield


def named(model):
    return model.__name__.removesuffix("Fitter")


timed = pytest.mark.parametrize("model", TIMED, ids=named)
geometric = pytest.mark.parametrize("model", TIMED[:2], ids=named)
every_model = pytest.mark.parametrize("model", MODELS, ids=named)


# ----------------------------------------------------------------------------------------------
# simulated shops


def shop(model, params, people, seed, weeks=52.0, future=0.0):
    """Histories by the model's story alone: x, t_x, T, whether still here at T, and the orders of
    the time after.
    """
    rng = np.random.default_rng(seed)
    r, alpha, a, b = params
    age = np.full(people, weeks) if future else rng.uniform(weeks / 4, weeks, people)
    rate = rng.gamma(r, 1 / alpha, people)
    if model is btyd.ParetoNBDFitter:
        death, most = (
            rng.exponential(1, people) / rng.gamma(a, 1 / b, people),
            np.full(people, np.inf),
        )
    else:  # leaves after an order; the modified model tosses the coin after the first order too
        death, most = (
            np.full(people, np.inf),
            rng.geometric(np.maximum(rng.beta(a, b, people), 1e-12)).astype(float),
        )
        most -= model is btyd.ModifiedBetaGeoFitter
    x, t_x, later, time, order = (
        np.zeros(people),
        np.zeros(people),
        np.zeros(people),
        np.zeros(people),
        0,
    )
    while (going := (time <= age + future) & (order < most) & (time <= death)).any():
        order += 1
        time = time + rng.exponential(1, people) / np.maximum(rate, 1e-300)
        real = going & (time <= death)
        x += real & (time <= age)
        t_x = np.where(real & (time <= age), time, t_x)
        later += real & (time > age) & (time <= age + future)
    return x, t_x, age, (x < most) & (death > age), later


def donors(params, people, seed, chances=6, future=0):
    """x, t_x, n, whether still here after n opportunities, and the orders at the next ones."""
    rng = np.random.default_rng(seed)
    p, theta = rng.beta(*params[:2], people), rng.beta(*params[2:], people)
    stays = (rng.random((people, chances + future)) >= theta[:, None]).cumprod(axis=1)
    orders = stays * (rng.random(stays.shape) < p[:, None])
    seen = orders[:, :chances]
    t_x = (seen * np.arange(1, chances + 1)).max(axis=1)
    return (
        seen.sum(axis=1),
        t_x,
        np.full(people, chances),
        stays[:, chances - 1] > 0,
        orders[:, chances:].sum(axis=1),
    )


def spenders(params, people, seed):
    """x, mean spend m, and the mean that each customer's spend has in truth."""
    rng = np.random.default_rng(seed)
    p, q, v = params
    x, scale = rng.geometric(0.3, people), 1 / rng.gamma(q, 1 / v, people)
    return x, rng.gamma(p * x) * scale / x, p * scale


def sample(model, people=600, seed=1):
    """The columns that `model` is fitted on."""
    if model is btyd.BetaGeoBetaBinomFitter:
        return donors(TRUTH[model], people, seed)[:3]
    if model is btyd.GammaGammaFitter:
        return spenders(TRUTH[model], people, seed)[:2]
    return shop(model, TRUTH[model], people, seed)[:3]


def predictions(fitter):
    """Everything that a fitter of this model tells about some fixed customers."""
    if isinstance(fitter, btyd.GammaGammaFitter):
        return fitter.conditional_expected_average_profit(
            np.array([0, 1, 4, 50]), np.array([0.0, 12.0, 30.0, 99.0])
        )
    x, t_x = np.array([0.0, 1, 3, 5]), np.array([0.0, 2, 5, 6])
    if isinstance(fitter, btyd.BetaGeoBetaBinomFitter):
        return np.concatenate(
            [
                fitter.predict(5, x, t_x, 6 + 0 * x),
                fitter.conditional_probability_alive(1, x, t_x, 6 + 0 * x),
            ]
        )
    parts = [
        fitter.predict(26.0, x, t_x, 20 + 0 * x),
        fitter.conditional_probability_alive(x, t_x, 20 + 0 * x),
    ]
    new = [
        fitter.expected_number_of_purchases_up_to_time([1.0, 30.0]),
        fitter.probability_of_n_purchases_up_to_time(30.0, 2),
    ]
    return np.concatenate([np.ravel(part) for part in parts + new])


def total(model, params, columns):
    return model().with_parameters(params).log_likelihoods(*columns).sum()


# -------------------------------------------------------------------------------------------- the
# published tables


@pytest.fixture(scope="session")
def cdnow_customers(cdnow_sample):
    """The 2,357 customers on 1997-09-30 in exact days / 7, with what they ordered in the 39 weeks
    after.
    """
    people = origins.Past(cdnow_sample, HOLDOUT_WEEKS * 7).at(CALIBRATION_END)
    weeks = people.assign(t_x=(people.age_days - people.recency_days) / 7, T=people.age_days / 7)
    assert (len(weeks), (weeks.frequency > 0).sum(), weeks.frequency.sum()) == (2_357, 946, 2_457)
    return weeks.sort_values("customer_id", ignore_index=True)


@pytest.fixture(scope="session")
def cdnow_fits(cdnow_customers):
    return {model: model().fit(*history(cdnow_customers)) for model in TIMED}


@pytest.fixture(scope="session")
def cdnow_spend(cdnow_customers):
    buyers = cdnow_customers[cdnow_customers.frequency > 0]
    return btyd.GammaGammaFitter().fit(buyers.frequency, buyers.repeat_value)


@pytest.fixture(scope="session")
def donations():
    return pd.read_csv(Path(lifetimes.__file__).parent / "datasets/donations.csv")


def history(people):
    return people.frequency, people.t_x, people["T"]


PUBLISHED = {  # three decimals; the log-likelihood to the digits known
    btyd.BetaGeoFitter: ((0.243, 4.414, 0.793, 2.426), -9582.429),
    btyd.ParetoNBDFitter: ((0.553, 10.578, 0.606, 11.669), -9594.976),
    btyd.ModifiedBetaGeoFitter: ((0.525, 6.183, 0.891, 1.614), -9582.136),
}


@timed
def test_parameters_of_fader_hardie_lee_2005_and_btydplus(cdnow_fits, model):
    """Fader, Hardie & Lee (2005), Table 2: BG/NBD and Pareto/NBD; MBG/NBD as in BTYDplus."""
    fitter, (params, log_likelihood) = cdnow_fits[model], PUBLISHED[model]
    assert fitter.params_.round(3).tolist() == list(params)
    assert round(fitter.log_likelihood_, 3) == log_likelihood
    assert fitter.problem_ == ""


def test_parameters_of_fader_hardie_2013_gamma_gamma(cdnow_spend):
    """The Gamma-Gamma note: 946 repeat buyers."""
    assert cdnow_spend.data.weights.sum() == 946
    assert cdnow_spend.params_.round(2).tolist() == [6.25, 3.74, 15.44]
    assert round(cdnow_spend.log_likelihood_, 3) == -4055.918
    assert cdnow_spend.problem_ == ""


def test_first_ten_expected_spends_of_fader_hardie_2013(cdnow_spend, cdnow_customers):
    first = cdnow_customers.head(10)
    spends = cdnow_spend.conditional_expected_average_profit(first.frequency, first.repeat_value)
    # the last digit comes and goes with the authors' rounding of the mean spends: 71.465 is printed
    # 71.46
    assert spends.tolist() == pytest.approx(
        [24.65, 18.91, 35.17, 35.17, 35.17, 71.46, 18.91, 35.17, 27.28, 35.17], abs=0.0055
    )


def test_parameters_of_fader_hardie_shang_2010_donations(donations):
    """BG/BB on the 11,104 donors."""
    assert donations.weights.sum() == 11_104
    fitter = btyd.BetaGeoBetaBinomFitter().fit(
        donations.frequency, donations.recency, donations.periods, donations.weights
    )
    assert fitter.params_.round(3).tolist() == [1.204, 0.750, 0.657, 2.783]
    assert round(fitter.log_likelihood_, 2) == -33225.58
    assert fitter.problem_ == ""


def test_customer_of_fader_hardie_lee_2005(cdnow_fits):
    """(x=2, t_x=30.43, T=38.86): 1.226 orders in 39 weeks, P(alive) .727."""
    fitter = cdnow_fits[btyd.BetaGeoFitter]
    assert fitter.predict(39, 2, 30.43, 38.86) == pytest.approx(1.226, abs=5e-4)
    assert fitter.conditional_probability_alive(2, 30.43, 38.86) == pytest.approx(0.727, abs=5e-4)


def test_frequent_buyer_of_the_pareto_nbd_notes(cdnow_fits):
    """(x=26, t_x=30.86, T=31): 25.46 orders in 52 weeks, P(alive) .9979."""
    fitter = cdnow_fits[btyd.ParetoNBDFitter]
    assert fitter.predict(52, 26, 30.86, 31) == pytest.approx(25.46, abs=5e-3)
    assert fitter.conditional_probability_alive(26, 30.86, 31) == pytest.approx(0.9979, abs=5e-5)


def test_expected_orders_of_a_new_customer_of_fader_hardie_lee_2005(cdnow_fits):
    """E[X(t)] as in the authors' spreadsheet. Its hypergeometric series stops after 150 terms,
    which at t = 78 makes 1.8576 of 1.8580: with as many terms the printed number comes out, with
    all of them ours.
    """
    fitter = cdnow_fits[btyd.BetaGeoFitter]
    times = [0.1429, 1, 3, 31.8571, 32]
    printed = [0.0078, 0.0532, 0.1506, 1.0405, 1.0437]
    assert fitter.expected_number_of_purchases_up_to_time(times) == pytest.approx(
        printed, abs=5.5e-5
    )

    def series(terms):
        r, alpha, a, b = fitter.params_
        j = np.arange(terms)
        ratios = (r + j) * (b + j) / ((a + b - 1 + j) * (1 + j)) * 78 / (alpha + 78)
        return (
            (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + 78)) ** r * (1 + ratios.cumprod().sum()))
        )

    assert round(series(150), 4) == 1.8576
    assert fitter.expected_number_of_purchases_up_to_time(78.0) == pytest.approx(
        series(5_000), rel=1e-9
    )


def test_numerical_stability_of_the_bg_nbd_note():
    """Fader & Hardie, "Overcoming the BG/NBD Model's #NUM! Error Problem"."""
    fitter = btyd.BetaGeoFitter().with_parameters([0.25, 4.0, 0.8, 2.5])
    once, often = fitter.log_likelihoods([0, 200], [0, 38], [40, 40])
    assert round(once, 5) == -0.59947
    assert round(often, 4) == 100.7957


def test_holdout_sales_of_fader_hardie_2013(cdnow_sample, cdnow_customers):
    """39 weeks to 1998-06-30: 1,882 repeat transactions, $70,976.39."""
    after = cdnow_sample.filter(ibis._.day > ibis.literal(CALIBRATION_END))
    assert float(after.amount.sum().execute()) == pytest.approx(70_976.39, abs=0.005)
    assert cdnow_customers.holdout_orders.sum() == 1_882


def holdout_metrics(predicted, people):
    """MAE, RMSE, bias and correlation of the predicted against the actual number of order days of a
    customer in the 273 days after the calibration, averaged over all 2,357. Counting order lines
    instead (1,959) gives none of them.
    """
    actual = people.holdout_orders.to_numpy()
    error = np.ravel(predicted) - actual
    correlation = np.corrcoef(np.ravel(predicted), actual)[0, 1]
    return np.abs(error).mean(), np.sqrt((error**2).mean()), error.sum() / actual.sum(), correlation


def test_holdout_of_the_nbd_without_death(cdnow_customers):
    """Nobody leaves: not one of our models, but the benchmark that shows that the metrics are
    defined as published.
    """
    x, _, age = (column.to_numpy(float) for column in history(cdnow_customers))

    def negative(theta):
        r, alpha = np.exp(theta)
        return -(
            gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * np.log(alpha + age)
        ).sum()

    r, alpha = np.exp(
        minimize(
            negative, [0.0, 2.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-7}
        ).x
    )
    mae, rmse, bias, _ = holdout_metrics((r + x) / (alpha + age) * HOLDOUT_WEEKS, cdnow_customers)
    assert (round(mae, 3), round(rmse, 3), round(bias, 3)) == (1.041, 1.860, 0.557)


@pytest.mark.parametrize(
    ("model", "published"),
    [
        (btyd.BetaGeoFitter, (0.786, 1.608, -0.121, 0.626)),
        (btyd.ModifiedBetaGeoFitter, (0.765, 1.607, -0.162, None)),
        (btyd.ParetoNBDFitter, (0.755, 1.603, -0.115, 0.630)),
    ],
    ids=["BetaGeo", "ModifiedBetaGeo", "ParetoNBD"],
)
def test_holdout_of_39_weeks(cdnow_fits, cdnow_customers, model, published):
    predicted = cdnow_fits[model].predict(HOLDOUT_WEEKS, *history(cdnow_customers))
    ours = holdout_metrics(predicted, cdnow_customers)
    if (
        model is btyd.BetaGeoFitter
    ):  # .786 and .626 are those of the parameters as printed; at the optimum MAE is .7855
        rounded = btyd.BetaGeoFitter().with_parameters(PUBLISHED[model][0])
        as_printed = holdout_metrics(
            rounded.predict(HOLDOUT_WEEKS, *history(cdnow_customers)), cdnow_customers
        )
        assert [round(value, 3) for value in as_printed] == list(published)
    for value, printed in zip(ours, published, strict=True):
        assert printed is None or value == pytest.approx(printed, abs=6e-4)


# -------------------------------------------------------------------------------------------------
# 40-digit arithmetic


def exactly(*values):
    return [mp.mpf(float(value)) for value in values]


def apart(value, pole):
    """`value`, moved by 1e-25 where the published formula divides by zero."""
    return value + mp.mpf("1e-25") if value == pole else value


def exact_geometric(params, x, t_x, T, t, first):
    """Log-likelihood, P(alive) and E of Fader, Hardie & Lee (2005), equations 6 and 10, and of
    Batislam et al. (2007).
    """
    r, alpha, a, b = exactly(*params)
    x, t_x, T, t = exactly(x, t_x, T, t)
    a = apart(a, 1)
    n = x + first
    alive = mp.beta(a, b + n) / mp.beta(a, b) * (alpha + T) ** -(r + x)
    gone = mp.beta(a + 1, b + n - 1) / mp.beta(a, b) * (alpha + t_x) ** -(r + x) if n else mp.mpf(0)
    likelihood = mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha) + mp.log(alive + gone)
    c = apart(a + b + n - 1, 0)
    ratio = ((alpha + T) / (alpha + T + t)) ** (r + x)
    staying = c / (a - 1) * (1 - ratio * mp.hyp2f1(r + x, b + n, c, t / (alpha + T + t)))
    return likelihood, alive / (alive + gone), alive / (alive + gone) * staying


def exact_pareto(params, x, t_x, T, t):
    """Fader & Hardie (2005), "A Note on Deriving the Pareto/NBD Model": the hypergeometric form,
    where ours integrates.
    """
    r, alpha, s, beta = exactly(*params)
    x, t_x, T, t = exactly(x, t_x, T, t)
    s_, k = apart(s, 1), r + s + x
    low, high, power = (beta, alpha, s + 1) if alpha >= beta else (alpha, beta, r + x)

    def beyond(y):
        return mp.hyp2f1(k, power, k + 1, (high - low) / (high + y)) / (high + y) ** k

    alive, gone = (alpha + T) ** -(r + x) * (beta + T) ** -s, s / k * (beyond(t_x) - beyond(T))
    likelihood = (
        mp.loggamma(r + x)
        - mp.loggamma(r)
        + r * mp.log(alpha)
        + s * mp.log(beta)
        + mp.log(alive + gone)
    )
    staying = (
        (r + x)
        * (beta + T)
        / (alpha + T)
        / (s_ - 1)
        * (1 - ((beta + T) / (beta + T + t)) ** (s_ - 1))
    )
    return likelihood, alive / (alive + gone), alive / (alive + gone) * staying


def exact_timed(model, *case):
    if model is btyd.ParetoNBDFitter:
        return exact_pareto(*case)
    return exact_geometric(*case, first=int(model is btyd.ModifiedBetaGeoFitter))


def ours_timed(model, params, x, t_x, T, t):
    fitter = model().with_parameters(params)
    alive = fitter.conditional_probability_alive(x, t_x, T)
    return [
        float(np.ravel(v)[0])
        for v in (fitter.log_likelihoods(x, t_x, T), alive, fitter.predict(t, x, t_x, T))
    ]


def cases(seed, number):
    """Parameters and histories to 5,000 orders and 20 years, in weeks or days."""
    rng = np.random.default_rng(seed)
    for _number in range(number):
        params = np.exp(rng.uniform(np.log([0.05, 0.1, 0.05, 0.05]), np.log([5, 50, 5, 8])))
        x, T = (
            rng.choice([0, 1, 2, 5, 30, 200, 1000, 5000]),
            rng.choice([1, 10, 52, 365, 1040, 7300]),
        )
        t_x = T * rng.choice([0.001, 0.1, 0.5, 0.9, 0.999, 1]) if x else 0.0
        yield params, float(x), float(t_x), float(T), float(rng.choice([0.1, 1, 13, 52, 156, 1095]))


def assert_precise(ours, exact, rel=1e-9):
    """Relative 1e-9 (asked: 1e-7), for probabilities down to 1e-200."""
    assert ours == pytest.approx([float(value) for value in exact], rel=rel, abs=1e-200)


@timed
def test_precision_on_a_random_grid(model):
    """Log-likelihood, P(alive) and expected orders: relative 1e-9."""
    with mp.workdps(40):
        for case in cases(3, 40):
            assert_precise(ours_timed(model, *case), exact_timed(model, *case))


NEAR = (1e-3, 1e-5, 0.9e-5, 1e-7, 1e-10, 1e-13, 0.0, -1e-13, -1e-10, -1e-7, -0.9e-5, -1e-3)


@timed
@pytest.mark.parametrize("off", NEAR)
def test_precision_where_a_formula_divides_by_nothing(model, off):
    """a of BG/NBD and MBG/NBD, s of Pareto/NBD at and around 1: relative 1e-7."""
    with mp.workdps(40):
        for x, t_x in ((0, 0.0), (3, 20.0), (400, 38.0)):
            case = (np.array([0.6, 5.0, 1 + off, 2.4]), x, t_x, 39.0, 26.0)
            assert_precise(ours_timed(model, *case), exact_timed(model, *case), rel=1e-7)


@geometric
@pytest.mark.parametrize("off", NEAR)
def test_precision_where_a_and_b_sum_to_one(model, off):
    """The third parameter of the hypergeometric function is 0 for x = 0 (BG/NBD): relative 1e-7."""
    with mp.workdps(60):
        case = (np.array([0.6, 5.0, 0.4, 0.6 + off]), 0, 0.0, 39.0, 26.0)
        assert_precise(ours_timed(model, *case), exact_timed(model, *case), rel=1e-7)


def test_pareto_tables_agree_with_the_integral_of_each_history():
    """Rows that `_tabulate` says it knows: relative 1e-10 of the integral and the four means. Most
    rows are known.
    """
    for seed, params in enumerate(
        [(0.55, 10.6, 0.61, 11.7), (0.3, 0.5, 4.0, 80.0), (5.0, 60.0, 0.2, 0.4)]
    ):
        rng = np.random.default_rng(seed)
        T = rng.integers(30, 600, 5_000) / 7
        x = np.where(rng.random(5_000) < 0.4, 0, rng.integers(1, 80, 5_000)).astype(float)
        t_x = np.where(x > 0, np.maximum(np.round(T * rng.random(5_000) * 7), 1) / 7, 0)
        x[:20], t_x[:20] = 59, T[:20]  # the last order today
        fitter, data = btyd.ParetoNBDFitter(), tuple(map(btyd.Coded.of, (x, t_x, T)))
        with np.errstate(all="ignore"):
            integral, means, known = fitter._tabulate(params, data)
        each, each_means = fitter._integrate(params, x, t_x, T)
        assert known.mean() > 0.5
        assert not known[x >= pareto_nbd.MANY_ORDERS].any()
        some = known & (t_x < T)
        assert np.exp(integral[some] - each[some]) == pytest.approx(np.ones(some.sum()), rel=1e-10)
        assert means[:, some] == pytest.approx(each_means[:, some], rel=1e-8, abs=1e-12)
        whole, _ = fitter._leaving(params, data)
        some = t_x < T
        assert np.exp(whole[some] - each[some]) == pytest.approx(np.ones(some.sum()), rel=1e-10)


def test_pareto_tables_against_40_digits():
    rng = np.random.default_rng(4)
    T = rng.integers(30, 600, 4_500) / 7
    x = rng.integers(0, 12, 4_500).astype(float)
    t_x = np.where(x > 0, np.maximum(np.round(T * rng.random(4_500) * 7), 1) / 7, 0)
    params = (0.55, 10.6, 0.61, 11.7)
    fitter = btyd.ParetoNBDFitter().with_parameters(params)
    likelihoods, alive = (
        fitter.log_likelihoods(x, t_x, T),
        fitter.conditional_probability_alive(x, t_x, T),
    )
    future = fitter.predict(39.0, x, t_x, T)
    with mp.workdps(40):
        for row in rng.choice(4_500, 25, replace=False):
            exact = exact_pareto(params, x[row], t_x[row], T[row], 39.0)
            assert_precise([likelihoods[row], alive[row], future[row]], exact)


def exact_donor(params, x, t_x, n, m):
    """Fader, Hardie & Shang (2010), equations 5, A10 and 13."""
    alpha, beta, gamma, delta = exactly(*params)

    def way(lived, left):
        return mp.beta(alpha + x, beta + lived - x) * mp.beta(gamma + left, delta + lived)

    base = mp.beta(alpha, beta) * mp.beta(gamma, delta)
    likelihood = (way(n, 0) + sum(way(t_x + i, 1) for i in range(n - t_x))) / base
    alive = mp.beta(alpha + x, beta + n - x) * mp.beta(gamma, delta + n + m) / base / likelihood
    g = apart(gamma, 1)
    loss = mp.gamma(1 + delta + n) / mp.gamma(g + delta + n) - mp.gamma(
        1 + delta + n + m
    ) / mp.gamma(g + delta + n + m)
    future = mp.beta(alpha + x + 1, beta + n - x) / mp.beta(alpha, beta) * delta / (g - 1)
    future *= mp.gamma(g + delta) / mp.gamma(1 + delta) * loss / likelihood
    return mp.log(likelihood), alive, future


def test_precision_of_bg_bb():
    """Log-likelihood, P(alive m opportunities later), expected orders; gamma = 1 too: relative
    1e-9.
    """
    rng = np.random.default_rng(5)
    with mp.workdps(40):
        for number in range(60):
            params = np.exp(rng.uniform(np.log(0.05), np.log(20), 4))
            params[2] = 1.0 if number % 10 == 0 else params[2]
            n = int(rng.choice([1, 6, 52, 520]))
            t_x = int(rng.integers(0, n + 1))
            x = int(rng.integers(1, t_x + 1)) if t_x else 0
            m = int(rng.choice([1, 5, 52]))
            fitter = btyd.BetaGeoBetaBinomFitter().with_parameters(params)
            alive, future = (
                fitter.conditional_probability_alive(m, x, t_x, n),
                fitter.predict(m, x, t_x, n),
            )
            ours = [
                float(np.ravel(value)[0])
                for value in (fitter.log_likelihoods(x, t_x, n), alive, future)
            ]
            assert_precise(ours, exact_donor(params, x, t_x, n, m))


def mixed_spend(x, m, p, q, v):
    """The log-density of a mean spend: the gamma density given nu, over the gamma density of nu."""

    def both(nu):
        mean = (nu * x) ** (p * x) * m ** (p * x - 1) * mp.exp(-nu * x * m) / mp.gamma(p * x)
        return mean * v**q * nu ** (q - 1) * mp.exp(-v * nu) / mp.gamma(q)

    middle = (p * x + q) / (x * m + v)
    return mp.log(
        mp.quad(both, [0, *(middle * k for k in (0.01, 0.1, 0.5, 1, 1.5, 2, 4, 10, 30)), mp.inf])
    )


def test_precision_of_gamma_gamma():
    """The density of the mean by integrating over the customers' scale, and the closed form for
    thousands of orders.
    """
    rng = np.random.default_rng(6)
    with mp.workdps(40):
        for number in range(45):
            params = np.exp(rng.uniform(np.log([0.1, 0.1, 0.01]), np.log([20, 20, 1000])))
            x, m = (
                (int(rng.choice([1, 2, 7, 30])), rng.lognormal(3))
                if number < 6
                else (5_000, rng.lognormal(3, 3))
            )
            p, q, v = exactly(*params)
            x_, m_ = exactly(x, m)
            rate, shape = x_ * m_ + v, p * x_ + q
            if number < 6:
                exact = mixed_spend(x_, m_, p, q, v)
            else:
                exact = (
                    mp.loggamma(shape)
                    - mp.loggamma(p * x_)
                    - mp.loggamma(q)
                    + q * mp.log(v)
                    - shape * mp.log(rate)
                )
                exact += (p * x_ - 1) * mp.log(m_) + p * x_ * mp.log(x_)
            fitter = btyd.GammaGammaFitter().with_parameters(params)
            assert fitter.log_likelihoods(x, m)[0] == pytest.approx(
                float(exact), rel=1e-8, abs=1e-8
            )
            expected = (q - 1) / (shape - 1) * v * p / (q - 1) + p * x_ / (
                shape - 1
            ) * m_  # the weighted mean of the note
            assert fitter.conditional_expected_average_profit(x, m) == pytest.approx(
                float(expected), rel=1e-10
            )


@timed
@pytest.mark.parametrize("leaving", [(0.01, 3), (3, 100)], ids=["a below 3", "a over 3"])
def test_nothing_overflows(model, leaving):
    """To 5,000 orders and 20 years in days, over a wide grid of parameters: finite, and within what
    is possible.
    """
    rng = np.random.default_rng(7)
    x = np.append(rng.choice([0, 1, 2, 10, 100, 1000, 5000], 200), [0, 0, 5000])
    T = np.append(np.exp(rng.uniform(np.log(0.01), np.log(7300), 200)), [0, 7300, 1e-3])
    t_x = np.where(x > 0, T * rng.choice([1e-6, 0.01, 0.5, 0.99, 1], 203), 0)
    t = rng.choice([0, 0.01, 1, 100, 7300], 203)
    lowest, highest = ([0.01, 0.01, leaving[0], 0.01], [100, 100, leaving[1], 100])
    for params in np.exp(rng.uniform(np.log(lowest), np.log(highest), (40, 4))):
        fitter = model().with_parameters(params)
        value, slopes = fitter._terms(params, tuple(map(btyd.Coded.of, (x, t_x, T))))
        alive, future = (
            fitter.conditional_probability_alive(x, t_x, T),
            fitter.predict(t, x, t_x, T),
        )
        new = fitter.expected_number_of_purchases_up_to_time(t)
        assert np.isfinite(np.array([value, *slopes, alive, future, new])).all()
        assert ((alive >= 0) & (alive <= 1)).all()
        assert (future >= 0).all()
        assert (new >= 0).all()
        # nobody orders more than at the rate that the history shows without leaving
        r, alpha = params[:2]
        assert (future <= (r + x) / (alpha + T) * t * (1 + 1e-6) + 1e-12).all()


def test_a_rate_that_is_like_the_chance_of_leaving():
    """r = a to 1e-13, hence r - a + x a whole number, over a long future."""
    case = ((0.02, 0.02, 0.02, 5.0), 0, 0.0, 0.01, 14.0)
    with mp.workdps(40):
        exact = exact_timed(btyd.ModifiedBetaGeoFitter, *case)
    assert_precise(ours_timed(btyd.ModifiedBetaGeoFitter, *case), exact, rel=1e-7)


HISTORY = st.integers(0, 5_000).flatmap(
    lambda x: st.tuples(
        st.just(x), st.floats(1e-3, 1.0) if x else st.just(0.0), st.floats(0.01, 7_300)
    )
)


PARAMETERS = st.tuples(*(st.floats(0.0217, top) for top in (50, 50, 2.9, 50)))


@settings(max_examples=50, derandomize=True)
@given(st.lists(HISTORY, min_size=1, max_size=6), PARAMETERS, st.floats(1e-3, 5_000))
def test_any_history_has_a_finite_likelihood_and_prediction(rows, params, t):
    x, share, T = np.array(rows, float).T
    t_x = share * T
    assume(abs(params[0] - params[2] - round(params[0] - params[2])) > 1e-6)  # the next test
    for model in TIMED:
        fitter = model().with_parameters(params)
        alive, future = (
            fitter.conditional_probability_alive(x, t_x, T),
            fitter.predict(t, x, t_x, T),
        )
        assert np.isfinite(np.array([fitter.log_likelihoods(x, t_x, T), alive, future])).all()
        assert ((alive >= 0) & (alive <= 1) & (future >= 0)).all()


# --------------------------------------------------------------------------------------------------
# ---------- the fit


@every_model
def test_gradients_are_those_of_finite_differences(model):
    """Each derivative of each history by a fourth-order difference."""
    columns = sample(model, 40)
    if model in TIMED:
        columns = tuple(
            np.append(c, more)
            for c, more in zip(columns, ([500.0, 0], [51.0, 0], [52.0, 0]), strict=True)
        )
    coded = tuple(map(btyd.Coded.of, columns))
    fitter = model()
    for params in (
        np.array(TRUTH[model]),
        np.array(TRUTH[model]) * 3,
        np.full(len(TRUTH[model]), 0.3),
    ):
        for k, slope in enumerate(fitter._terms(params, coded)[1]):
            step = np.zeros(len(params))
            step[k] = h = params[k] * 1e-3
            at = [fitter._terms(params + j * step, coded)[0] for j in (-2, -1, 1, 2)]
            differences = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h)
            assert np.broadcast_to(slope, differences.shape) == pytest.approx(
                differences, rel=1e-6, abs=1e-6
            )


def test_gradients_of_the_pareto_tables():
    columns = tuple(
        map(btyd.Coded.of, np.round(np.array(sample(btyd.ParetoNBDFitter, 4_500)) * 7) / 7)
    )
    params, fitter = np.array(TRUTH[btyd.ParetoNBDFitter]), btyd.ParetoNBDFitter()
    for k, slope in enumerate(fitter._terms(params, columns)[1]):
        step = np.zeros(4)
        step[k] = h = params[k] * 1e-3
        at = [fitter._terms(params + j * step, columns)[0] for j in (-2, -1, 1, 2)]
        assert slope == pytest.approx(
            (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h), rel=1e-6, abs=1e-6
        )


def theirs(model, params, columns):
    """lifetimes' log-likelihood, which states it as a mean, of the given parameters."""
    parent, columns = getattr(lifetimes, model.__name__), tuple(map(np.asarray, columns))
    if model is btyd.ParetoNBDFitter:
        return parent._conditional_log_likelihood(np.asarray(params, float), *columns).sum()
    people = len(columns[0])
    return (
        -parent._negative_log_likelihood(
            np.log(np.asarray(params, float)), *columns, np.ones(people), 0.0
        )
        * people
    )


@every_model
def test_same_optimum_as_lifetimes_or_a_better_one(model):
    """On small shops: our log-likelihood is theirs at any parameters, and no lower at our optimum
    than at theirs.
    """
    for seed in (1, 2):
        columns = sample(model, 300, seed)
        parent = getattr(lifetimes, model.__name__)()
        np.random.seed(seed)
        parent.fit(*(pd.Series(column) for column in columns))
        fitter = model().fit(*columns)
        reached = total(model, parent.params_, columns)
        assert reached == pytest.approx(theirs(model, parent.params_, columns), rel=1e-7)
        assert fitter.log_likelihood_ >= reached - 1e-6
        assert fitter.log_likelihood_ == pytest.approx(
            total(model, fitter.params_, columns), rel=1e-10
        )
        assert fitter.log_likelihood_ == pytest.approx(reached, abs=0.05)  # the same hill
        assert predictions(fitter) == pytest.approx(
            predictions(model().with_parameters(parent.params_)), rel=0.05
        )


@timed
def test_predictions_are_those_of_lifetimes(model):
    """For customers few enough in orders that its own formulas hold."""
    parent, params = (
        getattr(lifetimes, model.__name__)(),
        pd.Series(TRUTH[model], list(model.names)),
    )
    parent.params_ = params
    x, t_x, T = (np.array(column[:50]) for column in sample(model))
    ours = model().with_parameters(params)
    past = "conditional_expected_number_of_purchases_up_to_time"
    assert ours.predict(26.0, x, t_x, T) == pytest.approx(
        getattr(parent, past)(26.0, x, t_x, T), rel=1e-6
    )
    alive = parent.conditional_probability_alive(x, t_x, T)
    assert ours.conditional_probability_alive(x, t_x, T) == pytest.approx(alive, rel=1e-6)


@pytest.mark.parametrize("model", [btyd.BetaGeoFitter, btyd.ParetoNBDFitter], ids=named)
def test_fit_to_many_distinct_histories_is_a_maximum_for_all_of_them(model):
    """Beyond the size at which samples find the neighbourhood, and Pareto/NBD tables its integrals."""
    people = 25_000 if model is btyd.BetaGeoFitter else 9_000
    columns = np.array(sample(model, people))
    columns = (
        columns
        if model is btyd.BetaGeoFitter
        else np.where(columns > 0, np.ceil(columns * 7) / 7, 0)
    )
    columns[0] = np.round(columns[0])
    fitter = model().fit(*columns)
    assert len(fitter.data) > 2 * likelihood.WARM_START
    best = fitter.params_.to_numpy()
    top = (
        theirs(model, best, columns) if model is btyd.BetaGeoFitter else total(model, best, columns)
    )
    assert fitter.log_likelihood_ == pytest.approx(top, rel=1e-9)
    bend = np.empty((4, 2))
    for k in range(4):
        for way, sign in enumerate((-1, 1)):
            near = best.copy()
            near[k] *= np.exp(sign * 1e-3)
            bend[k, way] = top - total(model, near, columns)
    assert (bend > 0).all()
    assert bend[:, 0] == pytest.approx(
        bend[:, 1], rel=0.02
    )  # the slope is nothing against the curvature
    assert best == pytest.approx(TRUTH[model], abs=5 * fitter.standard_errors_.max())


WEEKS = {"days": 7.0, "weeks": 1.0, "years": 7 / 365.25, "seconds": 604_800.0}


@timed
@pytest.mark.parametrize("unit", WEEKS)
def test_unit_of_time_changes_nothing_but_the_unit(model, unit, cdnow_customers, cdnow_fits):
    x, t_x, T = (column.to_numpy(float) for column in history(cdnow_customers))
    per, fitter = WEEKS[unit], cdnow_fits[model]
    other = model().fit(x, t_x * per, T * per)
    assert other.problem_ == ""
    assert other.predict(39 * per, x, t_x * per, T * per) == pytest.approx(
        fitter.predict(39, x, t_x, T), rel=1e-6
    )
    alive = fitter.conditional_probability_alive(x, t_x, T)
    assert other.conditional_probability_alive(x, t_x * per, T * per) == pytest.approx(
        alive, rel=1e-6
    )
    assert other.log_likelihood_ == pytest.approx(
        fitter.log_likelihood_ - x.sum() * np.log(per), rel=1e-9
    )
    units = np.array([per if name in ("alpha", "beta") else 1 for name in model.names])
    assert other.params_.to_numpy() == pytest.approx(fitter.params_.to_numpy() * units, rel=1e-5)
    assert other.standard_errors_.to_numpy() == pytest.approx(
        fitter.standard_errors_.to_numpy() * units, rel=1e-3
    )


@pytest.mark.parametrize("per", [1e-6, 1e8])
def test_unit_of_money_changes_nothing_but_the_unit(cdnow_spend, cdnow_customers, per):
    buyers = cdnow_customers[cdnow_customers.frequency > 0]
    x, m = buyers.frequency.to_numpy(), buyers.repeat_value.to_numpy()
    other = btyd.GammaGammaFitter().fit(x, m * per)
    expected = cdnow_spend.conditional_expected_average_profit(x, m)
    assert other.conditional_expected_average_profit(x, m * per) == pytest.approx(
        expected * per, rel=1e-6
    )
    assert other.log_likelihood_ == pytest.approx(
        cdnow_spend.log_likelihood_ - len(x) * np.log(per), rel=1e-9
    )
    assert other.problem_ == ""


@every_model
def test_weights_are_repeated_rows(model):
    columns = sample(model, 200)
    weights = np.random.default_rng(8).integers(1, 6, 200)
    weighted = model().fit(*columns, weights=weights)
    repeated = model().fit(*(np.repeat(column, weights) for column in columns))
    assert weighted.params_.equals(repeated.params_)
    assert weighted.standard_errors_.equals(repeated.standard_errors_)
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-14)
    assert weighted.data.weights.sum() == weights.sum()


@pytest.mark.parametrize(
    ("model", "people"), [*((model, 300) for model in MODELS), (btyd.BetaGeoFitter, 21_000)]
)
def test_order_of_rows_changes_no_bit(model, people):
    columns = sample(model, people)
    order = np.random.default_rng(9).permutation(people)
    one, other = model().fit(*columns), model().fit(*(column[order] for column in columns))
    assert one.to_dict() == other.to_dict()
    assert np.array_equal(one.refits(3, seed=1), other.refits(3, seed=1))


@every_model
def test_standard_errors_are_those_of_the_numeric_hessian_of_lifetimes_likelihood(model):
    columns = sample(model, 1_500, seed=3)
    fitter = model().fit(*columns)
    best = fitter.params_.to_numpy()
    k = len(best)
    steps = np.diag(best * 1e-3)
    at = lambda shift: theirs(model, best + shift, columns)  # noqa: E731
    hessian = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            corners = (
                at(steps[i] + steps[j])
                - at(steps[i] - steps[j])
                - at(steps[j] - steps[i])
                + at(-steps[i] - steps[j])
            )
            hessian[i, j] = corners / (4 * steps[i, i] * steps[j, j])
    covariance = np.linalg.inv(-hessian)
    assert fitter.standard_errors_.to_numpy() == pytest.approx(
        np.sqrt(np.diag(covariance)), rel=0.02
    )
    assert fitter.variance_matrix_.to_numpy() == pytest.approx(
        covariance, rel=0.05, abs=0.02 * np.abs(covariance).max()
    )


@pytest.mark.parametrize("model", [btyd.BetaGeoFitter, btyd.GammaGammaFitter], ids=named)
def test_confidence_intervals_cover_the_truth(model):
    """In 30 simulated shops the 95 % intervals hold the true parameters in 95 % of the cases, give
    or take chance.
    """
    held = []
    for seed in range(30):
        bounds = model().fit(*sample(model, 800, 100 + seed)).confidence_intervals_.to_numpy()
        held.append((bounds[:, 0] <= TRUTH[model]) & (bounds[:, 1] >= TRUTH[model]))
    assert np.mean(held) >= 0.88
    assert np.mean(held, axis=0).min() >= 0.8


@every_model
def test_refits_spread_as_the_standard_errors(model):
    """200 bootstrap refits against the curvature, both of the logarithms of the parameters (they
    are skewed): 25 %.
    """
    people = 1_000 if model is btyd.ParetoNBDFitter else 3_000
    fitter = model().fit(*sample(model, people, seed=4))
    drawn = fitter.refits(200, seed=5)
    assert drawn.shape == (200, len(model.names))
    spread = np.log(drawn).std(axis=0)
    assert spread == pytest.approx((fitter.standard_errors_ / fitter.params_).to_numpy(), rel=0.25)
    centre = np.abs(np.log(drawn).mean(axis=0) - np.log(fitter.params_.to_numpy()))
    assert (centre < 0.5 * spread).all()
    assert np.array_equal(drawn[:5], fitter.refits(5, seed=5))
    assert not np.array_equal(drawn[:5], fitter.refits(5, seed=6))


# -----------------------------------------------------------------------------------------------
# against simulated shops


@timed
def test_probabilities_of_orders_sum_to_one_and_have_the_expected_mean(model):
    fitter, t = model().with_parameters(TRUTH[model]), np.array([1.0, 10.0, 40.0])
    chances = np.array([fitter.probability_of_n_purchases_up_to_time(t, n) for n in range(260)])
    assert (chances >= -1e-15).all()
    assert chances.sum(axis=0) == pytest.approx(np.ones(3), abs=1e-9)
    mean = (np.arange(260)[:, None] * chances).sum(axis=0)
    assert mean == pytest.approx(fitter.expected_number_of_purchases_up_to_time(t), rel=1e-8)


@timed
def test_simulated_customers_order_as_predicted(model):
    """60,000 customers who do as the model says: orders by T, who is still here, and orders after
    T, by orders so far. Everything within four and a half standard errors.
    """
    people, weeks, future = 60_000, 30.0, 20.0
    x, t_x, T, here, later = shop(model, TRUTH[model], people, 11, weeks, future)
    fitter = model().with_parameters(TRUTH[model])
    expected = fitter.expected_number_of_purchases_up_to_time(weeks)
    assert abs(x.mean() - expected) < 4.5 * x.std() / np.sqrt(people)
    for n in range(8):
        chance = float(np.ravel(fitter.probability_of_n_purchases_up_to_time(weeks, n))[0])
        assert abs((x == n).mean() - chance) < 4.5 * np.sqrt(chance * (1 - chance) / people)
    alive, orders = (
        fitter.conditional_probability_alive(x, t_x, T),
        fitter.predict(future, x, t_x, T),
    )
    early = t_x < weeks / 2
    for group in (x == 0, x == 1, (x == 2) & early, (x > 2) & early, (x > 2) & ~early, x > 12):
        assert group.sum() > 300
        number = np.sqrt(group.sum())
        assert (
            abs(here[group].mean() - alive[group].mean())
            < 4.5 * max(here[group].std(), 1e-9) / number + 1e-12
        )
        assert abs(later[group].mean() - orders[group].mean()) < 4.5 * later[group].std() / number


def test_simulated_donors_give_as_predicted():
    params = TRUTH[btyd.BetaGeoBetaBinomFitter]
    x, t_x, n, here, later = donors(params, 60_000, 12, future=5)
    fitter = btyd.BetaGeoBetaBinomFitter().with_parameters(params)
    alive, orders = fitter.conditional_probability_alive(0, x, t_x, n), fitter.predict(5, x, t_x, n)
    for pattern in np.unique(np.stack([x, t_x]), axis=1).T:
        group = (x == pattern[0]) & (t_x == pattern[1])
        number = np.sqrt(group.sum())
        assert (
            abs(here[group].mean() - alive[group].mean())
            < 4.5 * max(here[group].std(), 1e-9) / number + 1e-12
        )
        assert abs(later[group].mean() - orders[group].mean()) < 4.5 * later[group].std() / number


def test_donors_over_different_futures_at_once():
    """m may be an array, as in lifetimes: each row has its own."""
    fitter = btyd.BetaGeoBetaBinomFitter().with_parameters(TRUTH[btyd.BetaGeoBetaBinomFitter])
    one, five = (float(np.ravel(fitter.predict(m, 3, 4, 6))[0]) for m in (1, 5))
    assert fitter.predict(
        np.array([1, 5]), np.array([3, 3]), np.array([4, 4]), np.array([6, 6])
    ) == pytest.approx([one, five])


def test_simulated_spenders_spend_as_predicted():
    params = TRUTH[btyd.GammaGammaFitter]
    x, m, truth = spenders(params, 60_000, 13)
    expected = (
        btyd.GammaGammaFitter().with_parameters(params).conditional_expected_average_profit(x, m)
    )
    for group in (x == 1, x == 2, (x > 2) & (m > 30), (x > 2) & (m < 15), x > 8):
        error = (truth - expected)[group]
        assert abs(error.mean()) < 4.5 * error.std() / np.sqrt(group.sum())


@timed
def test_nothing_has_happened_at_time_zero(model):
    fitter = model().with_parameters(TRUTH[model])
    with np.errstate(divide="ignore"):
        chances = [
            float(np.ravel(fitter.probability_of_n_purchases_up_to_time(0.0, n))[0])
            for n in range(4)
        ]
    if model is btyd.ModifiedBetaGeoFitter:
        assert chances[0] == pytest.approx(1)
    assert chances == pytest.approx([1, 0, 0, 0], abs=1e-12)
    assert np.ravel(fitter.predict(0.0, 3, 5, 9)) == pytest.approx([0], abs=1e-12)


@pytest.mark.parametrize("alike", ["many orders each", "all new today", "all ordered today"])
def test_pareto_for_thousands_whose_histories_cannot_be_tabled(alike):
    """A table of integrals needs an order number under 60 and two distinct times; more than
    TABULATE may lack both.
    """
    people = pareto_nbd.TABULATE + 10
    x, t_x, T = {
        "many orders each": (
            np.full(people, 80.0),
            np.linspace(20, 30, people),
            np.full(people, 31.0),
        ),
        "all new today": (np.zeros(people), np.zeros(people), np.zeros(people)),
        "all ordered today": (np.ones(people), np.full(people, 3.0), np.full(people, 3.0)),
    }[alike]
    fitter = btyd.ParetoNBDFitter().with_parameters(TRUTH[btyd.ParetoNBDFitter])
    few = fitter.conditional_probability_alive(x[::2], t_x[::2], T[::2])
    assert fitter.conditional_probability_alive(x, t_x, T)[::2] == pytest.approx(few, rel=1e-10)
    assert fitter.predict(10.0, x, t_x, T)[::2] == pytest.approx(
        fitter.predict(10.0, x[::2], t_x[::2], T[::2]), rel=1e-10
    )


# --------------------------------------------------------------------------------------------------
# ----------- kept as data


@every_model
def test_round_trip_through_json(model):
    columns = sample(model, 300)
    fitter = model().fit(*columns)
    kept = json.loads(json.dumps(fitter.to_dict(), allow_nan=False))
    again = model.from_dict(kept)
    assert np.array_equal(predictions(again), predictions(fitter))
    assert again.params_.equals(fitter.params_)
    assert again.log_likelihood_ == fitter.log_likelihood_
    assert again.problem_ == fitter.problem_ == ""
    assert np.array_equal(again.log_likelihoods(*columns), fitter.log_likelihoods(*columns))
    for what in ("standard_errors_", "confidence_intervals_", "variance_matrix_"):
        assert getattr(again, what).equals(getattr(fitter, what))
    assert again.to_dict() == fitter.to_dict()


@every_model
def test_no_row_of_a_customer_is_kept(model):
    """As much is kept of 300 customers as of 600, and no column of theirs."""

    def size(value):
        parts = (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        return 1 + sum(map(size, parts))

    few, many = (model().fit(*sample(model, people)).to_dict() for people in (300, 600))
    assert (
        size(few)
        == size(many)
        == 1 + len(few) + len(model.names) + len(model.names) * (1 + len(model.names))
    )
    assert set(few) == {
        "schema",
        "model",
        "parameters",
        "log_covariance",
        "log_likelihood",
        "problem",
    }


@every_model
def test_another_model_or_schema_is_refused(model):
    kept = model().fit(*sample(model, 300)).to_dict()
    for changed in ({"schema": 0}, {"schema": "1"}, {"model": "BetaFitter"}, {"model": None}):
        with pytest.raises(InputError, match="retrain"):
            model.from_dict(kept | changed)
    with pytest.raises(InputError, match=named(model)):
        model.from_dict({})
    for other in set(MODELS) - {model}:
        with pytest.raises(InputError, match="retrain"):
            other.from_dict(kept)


# -------------------------------------------------------------------------------------------------
# what cannot be estimated


def assert_says_so(fitter, predicted):
    """A problem is named, and nothing learned is NaN."""
    assert fitter.problem_ == "not_identified"
    assert np.isfinite(fitter.params_).all()
    assert np.isfinite(fitter.log_likelihood_)
    assert np.isfinite(predicted).all()
    assert not fitter.standard_errors_.isna().any()
    json.dumps(fitter.to_dict(), allow_nan=False)
    assert np.isfinite(fitter.refits(3, seed=1)).all()


RNG = np.random.default_rng(14)
UNTOLD = {
    "no repeat buyers": (np.zeros(500), np.zeros(500), RNG.uniform(1, 52, 500)),
    "no repeat buyers, all new the same day": (np.zeros(500), np.zeros(500), np.full(500, 20.0)),
    "all new today": (np.zeros(50), np.zeros(50), np.zeros(50)),
    "everybody alike": (np.full(500, 3.0), np.full(500, 20.0), np.full(500, 30.0)),
    "everybody orders today": (np.full(500, 3.0), np.full(500, 30.0), np.full(500, 30.0)),
    "one customer": ([2.0], [10.0], [30.0]),
    "one customer who came once": ([0.0], [0.0], [30.0]),
}


@timed
@pytest.mark.parametrize("who", UNTOLD)
def test_histories_that_tell_nothing(model, who):
    x, t_x, T = UNTOLD[who]
    fitter = model().fit(x, t_x, T)
    assert_says_so(
        fitter, [fitter.predict(10.0, x, t_x, T), fitter.conditional_probability_alive(x, t_x, T)]
    )


@pytest.mark.parametrize("who", ["nobody gives", "everybody always", "one donor"])
def test_donors_who_tell_nothing(who):
    x = {
        "nobody gives": np.zeros(500),
        "everybody always": np.full(500, 6.0),
        "one donor": np.array([2.0]),
    }[who]
    t_x = np.where(x == 2, 4.0, x)
    fitter = btyd.BetaGeoBetaBinomFitter().fit(x, t_x, np.full(len(x), 6.0))
    assert_says_so(fitter, fitter.predict(3, x, t_x, np.full(len(x), 6.0)))


@pytest.mark.parametrize("who", ["everybody spends the same", "one spender"])
def test_spenders_who_tell_nothing(who):
    people = 1 if who == "one spender" else 500
    fitter = btyd.GammaGammaFitter().fit(np.full(people, 3), np.full(people, 25.0))
    assert_says_so(
        fitter,
        fitter.conditional_expected_average_profit(np.full(people, 3), np.full(people, 25.0)),
    )


def test_spend_with_too_heavy_a_tail_has_no_mean():
    truth = np.array([2.0, 0.6, 5.0])
    x, m, _ = spenders(truth, 3_000, 15)
    fitter = btyd.GammaGammaFitter().fit(x, m)
    assert (np.abs(fitter.params_ - truth) < 4 * fitter.standard_errors_).all()
    assert fitter.problem_ == "no_mean_spend"
    assert (
        btyd.GammaGammaFitter.from_dict(json.loads(json.dumps(fitter.to_dict()))).problem_
        == "no_mean_spend"
    )


# --------------------------------------------------------------------------------------------------
# -------------- bad input

GOOD = (2.0, 10.0, 30.0)
HISTORY_FAULTS = {
    "without frequency, recency or age": [
        (2.0, np.nan, 30.0),
        (2.0, 10.0, np.nan),
        (2.0, 10.0, np.inf),
    ],
    "with a negative frequency, recency or age": [(-2.0, 0.0, 30.0), (2.0, -1.0, 30.0)],
    "with a frequency that is no whole number": [(1.5, 10.0, 30.0)] * 4,
    "with a recency over the age": [(2.0, 31.0, 30.0)] * 5,
    "with repeat orders but a recency of 0": [(2.0, 0.0, 30.0)] * 6,
    "without repeat orders but a recency above 0": [(0.0, 1.0, 30.0)] * 7,
}
SPEND_FAULTS = {
    "without orders or spend": [(2.0, np.nan), (np.inf, 3.0), (2.0, np.inf)],
    "with no order or a number of orders that is no whole number": [(0.0, 5.0), (1.5, 5.0)],
    "with a spend of zero or below": [(2.0, 0.0), (2.0, -1.0), (2.0, -0.01), (3.0, 0.0)],
}


@pytest.mark.parametrize("fault", HISTORY_FAULTS)
def test_faults_of_histories_are_counted(fault):
    bad = HISTORY_FAULTS[fault]
    rows = np.array([GOOD] * 1_300 + bad)
    for model in (*TIMED, btyd.BetaGeoBetaBinomFitter):
        with pytest.raises(InputError) as raised:
            model().fit(*rows.T)
        assert str(raised.value).startswith(f"of {len(rows):,} rows {len(bad)} {fault}; ")
        assert "customers.at" in str(raised.value)


def test_all_faults_of_histories_are_in_one_error():
    rows = np.array([GOOD, *chain(*HISTORY_FAULTS.values())])
    with pytest.raises(InputError) as raised:
        btyd.check_histories(*rows.T)
    counted = ", ".join(f"{len(bad)} {fault}" for fault, bad in HISTORY_FAULTS.items())
    assert str(raised.value).startswith(f"of 28 rows {counted}; ")


@pytest.mark.parametrize("fault", SPEND_FAULTS)
def test_faults_of_spend_are_counted(fault):
    bad = SPEND_FAULTS[fault]
    with pytest.raises(InputError) as raised:
        btyd.GammaGammaFitter().fit(*np.array([(2.0, 20.0)] * 10 + bad).T)
    assert str(raised.value).startswith(f"of {10 + len(bad)} rows {len(bad)} {fault}; ")


def test_all_faults_of_spend_are_in_one_error():
    with pytest.raises(InputError) as raised:
        btyd.check_spend(*np.array([*chain(*SPEND_FAULTS.values())]).T)
    counted = ", ".join(f"{len(bad)} {fault}" for fault, bad in SPEND_FAULTS.items())
    assert str(raised.value).startswith(f"of 9 rows {counted}; ")


def test_a_donor_cannot_give_more_often_than_there_were_opportunities():
    with pytest.raises(
        InputError, match="of 2 rows 1 with more orders than opportunities up to the last"
    ):
        btyd.BetaGeoBetaBinomFitter().fit([1, 4], [2, 3], [6, 6])


@every_model
def test_no_customers_at_all(model):
    with pytest.raises(InputError, match="no customers"):
        model().fit(*([] for _ in model.columns))


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(*[st.sampled_from([0.0, 1.0, 2.0, 2.5, -1.0, np.nan, np.inf, 30.0])] * 3),
        min_size=1,
        max_size=5,
    )
)
def test_a_history_is_accepted_if_and_only_if_it_can_have_happened(rows):
    def possible(x, t_x, T):
        return (
            np.isfinite([x, t_x, T]).all()
            and x in (0, 1, 2, 30)
            and 0 <= t_x <= T
            and (x > 0) == (t_x > 0)
        )

    columns = np.array(rows).T
    if all(possible(*row) for row in rows):
        assert np.array_equal(btyd.check_histories(*columns), columns)
    else:
        with pytest.raises(InputError):
            btyd.check_histories(*columns)
