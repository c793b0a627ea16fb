import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import cosine_similarity

from analysis.strategy import item_rules
from tests.strategy.purchase_logs import ago, basket, history


def random_purchases(seed, customers=60, items=7):
    bought = np.random.default_rng(seed).random((customers, items)) < 0.3
    return sparse.csr_matrix(bought.astype(float))


def test_similarity_is_the_cosine():
    bought = random_purchases(1)
    expected = cosine_similarity(bought.T.toarray())
    np.fill_diagonal(expected, 0)
    rule = item_rules.similar_buyers(bought)
    assert rule.pull == pytest.approx(expected)
    assert rule.scores(bought) == pytest.approx(bought @ expected)


@pytest.mark.parametrize("shrink", [0.03, 0.3])
def test_regression_is_ridge_of_each_item_on_the_others(shrink):
    """The closed form against one ridge regression with an intercept for each item (sklearn)."""
    bought = random_purchases(2)
    rule, dense = item_rules.regression(bought, shrink), bought.toarray()
    for item in range(dense.shape[1]):
        others = np.delete(np.arange(dense.shape[1]), item)
        fitted = Ridge(alpha=shrink * len(dense)).fit(dense[:, others], dense[:, item])
        assert rule.pull[others, item] == pytest.approx(fitted.coef_)
        assert rule.scores(bought)[:, item] == pytest.approx(fitted.predict(dense[:, others]))
    assert not rule.pull.diagonal().any()


def test_the_most_bought_are_alike_for_all_and_of_those_who_bought():
    bought = sparse.csr_matrix([[1.0, 0], [1, 1], [0, 0], [0, 0]])
    assert item_rules.most_bought(bought).scores(bought).tolist() == [[0.5, 0.25]] * 4
    known = history([*basket("a", "anvil"), ("b", ago(1), "anvil", -5)], people=["prospect"])
    assert item_rules.learned(known, "most_bought").base.tolist() == [1.0]


def test_the_penalties_of_the_registry_are_told_apart():
    bought = random_purchases(3)
    for name, shrink in (("regression_light", 0.03), ("regression_strong", 0.3)):
        expected = item_rules.regression(bought, shrink).pull
        assert item_rules.RULES[name].fit(bought).pull == pytest.approx(expected)
