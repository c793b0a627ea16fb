"""`init`: looks at a company's files and writes the dataset file, with what was seen and the
questions left open.
"""

import csv
import datetime as dt
import gzip
import io
import itertools
import json
import os
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from analysis.errors import InputError
from analysis.intake import formats, readers, text_files
from analysis.intake.column_matching import (
    EMAIL,
    Column,
    Entry,
    Look,
    Recognition,
    is_known,
    needs_more,
    recognise,
)
from analysis.intake.dataset import NAME, Dataset
from analysis.intake.formats import FORMATS
from analysis.intake.parsing import SIGNS
from analysis.intake.rows import Piece
from analysis.intake.table_files import Returns, TableFile, Tables
from analysis.intake.value_formats import ASK, mark
from analysis.intake.value_formats import formats as value_formats
from analysis.schema import RECORDS, Meaning

FIRST_ROWS = 5_000  # from which a file is recognised
MORE_ROWS, ALL_ROWS = (
    200_000,
    1_000_000,
)  # of a file, and of all, in columns where what is rare decides, as a day above 12
HEAD_BYTES, HEAD_ROWS = 1 << 18, 40  # in which separator and header are seen
SEPARATORS = (
    "\t",
    ";",
    "|",
    ",",
    " ",
)  # of those that fit alike the one more seldom inside a text; blanks last
WESTERN = "cp1252"  # asked for where a text file is neither UTF-8 nor Chinese
HANZI = "\u3400-\u9fff"
CURRENCY_NAMES = {
    "dollar": "USD",
    "dollars": "USD",
    "euro": "EUR",
    "rmb": "CNY",
    "人民币": "CNY",
    "元": "CNY",
}
CODES = {code for codes in SIGNS.values() for code in codes} | {
    "CHF",
    "SEK",
    "NOK",
    "DKK",
    "PLN",
    "RUB",
    "BRL",
    "ZAR",
    "THB",
    "VND",
}
TYPES = {str: "text", int: "whole number", float: "number", dt.date: "date", Any: "any value"}
OPTIONAL = (
    "title",
    "language",
    "currency",
    "time_zone",
    "horizon_days",
    "margin",
    "max_staleness_days",
)


@dataclass(frozen=True)
class Found:
    """Files of one form, how they are to be read, what of that is asked, and what they are."""

    paths: tuple[Path, ...]
    file: TableFile
    asked: tuple[Entry, ...]
    look: Look
    what: Recognition

    def values(self, meaning: str) -> list[str]:
        """The values seen of one of our columns; none where it is not settled."""
        column = self.what.meanings.get(meaning)
        return [text for text, _ in self.look[column].seen] if column else []

    @property
    def name(self) -> str:
        """As the screen calls it."""
        part = self.file.sheet or self.file.table
        return ", ".join(path.name for path in self.paths) + (f" ({part})" if part else "")


def init(paths: Sequence[Path], name: str, folder: Path) -> tuple[Path, list[str]]:
    """Write folder/name.yml from a look at files; returns it, and what was found, noted and asked
    as lines for the screen.

    Without a name the first file's is taken. Raises InputError for a name that is no name,
    for a dataset file that is there already, and for a file that is no table.
    """
    if not paths:
        raise InputError("name at least one file of the company's records")
    name = name or name_of(paths[0])
    if not re.fullmatch(NAME, name):
        raise InputError(
            f"{name!r} cannot name a dataset; give letters, digits, _ and - with --name"
        )
    target = folder / f"{name}.yml"
    if target.exists():
        raise InputError(
            f"{target} is there and is not overwritten; give another name with --name, or remove it"
        )
    text, said = describe(paths, folder)
    folder.mkdir(parents=True, exist_ok=True)
    with target.open("x", encoding="utf-8") as file:
        file.write(text)
    return target, said


def name_of(path: Path) -> str:
    """A dataset's name from a file's."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.name.split(".")[0]).strip("_-")
    return name if re.fullmatch(NAME, name) else "dataset"


def describe(paths: Sequence[Path], folder: Path) -> tuple[str, list[str]]:
    """The text of a dataset file for some files, and what was found, noted and asked."""
    every = [
        one
        for path in dict.fromkeys(paths)
        for one in look_at(path, min(MORE_ROWS, ALL_ROWS // len(paths)))
    ]
    every = sorted(_joined(_grouped(every)), key=lambda one: list(RECORDS).index(one.what.table))
    found = [one for one in every if not one.what.lacking] or every
    left_out = [
        f"left out: {one.name}, most like {one.what.table}: {one.what.lacking}"
        for one in every
        if one not in found
    ]
    orders = [one for one in found if one.what.table == "transactions"]
    top = [entry for entry in (_currency(orders), _time_zone(found)) if entry]
    lines = [
        _comment(
            f"Written from {', '.join(one.name for one in found)}. Correct what is wrong, and"
            f" answer each {ASK}."
        )
    ]
    lines += ["# Every key there is: customer-matrix check --keys", *_lines(top)]
    lines += [
        _comment(_key(Dataset, name))
        for name in OPTIONAL
        if name not in {entry.key for entry in top}
    ] + [
        *map(_comment, left_out),
        "tables:",
    ]
    for table, records in RECORDS.items():
        blocks = [_block(one, folder) for one in found if one.what.table == table]
        lines += [f"  {table}:  # {records.row} a row"] if blocks else []
        for block in blocks:
            lines += [f"    {line}" for line in (block if len(blocks) == 1 else _item(block))]
    lines += [] if orders else [f"  {line}" for line in _no_orders()]
    notes = [f"note: {one.name}: {note}" for one in found for note in one.what.notes]
    asked = [line.strip().removeprefix("# QUESTION: ") for line in lines if "# QUESTION: " in line]
    known = [
        f"{one.name}: {one.what.table} with {', '.join(one.what.meanings) or 'no known column'}"
        for one in found
    ]
    said = [*known, *left_out, *notes, *(f"question: {question}" for question in asked)]
    return "\n".join(lines) + "\n", list(map(_printable, said))


# --- looking at files
# -------------------------------------------------------------------------------------------------


def look_at(path: Path, rows: int = MORE_ROWS) -> list[Found]:
    """What a file holds: one table, or those of a workbook's sheets or a database's tables that are
    known ones.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        file, asked = form_of(path)
        looks = _looks(path, list(_parts(path, file)), rows)
    except InputError as error:
        raise InputError(str(error) if path.name in str(error) else f"{path}: {error}") from None
    if not looks:
        raise InputError(f"{path}: no rows below the header; export it again")
    found = [Found((path,), part, asked, look, recognise(look)) for part, look in looks]
    if len(found) == 1:
        return found
    known = {one.what.table: one for one in reversed(found) if one.what.sure}
    chosen = [
        _asking_part(one, [o for o in found if o.what.sure and o.what.table == table])
        for table, one in known.items()
    ]
    return chosen[::-1] or [_asking_part(found[0], found)]


def _looks(path: Path, parts: list[TableFile], rows: int) -> list[tuple[TableFile, Look]]:
    """A look at each part that has rows; of several parts, one that cannot be read is no table."""
    looks = []
    for part in parts:
        try:
            looks.append((part, read(path, part, rows)))
        except InputError:
            if len(parts) == 1:
                raise
    return [(part, look) for part, look in looks if look]


def _asking_part(one: Found, alike: list[Found]) -> Found:
    """The description of a sheet or table, with a question if others could be meant as well."""
    key = "sheet" if one.file.sheet else "table"
    names = ", ".join(other.file.sheet or other.file.table for other in alike)
    said = (
        f"which {key} holds the {one.what.table}: {names}? For several, repeat the description as"
        " items of a list"
    )
    return (
        replace(one, asked=(*one.asked, Entry(key, ASK, question=said))) if len(alike) > 1 else one
    )


def _parts(path: Path, file: TableFile) -> Iterator[TableFile]:
    """A description for each sheet or table of a file that has some."""
    form = FORMATS[file.kind]
    with readers.named(str(path)):
        found = form.parts(path)
    for name, rows in found.items():
        alone = form.part == "sheet" and len(found) == 1
        header = {"header": header_line(rows)} if rows else {}
        yield file.model_copy(update={form.part: "" if alone else name} | header)
    if not form.part:
        yield file


def read(path: Path, file: TableFile, rows: int = MORE_ROWS) -> Look:
    """A look at a file in one pass and within bounds: its first rows, and more of the columns that
    need it.
    """
    opened = readers.rows_of(Piece(path.name, file, path))
    batches = (
        batch.slice(at, FIRST_ROWS)
        for batch in opened.batches(opened.header)
        for at in range(0, len(batch), FIRST_ROWS)
    )
    chunks = (_texts(batch, opened.header, path) for batch in batches)
    places, first = next((some for some in chunks if some[0]), ([], {}))
    look = {name: Column(name, first[name], places) for name in opened.header} if places else {}
    wanted = needs_more(look) if look else []
    more: dict[str, list[str]] = {name: [] for name in wanted}
    more_places: list[str] = []
    for further, texts in itertools.islice(chunks, rows // FIRST_ROWS) if wanted else ():
        more_places += further
        for name in wanted:
            more[name] += texts[name]
    return look | {
        name: replace(look[name], more=more[name], more_places=more_places) for name in wanted
    }


def _texts(batch: Any, header: Sequence[str], path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Where the rows with the right number of fields stand, and their texts by column."""
    whole = batch.filter(batch["fields"].is_null())
    columns = [
        [(text or "").strip() for text in column.to_pylist()] for column in whole.columns[2:]
    ]
    return [f"line {n} of {path.name}" for n in whole["line"].to_pylist()], dict(
        zip(header, columns, strict=True)
    )


# --- the form of a file
# -----------------------------------------------------------------------------------------------


def form_of(path: Path) -> tuple[TableFile, tuple[Entry, ...]]:
    """How a file is to be read, and what of that is asked."""
    begins = _first_bytes(path)
    form = formats.of_bytes(begins)
    if begins.startswith(b"<"):
        raise InputError(f"{path}: a web page; open it in Excel and save it as .xlsx")
    if form == "excel" and path.suffix.lower() not in (*FORMATS[form].endings, ".zip"):
        raise InputError(f"{path}: a workbook; rename it to .xlsx")
    if form == "excel" and zipfile.is_zipfile(path):
        names = zipfile.ZipFile(path).namelist()
        if not {"xl/workbook.xml", "xl/workbook.bin", "content.xml"} & set(names):
            raise InputError(f"{path}: a packed folder; unpack it and give the files in it")
    usual = TableFile.model_construct(path=[path.name], columns={})
    settings: dict[str, Any] = {} if usual.kind == form else {"format": form}
    asked: tuple[Entry, ...] = ()
    if form == "csv":
        encoding, asked = _encoding(path, begins)
        text = begins.decode(encoding, "ignore")
        separator = separator_of(text if len(begins) < HEAD_BYTES else text[: text.rfind("\n") + 1])
        settings |= {"format": "whitespace"} if separator == " " else {}
        settings |= (
            {}
            if separator in (" ", "\t" if ".tsv" in path.name.lower() else ",")
            else {"separator": separator}
        )
        settings |= {
            "header": header_line(_split(text, separator)),
            "encoding": encoding if asked else "",
        }
    return usual.model_copy(update=settings), asked


def _first_bytes(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            begins = file.read(HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: not readable: {error}") from None
    if not begins.strip():
        raise InputError(f"{path}: the file is empty; export it again")
    return begins


def _encoding(path: Path, begins: bytes) -> tuple[str, tuple[Entry, ...]]:
    """The encoding, and the question about it where it is not found by itself.

    Western text reads as Chinese without an error; what tells are single characters inside Latin
    words.
    """
    try:
        usual = text_files.encoding_of(path)
    except InputError:
        usual = ""
    chinese = begins.decode("gb18030", "ignore")
    inside = re.findall(
        f"(?<=[A-Za-z])[{HANZI}](?![{HANZI}])|(?<![{HANZI}])[{HANZI}](?=[A-Za-z])", chinese
    )
    if usual and (
        usual != "gb18030" or len(inside) <= 0.5 * len(re.findall(f"[{HANZI}]+", chinese))
    ):
        return usual, ()
    said = (
        f"not UTF-8; is it {WESTERN} (Western European){' or gb18030 (Chinese)' if usual else ''}?"
    )
    return WESTERN, (Entry("encoding", ASK, question=said),)


def separator_of(text: str) -> str:
    """What stands between the fields: what gives nearly all lines the same number of them."""
    widths = {s: [len(row) for row in _split(text, s) if any(row)] for s in SEPARATORS}
    usual = {s: max(set(found), key=found.count) for s, found in widths.items() if found}
    even = {s: widths[s].count(usual[s]) / len(widths[s]) for s in usual if usual[s] > 1}
    good = [s for s in even if even[s] >= 0.9 * max(even.values())]
    if not good:
        raise InputError(
            "only one column is seen; save it as CSV, with a separator between the columns"
        )
    return max(good, key=lambda s: (s != " ", usual[s], -SEPARATORS.index(s)))


def _split(text: str, separator: str) -> list[list[str]]:
    lines = io.StringIO(text, newline=None)
    rows = map(str.split, lines) if separator == " " else csv.reader(lines, delimiter=separator)
    try:
        return list(itertools.islice(rows, HEAD_ROWS))
    except csv.Error:
        return []


def header_line(rows: Sequence[Sequence[str]]) -> int:
    """The line of the column names: the first nearly as full as the others are; 0 where that is
    data already.
    """
    full = [sum(bool(cell.strip()) for cell in row) for row in rows]
    usual = max(filter(None, full), key=full.count, default=0)
    line = next(
        (n for n, filled in enumerate(full, start=1) if filled and filled >= 0.7 * usual), 1
    )
    first = rows[line - 1] if rows else ()
    data = any(
        value_formats(cell) or mark(cell) is not None or EMAIL.fullmatch(cell.strip())
        for cell in first
    )
    return 0 if data and line == 1 and not any(map(is_known, first)) else line


# --- putting files together
# -------------------------------------------------------------------------------------------


def _grouped(found: list[Found]) -> list[Found]:
    """Files of the same table, columns and form become one."""
    groups: dict[str, list[Found]] = {}
    for one in found:
        form = one.file.model_dump_json(exclude={"path"})
        groups.setdefault(f"{one.what.table} {form} {list(one.look)}", []).append(one)
    return [_merged(group) if len(group) > 1 else group[0] for group in groups.values()]


def _merged(group: list[Found]) -> Found:
    further = [{name for name, column in one.look.items() if column.more} for one in group]
    shared = set.intersection(*(names for names in further if names)) if any(further) else set()
    look = {
        name: _stacked([one.look[name] for one in group], name in shared) for name in group[0].look
    }
    return replace(
        group[0],
        paths=tuple(path for one in group for path in one.paths),
        look=look,
        what=recognise(look),
    )


def _stacked(columns: list[Column], further: bool) -> Column:
    parts = ("values", "places", *(("more", "more_places") if further else ()))
    return Column(
        columns[0].name, *([item for c in columns for item in getattr(c, part)] for part in parts)
    )


def _joined(found: list[Found]) -> list[Found]:
    """The customer column of the other tables is the one that holds the customers of the orders."""
    ids = frozenset(
        text
        for one in found
        if one.what.table == "transactions"
        for text in one.values("customer_id")
        if text
    )
    return [
        one if one.what.table == "transactions" or not ids else _joined_by(one, ids)
        for one in found
    ]


def _joined_by(one: Found, ids: frozenset[str]) -> Found:
    one = replace(one, what=recognise(one.look, ids))
    if "customer_id" not in one.what.meanings or ids & set(one.values("customer_id")):
        return one
    note = (
        f"none of the customers seen in the orders was seen in {one.what.meanings['customer_id']}"
    )
    return replace(one, what=replace(one.what, notes=[*one.what.notes, note]))


# --- the company ----------------------------------------------------------------------------------
# --------------------


def _currency(orders: list[Found]) -> Entry | None:
    """The currency that the orders are in, taken from the language of their columns where nothing
    else says it.
    """
    chinese = any(re.search(f"[{HANZI}]", name) for one in orders for name in one.look)
    home = {"¥": "CNY" if chinese else "", "$": "USD"} | {
        s: codes[0] for s, codes in SIGNS.items() if len(codes) == 1
    }
    found = {
        home.get(code, code): said for one in orders for code, said in _currencies_of(one).items()
    }
    if len(found) > 1:
        said = (
            f"money is in {', '.join(found)}: write the one of the reports, and under rates what"
            " one unit of the others is worth"
        )
        return Entry("currency", ASK, question=said)
    if "" in found:
        return Entry("currency", ASK, question=f"{found['']} may be {' or '.join(SIGNS['¥'])}")
    if not found and chinese:
        return Entry(
            "currency", "CNY", "since the columns have Chinese names; no currency was seen"
        )
    return next((Entry("currency", code, said) for code, said in found.items()), None)


def _currencies_of(one: Found) -> dict[str, str]:
    """Codes and signs of currencies, in a column of their own, in the money, or in the name of its
    column; and where.
    """
    found = {
        text.upper(): "by its column"
        for text in one.values("currency")
        if re.fullmatch("[A-Za-z]{3}", text)
    }
    for name in filter(None, map(one.what.meanings.get, ("amount", "unit_price"))):
        words = [
            CURRENCY_NAMES.get(word, word.upper()) for word in re.split(r"[\W_]+", name.lower())
        ]
        found |= {word: f"by {name}" for word in words if word in CODES}
        for text in one.look[name].counts:
            signs = [
                *(sign for sign in SIGNS if sign in text.upper().replace("￥", "¥")),
                *re.findall(r"\b[A-Z]{3}\b", text),
            ]
            found |= {sign: f"{sign} in {name}" for sign in signs}
    return found


def _time_zone(found: list[Found]) -> Entry | None:
    """Days are cut in a zone where moments are given from UTC; where clock times are given they are
    taken as they are.
    """
    for one in found:
        form = next((str(e.value) for e in one.what.date_format if e.key == "date"), "")
        offset = form == "iso" and any(
            re.search(r":\d\d.*([+-]\d\d(:?\d\d)?|Z)$", text) for text in one.values("date")
        )
        if offset or "%z" in form or form.startswith("epoch"):
            said = (
                f"{one.what.meanings['date']} is given from UTC; where do days begin, as"
                " Asia/Shanghai or Europe/Berlin?"
            )
            return Entry("time_zone", ASK, question=said)
    return None


# --- writing --------------------------------------------------------------------------------------
# --------------------


def _block(one: Found, folder: Path) -> list[str]:
    """The lines of one file description."""
    paths = [
        os.path.relpath(path.resolve(), folder.resolve()).replace(os.sep, "/") for path in one.paths
    ]
    form = {
        key: value
        for key in ("format", "encoding", "separator", "sheet", "table")
        if (value := getattr(one.file, key))
    }
    form |= {"header": one.file.header} if one.file.header != 1 else {}
    asked = {entry.key: entry for entry in one.asked}
    what = one.what
    lines = _lines(
        [
            Entry("path", paths if len(paths) > 1 else paths[0]),
            *(asked.get(k, Entry(k, v)) for k, v in form.items()),
        ]
    )
    for name, entries in (
        ("columns", what.columns),
        ("attributes", what.attributes),
        ("date_format", what.date_format),
    ):
        lines += [f"{name}:", *(f"  {line}" for line in _lines(entries))] if entries else []
    return [
        *lines,
        *_lines(what.marks),
        *([_comment(f"not used: {', '.join(what.unused)}")] if what.unused else []),
    ]


def _no_orders() -> list[str]:
    path = Entry("path", ASK, question="where are the orders? None of these files holds them")
    needed = {
        name: meaning for name, meaning in RECORDS["transactions"].columns.items() if meaning.needed
    }
    columns = [
        Entry(name, ASK, question=f"which column of the orders is {meaning.words}?")
        for name, meaning in needed.items()
    ]
    return [
        "transactions:",
        *(f"  {line}" for line in _lines([path])),
        "  columns:",
        *(f"    {line}" for line in _lines(columns)),
    ]


def _item(block: list[str]) -> list[str]:
    return [f"- {block[0]}", *(f"  {line}" for line in block[1:])]


def _lines(entries: Iterable[Entry]) -> list[str]:
    lines = []
    for entry in entries:
        lines += [_comment(f"QUESTION: {entry.key}: {entry.question}")] if entry.question else []
        value = json.dumps(ASK) if entry.question or entry.value == ASK else _flow(entry.value)
        lines += [
            f"{_flow(entry.key)}: {value}"
            + (f"  {_comment(entry.comment)}" if entry.comment else "")
        ]
    return lines


def _comment(text: str) -> str:
    return f"# {_printable(text)}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _flow(value: Any) -> str:
    """A value on one line, in quotes where YAML needs them."""
    text = yaml.safe_dump(
        [value], default_flow_style=True, allow_unicode=True, width=1_000_000, sort_keys=False
    )
    return text.strip()[1:-1]


# --- the reference of all keys
# ----------------------------------------------------------------------------------------


def reference() -> str:
    """Every key of the dataset file with its default, meaning and type, as comments of a YAML text."""
    lines = ["Every key of a dataset file, with its default.", *_keys(Dataset)]
    description = "A description of files, as tables.transactions holds one or a list of them:"
    lines += [
        "",
        "In tables:",
        *_keys(Tables),
        "",
        description,
        *_keys(TableFile),
        "",
        "In its returns:",
        *_keys(Returns),
    ]
    for table, records in RECORDS.items():
        lines += [
            "",
            (
                f"In columns of tables.{table}, where {records.row} is a row (our column: the"
                " file's column):"
            ),
        ]
        lines += [f"  {name}:  # {_words(meaning)}" for name, meaning in records.columns.items()]
    return "".join(_comment(line).rstrip() + "\n" for line in lines)


def _words(meaning: Meaning) -> str:
    more = {
        "needed": meaning.needed,
        "a person's, never shown": meaning.person,
        "serves to make others": meaning.read_only,
    }
    return (
        f"{meaning.words}"
        f" ({', '.join([meaning.reads_as, *(word for word, holds in more.items() if holds)])})"
    )


def _keys(model: type[BaseModel]) -> list[str]:
    return [
        f"  {_key(model, name)}" for name, spec in model.model_fields.items() if not spec.exclude
    ]


def _key(model: type[BaseModel], name: str) -> str:
    spec = model.model_fields[name]
    default = spec.get_default(call_default_factory=True)
    plain = default.model_dump() if isinstance(default, BaseModel) else default
    value = "" if plain in (PydanticUndefined, None, "") else f" {_flow(plain)}"
    needed = ", needed" if spec.is_required() else ""
    return (
        f"{name}:{value}  # {spec.description or 'the files of records'}"
        f" ({_type(spec.annotation)}{needed})"
    )


def _type(annotation: Any) -> str:
    """A type in words."""
    origin, inside = (
        get_origin(annotation),
        [_type(a) for a in get_args(annotation) if a is not type(None)],
    )
    if origin is Annotated:
        return inside[0]
    if origin is None:
        return TYPES.get(
            annotation, "keys, see below" if isinstance(annotation, type) else str(annotation)
        )
    if origin in (list, tuple):
        return f"list of {inside[0]}"
    return f"{inside[0]}: {inside[1]}" if origin is dict else " or ".join(dict.fromkeys(inside))
