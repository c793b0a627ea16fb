"""How the dates and numbers of a column are written: told from its values, with the evidence, or
asked.
"""

import datetime as dt
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from analysis.intake.parsing import SIGNS

ASK = "?"  # stands in the dataset file where a person has to decide
MOST = 0.95  # share of a column's values that must be alike; the rest are typing errors
DATED = 0.8  # less is enough of dates: exports write - and N/A where there is none
YEARS = range(1900, 2101)
# What whole numbers in a column called a date may be: days from 1927, seconds and milliseconds from
# 1980, to 2100.
NUMBERED = {
    "excel": (10_000, 73_050, "days since 1899-12-30"),
    "epoch_s": (315_532_800, 4_102_444_800, "seconds since 1970"),
    "epoch_ms": (315_532_800_000, 4_102_444_800_000, "milliseconds since 1970"),
}
FIRST = {
    "dmy": "the day comes first",
    "mdy": "the month comes first",
    "ymd": "the year comes first",
}

# Shapes of a day, and the formats that may stand behind each; {0} is the mark between the parts.
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
)
CLOCK = re.compile(
    r"(?P<t>[T ]+)\d{1,2}:\d\d(?P<s>:\d\d)?(?P<f>\.\d{1,6})?(?P<p> ?[AaPp][Mm])?(?P<z>"
    r" ?(?:Z|[+-]\d\d(?::?\d\d)?))?$"
)
ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?(Z|[+-]\d\d(:\d\d)?)?)?)?")
PLAIN = re.compile(r"-?\d+(\.\d\d?)?")  # most numbers; told first, to be fast
CURRENCY = "[A-Z]{3}|" + "|".join(map(re.escape, SIGNS))

# A value and where it stands.
Placed = tuple[str, str]


class Verdict(NamedTuple):
    """What values say about how they are written; where they do not say it, a question."""

    value: str
    evidence: str = ""
    question: str = ""


def mask(text: str) -> str:
    """The shape of a text without its content: letters become x, digits 9."""
    return "".join("x" if c.isalpha() else "9" if c.isdigit() else c for c in text[:30])


# --- dates ----------------------------------------------------------------------------------------
# --------------------


@lru_cache(1 << 16)
def formats(text: str) -> dict[str, dt.date]:
    """The date formats that read a text, and the day each gives."""
    if len(text) > 40:
        return {}
    text = unicodedata.normalize("NFKC", text).strip()
    clock = CLOCK.search(text)
    found = _days(text[: clock.start()] if clock else text)
    tail = _clock_format(clock) if clock else ""
    written = {form + tail: day for form, day in found.items() if not (tail and "%H" in form)}
    return (
        {"iso": found["%Y-%m-%d"], **written}
        if "%Y-%m-%d" in found and ISO.fullmatch(text)
        else written
    )


@lru_cache(1 << 16)
def _days(text: str) -> dict[str, dt.date]:
    days = {}
    for shape, known in DAYS if text[:1].isdigit() or text[-1:].isdigit() else ():
        if match := re.fullmatch(shape, text):
            for form in (form.format(match[1]) for form in known):
                try:
                    days[form] = dt.datetime.strptime(text, form).date()
                except ValueError:
                    continue
    return {form: day for form, day in days.items() if day.year in YEARS}


def _clock_format(clock: re.Match[str]) -> str:
    start = ("T" if "T" in clock["t"] else " ") + ("%I:%M" if clock["p"] else "%H:%M")
    parts = {"s": ":%S", "f": ".%f", "p": "%p", "z": "%z"}
    return start + "".join(
        " " * clock[name].startswith(" ") + part for name, part in parts.items() if clock[name]
    )


def order(form: str) -> str:
    """The order of day, month and year in a format: dmy, mdy or ymd."""
    return (
        "".join(re.findall("%([YymdbB])", form)).lower().replace("b", "m")[:3]
        if "%" in form
        else "ymd"
    )


def date_format(
    placed: Sequence[Placed], named: bool = True, person: bool = False
) -> Verdict | None:
    """How the dates of a column are written; None where it holds no dates.

    Whole numbers as Excel's serial ones are dates only in a column that is `named` so. A `person`'s
    are not shown.
    """
    counts = Counter(text for text, _ in placed if any(map(str.isdigit, text)))
    read = {text: found for text in counts if (found := formats(text))}
    dated = sum(counts[text] for text in read)
    if dated < DATED * counts.total() or not dated:
        return _numbered(counts) if named else None
    reads: Counter[str] = Counter()
    for text, found in read.items():
        reads.update(dict.fromkeys(found, counts[text]))
    form = max(reads, key=lambda f: reads[f])
    rivals = {f for f in reads if order(f) != order(form) and _skeleton(f) == _skeleton(form)}
    seen = [(text, place) for text, place in placed if text in read]
    for_form = next((p for p in seen if form in read[p[0]] and not rivals & set(read[p[0]])), None)
    against = next((p for p in seen if form not in read[p[0]] and rivals & set(read[p[0]])), None)
    numeric = order(form) != "ymd" and not re.search("%[bB]", form)
    proof = (
        f"{_shown(for_form, person)}: {FIRST[order(form)]}"
        if for_form and (rivals or numeric)
        else ""
    )
    if against:
        other = FIRST[order(next(f for f in rivals if f in read[against[0]]))]
        return Verdict(
            ASK,
            question=(
                f"{proof}, but {_shown(against, person)}: {other}; make them one in the file, then"
                " write its format"
            ),
        )
    if rivals and not for_form:
        return Verdict(ASK, question=_either(seen, read, person))
    if reads[form] < MOST * dated:
        odd = next(p for p in seen if form not in read[p[0]])
        said = f"{form} reads {reads[form]:,} of {dated:,} dates, but not {_shown(odd, person)}"
        return Verdict(
            ASK,
            question=(
                f"{said}; make them one in the file, or write the format whose dates are to be kept"
            ),
        )
    rest = (
        f"{dated - reads[form]:,} of {dated:,} are written otherwise" if dated > reads[form] else ""
    )
    return Verdict(form, "; ".join(filter(None, [proof, rest])))


def _skeleton(form: str) -> str:
    return re.sub("%[A-Za-z]", "%", form)


def _shown(placed: Placed, person: bool) -> str:
    return f"{mask(placed[0]) if person else placed[0]} in {placed[1]}"


def _either(seen: Sequence[Placed], read: dict[str, dict[str, dt.date]], person: bool) -> str:
    first = next((p for p in seen if len(set(read[p[0]].values())) > 1), seen[0])
    choices = [f if person else f"{f} ({day.day} {day:%B %Y})" for f, day in read[first[0]].items()]
    return (
        f"{_shown(first, person)} may be {' or '.join(choices)}, and no other value decides; write"
        " the format"
    )


def _numbered(counts: Counter[str]) -> Verdict | None:
    for form, (low, high, unit) in NUMBERED.items():
        inside = [
            text
            for text in counts
            if re.fullmatch(r"\d+(\.\d+)?", text) and low <= float(text) <= high
        ]
        if inside and sum(counts[text] for text in inside) >= MOST * counts.total():
            return Verdict(form, unit)
    return None


# --- numbers --------------------------------------------------------------------------------------
# --------------------


def bare(text: str) -> str:
    """A number without its sign, currency, blanks and apostrophes."""
    text = re.sub(r"\s|'", "", unicodedata.normalize("NFKC", text).upper())
    text = re.sub(r"^\((.*)\)$|^(.*)-$", r"\1\2", text)
    return re.sub(rf"^[-+−]?({CURRENCY})?[-+−]?|({CURRENCY})$", "", text)


@lru_cache(1 << 16)
def mark(text: str) -> str | None:
    """The decimal mark that a number shows: . or , or "" where none, ? where it may also group
    thousands; None: no number.
    """
    if PLAIN.fullmatch(text):
        return "." if "." in text else ""
    digits = bare(text)
    marks = re.sub(r"\d", "", digits)
    if not re.fullmatch(r"\d+([.,]\d+)*|[.,]\d+", digits):
        return None
    groups = rf"\d{{1,3}}(\{marks[:1]}\d{{3}})+"
    if len(set(marks)) == 2:
        return marks[-1] if re.fullmatch(rf"{groups}\{marks[-1]}\d+", digits) else None
    if len(marks) > 1:
        return (".", ",")[marks[0] == "."] if re.fullmatch(groups, digits) else None
    return "?" if marks and re.fullmatch(groups, digits) and not digits.startswith("0") else marks


def number(text: str, decimal: str) -> Decimal | None:
    """The number a text names, with its sign."""
    if mark(text) is None:
        return None
    digits = bare(text).replace("." if decimal == "," else ",", "").replace(",", ".")
    return Decimal(digits) * (-1 if re.match(r"\D*[-−(]|.*-$", text.strip()) else 1)


def decimal_mark(columns: Iterable[Sequence[Placed]]) -> Verdict:
    """The decimal mark of all numbers of a file; a question where it is left open."""
    found: dict[str, str] = {}
    for first in (dict(reversed(column)) for column in columns):
        for text, place in reversed(first.items()):
            if kind := mark(text):
                found[kind] = found.get(kind) or f"{mask(text)} in {place}"
    if "." in found and "," in found:
        both = (
            f"{found['.']} has a decimal point, {found[',']} a decimal comma; make them one in the"
            " file, then write . or ,"
        )
        return Verdict(ASK, question=both)
    if list(found) == ["?"]:
        return Verdict(
            ASK,
            question=(
                f"the mark of {found['?']} may group thousands or begin decimals, and no other"
                " value decides"
            ),
        )
    return Verdict(",", f"{found[',']}: a decimal comma") if "," in found else Verdict(".")
