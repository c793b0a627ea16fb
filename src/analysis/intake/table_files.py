"""How the files of a dataset file are described: where they are, and what their columns mean."""

import itertools
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from analysis.errors import did_you_mean
from analysis.intake import formats
from analysis.intake.formats import FORMATS
from analysis.intake.settings import Count, Days, Strict
from analysis.schema import RECORDS

DATE_DIRECTIVES = set("YymdHMSfpIbBjzZ%-")  # of strftime, that the engine reads
DATE_WORDS = ("iso", "excel", "epoch_s", "epoch_ms")  # what is not written with directives
PORT = re.compile(r"://[^/?@:]*:\d*(?=/[^?@]*\?\w+=)")  # a host and its port, before parameters


def _date_format(text: Any) -> str:
    if text in DATE_WORDS:
        return str(text)
    if not isinstance(text, str) or "%" not in text:
        raise ValueError(
            f"{text!r} is no date format; write e.g. %Y-%m-%d, %d/%m/%Y %H:%M, or one of"
            f" {', '.join(DATE_WORDS)}; or one by column, as {{date: excel}}"
        )
    if wrong := sorted(set(re.findall(r"%(.?)", text)) - DATE_DIRECTIVES):
        raise ValueError(f"%{wrong[0]} is no part of a date; write e.g. %Y-%m-%d or %d/%m/%Y %H:%M")
    return text


def _date_formats(found: Any) -> str | dict[str, str]:
    if isinstance(found, dict):
        return {str(column): _date_format(text) for column, text in found.items()}
    return _date_format(found)


def _no_password(address: str) -> str:
    """The address, if no password stands in it: neither as a parameter nor before an @. A colon
    before an @ may also be that of a port, if the @ comes in a parameter after it.
    """
    plain = PORT.sub("://", unquote(address))
    if re.search(r"://[^/?@]*:.*@|password\s*=", plain, re.IGNORECASE | re.DOTALL):
        raise ValueError(
            "a password stands in it; take it out and put it into PGPASSWORD or ~/.pgpass"
        )
    return address


def _several(found: Any) -> Any:
    return found if isinstance(found, list) else [found]


Several = Annotated[list[str], BeforeValidator(_several)]


class Returns(Strict):
    """What marks a line as a return, besides an amount or a quantity below zero."""

    status: list[str] = []
    """values of the status column"""
    prefix: str = ""
    """how the order id of a cancellation begins, before the id of its sale"""
    all: bool = False
    """every row is one, as in a file of refunds"""


class TableFile(Strict):
    """Some records of one kind as they lie on the disk or in a database."""

    path: Several = []
    """file or files, relative to the dataset file; * stands for any text"""
    sample: Several = []
    """data that come with a package or are generated, instead of path"""
    connection: Annotated[str, AfterValidator(_no_password)] = ""
    """postgresql://user@host/database, instead of path; the password comes from PGPASSWORD or
    ~/.pgpass"""
    table: str = ""
    """of a database (also sqlite, duckdb): the table to read, as orders or crm.orders"""
    query: str = ""
    """of a database, instead of table: the SELECT to read; of a parquet file: it may also name
    those beside it"""
    format: str | None = Field(
        None, description=f"{', '.join(FORMATS)}; by default what the file's name ends with"
    )
    encoding: str = ""
    """of a text file; by default UTF-8, UTF-16 with its mark, or GB18030, whichever it is"""
    separator: str = Field("", max_length=1)
    """between the fields of a csv line; by default a comma, in .tsv a tab"""
    header: Days = 1
    """line of the column names; 0: there is none, columns are named 1, 2, 3, …"""
    sheet: str = ""
    """of a workbook; needed where there are several. * stands for any text, so that * alone are all
    visible sheets that have these columns"""
    max_unpacked_mb: Count = 4_000
    """refuse a packed file (gz, xlsx) that unpacks to more"""
    columns: dict[str, str]
    """our column: the file's column, or several joined, as First name + Last name"""
    attributes: dict[str, str] = {}
    """of customers, further columns to group by: our name: the file's column"""
    constants: dict[str, str] = {}
    """our column: a value that all rows share, as channel: shop"""
    static: list[str] = []
    """of customers, columns that do not change, and so hold for past dates too"""
    date_format: Annotated[str | dict[str, str], PlainValidator(_date_formats)] = "iso"
    """as in strftime (%b: months also in German, French, Spanish, Portuguese, Italian, Dutch), or
    iso, excel (serial number), epoch_s, epoch_ms; one, or one by column"""
    decimal: Literal[".", ","] = "."
    """decimal mark of the numbers"""
    fill_down: list[str] = []
    """our columns, as customer_id, that stand only in the first row of a group, as in merged cells:
    an empty cell holds what stands above"""
    returns: Returns = Returns()
    """what marks a return besides an amount or quantity below zero"""
    void_status: list[str] = []
    """values of the status column whose rows never became a sale"""
    of_order: list[str] = []
    """our columns that are the whole order's: money counts once, another value holds for all rows
    of the order in the file"""
    before_discount: bool | Literal["percent", "share"] = False
    """whether the amounts are those before the discount, which is then taken off; percent or share
    where the discount is no money but 10 or 0.1 of a line's"""
    order_key: list[str] = []
    """our columns that name one order line, as order_id and product"""

    @model_validator(mode="after")
    def _whole(self) -> "TableFile":
        for fault in itertools.chain(self._place_faults(), self._column_faults()):
            raise ValueError(fault)
        return self

    def _place_faults(self) -> Iterator[str]:
        """What is wrong with where the records are and how they are kept."""
        if self.format and self.format not in FORMATS:
            yield f"format: no format {self.format!r}; {did_you_mean(self.format, FORMATS)}"
        places = self.path + self.sample
        if sum(map(bool, (self.path, self.sample, self.connection))) != 1 or "" in places:
            yield "write one of path, sample and connection"
        if any("://" in path for path in self.path):
            yield "path: an address is no file; write a database server's as connection"
        kinds = {} if self.format else {formats.of_name(name): name for name in places}
        if "" in kinds:
            yield (
                f"{kinds['']}: a file of an unknown ending (known: {', '.join(formats.ENDINGS)});"
                f" say its format, one of {', '.join(FORMATS)}"
            )
        if len(kinds) > 1:
            yield (
                f"files of several kinds ({', '.join(sorted(kinds))}); describe each kind apart, as"
                " a list"
            )
        for key in type(self).model_fields:
            fitting = formats.with_key(key)
            if fitting and getattr(self, key) and self.kind not in fitting:
                yield f"{key} belongs to {' or '.join(fitting)}, but this is {self.kind}"
        if self.kind in formats.with_key("table") and bool(self.table) == bool(self.query):
            yield "a database needs either table or query"
        if self.kind == "parquet" and self.query and (len(places) > 1 or "*" in places[0]):
            yield (
                "a query of several parquet files would read them once for each; name one as path,"
                " the rest in it"
            )
        if self.separator in ('"', "\n", "\r", "\0"):
            yield (
                f'separator: {self.separator!r} cannot stand between fields; write e.g. ; or "\\t"'
            )

    def _column_faults(self) -> Iterator[str]:
        """What is wrong with what the columns are said to mean."""
        if empty := [name for name, column in self.columns.items() if not column.strip()]:
            yield f"columns: no column is named for {', '.join(empty)}"
        if twice := sorted(set(self.columns) & set(self.constants)):
            yield f"{', '.join(twice)} stands in columns and in constants; keep one"
        if unknown := [name for name in self.order_key if name not in self.meanings]:
            yield f"order_key: {', '.join(unknown)} is not among columns"
        if unknown := [name for name in self.of_order if name not in self.columns]:
            yield f"of_order: {', '.join(unknown)} is not among columns"
        if self.of_order and ("order_id" not in self.columns or "order_id" in self.of_order):
            yield "of_order needs a column for order_id, and other columns that are the order's"
        if self.before_discount and "discount" not in self.columns:
            yield "before_discount needs a column for discount"
        if isinstance(self.before_discount, str) and "discount" in self.of_order:
            yield (
                f"before_discount: {self.before_discount} is taken off each line; take discount out"
                " of of_order"
            )
        if unknown := [name for name in self.fill_down if name not in self.columns]:
            yield f"fill_down: {', '.join(unknown)} is not among columns"
        if (self.returns.status or self.void_status) and "status" not in self.meanings:
            yield "returns.status and void_status need a column for status"
        if self.returns.prefix and "order_id" not in self.meanings:
            yield "returns.prefix needs a column for order_id"

    @property
    def kind(self) -> str:
        """The format, declared or seen from the name."""
        if self.format or self.connection:
            return self.format or "postgresql"
        return formats.of_name((self.path or self.sample)[0])

    @property
    def meanings(self) -> list[str]:
        """Our columns that this file fills."""
        return [*self.columns, *self.attributes, *self.constants]

    def format_of(self, column: str) -> str:
        """How the dates of one of our columns are written."""
        written = self.date_format
        return written if isinstance(written, str) else written.get(column, "iso")


Files = Annotated[list[TableFile], BeforeValidator(_several)]


class Tables(Strict):
    """Each of RECORDS: one file description, or a list of them."""

    transactions: Files = Field(min_length=1)
    """order lines"""
    customers: Files = []
    """customer profiles"""
    interactions: Files = []
    """calls, visits, messages, visits to the web site"""
    feedback: Files = []
    """satisfaction scores, comments, complaints, tickets"""
    campaigns: Files = []
    """who was treated, who was held back"""
    products: Files = []
    """what is sold"""

    @field_validator("*")
    @classmethod
    def _meant(cls, files: list[TableFile], info: ValidationInfo) -> list[TableFile]:
        for number, file in enumerate(files):
            for fault in _meaning_faults(str(info.field_name), file, files):
                raise ValueError(f"{number}: {fault}" if len(files) > 1 else fault)
        return files


def _meaning_faults(table: str, file: TableFile, files: list[TableFile]) -> Iterator[str]:
    """What is wrong with the columns of a file for one of RECORDS. Of refunds the customer may be
    known by the orders of the other files.
    """
    known = RECORDS[table].columns
    meant = [*file.columns, *file.constants]
    if unknown := [f"{name}; {did_you_mean(name, known)}" for name in meant if name not in known]:
        yield f"columns: unknown meaning {', '.join(unknown)}"
    needed = [name for name, column in known.items() if column.needed]
    have = [*file.meanings]
    if file.returns.all and "order_id" in have and any("customer_id" in f.meanings for f in files):
        have.append("customer_id")
    if missing := [name for name in needed if name not in have]:
        yield f"columns: no column is named for {', '.join(missing)}"
    dated = file.date_format if isinstance(file.date_format, dict) else {}
    if unknown := [name for name in dated if name not in file.meanings]:
        near = [f"{name}; {did_you_mean(name, file.columns)}" for name in unknown]
        yield f"date_format: no such column {', '.join(near)}"
    if file.attributes and table != "customers":
        yield "attributes belong to the table customers"
    if reserved := sorted({*file.attributes} & {"source", "line"}):
        yield (
            f"attributes: {', '.join(reserved)} is where a row came from; give the attribute"
            " another name"
        )
    if clash := sorted({*file.attributes} & {*known}):
        yield f"attributes: {', '.join(clash)} is known; move it to columns"
    if unknown := sorted({*file.static} - {*file.meanings}):
        yield f"static: {', '.join(unknown)} is not among columns or attributes"
