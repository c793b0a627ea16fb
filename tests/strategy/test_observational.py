import numpy as np
from scipy import stats

from analysis.strategy import observational
from analysis.strategy.effects import balance
from tests.strategy.test_effects import people


def confounded(random, n, effect):
    """Customers who buy much are treated more often, and buy more anyway."""
    level = random.normal(size=n)
    treated = random.random(n) < 1 / (1 + np.exp(-level))
    return people(2 * level + effect * treated + random.normal(size=n), treated, level=level)


def test_similar_customers_take_the_choice_out():
    random, held, draws = np.random.default_rng(12), 0, 25
    for _ in range(draws):
        told = observational.compared(confounded(random, 400, 0.5), "y", ["level"])
        held += told["low"] <= 0.5 <= told["high"]
    assert stats.binomtest(held, draws, 0.95).pvalue > 0.01
    assert observational.LEAST_OVERLAP < told["effective"] < 200


def test_overlap_weights_make_the_means_equal():
    frame = confounded(np.random.default_rng(13), 300, 0.0)
    chance, columns = observational.propensity(frame, ["level"])
    assert columns.shape == (300, 3) and ((chance > 0) & (chance < 1)).all()
    treat = (frame.arm == "treat").to_numpy()
    weights = np.where(treat, 1 - chance, chance)
    means = [np.average(frame.level[arm], weights=weights[arm]) for arm in (treat, ~treat)]
    assert abs(means[0] - means[1]) < 1e-6 < abs(balance(frame, ["level"]).smd[0])


def test_arms_that_do_not_overlap_are_not_compared():
    level = np.arange(200.0)
    told = observational.compared(people(level, level > 99, level=level), "y", ["level"])
    assert np.isnan([told["effect"], told["low"], told["p"]]).all()
    assert told["effective"] < observational.LEAST_OVERLAP


def test_without_anything_known_it_is_the_difference_of_means():
    frame = people([1.0, 2, 3, 6] * 20, [1, 0] * 40)
    told = observational.compared(frame, "y", [])
    assert told["effect"] == np.mean([1, 3]) - np.mean([2, 6])
    assert (told["treated"], told["control"], told["effective"]) == (40, 40, 40)
    np.testing.assert_allclose(told["error"] ** 2, 1 / 40 + 4 / 40)
    half = stats.t.ppf(0.975, 80) * told["error"]
    np.testing.assert_allclose([told["low"], told["high"]], [-2 - half, -2 + half])


def test_the_error_is_the_jackknifes():
    """The estimate anew without each twentieth of the customers. Effects differ from customer to
    customer, so that it would be seen if the weights were taken as known.
    """
    frame = confounded(np.random.default_rng(3), 80, 0.5)
    frame["y"] += frame.level**2 * (frame.arm == "treat")
    parts = (frame.drop(index=frame.index[part::20]) for part in range(20))
    without = [observational.compared(rest, "y", ["level"])["effect"] for rest in parts]
    error = observational.compared(frame, "y", ["level"])["error"]
    np.testing.assert_allclose(error, np.sqrt(19 * np.var(without)), rtol=0.15)


def test_twenty_customers_in_either_arm_are_enough():
    frame = people([1.0, 2, 3, 6] * 10, [1, 0] * 20)
    told = observational.compared(frame, "y", [])
    assert (told["effective"], told["effect"]) == (observational.LEAST_OVERLAP, -2)
    fewer = observational.compared(frame.iloc[1:], "y", [])
    assert (fewer["treated"], fewer["control"]) == (19, 20)
    assert np.isnan([fewer["effective"], fewer["effect"]]).all()


def test_effective_customers_by_hand():
    """Kish: 2² / 2 = 2 of three; those who were nearly sure to be treated count less."""
    assert observational._effective(np.array([1.0, 1.0, 0.0])) == 2
    assert observational._effective(np.array([0.1, 0.1])) == 0.4
    assert observational._effective(np.zeros(3)) == 0
