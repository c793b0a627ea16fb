"""What a dataset file says of the whole company, from a look at its files: how customers are
numbered, currency, time zone, horizon; and what of that nobody said.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from analysis.intake.columns import ASSUMED, Choice, Entry, Look, of_answer
from analysis.intake.dataset import NOBODY, Dataset
from analysis.intake.encodings import HANZI
from analysis.intake.horizon import horizon_entry
from analysis.intake.parsing import CURRENCY, SIGNS
from analysis.intake.recognition import Recognition, answered
from analysis.intake.table_files import TableFile
from analysis.intake.value_formats import ASK, days_in
from analysis.report.text import say

CURRENCY_NAMES = {"DOLLAR": "USD", "DOLLARS": "USD", "EURO": "EUR"}
CURRENCY_NAMES |= dict.fromkeys(("RMB", "人民币", "元"), "CNY")
MOST_ALIKE = 0.5  # share of customers of two files that are alike, from which it is asked
# Codes that are no words, so that they may be told in the name of a column
CODES = {code for codes in SIGNS.values() for code in codes}.union(
    ("CHF", "SEK", "NOK", "DKK", "PLN", "RUB", "BRL", "ZAR", "THB", "VND")
)
ZONED = re.compile(r":\d\d.*?([+-]\d\d(?::?\d\d)?|Z)$")
# In which shops are; of zones with the same offsets one will do
ZONES = (
    *("Asia/Shanghai", "Europe/Berlin", "Europe/London", "America/New_York", "America/Chicago"),
    *("America/Denver", "America/Los_Angeles", "Asia/Kolkata", "Asia/Tokyo", "Australia/Sydney"),
    *("America/Sao_Paulo", "Europe/Helsinki", "Europe/Moscow", "Asia/Dubai", "Asia/Bangkok"),
    *("America/Phoenix", "Pacific/Auckland", "Australia/Brisbane", "Africa/Lagos"),
    *("America/Halifax", "Asia/Karachi", "Asia/Dhaka", "Africa/Johannesburg", "Africa/Nairobi"),
)
# Names of zones that mean two: what else a file may say where it is the first, and the places
TWOFOLD = {
    "CST": {"Asia/Shanghai": "", "America/Chicago": "CDT"},
    "IST": {"Asia/Kolkata": "", "Europe/Dublin": "GMT", "Asia/Jerusalem": "IDT"},
    "BST": {"Europe/London": "GMT", "Asia/Dhaka": ""},
    "AST": {"America/Halifax": "ADT", "Asia/Riyadh": ""},
}
# Puts a question with its possible answers to somebody; returns the number of the one chosen
Ask = Callable[[str, list[str]], int]


@dataclass(frozen=True)
class Found:
    """Files of one form, how they are to be read, what of that is asked, and what they are."""

    paths: tuple[Path, ...]
    file: TableFile
    asked: list[Entry]
    look: Look
    what: Recognition
    ids: frozenset[str] = frozenset()  # of the customers of the orders

    @property
    def questions(self) -> list[tuple[str, Entry]]:
        """The entries that may be answered from choices, with where they stand."""
        places = {"form": self.asked, "columns": self.what.columns}
        places |= {"date_format": self.what.date_format, "marks": self.what.marks}
        every = [(place, entry) for place, some in places.items() for entry in some]
        return [(place, entry) for place, entry in every if entry.question and entry.choices]

    def values(self, meaning: str) -> list[str]:
        """The values seen of one of our columns; none where it is not settled."""
        column = self.what.meanings.get(meaning)
        return self.look[column].texts if column else []

    @property
    def part(self) -> str:
        """The sheet or table, where the file has several."""
        return self.file.sheet or self.file.table

    @property
    def name(self) -> str:
        """As the screen calls it."""
        names = ", ".join(path.name for path in self.paths)
        return f"{names} ({self.part})" if self.part else names


def company_entries(found: list[Found], ask: Ask | None) -> list[Entry]:
    """What holds for all files: currency, time zone, horizon, how customers are numbered; and what
    of it was assumed.
    """
    orders = [one for one in found if one.what.table == "transactions"]
    asked = [_plain_ids(found), _somebody(found)]
    asked += [_currency(orders), _time_zone(found), _margin(orders)]
    told = [entry for one in found for entry in one.what.company]
    every = answered([entry for entry in (*told, *asked) if entry], "company", {})
    made: list[Entry] = []
    for entry in [*every, horizon_entry(orders)]:
        if ask and entry.question and entry.choices:
            words = [choice.words for choice in entry.choices]
            made += of_answer(entry.choices[ask(entry.question, words)].keys)
        else:
            made.append(entry)
    assumed = [entry.key for entry in made if entry.source == ASSUMED]
    remark = say("shown on the first page; remove what you have confirmed")
    return [*made, Entry("assumed", assumed, remark)]


def _margin(orders: list[Found]) -> Entry | None:
    """None is known, where neither costs nor profits are."""
    if any({"cost", "profit"} & one.what.meanings.keys() for one in orders):
        return None
    return Entry(
        "margin",
        None,
        say("assumed unknown: value is revenue, and whether an action pays is not told"),
        source=ASSUMED,
    )


def _plain_ids(found: list[Found]) -> Entry | None:
    """Whether customers are the same where only an apostrophe, zeros in front or .0 behind part
    them; asked where this joins files that nothing else does.
    """
    for one in found:
        if one.ids and (column := one.what.meanings.get("customer_id")):
            here = set(filter(None, one.look[column].texts))
            alike = {_plain(text) for text in here} & {_plain(text) for text in one.ids}
            if not here & one.ids and len(alike) >= MOST_ALIKE * min(len(here), len(one.ids)):
                question = say(
                    "{n:int} customers of {file:text} are in the orders only if zeros in front, .0"
                    " behind and apostrophes are passed over: are they the same?",
                    n=len(alike),
                    file=one.name,
                )
                yes = Choice(say("yes"), {"plain_ids": True})
                no = Choice(say("no"), {"plain_ids": False})
                return Entry("plain_ids", ASK, question=question, choices=(yes, no))
    return None


def _somebody(found: list[Found]) -> Entry | None:
    """Words for nobody that are the number of a customer with a profile."""
    profiles = [one for one in found if one.what.table == "customers"]
    ids = {text for one in profiles for text in one.values("customer_id")}
    known = sorted(text for text in ids if text.lower() in NOBODY)
    return Entry("somebody", known, say("has a profile")) if known else None


def _plain(text: str) -> str:
    return re.sub(r"^'?0*(\d+?)(\.0+)?$", r"\1", text)


def _currency(orders: list[Found]) -> Entry:
    """The currency that the orders are in, taken from the language of their columns where nothing
    else says it.
    """
    chinese = _is_chinese(orders)
    home = {sign: codes[0] for sign, codes in SIGNS.items() if len(codes) == 1}
    home |= {"¥": "CNY" if chinese else "", "$": "USD"}
    found: dict[str, str] = {}
    for one in orders:
        found |= {home.get(code, code): where for code, where in _currencies_of(one).items()}
    if len(found) > 1:
        question = say(
            "money is in {currencies:text}: write the one of the reports, and under rates what one"
            " unit of the others is worth",
            currencies=", ".join(found),
        )
        return Entry("currency", ASK, question=question)
    if "" in found:
        choices = tuple(Choice(code, {"currency": code}) for code in SIGNS["¥"])
        question = say("which is {sign:text}?", sign=found[""])
        return Entry("currency", ASK, question=question, choices=choices)
    if not found:
        code = "CNY" if chinese else str(Dataset.model_fields["currency"].default)
        return Entry("currency", code, say("assumed, no currency was seen"), source=ASSUMED)
    return next(Entry("currency", code, where) for code, where in found.items())


def _currencies_of(one: Found) -> dict[str, str]:
    """Codes and signs of currencies, in a column of their own, in the money, or in the name of its
    column; and where.
    """
    codes = [text.upper() for text in one.values("currency") if re.fullmatch("[A-Za-z]{3}", text)]
    found = dict.fromkeys(codes, say("by its column"))
    for name in filter(None, map(one.what.meanings.get, ("amount", "unit_price"))):
        words = re.split(r"[\W_]+", name.upper())
        named = {CURRENCY_NAMES.get(word, word) for word in words} & CODES
        found |= dict.fromkeys(sorted(named), say("by {column:text}", column=name))
        signs = dict.fromkeys(sign for text in one.look[name].counts for sign in _signs_in(text))
        found |= {one: say("{sign:text} in {column:text}", sign=one, column=name) for one in signs}
    return found


def _signs_in(text: str) -> list[str]:
    signs = re.findall(CURRENCY, text.upper().replace("￥", "¥"))
    return [one for one in signs if one in SIGNS] + re.findall(r"\b[A-Z]{3}\b", text)


def _time_zone(found: list[Found]) -> Entry | None:
    """Days are cut in a zone where moments are given from UTC: in one that has their offsets; where
    clock times are given they are taken as they are.
    """
    for one in found:
        form = next((str(e.value) for e in one.what.date_format if e.key == "date"), "")
        name = one.what.meanings.get("date", "")
        if "%Z" in form and (asked := _named_zone(name, one.values("date"))):
            return asked
        zoned = [(text, end[1]) for text in one.values("date") if (end := ZONED.search(text))]
        if not (form.startswith("epoch") or (zoned and (form == "iso" or "%z" in form))):
            continue
        offsets = {(days_in(text).get(form), offset) for text, offset in zoned}
        if any(offset != "Z" and offset.strip("+-0:") for _, offset in offsets):
            for zone in ZONES:
                if all(_has_offset(zone, day, offset) for day, offset in offsets):
                    return Entry(
                        "time_zone", zone, say("by the offsets in {column:text}", column=name)
                    )
        home = "Asia/Shanghai" if _is_chinese(found) else "UTC"
        remark = say("assumed, {column:text} is given from UTC", column=name)
        return Entry("time_zone", home, remark, source=ASSUMED)
    return None


def _named_zone(column: str, texts: list[str]) -> Entry | None:
    """Which place a zone's name that means two stands for: told by the name of its summer or winter
    time beside it, else asked.
    """
    names = {found[0] for text in texts if (found := re.findall(r"[A-Z]{3,4}$", text))}
    for name, places in TWOFOLD.items():
        if name in names:
            proof = {other: place for place, other in places.items() if other in names}
            if proof:
                other, place = proof.popitem()
                evidence = say(
                    "{column:text} says {one:text} and {other:text}",
                    column=column,
                    one=name,
                    other=other,
                )
                return Entry("time_zone", place, evidence)
            choices = [
                Choice(place.partition("/")[2].replace("_", " "), {"time_zone": place})
                for place in places
            ]
            question = say(
                "{column:text} is in {zone:text}: where is that?", column=column, zone=name
            )
            return Entry("time_zone", ASK, question=question, choices=(*choices,))
    return None


def _is_chinese(files: list[Found]) -> bool:
    return any(re.search(f"[{HANZI}]", name) for one in files for name in one.look)


def _has_offset(zone: str, day: dt.date | None, offset: str) -> bool:
    """Whether a day in a zone begins or ends with an offset from UTC."""
    if day is None:
        return True
    digits = offset.replace("Z", "+0000").replace(":", "").ljust(5, "0")
    here = ZoneInfo(zone)
    times = (dt.datetime.combine(day, time, here) for time in (dt.time.min, dt.time.max))
    return digits in {f"{time:%z}" for time in times}
