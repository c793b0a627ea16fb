"""What a segmentation is: a way to put every customer into one class, with all that the reports
need to show it.

To add one, write a function of `people` (one row per customer: the table customers, and what
habits, interests and profiles add to it) and say with `@segmentation` what it needs, makes and is
called; tables, glossary and report follow.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.schema import Column


@dataclass(frozen=True)
class Texts:
    """What a segmentation and its classes are called in English; another language's file says it
    under `segmentations` and `words`. Classes stand in the order of the reports.
    """

    term: str
    meaning: str  # for the glossary
    classes: dict[str, str]


@dataclass(frozen=True)
class Segmentation:
    """An entry of SEGMENTATIONS. Called with `people` it returns its columns, keyed by customer_id."""

    make: Callable[..., pd.DataFrame]
    class_column: str  # of those it makes: holds the one class of each customer
    makes: dict[str, Column]
    texts: Texts
    needs: tuple[str, ...]  # columns of the company's records, as transactions.channel

    @property
    def name(self) -> str:
        return self.make.__name__

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.texts.classes)

    def lacks(self, columns: Collection[str]) -> list[str]:
        """Which of the columns it needs are not among those there are."""
        return [column for column in self.needs if column not in columns]

    def __call__(self, people: pd.DataFrame, **options: Any) -> pd.DataFrame:
        return self.make(people, **options)


def segmentation(
    class_column: str, makes: dict[str, Column], texts: Texts, needs: tuple[str, ...] = ()
) -> Callable[[Callable[..., pd.DataFrame]], Segmentation]:
    """Make a function of `people` an entry of SEGMENTATIONS."""
    return lambda make: Segmentation(make, class_column, makes, texts, needs)
