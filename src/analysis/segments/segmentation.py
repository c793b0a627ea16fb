"""What a segmentation is: a way to put every customer into one class, with all that reports need
to show it.

To add one, write a function of `people` (one row per customer: the table customers, and what
habits, interests and profiles add to it), say with `@segmentation` what it needs, makes and is
called, and list it in the registry; tables, contract, glossary and report follow.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.intake.dataset import Dataset
from analysis.schema import Column


@dataclass(frozen=True)
class Segmentation:
    """An entry of the registry. Called with `people` it returns its columns, keyed by customer_id.

    `makes` are these columns, `class_column` the one that holds each customer's class; `classes`
    names the classes in the order of the reports, `meaning` is for the glossary; `needs` are
    columns of the company's records, as transactions.channel; `options` are arguments as a dataset
    wants them. What is made `always` needs nothing: later stages rest on it.
    """

    make: Callable[..., pd.DataFrame]
    term: str
    meaning: str
    class_column: str
    classes: dict[str, str]
    makes: dict[str, Column]
    needs: tuple[str, ...] = ()
    options: Callable[[Dataset], dict[str, Any]] = lambda settings: {}
    always: bool = False

    @property
    def name(self) -> str:
        return self.make.__name__

    def lacks(self, columns: Collection[str]) -> list[str]:
        """Which of the columns it needs are not among those there are."""
        return [column for column in self.needs if column not in columns]

    def __call__(self, people: pd.DataFrame, **options: Any) -> pd.DataFrame:
        return self.make(people, **options)


def segmentation(
    *words: Any, **entry: Any
) -> Callable[[Callable[..., pd.DataFrame]], Segmentation]:
    """Make a function of `people` a Segmentation; arguments as its fields, from `term` on."""
    return lambda make: Segmentation(make, *words, **entry)


def first_that_holds(tests: Mapping[str, pd.Series], otherwise: str) -> pd.Series:
    """For each customer the name of the first test that holds; one that is not known does not."""
    held = [test.fillna(False).to_numpy(bool) for test in tests.values()]
    index = next(iter(tests.values())).index
    return pd.Series(np.select(held, list(tests), default=otherwise), index, dtype="str")
