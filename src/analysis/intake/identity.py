"""The same company or person under several ids: suggested from exact keys, made one only where a
person has agreed.
"""

import csv
from pathlib import Path

import ibis
import pandas as pd
from ibis import _
from ibis.expr.types import StringValue, Table

from analysis.errors import InputError
from analysis.intake.dataset import Dataset

MOST_ALIKE = 5  # customers that share a key; more share a switchboard, an agent or a placeholder
LEGAL_FORMS = (
    "有限责任公司|股份有限公司|有限公司|公司|集团|"
    r"\b(co|company|corp|corporation|inc|incorporated|ltd|limited|llc|plc|gmbh|ag|sa|sarl|bv|oy|ab|srl|spa)\b"
)
AGREED = ("yes", "y", "true", "1", "是", "x")
COLUMNS = ("customer_id", "same_as", "accept")


def suggestions(profiles: Table) -> pd.DataFrame:
    """Pairs of customers that share a telephone, e-mail, tax number or name; nothing is merged by
    it.

    Columns: customer_id, same_as, keys (which agree), accept (empty, for a person to fill with
    yes).
    """
    keyed = [
        profiles.select("customer_id", key=ibis.literal(name), value=key(profiles[name]))
        for name, key in _KEYS.items()
        if name in profiles.columns
    ]
    if not keyed:
        return pd.DataFrame(columns=["customer_id", "same_as", "keys", "accept"])
    every = (ibis.union(*keyed) if len(keyed) > 1 else keyed[0]).filter(_.value != "")
    shared = every.group_by("key", "value").agg(
        same_as=_.customer_id.min(), customers=_.customer_id.nunique()
    )
    few = shared.filter(_.customers.between(2, MOST_ALIKE))
    pairs = (
        every.join(few, ["key", "value"])
        .filter(_.customer_id != _.same_as)
        .select("customer_id", "same_as", "key")
        .distinct()
    )
    found = pairs.group_by("customer_id", "same_as").agg(
        keys=_.key.group_concat(", ", order_by="key"), count=_.count()
    )
    frame = found.order_by(ibis.desc("count"), "same_as", "customer_id").to_pandas()
    return frame.drop(columns="count").assign(accept="")


def _digits(text: StringValue) -> StringValue:
    """The last ten digits of a telephone: country codes and leading zeros are written or not."""
    digits = text.re_replace(r"\D", "")
    return ibis.ifelse(digits.length() >= 7, digits.right(10), "")


def _letters(text: StringValue) -> StringValue:
    """A text without case, blanks and punctuation."""
    return text.lower().re_replace(r"[^\p{L}\p{N}]", "")


def _name(text: StringValue) -> StringValue:
    """A company's name without its legal form."""
    wide = "".join(map(chr, range(0xFF01, 0xFF5F)))
    plain = text.translate(wide, "".join(map(chr, range(0x21, 0x7F)))).lower()
    return _letters(plain.re_replace(r"[.]", "").re_replace(LEGAL_FORMS, " "))


_KEYS = {
    "phone": _digits,
    "email": lambda text: text.lower(),
    "tax_id": _letters,
    "company": _name,
}


def files(dataset: Dataset) -> list[Path]:
    """The file of accepted suggestions, where the dataset has one; InputError if it is missing."""
    if not dataset.same_customers:
        return []
    path = dataset.file.parent / dataset.same_customers
    if not path.is_file():
        raise InputError(f"{path}: no such file; correct same_customers in {dataset.file}")
    return [path]


def accepted(dataset: Dataset) -> dict[str, str]:
    """Which customer_id is to be read as which other, after a person has filled `accept` with yes.

    Raises InputError for a file that is not there, is not readable, lacks the columns, or an id
    where yes is said.
    """
    same: dict[str, str] = {}
    for one, other in (pair for path in files(dataset) for pair in _agreed(path)):
        kept, read = sorted((_root(same, one), _root(same, other)))
        if kept != read:
            same[read] = kept
    return {one: _root(same, one) for one in same}


def _agreed(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, restval="")
            rows, names = list(reader), reader.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable ({error}); save it as CSV UTF-8") from None
    if missing := sorted({*COLUMNS} - {*names}):
        raise InputError(
            f"{path}: no column {', '.join(missing)}; start from the list of suggestions"
        )
    said = [[row[name].strip() for name in COLUMNS] for row in rows]
    pairs = [(one, other) for one, other, word in said if word.lower() in AGREED]
    if blank := sum(not all(pair) for pair in pairs):
        raise InputError(
            f"{path}: {blank:,} of {len(pairs):,} accepted pairs lack an id; fill customer_id and"
            " same_as"
        )
    return pairs


def _root(same: dict[str, str], one: str) -> str:
    while one in same:
        one = same[one]
    return one


def as_one(rows: Table, dataset: Dataset) -> Table:
    """The rows with ids that are the same customer's read as one, of referrers too."""
    same = accepted(dataset)
    ids = [name for name in ("customer_id", "referrer") if name in rows.columns and same]
    return rows.mutate(**{name: rows[name].substitute(same) for name in ids}) if ids else rows
