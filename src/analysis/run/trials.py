"""Trials: runs with other parameters under a name of their own, which publish nothing."""

import re

from analysis.errors import InputError

NAME = re.compile(r"[^\W\d_][\w-]{0,39}")  # it becomes a folder; a day begins with a digit
RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)  # Windows opens a device


def named(trial: str | None, new_cycle: bool = False) -> str:
    """The name of a trial, checked; empty where none is asked for. Raises InputError for one that
    cannot be a folder's, or could be taken for a day, and for a trial that is to begin a cycle.
    """
    if trial is None:
        return ""
    if not NAME.fullmatch(trial) or RESERVED.fullmatch(trial):
        raise InputError(
            f"{trial!r} cannot be the name of a trial; begin it with a letter, and go on with at"
            " most 39 letters, digits, - or _"
        )
    if new_cycle:
        raise InputError("a trial freezes no plan; leave out --new-cycle or --trial")
    return trial
