"""A file's column as `init` sees it, and what is said of it: entries of the dataset file, questions
and their answers.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa

from analysis.intake import value_formats
from analysis.intake.parsing import NO, YES
from analysis.intake.value_formats import DATED, MOST, NUMBERED, Place, Placed, Verdict, mark
from analysis.report.text import N_, say

FIRST_ROWS = 5_000  # from which a column is known
SEVERAL = 5  # rows of which one alone does not count
ADDRESSES = (N_("e-mail"), N_("telephone"))
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
PHONE = re.compile(r"(?=.*[+() -])\+?[\d() .-]{7,20}|1[3-9]\d{9}")
WHOLE = re.compile(r"-?(0|[1-9]\d{0,8})(\.0+)?")
COUNT = re.compile(r"-?(0|[1-9]\d{0,2})(\.0+)?")


@dataclass(frozen=True, eq=False)
class Column:
    """A file's column: its cells, an empty one as an empty text, and where each stands."""

    name: str
    cells: pa.ChunkedArray
    places: list[Place]

    @classmethod
    def joined(cls, parts: "Sequence[Column]") -> "Column":
        """One column of several files' parts."""
        cells = pa.chunked_array([chunk for part in parts for chunk in part.cells.chunks])
        return cls(parts[0].name, cells, [place for part in parts for place in part.places])

    @property
    def texts(self) -> list[str]:
        """All cells."""
        return self.cells.to_pylist()

    @cached_property
    def values(self) -> list[str]:
        """The cells of the first rows, which tell what it is; what is rare comes later."""
        return self.cells.slice(0, FIRST_ROWS).to_pylist()

    @property
    def seen(self) -> list[Placed]:
        """All texts with their places."""
        return list(zip(self.texts, self.places, strict=True))

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each value stands in the first rows, empty ones left out."""
        return Counter(filter(None, self.values))

    @property
    def sparse(self) -> bool:
        """Whether most rows have no value."""
        return self.counts.total() < len(self.values) / 2

    def share(self, holds: Callable[[str], Any]) -> float:
        """The share of the values for which something holds."""
        return sum(n for v, n in self.counts.items() if holds(v)) / (self.counts.total() or 1)

    @cached_property
    def dates(self) -> Verdict | None:
        """How its dates are written, were it called a date; None where the first rows hold none."""
        first = list(zip(self.values, self.places, strict=False))
        return value_formats.date_format(self.seen) if value_formats.date_format(first) else None

    @cached_property
    def kind(self) -> str:
        """What it is by its values alone."""
        if not self.counts:
            return "empty"
        if self.dates and self.dates.value not in NUMBERED:
            return "date"
        if self.share(EMAIL.fullmatch) >= DATED:
            return "e-mail"
        if self.share(COUNT.fullmatch) >= MOST:
            return "count"
        if self.reads_as("number") and self.share(mark) > 0:
            return "decimal"
        if self.share(PHONE.fullmatch) >= DATED:
            return "telephone"
        return (
            "id"
            if self.share(lambda v: has_digit(v) and not re.search("[ :]", v)) >= MOST
            else "text"
        )

    def reads_as(self, kind: str) -> bool:
        """Whether its values can be read as a meaning asks."""
        if not self.counts or kind == "text":
            return bool(self.counts)
        if kind in ("moment", "day"):
            return self.dates is not None
        if kind == "flag":
            return self.share(lambda v: v.lower() in (*YES, *NO)) >= MOST
        return self.share(lambda v: mark(v) is not None) >= MOST


Look = dict[str, Column]


def values_of(look: Look) -> dict[str, list[str]]:
    """The cells of the first rows of all columns."""
    return {name: column.values for name, column in look.items()}


def files_of(look: Look) -> list[str]:
    """The file of each of the first rows."""
    column = next(iter(look.values()))
    return [file for _, file in column.places[: len(column.values)]]


class Choice(NamedTuple):
    """A possible answer to a question: in words, and the keys with their values that it stands
    for; none where the question's key is left out.
    """

    words: str
    keys: dict[str, Any]


def none_of_these() -> Choice:
    """The answer that leaves a key out."""
    return Choice(say("none of these"), {})


# Where values come from that files do not tell
ASSUMED, ANSWERED = "assumed", "answered"


class Entry(NamedTuple):
    """A line of the dataset file; one with a question is written as ?.

    `doubt` is what of its comment is worth a second look, `choices` are the answers there are,
    `source` is ASSUMED or ANSWERED where the files do not tell the value.
    """

    key: str
    value: Any
    comment: str = ""
    question: str = ""
    doubt: str = ""
    choices: tuple[Choice, ...] = ()
    source: str = ""


def of_answer(keys: Mapping[str, Any]) -> list[Entry]:
    """The keys of an answer with their values."""
    return [Entry(k, value, say("as answered"), source=ANSWERED) for k, value in keys.items()]


def has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
