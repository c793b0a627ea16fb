"""How the dates and numbers of a column are written: told from its values, with the evidence, or
asked.
"""

import datetime as dt
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from analysis.intake.parsing import CURRENCY, GROUPING, NAMED_DATE_STEPS, NUMBER_STEPS, NUMERAL
from analysis.report.text import N_, say

ASK = "?"  # stands in the dataset file where a person has to decide
MOST = 0.95  # share of a column's values that must be alike; the rest are typing errors
DATED = 0.8  # less is enough of dates: exports write - and N/A where there is none
YEARS = range(1900, 2101)
# What whole numbers in a column called a date may be: days from 1927, seconds and milliseconds from
# 1980, to 2100.
NUMBERED = {
    "excel": (10_000, 73_050, N_("days since 1899-12-30")),
    "epoch_s": (315_532_800, 4_102_444_800, N_("seconds since 1970")),
    "epoch_ms": (315_532_800_000, 4_102_444_800_000, N_("milliseconds since 1970")),
}
FIRST = {
    "d": N_("the day comes first"),
    "m": N_("the month comes first"),
    "y": N_("the year comes first"),
}
# How days look, and the formats that may stand behind each; {0} is the mark between the parts.
DAYS = (
    (r"\d{4}([-/.])\d{1,2}\1\d{1,2}", ("%Y{0}%m{0}%d",)),
    (r"\d{4}年\d{1,2}月\d{1,2}日()", ("%Y年%m月%d日",)),
    (r"\d{8}()", ("%Y%m%d", "%d%m%Y", "%m%d%Y")),
    (r"\d{12}()", ("%Y%m%d%H%M",)),
    (r"\d{14}()", ("%Y%m%d%H%M%S",)),
    (r"\d{1,2}([-/.])\d{1,2}\1\d{4}", ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y")),
    (r"\d{1,2}([-/.])\d{1,2}\1\d{2}", ("%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d")),
    (r"\d{1,2}([-/. ])[A-Za-z]{3,9}\1\d{4}", ("%d{0}%b{0}%Y", "%d{0}%B{0}%Y")),
    (r"\d{1,2}([-/. ])[A-Za-z]{3,9}\1\d{2}", ("%d{0}%b{0}%y", "%d{0}%B{0}%y")),
    (r"[A-Za-z]{3,9} \d{1,2}(, | )\d{4}", ("%b %d{0}%Y", "%B %d{0}%Y")),
    (r"[A-Za-z]{3,9}([-/.])\d{1,2}\1\d{4}", ("%b{0}%d{0}%Y", "%B{0}%d{0}%Y")),
    (r"[A-Za-z]{3,9}([-/.])\d{1,2}\1\d{2}", ("%b{0}%d{0}%y", "%B{0}%d{0}%y")),
)
CLOCK = re.compile(
    r"(?P<t>[T ]+)\d{1,2}:\d\d(?P<s>:\d\d)?(?P<f>\.\d{1,6})?(?P<p> ?[AaPp][Mm])?(?P<z>"
    r" ?(?:Z|[+-]\d\d(?::?\d\d)?))?(?P<n> [A-Z]{3,4})?$"
)
CLOCK_PARTS = {"s": ":%S", "f": ".%f", "p": "%p", "z": "%z", "n": "%Z"}
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?(Z| UTC|[+-]\d\d(:\d\d)?)?)?)?")
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d\d?)?", re.A | re.I)
GROUPED, DIGITS = re.compile(NUMERAL, re.A), re.compile(r"-?[\d.,]*", re.A)
BARE = re.compile(r"[\d\s.,'’()+−–-]")  # of what is no currency
DATE_STEPS = [(re.compile(pattern), instead) for pattern, instead in NAMED_DATE_STEPS]
LETTERS = re.compile(r"\d.*[^\W\d_]{3}|[^\W\d_]{3}.*\d")  # beside digits, as in a date
STEPS = [(re.compile(pattern, re.A), instead) for pattern, instead in NUMBER_STEPS]
MONEY = re.compile(f"(?i)({CURRENCY}){{1,2}}")  # before the number and behind it
UNDIVIDED = re.compile("[¥￥円₩]|JPY|KRW")  # a comma beside them groups thousands
SWAPPED = str.maketrans(".,", ",.")

# A line of a file, and a value with where it stands.
Place = tuple[int, str]
Placed = tuple[str, Place]


class Verdict(NamedTuple):
    """What values say about how they are written; where they do not say it, a question and, each
    with what it means, the values that may answer it.
    """

    value: str
    evidence: str = ""
    question: str = ""
    choices: tuple[tuple[str, str], ...] = ()


def mask(text: str) -> str:
    """The outline of a text without its content: letters become x, digits 9."""
    return "".join("x" if c.isalpha() else "9" if c.isdigit() else c for c in text[:30])


# --- dates


@lru_cache(1 << 16)
def days_in(text: str) -> dict[str, dt.date]:
    """The day that each date format which reads a text gives."""
    if len(text) > 40:
        return {}
    text = unicodedata.normalize("NFKC", text).strip()
    named = text
    for pattern, instead in DATE_STEPS if LETTERS.search(text) and text[-1:].isalnum() else ():
        named = pattern.sub(instead, named)
    other = {} if named == text else _days_and_clock(named)
    return _days_and_clock(text) | {f: day for f, day in other.items() if "%b" in f}


def _days_and_clock(text: str) -> dict[str, dt.date]:
    clock = CLOCK.search(text)
    found = _days(text[: clock.start()] if clock else text)
    if clock:
        tail = ("T" if "T" in clock["t"] else " ") + ("%I:%M" if clock["p"] else "%H:%M")
        for name, part in CLOCK_PARTS.items():
            if clock[name]:
                tail += " " * clock[name].startswith(" ") + part
        found = {form + tail: day for form, day in found.items() if "%H" not in form}
    iso = next((day for form, day in found.items() if form.startswith("%Y-%m-%d")), None)
    return {"iso": iso, **found} if iso and ISO.fullmatch(text) else found


@lru_cache(1 << 16)
def _days(text: str) -> dict[str, dt.date]:
    days = {}
    for outline, known in DAYS if text[:1].isdigit() or text[-1:].isdigit() else ():
        if match := re.fullmatch(outline, text):
            for form in (form.format(match[1]) for form in known):
                try:
                    days[form] = dt.datetime.strptime(text, form).date()
                except ValueError:
                    continue
    return {form: day for form, day in days.items() if day.year in YEARS}


def order(form: str) -> str:
    """The order of day, month and year in a format: dmy, mdy or ymd."""
    letters = "".join(re.findall("%([YymdbB])", form)).lower().replace("b", "m")
    return letters[:3] if "%" in form else "ymd"


def date_format(placed: Sequence[Placed], person: bool = False) -> Verdict | None:
    """How the dates of a column are written; None where it holds no dates.

    A `person`'s dates are not shown.
    """
    counts = Counter(text for text, _ in placed if any(map(str.isdigit, text)))
    read = {text: found for text in counts if (found := days_in(text))}
    read = _without_years_to_come(read)
    dated = sum(counts[text] for text in read)
    if not dated or dated < DATED * counts.total():
        return _numbered(counts)
    reads: Counter[str] = Counter()
    for text, found in read.items():
        reads.update(dict.fromkeys(found, counts[text]))
    ((form, most),) = reads.most_common(1)
    outline = {f: re.sub("%[A-Za-z]", "%", f) for f in reads}  # without what the parts are
    rivals = {f for f in reads if order(f)[0] != order(form)[0] and outline[f] == outline[form]}
    seen = [(one, read[one[0]]) for one in placed if one[0] in read]
    proof = next((one for one, has in seen if form in has and not rivals & has.keys()), None)
    contrary = next((one for one, has in seen if form not in has and rivals & has.keys()), None)
    evidence = f"{_shown(proof, person)}: {_first(form)}" if proof else ""
    if contrary:
        rival = next(f for f in rivals if f in read[contrary[0]])
        against = f"{_shown(contrary, person)}: {_first(rival)}"
        question = say(
            "{one:text}, but {other:text}; best export again", one=evidence, other=against
        )
        return Verdict(
            ASK, question=question, choices=((_first(form), form), (_first(rival), rival))
        )
    if rivals and not proof:
        return _either(seen, person)
    if most < MOST * dated:
        other = next(one for one, has in seen if form not in has)
        question = say(
            "{n:int} of {all:int} dates are written as one, but not {value:text}",
            n=most,
            all=dated,
            value=_shown(other, person),
        )
        if _are_swapped(form, read):
            question += say(
                ". A spreadsheet has made dates of those it could, with day and month exchanged:"
                " export again, and read the column in as text"
            )
        kept = say(
            "keep the {n:int} dates as {value:text}, set the others apart",
            n=most,
            value=_shown(proof or seen[0][0], person),
        )
        return Verdict(ASK, question=question, choices=((kept, form),))
    # A word for the month, or the year in front, needs no evidence.
    certain = order(form) == "ymd" or re.search("%[bB]", form)
    odd = dated - most
    rest = say("{n:int} of {all:int} are written otherwise", n=odd, all=dated) if odd else ""
    known = "" if certain and not rivals else evidence
    return Verdict(form, "; ".join(filter(None, [known, rest])))


def _without_years_to_come(read: dict[str, dict[str, dt.date]]) -> dict[str, dict[str, dt.date]]:
    """The readings without those forms whose years of two digits would partly be still to come,
    where another form gives all dates in the past.
    """
    forms = Counter(form for has in read.values() for form in has)
    late = {
        form
        for form in forms
        if "%y" in form and any(has[form] > dt.date.today() for has in read.values() if form in has)
    }
    if not any(n == len(read) for form, n in forms.items() if form not in late):
        return read
    return {t: {f: day for f, day in has.items() if f not in late} for t, has in read.items()}


def _shown(placed: Placed, person: bool) -> str:
    text, (line, file) = placed
    shown = mask(text) if person else text
    return say("{value:text} in line {line:text} of {file:text}", value=shown, line=line, file=file)


def _first(form: str) -> str:
    return say(FIRST[order(form)[0]])


def _either(seen: Sequence[tuple[Placed, dict[str, dt.date]]], person: bool) -> Verdict:
    """The question which of several formats a date is written in."""
    first, days = next((one for one in seen if len(set(one[1].values())) > 1), seen[0])
    question = say("which day is {value:text}? No other value tells", value=_shown(first, person))
    said = {f: _first(f) if person else say.form("long_date", d) for f, d in days.items()}
    return Verdict(ASK, question=question, choices=tuple((said[f], f) for f in days))


def _are_swapped(form: str, read: Mapping[str, dict[str, dt.date]]) -> bool:
    """Whether texts in a form all have a day above 12, and real dates beside them none: those that
    a spreadsheet could read with the month first became dates.
    """
    texts = [has[form] for has in read.values() if form in has]
    dates = [has["iso"] for has in read.values() if form not in has and "iso" in has]
    small = all(day.day <= 12 for day in dates)
    return order(form) == "dmy" and bool(dates) and small and all(day.day > 12 for day in texts)


def _numbered(counts: Counter[str]) -> Verdict | None:
    """The unit of dates that are written as numbers."""
    numbers = {text: float(text) for text in counts if re.fullmatch(r"\d+(\.\d+)?", text)}
    for form, (low, high, unit) in NUMBERED.items():
        inside = sum(counts[text] for text, n in numbers.items() if low <= n <= high)
        if inside and inside >= MOST * counts.total():
            return Verdict(form, say(unit))
    return None


# --- numbers


@lru_cache(1 << 16)
def number(text: str, decimal: str = ".") -> Decimal | None:
    """The number a text names with a decimal mark, as `parsing.read_number` reads it."""
    text = unicodedata.normalize("NFKC", text).removesuffix("/-")
    text = text.translate(SWAPPED) if decimal == "," else text
    if not PLAIN.fullmatch(text):
        rest = BARE.sub("", text)
        if rest and not MONEY.fullmatch(rest):
            return None  # most texts, told before the costly steps
        if rest or not DIGITS.fullmatch(text):
            for pattern, instead in STEPS:
                text = pattern.sub(instead, text)
        numeral = GROUPED.search(text)
        text = re.sub(GROUPING, "", numeral[0]) if numeral else ""
    return Decimal(text) if PLAIN.fullmatch(text) else None


@lru_cache(1 << 16)
def mark(text: str) -> str | None:
    """The decimal mark that a number shows: . or , or "" where none, ? where it may also group
    thousands; None: no number.
    """
    point, comma = number(text, "."), number(text, ",")
    if point is None or comma is None:
        return "." if point is not None else "," if comma is not None else None
    if "," in text and UNDIVIDED.search(text):
        return "."
    return "" if point == comma else "?"


def decimal_mark(columns: Iterable[Sequence[Placed]]) -> Verdict:
    """The decimal mark of all numbers of a file; a question where it is left open."""
    found: dict[str, str] = {}
    for one in (one for column in columns for one in column):
        kind = mark(one[0])
        if kind and kind not in found:
            found[kind] = _shown(one, person=True)
    if "." in found and "," in found:
        question = say(
            "{point:text} has a decimal point, {comma:text} a decimal comma; which is right?",
            point=found["."],
            comma=found[","],
        )
    elif list(found) == ["?"]:
        question = say(
            "how are numbers written, as {value:text}? No other value tells", value=found["?"]
        )
    elif "," in found:
        return Verdict(",", say("{value:text}: a decimal comma", value=found[","]))
    else:
        return Verdict(".")
    point, comma = say("1.5 is one and a half, 1,500 is many"), say("1,5 is one and a half")
    return Verdict(ASK, question=question, choices=((point, "."), (comma, ",")))
