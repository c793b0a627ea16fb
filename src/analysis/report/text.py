"""Sentences stand in English where they are computed; this says them in a report's language.

The English text is the key of gettext catalogues, `locale/<language>/LC_MESSAGES/messages.po`; what
one lacks is said in English. A sentence names its values and their forms: `{share:percent}`.
"""

import copy
import re
import string
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from gettext import c2py  # type: ignore[attr-defined]
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from babel import Locale
from babel.dates import format_date
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import (
    format_compact_currency,
    format_currency,
    format_decimal,
    format_percent,
    get_currency_name,
)

from analysis import schema
from analysis.errors import InputError, did_you_mean
from analysis.report.privacy import shown_id

LOCALE = Path(__file__).with_name("locale")
Entry = TypeVar("Entry")
SHARES = {"percent": 1, "whole_percent": 0}  # form: digits of the percentage
UNSPACED = ("zh", "ja", "ko")  # languages that write no blank before the sign of percent
WHOLE_MONEY = 1_000  # from here on cents only distract
LARGE_MONEY = 100_000  # and from here on all but three digits
NOT_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def N_(text: str) -> str:
    """The text itself, marked for translation where it is said later (gettext's convention)."""
    return text


def printable(text: str) -> str:
    """The text without the characters that no XML file, and so neither SVG nor XLSX, may hold."""
    return NOT_XML.sub("", text)


def languages() -> list[str]:
    """The tags of the languages that there are, as zh-TW."""
    found = LOCALE.glob("*/LC_MESSAGES/messages.po")
    return sorted({"en", *(path.parts[-3].replace("_", "-") for path in found)})


@cache
def catalogue(language: str) -> Catalog:
    """The catalogue of one of the languages; empty for English."""
    if language == "en":
        return Catalog("en")
    locale = language.replace("-", "_")
    with (LOCALE / locale / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale)


@lru_cache(10_000)
def whole(number: int, locale: Locale) -> str:
    """A whole number; lists of customers say the same few days and counts again and again."""
    return str(format_decimal(number, "#,##0", locale))


class Language:
    """Says sentences and numbers in one language; reports use the one called `say`.

    The forms of a value: int, number, short, percent, whole_percent, time (days), money, compact
    (money as $1.2M), exact (to the cent), date, long_date, text, figure (written as it is, where a
    number stands), customer (an id), word (a class such as a tier) and field (a column of the
    records).

    >>> say = Language("en", "USD")
    >>> say("{share:percent} of {money:money}", share=0.25, money=1200)
    '25.0\\xa0% of $1,200'
    """

    def __init__(self, language: str = "en", currency: str = "USD") -> None:
        self.labels: dict[str, str] = dict(schema.LABELS)
        self.speak(language, currency)
        self._forms: dict[str, Callable[[Any], str]] = {
            "int": lambda x: whole(round(x), self.locale),
            "number": lambda x: format_decimal(x, "#,##0.00", self.locale),
            "short": lambda x: format_decimal(float(f"{x:.3g}"), "#,##0.#####", self.locale),
            # 0 is added so that no minus stands before a zero
            "percent": lambda x: self._percent(round(x, 3) + 0.0, "#,##0.0"),
            "whole_percent": lambda x: self._percent(x, "#,##0"),
            "money": self.money,
            "compact": self.compact,
            "time": self.time,
            "exact": lambda x: format_currency(x, self.currency, locale=self.locale),
            "date": lambda x: format_date(getattr(x, "date", lambda: x)(), "medium", self.locale),
            "long_date": lambda x: format_date(x, self.translated("d MMMM y"), self.locale),
            "text": str,
            "figure": str,
            "customer": shown_id,
            "word": self.word,
            "field": self.field,
        }

    def speak(self, language: str, currency: str) -> None:
        """Say everything in this language and currency from now on. Raises InputError."""
        if language not in (known := languages()):
            raise InputError(f"no language {language!r}; {did_you_mean(language, known)}")
        self.locale = Locale.parse(language, sep="-")
        self.language, self.currency, self.catalogue = language, currency, catalogue(language)

    def __call__(self, text: str, many: str | None = None, /, **values: Any) -> str:
        """The sentence with its values; its plural `many` goes by the first whole number in it."""
        return _Formatter(self).vformat(self.translated(text, many, values), (), values)

    def translated(
        self, text: str, many: str | None = None, values: Mapping[str, Any] | None = None
    ) -> str:
        """The text in this language, its values still in braces."""
        if not text:  # gettext keeps its own header there
            return ""
        found = self.catalogue.get(text)
        said = (found.string if found is not None else "") or ""
        if isinstance(said, str) and (said or not many):
            return said or text
        counted = (name for _, name, form, _ in string.Formatter().parse(text) if form == "int")
        number = round((values or {})[next(counted)])  # type: ignore[index]
        if isinstance(said, str):  # English
            return text if number == 1 else str(many)
        return said[c2py(self.catalogue.plural_expr)(number)] or text

    def unknown(self, text: str, values: Mapping[str, Any]) -> bool:
        """Whether a number that the sentence says is nan."""
        return any(_is_nan(values[name]) for name, _ in values_in(text))

    def form(self, name: str, value: Any) -> str:
        """One value in a named form; a dash for what is not known."""
        if _is_nan(value):
            return "–"
        return self._forms[name](value)

    def _percent(self, share: float, digits: str) -> str:
        gap = "" if self.locale.language in UNSPACED else "\u00a0"
        return format_percent(share, f"{digits}{gap}%", self.locale)

    def signed(self, form: str, number: float) -> str:
        """One value in a named form, with its sign also where it is above zero."""
        text = self.form(form, number)
        return f"+{text}" if number > 0 else text

    def moved(self, form: str, change: float) -> str:
        """A change with its sign; of a share in points, which nobody takes for a share of what was
        before.
        """
        if form not in SHARES or _is_nan(change):
            return self.signed(form, change)
        points = round(100 * change, 1)
        return self(N_("{points:text} points"), points=self.signed("short", points))

    def time(self, days: float) -> str:
        """So many days as people say it: whole years, and one as twelve months."""
        years, rest = divmod(round(days), 365)
        if rest or not years:
            return self(N_("1 day") if round(days) == 1 else N_("{n:int} days"), n=days)
        return self(N_("12 months") if years == 1 else N_("{n:int} years"), n=years)

    def money(self, amount: float) -> str:
        """An amount with its currency: of a large one three digits, cents only of a small one."""
        if abs(amount) >= LARGE_MONEY:
            return self.compact(amount)
        cents = abs(amount) < WHOLE_MONEY and amount != round(amount)
        pattern = copy.copy(self.locale.currency_formats["standard"])
        pattern.frac_prec = pattern.frac_prec if cents else (0, 0)
        return format_currency(amount, self.currency, pattern, self.locale, currency_digits=cents)

    @property
    def money_name(self) -> str:
        """What the currency is called."""
        return get_currency_name(self.currency, locale=self.locale)

    def compact(self, amount: float) -> str:
        """An amount with its currency in few letters, as $1.23M; whole units below a thousand."""
        if abs(amount) < WHOLE_MONEY:
            return self.money(round(amount))
        known = float(f"{amount:.3g}")
        return format_compact_currency(known, self.currency, locale=self.locale, fraction_digits=2)

    def word(self, term: Any) -> str:
        """The name of a class (a tier, a reason; several as lately+often), or the term itself."""
        parts = str(term).split("+")
        if len(parts) > 1 and all(part in self.labels for part in parts):
            return ", ".join(self.word(part) for part in parts)
        return self.translated(self.labels.get(str(term), str(term)))

    def field(self, name: Any) -> str:
        """The name of a column of the records (or several with commas), or the name itself."""
        names = [schema.FIELDS.get(one, one.replace("_", " ")) for one in str(name).split(", ")]
        return ", ".join(map(self.translated, names))

    def heading(self, column: Any) -> str:
        """The heading of a column of a table, or its name as a column of the records."""
        return self(schema.SHOWN[column][0]) if column in schema.SHOWN else self.field(column)


class _Formatter(string.Formatter):
    def __init__(self, say: Language) -> None:
        self.say = say

    def format_field(self, value: Any, form: str) -> str:
        return self.say.form(form, value) if form else str(value)


def values_in(text: str) -> set[tuple[str, str]]:
    """The values that a sentence names, with their forms."""
    return {(name, form or "") for _, name, form, _ in string.Formatter().parse(text) if name}


def _is_nan(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


say = Language()
"""The language of this process's report, as gettext's translation in force; a stage sets it."""


def labelled(
    entries: dict[str, Entry], label: Callable[[Entry], str] = attrgetter("label")
) -> dict[str, Entry]:
    """The entries of a registry, by whose names `say` knows their labels from now on: a page that
    says such a word imports the module of the registry.
    """
    say.labels.update({name: label(entry) for name, entry in entries.items()})
    return entries
