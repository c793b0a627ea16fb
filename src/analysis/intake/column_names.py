"""Names of columns and words of values as programs write them, told by the file of known ones."""

import re
import unicodedata
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ALIASES = Path(__file__).with_name("aliases.yml")


def plain(name: str) -> str:
    """A name without what differs between programs: case, width, blanks, punctuation."""
    return re.sub(r"[^\w*]|_", "", unicodedata.normalize("NFKC", name).casefold())


@cache
def aliases() -> dict[str, Any]:
    """The file of known names and words, made plain: names by table, meaning and rank; words by
    what they say.
    """
    read = yaml.safe_load(ALIASES.read_text("utf-8"))
    words = {said: list(map(plain, some)) for said, some in read.pop("words").items()}
    ranked: dict[str, Any] = {table: {} for table in read}
    for table, meanings in read.items():
        for meaning, names in meanings.items():
            ranks = names if isinstance(names[0], list) else [names]
            ranked[table][meaning] = [list(map(plain, rank)) for rank in ranks]
    return ranked | {"words": words}


def says(value: str, what: str) -> bool:
    """Whether a text is one of the words for something, as returned or void."""
    return any(fnmatchcase(plain(value), word) for word in aliases()["words"][what])


def is_rate(name: str) -> bool:
    """Whether a column is called a percentage."""
    return "%" in name or says(name, "rates")


@cache
def rank(name: str, table: str, meaning: str) -> int | None:
    """Where a column's name stands among those known for a meaning; a unit in brackets does not
    count.
    """
    forms = {plain(name), plain(re.sub(r"[(（\[【].*?[)）\]】]", "", name))} - {""}
    for place, known in enumerate(aliases()[table].get(meaning, [])):
        if any(fnmatchcase(form, one) for form in forms for one in known):
            return place
    return None
