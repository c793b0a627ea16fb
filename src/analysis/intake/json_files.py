"""JSON: a list of flat objects, alone or under one key, or an object a line."""

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from analysis.errors import InputError
from analysis.intake.rows import MEGABYTE, Piece, Row, Rows, opened

Decode = Callable[[str], Any]
FLAT = "export as CSV, or as a list of objects without lists inside"
MOST_MEGABYTES = 500  # all of it is held at once


def read(piece: Piece) -> Rows:
    """The objects of a JSON file as rows, numbered as they stand; numbers as they are written."""
    decode = _decoder(piece.file.decimal)
    records = [(number, _flat(one)) for number, one in _objects(_text(piece), decode)]
    header = list(dict.fromkeys(itertools.chain.from_iterable(one for _, one in records)))
    rows: Iterator[Row] = (
        (number, [one.get(name, "") for name in header]) for number, one in records
    )
    return opened(header, rows)


def _text(piece: Piece) -> str:
    most = MOST_MEGABYTES * MEGABYTE
    try:
        packed = piece.path.suffix.lower() == ".gz"
        with gzip.open(piece.path) if packed else piece.path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, EOFError) as error:
        raise InputError(f"not readable: {error}") from None
    if len(content) > most:
        raise InputError(f"JSON of more than {MOST_MEGABYTES} MB; export as CSV")
    try:
        return content.decode(
            "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        )
    except UnicodeDecodeError:
        raise InputError("JSON that is not UTF-8; save it as UTF-8") from None


def _decoder(decimal: str) -> Decode:
    """Of numbers as they are written, with the decimal mark that the texts have."""
    read = json.JSONDecoder(
        parse_float=lambda number: number.replace(".", decimal),
        parse_int=str,
        parse_constant=lambda word: "",
    )
    return read.decode


def _objects(text: str, decode: Decode) -> Iterator[tuple[int, Any]]:
    """The objects with their numbers, or those of lines with the lines' numbers."""
    try:
        whole = decode(text)
    except json.JSONDecodeError as error:
        if "Extra data" not in error.msg:
            raise InputError(f"line {error.lineno}: no JSON ({error.msg}); export again") from None
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield number, _of_line(line, number, decode)
        return
    if isinstance(whole, dict):
        lists = {key: some for key, some in whole.items() if isinstance(some, list)}
        if len(lists) > 1:
            raise InputError(f"JSON with several lists ({', '.join(lists)}); {FLAT}")
        whole = next(iter(lists.values()), [whole])
    yield from enumerate(whole if isinstance(whole, list) else [whole], start=1)


def _of_line(line: str, number: int, decode: Decode) -> Any:
    try:
        return decode(line)
    except json.JSONDecodeError as error:
        raise InputError(f"line {number}: no JSON ({error.msg}); export again") from None


def _flat(one: Any, above: str = "") -> dict[str, str]:
    """An object's values as texts, those of an object inside it as address.city."""
    if not isinstance(one, dict):
        raise InputError(f"JSON of other things than objects; {FLAT}")
    found: dict[str, str] = {}
    for key, value in one.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            found |= _flat(value, f"{name}.")
        elif isinstance(value, list):
            if any(isinstance(inside, (dict, list)) for inside in value):
                raise InputError(f"JSON whose objects hold lists of others ({name}); {FLAT}")
            found[name] = ", ".join(map(_word, value))
        else:
            found[name] = _word(value)
    return found


def _word(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
