"""`init`: looks at a company's files and writes the dataset file, with what was seen and the
questions left open.
"""

import itertools
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import InputError
from analysis.intake import layouts, readers, store
from analysis.intake.column_matching import masked_ids
from analysis.intake.column_names import says
from analysis.intake.columns import SEVERAL, Choice, Column, Entry, Look
from analysis.intake.company import Ask, Found, company_entries
from analysis.intake.customer_ids import JOINED, with_full_names
from analysis.intake.dataset import NAME, Dataset, questions_in
from analysis.intake.dataset_text import comment, indented, key_line, lines_of, printable
from analysis.intake.file_form import form_of, parts_of
from analysis.intake.recognition import Recognition, answered, recognise
from analysis.intake.rows import Piece
from analysis.intake.table_files import TableFile
from analysis.intake.value_formats import ASK, Place
from analysis.report.text import N_, say
from analysis.schema import RECORDS

# That are read of a file, and of all, since what is rare decides, as a day above 12
MOST_ROWS, ALL_ROWS = 200_000, 1_000_000
# Keys that are written as comments, with their defaults
KEYS = "title, language, currency, time_zone, horizon_days, margin, max_staleness_days"
OPTIONAL = KEYS.split(", ")
TYPED = ("excel", "sqlite", "duckdb", "parquet", "json")  # that keep numbers beside texts
FORM = ("format", "encoding", "separator", "sheet", "table")


def init(
    paths: Sequence[Path],
    name: str,
    folder: Path,
    ask: Ask | None = None,
    language: str = "en",
) -> tuple[Path, list[str]]:
    """Write folder/name.yml from a look at files; returns it, and what was found, noted and asked
    as lines for the screen. `ask` answers questions; without it they are written as ?.

    Without a name the first file's is taken. Raises InputError for a name that is no name,
    for a dataset file that is there already, for a file that is no table, and for a language that
    there is not.
    """
    say.speak(language, say.currency)
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
    text, lines = describe(paths, folder, ask)
    folder.mkdir(parents=True, exist_ok=True)
    with target.open("x", encoding="utf-8") as file:
        file.write(text)
    return target, lines


def name_of(path: Path) -> str:
    """A dataset's name from a file's."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", path.name.split(".")[0]).strip("_-") or "dataset"


def describe(paths: Sequence[Path], folder: Path, ask: Ask | None = None) -> tuple[str, list[str]]:
    """The text of a dataset file for some files, and what was found, noted and asked."""
    store.check_twice([path for path in paths if path.is_file()])
    rows = min(MOST_ROWS, ALL_ROWS // len(paths))
    every = _grouped([one for path in dict.fromkeys(paths) for one in look_at(path, rows)])
    every.sort(key=lambda one: list(RECORDS).index(one.what.table))
    usable = [one for one in every if not one.what.lacking] or every
    _check_layouts(usable)
    _check_customers(usable)
    if ask:  # the customers of the orders tell those of the others
        orders = [one for one in usable if one.what.table == "transactions"]
        every = [_answered(one, ask, rows) if one in orders else one for one in every]
    every = _joined(every)
    found = [one for one in every if not one.what.lacking] or every
    left_out = [
        say(
            "left out: {file:text}, most like {table:text}: {why:text}",
            file=one.name,
            table=one.what.table,
            why=one.what.lacking,
        )
        for one in every
        if one not in found
    ]
    if ask:
        found = [_answered(one, ask, rows) for one in found]
    lines = _text(found, left_out, folder, ask)
    said = [
        say(
            "{file:text}: {table:text} with {columns:text}",
            file=one.name,
            table=one.what.table,
            columns=", ".join(one.what.meanings) or say("no known column"),
        )
        for one in found
    ]
    said += left_out
    for one in found:
        notes = [entry.doubt for entry in one.asked if entry.doubt]
        said += [noted(one.name, note) for note in (*notes, *one.what.notes)]
    text = "\n".join(lines) + "\n"
    for question, *answers in filter(None, questions_in(text)):
        said += [asked(question), *(f"  {answer}" for answer in answers)]
    return text, list(map(printable, said))


def noted(name: str, note: str) -> str:
    """What is worth a second look of a file, as a line for the screen."""
    return say("note: {file:text}: {note:text}", file=name, note=note)


def asked(question: str) -> str:
    """A question as a line for the screen."""
    return say("question: {question:text}", question=question)


def _check_layouts(found: list[Found]) -> None:
    """Refuse (InputError) files of which none holds orders, where their layout says why."""
    orders = [one for one in found if one.what.table == "transactions"]
    faults = {one.name: layouts.fault(one.look) for one in found}
    if not any(_has_orders(one) or not faults[one.name] for one in orders) and (
        known := [f"{name}: {fault}" for name, fault in faults.items() if fault]
    ):
        raise InputError("; ".join(known))


def _check_customers(found: list[Found]) -> None:
    """Refuse (InputError) orders of which no column can tell the customer."""
    for one in found if found[0].what.table == "transactions" else ():
        for entry in one.what.columns:
            if entry.key == "customer_id" and [choice.keys for choice in entry.choices] == [{}]:
                reason = masked_ids(one.what.table, one.look.values())
                raise InputError(
                    f"{one.name}: {reason or 'no column identifies a customer'}; export it with the"
                    " customers' numbers whole, as text"
                )


def _has_orders(one: Found) -> bool:
    """Whether names say who bought when, and for how much."""
    money = [e for e in one.what.columns if e.key in ("amount", "unit_price")]
    return one.what.sure and any(not e.question and not e.doubt for e in money)


# --- looking at files


def look_at(path: Path, rows: int) -> list[Found]:
    """What a file holds: one table, or those of a workbook's sheets or a database's tables that are
    known ones. A sheet or table that cannot be read is none where there are several.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    found, faults = [], []
    try:
        file, asked = form_of(path)
        for part in parts_of(path, file):
            try:
                if look := read(path, part, rows):
                    look, what = _with_names(*_with_numbers(path, part, look, rows))
                    found.append(Found((path,), part, asked, look, what))
            except InputError as error:
                faults.append(error)
        if faults and not found:
            raise faults[0]
    except InputError as error:
        raise InputError(str(error) if path.name in str(error) else f"{path}: {error}") from None
    if not found:
        raise InputError(f"{path}: no rows below the header; export it again")
    if len(found) == 1:
        return found
    by_table: dict[str, list[Found]] = {}
    for one in found:
        if one.what.sure:
            by_table.setdefault(one.what.table, []).append(one)
    return list(map(_of_parts, by_table.values())) or [_of_parts(found)]


def _with_numbers(path: Path, part: TableFile, look: Look, rows: int) -> tuple[Look, Recognition]:
    """A look and what it is. Where texts have a decimal comma the numbers beside them, which have
    no mark of their own, are looked at as written so.
    """
    what = recognise(look)
    if part.kind not in TYPED or not any(e.key == "decimal" and e.question for e in what.marks):
        return look, what
    other = read(path, part.model_copy(update={"decimal": ","}), rows)
    again = recognise(other)
    settled = [e.value for e in again.marks if e.key == "decimal" and not e.question]
    return (other, again) if settled else (look, what)


def _with_names(look: Look, what: Recognition) -> tuple[Look, Recognition]:
    """A look and what it is, with full names where they may tell the customer or are shown."""
    buyer = [entry for entry in what.columns if entry.key == "customer_id"]
    open_ = any(not choice.keys for entry in buyer for choice in entry.choices)
    if not open_ and what.table != "customers":
        return look, what
    full = with_full_names(look)
    return full, what if full is look else recognise(full)


def _of_parts(alike: list[Found]) -> Found:
    """The description of a sheet or table. If others could be meant as well, sheets of one layout
    that do not repeat each other are read as one; else it is asked.
    """
    one = alike[0]
    if len(alike) == 1:
        return one
    key = "sheet" if one.file.sheet else "table"
    layouts = Counter((other.file.header, *other.look) for other in alike)
    layout, most = layouts.most_common(1)[0]
    same = [other for other in alike if (other.file.header, *other.look) == layout]
    repeated = _repeated(same) if key == "sheet" and most > 1 else ""
    choices = [Choice(other.part, {key: other.part}) for other in alike]
    if key == "sheet" and most > 1:
        words = say(
            "all {n:int} sheets of one layout: {first:text} to {last:text}",
            n=most,
            first=same[0].part,
            last=same[-1].part,
        )
        choices.insert(len(choices) if repeated else 0, Choice(words, {"sheet": "*"}))
        if most == len(alike) and not repeated and one.what.sure:
            look = {c: Column.joined([other.look[c] for other in same]) for c in one.look}
            entry = Entry("sheet", "*", doubt=say("{sheets:text} are read as one", sheets=words))
            file = one.file.model_copy(update={"sheet": "*"})
            return replace(
                one, file=file, asked=[*one.asked, entry], look=look, what=recognise(look)
            )
    question = say(
        "which sheet holds the {table:text}: {names:text}?"
        if key == "sheet"
        else "which table holds the {table:text}: {names:text}?",
        table=one.what.table,
        names=", ".join(other.part for other in alike),
    )
    question = " ".join(filter(None, (question, repeated)))
    return replace(one, asked=[*one.asked, Entry(key, ASK, question=question, choices=(*choices,))])


def _repeated(sheets: list[Found]) -> str:
    """Which sheet holds rows that stand in others, as a list of all does; nothing where none."""
    rows = [
        list(zip(*(column.texts for column in one.look.values()), strict=True)) for one in sheets
    ]
    standing = Counter(row for some in rows for row in set(some))
    for one, some in zip(sheets, rows, strict=True):
        again = sum(standing[row] > 1 for row in some)
        if again > len(some) / 2 and len(some) >= SEVERAL:
            return say(
                "{n:int} of {all:int} rows of {part:text} stand in others, too",
                n=again,
                all=len(some),
                part=one.part,
            )
    return ""


def read(path: Path, file: TableFile, rows: int = MOST_ROWS) -> Look:
    """A look at the first rows of a file or all its sheets that are meant, those with the right
    number of fields.
    """
    looks = [_read(piece, path, rows) for piece in readers.pieces_of(path, file)]
    first = looks[0]
    some = [one for one in looks if one.keys() == first.keys()]
    return {c: Column.joined([one[c] for one in some]) for c in first} if some[1:] else first


def _read(piece: Piece, path: Path, rows: int) -> Look:
    name = f"{path.name}:{piece.file.sheet}" if piece.file.sheet else path.name
    opened = readers.rows_of(replace(piece, name=path.name))
    cells: dict[str, list[pa.Array]] = {name: [] for name in opened.header}
    places: list[Place] = []
    for batch in opened.batches(range(len(opened.header))):
        whole = batch.filter(batch["fields"].is_null()).slice(0, rows - len(places))
        places += zip(whole["line"].to_pylist(), itertools.repeat(name))
        for column_name, column in zip(opened.header, whole.columns[2:], strict=True):
            cells[column_name].append(pc.utf8_trim_whitespace(pc.fill_null(column, "")))
        if len(places) >= rows:
            break
    return {one: Column(one, pa.chunked_array(cells[one]), places) for one in cells if places}


# --- putting files together


def _grouped(found: list[Found]) -> list[Found]:
    """Files of the same table, columns and form become one."""
    groups: dict[str, list[Found]] = {}
    for one in found:
        form = one.file.model_dump_json(exclude={"path"})
        kind = f"{one.what.table} {says(one.paths[0].name, 'refund_files')}"
        groups.setdefault(f"{kind} {form} {list(one.look)}", []).append(one)
    for name, group in groups.items():
        first, *more = group
        if more:
            paths = tuple(path for one in group for path in one.paths)
            look = {c: Column.joined([one.look[c] for one in group]) for c in first.look}
            groups[name] = [replace(first, paths=paths, look=look, what=recognise(look))]
    return [one for (one,) in groups.values()]


def _joined(found: list[Found]) -> list[Found]:
    """The customer column of the other tables is the one that holds the customers of the orders."""
    orders = [one for one in found if one.what.table == "transactions"]
    ids = frozenset(text for one in orders for text in one.values("customer_id") if text)
    if not ids:
        return found
    others = [replace(one, ids=ids) for one in found if one not in orders]
    if any(JOINED in one.what.meanings.get("customer_id", "") for one in orders):
        others = [replace(one, look=with_full_names(one.look)) for one in others]
    others = [replace(one, what=recognise(one.look, ids)) for one in others]
    for one in others:
        column = one.what.meanings.get("customer_id")
        if column and not ids.intersection(one.values("customer_id")):
            note = N_("none of the customers seen in the orders was seen in {column:text}")
            one.what.notes.append(say(note, column=column))
    return orders + others


def _answered(one: Found, ask: Ask, rows: int) -> Found:
    """The files with their questions answered; an answer may raise the next one."""
    answers: dict[tuple[str, str], dict[str, Any]] = {}
    while open_ := [(p, e) for p, e in one.questions if (p, e.key) not in answers]:
        place, entry = open_[0]
        number = ask(f"{one.name}: {entry.question}", [choice.words for choice in entry.choices])
        answers[place, entry.key] = keys = entry.choices[number].keys
        if place == "form":
            file = one.file.model_copy(update=keys)
            asked = answered(one.asked, "form", answers)
            named = file.model_copy(update={"columns": {name: name for name in one.look}})
            look = read(one.paths[0], named, rows) if len(one.paths) == 1 else one.look
            one = replace(one, file=file, asked=asked, look=look)
        one = replace(one, what=recognise(one.look, one.ids, answers))
    return one


# --- writing


def _text(found: list[Found], left_out: list[str], folder: Path, ask: Ask | None) -> list[str]:
    """The lines of the dataset file."""
    names = ", ".join(one.name for one in found)
    orders = [one for one in found if one.what.table == "transactions"]
    spoken = [] if say.language == "en" else [Entry("language", say.language)]
    top = [*spoken, *company_entries(found, ask)]
    asked = {entry.key for entry in top}
    lines = [
        comment(
            say("Written from {files:text}. Correct what is wrong, and answer each ?.", files=names)
        ),
        comment(say("Every key there is: customer-matrix check --keys")),
        *lines_of(top),
        *(comment(key_line(Dataset, name)) for name in OPTIONAL if name not in asked),
        *map(comment, left_out),
        "tables:",
    ]
    for table, records in RECORDS.items():
        blocks = [_block(one, folder) for one in found if one.what.table == table]
        row = comment(say("{what:text} a row", what=say(records.row)))
        lines += [f"  {table}:  {row}"] if blocks else []
        for block in blocks:
            item = [f"- {block[0]}", *indented(block[1:])] if len(blocks) > 1 else block
            lines += indented(item, 2)
    return lines if orders else [*lines, *indented(_no_orders())]


def _block(one: Found, folder: Path) -> list[str]:
    """The lines of one file description."""
    base, what = folder.resolve(), one.what
    paths = [os.path.relpath(path.resolve(), base).replace(os.sep, "/") for path in one.paths]
    form = {key: value for key in FORM if (value := getattr(one.file, key))}
    form |= {"header": one.file.header} if one.file.header != 1 else {}
    asked = {entry.key: entry for entry in one.asked}
    entries = [asked.get(key, Entry(key, value)) for key, value in form.items()]
    lines = lines_of([Entry("path", paths if len(paths) > 1 else paths[0]), *entries])
    for name in ("columns", "attributes", "date_format"):
        if entries := getattr(what, name):
            lines += [f"{name}:", *indented(lines_of(entries))]
    lines += lines_of(what.marks)
    if what.unused:
        lines.append(comment(say("not used: {columns:text}", columns=", ".join(what.unused))))
    return lines


def _no_orders() -> list[str]:
    """The lines that ask for the orders."""
    where = say("where are the orders? None of these files holds them")
    which = N_("which column of the orders is {words:text}?")
    columns = [
        Entry(name, ASK, question=say(which, words=say(meaning.words)))
        for name, meaning in RECORDS["transactions"].columns.items()
        if meaning.needed
    ]
    path = lines_of([Entry("path", ASK, question=where)])
    below = [*path, "columns:", *indented(lines_of(columns))]
    return ["transactions:", *indented(below)]
