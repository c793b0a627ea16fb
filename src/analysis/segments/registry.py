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
        rfm.rfm,
        abc.abc,
        lifecycle.lifecycle,
        abc.abc_profit,
        habits.time_of_day,
        habits.day_of_week,
        habits.regularity,
        habits.basket,
        habits.buys_through,
        habits.prices,
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
) -> tuple[list[Segmentation], dict[str, list[str]]]:
    """The segmentations to make of records with these columns (as transactions.cost), and what each
    other one lacks.

    Asked for are all that the columns allow, unless some are named; RFM, ABC and stages are always
    made. Raises InputError for a name that is none.
    """
    if unknown := sorted(set(asked) - set(SEGMENTATIONS)):
        raise InputError(
            f"segmentations: there is no {unknown[0]}; {did_you_mean(unknown[0], SEGMENTATIONS)}"
        )
    wanted = [e for e in SEGMENTATIONS.values() if not asked or e.always or e.name in asked]
    lacking = {entry.name: lacks for entry in wanted if (lacks := entry.lacks(columns))}
    return [entry for entry in wanted if entry.name not in lacking], lacking


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
    """Segmentations side by side, as the dataset wants them: the table `segments`.

    Further options by name, as clusters={"k": 5}.
    """
    wanted = {e.name: e.options(settings) if settings else {} for e in made}
    columns = [entry(people, **wanted[entry.name] | options.get(entry.name, {})) for entry in made]
    return pd.concat(columns, axis=1).reset_index(names="customer_id")


def labels() -> dict[str, str]:
    """What segmentations and their classes are called, by name."""
    entries = SEGMENTATIONS.values()
    classes = {name: label for entry in entries for name, label in entry.classes.items()}
    return {entry.name: entry.term for entry in entries} | classes
