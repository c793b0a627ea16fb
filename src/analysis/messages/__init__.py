"""Every sentence of the reports, by language. A language is a file: en.yml, zh.yml, …"""

import copy
import datetime as dt
import re
import string
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_compact_currency, format_currency, format_decimal, format_percent

from analysis.errors import InputError, did_you_mean
from analysis.privacy import shown_id
from analysis.segments import SEGMENTATIONS

FOLDER = Path(__file__).parent
WHOLE_MONEY = 1_000  # from here on cents only distract
NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def printable(text: str) -> str:
    """The text without the characters that no XML file, and so neither SVG nor XLSX, may hold."""
    return NOT_XML.sub("", text)


class Say:
    """Says a message of the catalogue in one language, its numbers written as that language writes them.

    In a message `{x:form}` names a value and its form: int, number, short, percent, whole_percent, money, compact (money
    as $1.2M), exact, date, text, customer (an id), field (a column of the records) and word, which looks the value up among
    the catalogue's words (tiers, stages, reasons).
    """

    def __init__(self, language: str, currency: str = "USD", folder: Path = FOLDER) -> None:
        self.language, self.currency = language, currency
        self.catalogue = catalogue(language, folder)
        self.locale = _locale(language)
        self._forms: dict[str, Callable[[Any], str]] = {
            "int": lambda x: format_decimal(round(x), "#,##0", self.locale),
            "number": lambda x: format_decimal(x, "#,##0.00", self.locale),
            "short": lambda x: format_decimal(float(f"{x:.3g}"), "#,##0.#####", self.locale),
            "percent": lambda x: format_percent(round(x, 3) + 0.0, "#,##0.0\u00a0%", self.locale),  # no minus before a zero
            "whole_percent": lambda x: format_percent(x, "#,##0\u00a0%", self.locale),
            "money": self.money,
            "compact": self.compact,
            "exact": lambda x: format_currency(x, self.currency, locale=self.locale),
            "date": lambda x: format_date(_day(x), "medium", self.locale),
            "text": str,
            "customer": shown_id,
            "word": self.word,
            "field": self.field,
        }

    def __call__(self, key: str, **values: Any) -> str:
        return _Formatter(self).vformat(self.text(key), (), values)

    def text(self, key: str) -> str:
        """The message as it stands in the catalogue. Raises KeyError for a key that is not there."""
        node: Any = self.catalogue
        for part in key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                raise KeyError(f"no message {key} in {self.language}.yml")
            node = node[part]
        if not isinstance(node, str):
            raise KeyError(f"{key} in {self.language}.yml is a group of messages, not one")
        return node

    def unknown(self, key: str, values: Mapping[str, Any]) -> bool:
        """Whether a number that the message says is nan."""
        used = {name for _, name, _, _ in string.Formatter().parse(self.text(key)) if name}
        return any(_is_nan(values[name]) for name in used)

    def form(self, name: str, value: Any) -> str:
        """One value in a named form; a dash for what is not known."""
        if _is_nan(value):
            return "–"
        return self._forms[name](value)

    def money(self, amount: float) -> str:
        """An amount with its currency; whole units where cents are none or only distract."""
        cents = abs(amount) < WHOLE_MONEY and amount != round(amount)
        pattern = copy.copy(self.locale.currency_formats["standard"])
        pattern.frac_prec = pattern.frac_prec if cents else (0, 0)
        return format_currency(amount, self.currency, pattern, self.locale, currency_digits=cents)

    def compact(self, amount: float) -> str:
        """An amount with its currency in few letters, as $1.2M; whole units below a thousand."""
        if abs(amount) < WHOLE_MONEY:
            return self.money(round(amount))
        return format_compact_currency(amount, self.currency, locale=self.locale, fraction_digits=1)

    def word(self, term: str) -> str:
        """The catalogue's name of a class (tier, stage, segment, reason; also several, as lately+often), or the term itself."""
        words, parts = self.catalogue["words"], str(term).split("+")
        return ", ".join(words[part] for part in parts) if all(part in words for part in parts) else str(term)

    def field(self, name: str) -> str:
        """The catalogue's name of a column of the records (or several with commas), or the name itself."""
        return ", ".join(str(self.catalogue["fields"].get(one, one.replace("_", " "))) for one in str(name).split(", "))


class _Formatter(string.Formatter):
    def __init__(self, say: Say) -> None:
        self.say = say

    def format_field(self, value: Any, form: str) -> str:
        return self.say.form(form, value) if form else str(value)


def _is_nan(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language, sep="-")
    except (ValueError, UnknownLocaleError):
        raise InputError(f"language {language!r} is no language tag as en, zh or zh-TW") from None


def _day(value: Any) -> dt.date:
    return value.date() if hasattr(value, "date") else value


@cache
def catalogue(language: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The catalogue of a language. Raises InputError for one that has no file."""
    path = folder / f"{language}.yml"
    if not path.is_file():
        raise InputError(f"no reports in {language!r}; {did_you_mean(language, (p.stem for p in folder.glob('*.yml')))}")
    return _with_segmentations(yaml.safe_load(path.read_text("utf-8")))


def _with_segmentations(texts: dict[str, Any]) -> dict[str, Any]:
    """The catalogue with what segmentations bring along; where another language does not say it, in English."""
    entries = SEGMENTATIONS.items()
    words = {key: word for _, entry in entries for key, word in entry.texts.classes.items()}
    terms = {name: {"term": entry.texts.term, "meaning": entry.texts.meaning} for name, entry in entries}
    texts["segmentations"] = terms | texts.get("segmentations", {})
    texts["words"] = words | {name: said["term"] for name, said in texts["segmentations"].items()} | texts["words"]
    return texts
