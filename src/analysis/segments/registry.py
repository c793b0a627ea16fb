"""All segmentations, the table `segments` that they make side by side, and what it must hold."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.errors import InputError, did_you_mean
from analysis.intake.dataset import Dataset
from analysis.schema import TEXT, Column, Contract
from analysis.segments import abc, attributes, clusters, habits, interests, lifecycle, rfm
from analysis.segments.segmentation import Segmentation

SEGMENTATIONS: dict[str, Segmentation] = {
    entry.name: entry
    for entry in (
        abc.abc,
        lifecycle.lifecycle,
        rfm.rfm,
        abc.abc_profit,
        *habits.HABITS,
        attributes.attributes,
        interests.interests,
        interests.needs,
        clusters.clusters,
    )
}
ALWAYS = tuple(entry for entry in SEGMENTATIONS.values() if entry.always)
CONTRACT = Contract(
    "a customer",
    ("customer_id",),
    {"customer_id": Column(TEXT, "the customer, as text")}
    | {
        name: replace(column, optional=not entry.always)
        for entry in SEGMENTATIONS.values()
        for name, column in entry.makes.items()
    },
)


def chosen(
    columns: Collection[str], asked: Collection[str] = ()
) -> tuple[list[Segmentation], pd.DataFrame]:
    """The segmentations to make of records with these columns (as transactions.cost), and what is
    left out: segmentation, table, lacks (a column of that table).

    Asked for are all that the columns allow, unless some are named; RFM, ABC and stages are always
    made. Raises InputError for a name that is none.
    """
    if unknown := sorted(set(asked) - set(SEGMENTATIONS)):
        hint = did_you_mean(unknown[0], SEGMENTATIONS)
        raise InputError(f"segmentations: there is no {unknown[0]}; {hint}")
    wanted = [e for e in SEGMENTATIONS.values() if not asked or e.always or e.name in asked]
    missing = [(e.name, *column.split(".")) for e in wanted for column in e.lacks(columns)]
    left_out = pd.DataFrame(missing, columns=["segmentation", "table", "lacks"])
    return [entry for entry in wanted if not entry.lacks(columns)], left_out


def gather(customers: pd.DataFrame, *more: pd.DataFrame) -> pd.DataFrame:
    """What segmentations work on, `people`: the table customers, and other columns by customer."""
    people = customers
    for columns in more:
        people = people.merge(columns, on="customer_id", how="left", validate="one_to_one")
    return people


def segment(
    people: pd.DataFrame,
    made: Sequence[Segmentation] = ALWAYS,
    settings: Dataset | None = None,
    **options: dict[str, Any],
) -> pd.DataFrame:
    """Segmentations side by side, as the dataset wants them, each resting on those before: the
    table `segments`.

    Further options by name, as clusters={"k": 5}.
    """
    found = people
    for entry in made:
        wanted = (entry.options(settings) if settings else {}) | options.get(entry.name, {})
        found = found.assign(**entry(found, **wanted).set_axis(people.index))
    columns = [name for entry in made for name in entry.makes]
    return found[["customer_id", *columns]].reset_index(drop=True)


def labels() -> dict[str, str]:
    """What segmentations and their classes are called, by name."""
    entries = SEGMENTATIONS.values()
    classes = {name: label for entry in entries for name, label in entry.classes.items()}
    return {entry.name: entry.term for entry in entries} | classes
