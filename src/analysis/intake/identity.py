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


def suggestions(profiles: Table) -> pd.DataFrame:
    """Pairs of customers that share a telephone, e-mail, tax number or name; nothing is merged by
    it.

    Columns: customer_id, same_as, keys (which agree), accept (empty, for a person to fill with
    yes).
    """
    keys = {name: _KEYS[name](profiles[name]) for name in _KEYS if name in profiles.columns}
    pairs = [
        _pairs(profiles.select("customer_id", value=value), name) for name, value in keys.items()
    ]
    if not pairs:
        return pd.DataFrame(columns=["customer_id", "same_as", "keys", "accept"])
    every = ibis.union(*pairs) if len(pairs) > 1 else pairs[0]
    found = every.group_by("customer_id", "same_as").agg(
        keys=_.key.group_concat(", ", order_by="key"), count=_.count()
    )
    frame = found.order_by(ibis.desc("count"), "same_as", "customer_id").to_pandas()
    return frame.drop(columns="count").assign(accept="")


def _pairs(keyed: Table, name: str) -> Table:
    """Every customer with the smallest id that has the same key."""
    shared = (
        keyed.filter(_.value != "")
        .group_by("value")
        .agg(same_as=_.customer_id.min(), customers=_.customer_id.nunique())
    )
    few = shared.filter(_.customers.between(2, MOST_ALIKE))
    return (
        keyed.join(few, "value")
        .filter(_.customer_id != _.same_as)
        .select("customer_id", "same_as", key=ibis.literal(name))
        .distinct()
    )


def _digits(text: StringValue) -> StringValue:
    """The last ten digits of a telephone: country codes and leading zeros are written or not."""
    digits = text.re_replace(r"\D", "")
    return ibis.ifelse(digits.length() >= 7, digits.right(10), "")


def _letters(text: StringValue) -> StringValue:
    """A text without case, blanks and punctuation."""
    return text.lower().re_replace(r"[^\p{L}\p{N}]", "")


def _name(text: StringValue) -> StringValue:
    """A company's name without its legal form."""
    wide = "".join(chr(code) for code in range(0xFF01, 0xFF5F))
    plain = text.translate(wide, "".join(chr(code) for code in range(0x21, 0x7F))).lower()
    return (
        plain.re_replace(r"[.]", "").re_replace(LEGAL_FORMS, " ").re_replace(r"[^\p{L}\p{N}]", "")
    )


_KEYS = {
    "phone": _digits,
    "email": lambda text: text.lower(),
    "tax_id": _letters,
    "company": _name,
}


def files(dataset: Dataset) -> list[Path]:
    """The file of accepted suggestions, where the dataset has one; InputError where it is not
    there.
    """
    found = [dataset.file.parent / dataset.same_customers] if dataset.same_customers else []
    if missing := [path for path in found if not path.is_file()]:
        raise InputError(f"{missing[0]}: no such file; correct same_customers in {dataset.file}")
    return found


def accepted(dataset: Dataset) -> dict[str, str]:
    """Which customer_id is to be read as which other, after a person has filled `accept` with yes.

    Raises InputError for a file that is not there, is not readable, lacks the columns, or an id
    where yes is said.
    """
    same: dict[str, str] = {}
    for one, other in (pair for path in files(dataset) for pair in _agreed(path)):
        roots = sorted((_root(same, one), _root(same, other)))
        if roots[0] != roots[1]:
            same[roots[1]] = roots[0]
    return {one: _root(same, one) for one in same}


def _agreed(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, restval="")
            rows, names = list(reader), reader.fieldnames or ()
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable ({error}); save it as CSV UTF-8") from None
    if missing := {"customer_id", "same_as", "accept"} - set(names):
        raise InputError(
            f"{path}: no column {', '.join(sorted(missing))}; start from the list of suggestions"
        )
    pairs = [
        (r["customer_id"].strip(), r["same_as"].strip())
        for r in rows
        if r["accept"].strip().lower() in AGREED
    ]
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
    """The rows with the customer ids that a person has agreed are the same read as one, of
    referrers too.
    """
    same = accepted(dataset)
    ids = [name for name in ("customer_id", "referrer") if name in rows.columns]
    return (
        rows.mutate(**{name: rows[name].substitute(same) for name in ids}) if same and ids else rows
    )
