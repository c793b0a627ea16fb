"""Histories as the fitters take them: checked, distinct with their counts, and in the shapes of
lifetimes.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.errors import InputError

Floats = NDArray[np.float64]


class FitError(InputError, ValueError):
    """What cannot be fitted; a ValueError too, which users of lifetimes catch."""


class Coded:
    """A column with its few distinct values, so that a costly function is computed once for each of
    them.
    """

    def __init__(self, levels: Floats, where: NDArray[np.intp]) -> None:
        self.levels, self.where = levels, where

    @classmethod
    def of(cls, column: ArrayLike) -> "Coded":
        values, where = np.unique(np.ravel(np.asarray(column, float)), return_inverse=True)
        return cls(values, where)

    def spread(self, table: Floats) -> Floats:
        """One entry per row of a table with one entry per distinct value."""
        return table[self.where]

    def all(self) -> Floats:
        return self.levels[self.where]

    def some(self, rows: NDArray[Any]) -> "Coded":
        return Coded(self.levels, self.where[rows])

    def scaled(self, unit: float) -> "Coded":
        return Coded(self.levels / unit, self.where)


Data = tuple[Coded, ...]


def distinct(data: tuple[Floats, ...], weights: ArrayLike | None) -> tuple[Data, Floats]:
    """Distinct rows in sorted order, so that the order of customers changes nothing, and how many
    share each.
    """
    codes = [pd.factorize(column, sort=True) for column in data]
    key = np.zeros(len(data[0]), np.int64)
    for where, values in codes:
        key = key * len(values) + where
    rows, found = pd.factorize(key)
    counts = np.bincount(rows, None if weights is None else np.asarray(weights, float))
    order = np.argsort(found)
    rest, columns = found[order], []
    for _, values in reversed(codes):
        rest, where = np.divmod(rest, len(values))
        columns.append(Coded(np.asarray(values), where))
    return tuple(reversed(columns)), counts[order].astype(float)


def arrays(*columns: ArrayLike) -> list[Floats]:
    """The columns as float arrays of one shape."""
    return list(np.broadcast_arrays(*(np.asarray(column, float) for column in columns)))


def shaped(values: ArrayLike, *columns: ArrayLike) -> Any:
    """The values in the shape that lifetimes gives them: as the first Series or table among the
    columns, a number where all of these are numbers, else an array.
    """
    for column in columns:
        if isinstance(column, pd.Series):
            return pd.Series(np.asarray(values), column.index)
        if isinstance(column, pd.DataFrame):
            return pd.DataFrame(np.asarray(values), column.index, column.columns)
    return np.asarray(values)[()]


def check_histories(x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """The histories as float arrays. Raises one FitError that counts the rows of each fault."""
    frequency, recency, age = (np.ravel(np.asarray(column, float)) for column in (x, t_x, T))
    known = np.isfinite(frequency) & np.isfinite(recency) & np.isfinite(age)
    with np.errstate(invalid="ignore"):
        faults = {
            "without frequency, recency or age": ~known,
            "with a negative frequency, recency or age": (
                (frequency < 0) | (recency < 0) | (age < 0)
            ),
            "with a frequency that is no whole number": frequency != np.round(frequency),
            "with a recency over the age": recency > age,
            "with repeat orders but a recency of 0": (frequency > 0) & (recency == 0),
            "without repeat orders but a recency above 0": (frequency == 0) & (recency > 0),
        }
    refuse(faults, len(frequency), "make them with customers.at, one row per customer")
    return frequency, recency, age


def check_spend(x: ArrayLike, m: ArrayLike) -> tuple[Floats, Floats]:
    """The numbers of orders and their mean spend. Raises one FitError that counts the rows of each
    fault.
    """
    orders, spend = np.ravel(np.asarray(x, float)), np.ravel(np.asarray(m, float))
    with np.errstate(invalid="ignore"):
        faults = {
            "without orders or spend": ~(np.isfinite(orders) & np.isfinite(spend)),
            "with no order or a number of orders that is no whole number": (
                (orders < 1) | (orders != np.round(orders))
            ),
            "with a spend of zero or below": spend <= 0,
        }
    refuse(faults, len(orders), "leave out customers without a repeat order above zero")
    return orders, spend


def refuse(faults: dict[str, NDArray[np.bool_]], rows: int, remedy: str) -> None:
    if not rows:
        raise FitError("no customers to fit a model to; choose a day by which somebody has ordered")
    if found := [f"{int(bad.sum()):,} {fault}" for fault, bad in faults.items() if bad.any()]:
        raise FitError(f"of {rows:,} rows {', '.join(found)}; {remedy}")
