"""The ways a run can fail; the command line turns each into one line and an exit code."""

import difflib
from collections.abc import Iterable


class InputError(Exception):
    """What was given cannot be used: a file, a key, a date, a parameter (exit code 2)."""

    exit_code = 2


class RunError(Exception):
    """The input was understood but the run could not finish (exit code 1)."""

    exit_code = 1


class NotEstimable(Exception):
    """Why a model cannot be estimated from the data at hand, a word of schema.LABELS; another model
    takes its place.
    """


class Stopped(BaseException):
    """Somebody stopped the command: exit code 128 and the signal's number, as shells do."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped; what was published before stays as it was")
        self.exit_code = 128 + number


def did_you_mean(word: str, known: Iterable[str], most: int | None = None) -> str:
    """The nearest known word as a question, or the list of all (of `most`) when none is near."""
    known = sorted(known)
    if near := difflib.get_close_matches(word, known, n=1):
        return f"did you mean {near[0]}?"
    more = f" and {len(known) - most:,} more" if most and len(known) > most else ""
    return f"known: {', '.join(known[:most])}{more}"
