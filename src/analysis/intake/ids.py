"""Customers' numbers: read alike in all files, refused where they are no single customer's."""

import re

import ibis
from ibis import _
from ibis.expr.types import StringValue, Table

from analysis.errors import InputError
from analysis.intake.dataset import Dataset

ZERO = r"^0+(\.0+)?$"  # nobody's number where it cannot be somebody's (check_ids)
ROUNDED, MASKED = r"^\d([.,]\d+)?[eE]\+\d{2,}$", r"\*"  # by a spreadsheet; in the middle
E_MAIL = r"^[^@,;]+@[^@,;]+\.[^@,;.]+$"  # one, not two
# Times the rows of the next customer, share of all rows, rows: of so many no single one has more
CROWD, CROWD_SHARE, CROWD_LEAST = 5, 0.03, 10


def read_id(text: StringValue, dataset: Dataset) -> StringValue:
    """A customer's number: without the apostrophe by which spreadsheets mark a text; an e-mail in
    small letters, without blanks and the name before it; nothing for a word that stands for nobody.
    Where the dataset says so, without zeros in front and .0 behind.
    """
    bare = text.re_replace("^'", "")
    if dataset.plain_ids:
        bare = bare.re_replace(r"^0+(\d)", r"\1").re_replace(r"^(\d+)\.0+$", r"\1")
    small = bare.lower()
    address = small.re_replace(r"^.*<([^<>]*@[^<>]*)>.*$", r"\1").re_replace(r"[\s\p{Z}]", "")
    mail = ibis.ifelse(address.re_search(E_MAIL), address.re_replace("^mailto:", ""), small)
    known = ibis.ifelse(small.contains("@"), mail, bare)
    return ibis.ifelse(small.isin(dataset.no_customers), None, known)


def check_ids(typed: Table, dataset: Dataset) -> None:
    """Refuse (InputError) numbers of customers that are several customers', and rounded numbers of
    orders, with their count.
    """
    ids = typed.customer_id
    orders = typed.order_id if "order_id" in typed.columns else ids.nullif(ids)
    counted = typed.agg(
        rows=_.count(),
        rounded=ids.re_search(ROUNDED).sum(),
        masked=ids.re_search(MASKED).sum(),
        zero=ids.re_search(ZERO).sum(),
        order=orders.re_search(ROUNDED).sum(),
    )
    found = counted.to_pandas().iloc[0]
    rounded, text = "rounded by a spreadsheet, as 1.38E+11", "export them as text"
    masked = "masked with *, so that several customers share one"
    for name, column, whose, how, remedy in (
        ("rounded", "customer_id", "a customer", rounded, text),
        ("masked", "customer_id", "a customer", masked, "export them whole"),
        ("order", "order_id", "an order", rounded, text),
    ):
        if count := int(found[name] or 0):
            raise InputError(
                f"{dataset.file}: {count:,} of {found.rows:,} order lines have the number of"
                f" {whose} that is {how}; {remedy}, or name another column for {column}"
            )
    known = any(re.fullmatch(ZERO, one) for one in dataset.somebody)
    if known or not (zeros := int(found.zero or 0)):
        return
    others = typed.filter(~ids.re_search(ZERO)).group_by("customer_id").agg(rows=_.count())
    most = int(others.rows.max().execute() or 0)
    if zeros >= max(CROWD * most, CROWD_SHARE * found.rows, CROWD_LEAST):
        raise InputError(
            f"{dataset.file}: {zeros:,} of {found.rows:,} order lines are of a customer 0, the next"
            f" has {most:,}: guests, it seems. Name another column for customer_id, as the e-mail,"
            ' or write nobody: ["0"] to leave them out, or somebody: ["0"] to keep them'
        )
