"""What speaks for an item: how much what a customer has bought says of what else is bought."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import linalg, sparse

from analysis.report.text import N_
from analysis.strategy.purchases import Purchases


@dataclass(frozen=True)
class Rule:
    """Scores of items: alike for all (base), and what one bought adds (pull[bought, other])."""

    base: np.ndarray
    pull: np.ndarray | None = None

    def scores(self, weights: sparse.csr_matrix) -> np.ndarray:
        """Customers by items, for a block of customers."""
        if self.pull is None:
            return np.tile(self.base, (weights.shape[0], 1))
        scores = weights @ self.pull
        scores += self.base
        return scores


def most_bought(bought: sparse.csr_matrix) -> Rule:
    """The share of the customers who have bought an item, whoever asks."""
    return Rule(np.asarray(bought.sum(axis=0)).ravel() / max(bought.shape[0], 1))


def similar_buyers(bought: sparse.csr_matrix) -> Rule:
    """Cosine: customers with both over the root of the buyers of each (Sarwar et al. 2001)."""
    both = (bought.T @ bought).toarray()
    buyers = np.sqrt(np.maximum(both.diagonal(), 1))
    np.fill_diagonal(both, 0)
    return Rule(np.zeros(len(both)), both / buyers[:, None] / buyers)


def regression(bought: sparse.csr_matrix, shrink: float) -> Rule:
    """Ridge regression of each item on all others at once, none on itself, in closed form (EASE,
    Steck 2019), about the means.

    `shrink`: the penalty, as a share of the customers. About the means, because a customer of few
    purchases is else told what few buy.
    """
    count = max(bought.shape[0], 1)
    mean = np.asarray(bought.sum(axis=0)).ravel() / count
    spread = (bought.T @ bought).toarray() - count * np.outer(mean, mean)
    spread[np.diag_indices_from(spread)] += shrink * count
    inverse = linalg.inv(spread, assume_a="pos")
    pull = -inverse / inverse.diagonal()
    np.fill_diagonal(pull, 0)
    return Rule(mean - mean @ pull, pull)


@dataclass(frozen=True)
class Candidate:
    """A way to score items, and what the reader calls it."""

    words: str
    fit: Callable[[sparse.csr_matrix], Rule]


# The simplest first. Measured and left out: lift, and purchases to come given those before, which
# hit less than cosine.
RULES = {
    "most_bought": Candidate(N_("Most bought"), most_bought),
    "similar_buyers": Candidate(N_("Similar buyers (cosine)"), similar_buyers),
    "regression_light": Candidate(
        N_("Regression on all purchases, lightly shrunk (EASE)"), partial(regression, shrink=0.03)
    ),
    "regression": Candidate(
        N_("Regression on all purchases, shrunk (EASE)"), partial(regression, shrink=0.1)
    ),
    "regression_strong": Candidate(
        N_("Regression on all purchases, strongly shrunk (EASE)"), partial(regression, shrink=0.3)
    ),
}
# where too little is known to choose: of the invented company and groceries the best of both
DEFAULT = "regression"


def learned(known: Purchases, name: str) -> Rule:
    """One of RULES, of all who have bought anything."""
    return RULES[name].fit(known.bought[known.has_bought])
