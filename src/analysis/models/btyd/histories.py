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
    """A column with its few distinct values (levels), so that a costly function is computed once
    for each of them, and `where` they stand.
    """

    def __init__(self, levels: Floats, where: NDArray[np.intp]) -> None:
        self.levels, self.where = levels, where

    @classmethod
    def of(cls, column: ArrayLike) -> "Coded":
        return cls(*np.unique(np.ravel(np.asarray(column, float)), return_inverse=True))

    def spread(self, table: NDArray[Any]) -> NDArray[Any]:
        """One entry per row of a table with one entry per distinct value."""
        return table[self.where]

    def all(self) -> Floats:
        return self.levels[self.where]


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
    places = np.unravel_index(found[order], [len(values) for _, values in codes])
    columns = zip(codes, places, strict=True)
    return tuple(Coded(values, place) for (_, values), place in columns), counts[order].astype(
        float
    )


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


def check_histories(*columns: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """x, t_x and T as float arrays. Raises one FitError that counts the rows of each fault."""
    x, t_x, T = (np.ravel(np.asarray(column, float)) for column in columns)
    with np.errstate(invalid="ignore"):
        faults = {
            "without frequency, recency or age": ~np.isfinite(x + t_x + T),
            "with a negative frequency, recency or age": (x < 0) | (t_x < 0) | (T < 0),
            "with a frequency that is no whole number": x != np.round(x),
            "with a recency over the age": t_x > T,
            "with repeat orders but a recency of 0": (x > 0) & (t_x == 0),
            "without repeat orders but a recency above 0": (x == 0) & (t_x > 0),
        }
    refuse(faults, len(x), "make them with customers.at, one row per customer")
    return x, t_x, T


def check_spend(*columns: ArrayLike) -> tuple[Floats, Floats]:
    """x and m as float arrays. Raises one FitError that counts the rows of each fault."""
    x, m = (np.ravel(np.asarray(column, float)) for column in columns)
    with np.errstate(invalid="ignore"):
        unordered = (x < 1) | (x != np.round(x))
        faults = {
            "without orders or spend": ~np.isfinite(x + m),
            "with no order or a number of orders that is no whole number": unordered,
            "with a spend of zero or below": m <= 0,
        }
    refuse(faults, len(x), "leave out customers without a repeat order above zero")
    return x, m


def refuse(faults: dict[str, NDArray[np.bool_]], rows: int, remedy: str) -> None:
    if not rows:
        raise FitError("no customers to fit a model to; choose a day by which somebody has ordered")
    if found := [f"{int(bad.sum()):,} {fault}" for fault, bad in faults.items() if bad.any()]:
        raise FitError(f"of {rows:,} rows {', '.join(found)}; {remedy}")
