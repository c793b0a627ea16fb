"""The messages of reports, collected from where they stand, and the catalogues of translations.

    python -m analysis.report.catalogues            refresh every catalogue, keeping translations
    python -m analysis.report.catalogues --new zh   begin one

A message is a literal in one of the calls below, a text cell of a notebook, a text of the schema or
a sentence of a template. Playbooks hold their own languages.
"""

import argparse
import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment
from jinja2.ext import extract_from_ast

from analysis import schema
from analysis.files import ROOT
from analysis.report import text
from analysis.report.text import LOCALE

PACKAGE = ROOT / "src" / "analysis"
COMPLETE: tuple[str, ...] = ()  # languages of which a message that is missing fails the tests
SENTENCES = ("say", "N_", "finding", "caveat", "translated")  # the text, and perhaps its plural
SECOND = ("figure", "table")  # the text comes second
ENTRIES = ("Texts", "chart")  # all their texts are messages

Found = tuple[str, str, str]  # a message, its plural or nothing, and where it stands


def extracted(root: Path = ROOT) -> Catalog:
    """All messages, with the files they stand in."""
    catalogue = Catalog(project="customer-matrix")
    for one, many, where in _everywhere(root):
        catalogue.add((one, many) if many else one, locations=[(where, 0)])
    return catalogue


def _everywhere(root: Path) -> Iterator[Found]:
    for path in sorted((root / "src" / "analysis").rglob("*.py")):
        yield from _in_code(path.read_text("utf-8"), path.relative_to(root).as_posix())
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        where = path.relative_to(root).as_posix()
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                yield cell.source, "", where
            else:
                yield from _in_code(cell.source, where)
    for path in sorted((root / "src" / "analysis").rglob("*.j2")):
        tree = Environment().parse(path.read_text("utf-8"))
        for _, _, said in extract_from_ast(tree, ("say",), babel_style=False):
            yield (
                str(said if isinstance(said, str) else said[0]),
                "",
                path.relative_to(root).as_posix(),
            )
    shown = [heading for heading, _ in schema.SHOWN.values()]
    for one in [*shown, *schema.LABELS.values(), *schema.FIELDS.values()]:
        yield one, "", "src/analysis/schema.py"


def _in_code(source: str, where: str) -> Iterator[Found]:
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        for one, many in _of(call):
            if one:
                yield one, many, where


def _of(call: ast.Call) -> Iterable[tuple[str, str]]:
    """The messages of one call, with their plurals."""
    name = ast.unparse(call.func).rpartition(".")[2]
    if name in SENTENCES and call.args:
        ones, many = _literals(call.args[0]), _literals(call.args[1]) if call.args[1:] else []
        return zip(ones, many if len(many) == len(ones) else [""] * len(ones), strict=True)
    if name in SECOND and len(call.args) > 1:
        return [(one, "") for one in _literals(call.args[1])]
    if name == "cards":
        labels = [k.value.elts[0] for k in call.keywords if isinstance(k.value, ast.Tuple)]
        return [(one, "") for label in labels for one in _literals(label)]
    if name in ENTRIES:
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        return [(one, "") for value in values for one in _literals(value)]
    return []


def _literals(node: ast.AST) -> list[str]:
    """The texts that an expression may be: a literal, either side of a condition, values of a
    dictionary.
    """
    match node:
        case ast.Constant(value=str(said)):
            return [said]
        case ast.IfExp(body=body, orelse=orelse):
            return [*_literals(body), *_literals(orelse)]
        case ast.Dict(values=values):
            return [one for value in values for one in _literals(value)]
        case ast.BinOp(left=left, right=right, op=ast.BitOr()):
            return [*_literals(left), *_literals(right)]
    return []


def problems(messages: Catalog, translated: Catalog) -> list[str]:
    """What a translation lacks, has too much, or says with other values than the English text."""
    known = {message.id: message for message in translated if message.id}
    asked = {message.id: message for message in messages if message.id}
    found = [f"missing: {key}" for key in asked if not _is_said(known.get(key))]
    found += [f"unused: {key}" for key in known.keys() - asked.keys()]
    for key in asked.keys() & known.keys():
        found += _ill_formed(known[key], translated.num_plurals)
    return sorted(map(str, found))


def _is_said(message: Message | None) -> bool:
    return message is not None and not message.fuzzy and all(_forms(message.string))


def _forms(said: Any) -> tuple[str, ...]:
    return (said or "",) if said is None or isinstance(said, str) else tuple(said)


def _ill_formed(message: Message, plurals: int) -> list[str]:
    ids, strings = _forms(message.id), [said for said in _forms(message.string) if said]
    allowed = [text.values_in(one) for one in ids]
    every, always = set().union(*allowed), set(allowed[0]).intersection(*allowed)
    found = []
    if strings and len(strings) != (plurals if len(ids) > 1 else 1):
        found.append(f"{len(strings)} plurals instead of {plurals}: {ids[0]}")
    for said in strings:
        try:
            used = text.values_in(said)
        except ValueError:
            used = {("braces", "")}
        if not always <= used <= every:
            odd = ", ".join(f"{{{name}:{form}}}" for name, form in used ^ every)
            found.append(f"other values ({odd}): {ids[0]}")
    return found


def refresh(language: str, folder: Path = LOCALE, begin: bool = False) -> Path:
    """Write the catalogue of a language with all messages of today, keeping its translations."""
    path = folder / language.replace("-", "_") / "LC_MESSAGES" / "messages.po"
    if begin and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        catalogue = Catalog(language.replace("-", "_"), project="customer-matrix", fuzzy=False)
    else:
        with path.open("rb") as file:
            catalogue = read_po(file, language.replace("-", "_"))
    catalogue.update(extracted(), no_fuzzy_matching=True, keep_user_comments=True)
    catalogue.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalogue, width=100, include_lineno=False, sort_output=True)
    return path


def main() -> None:
    """Refresh every catalogue, and begin those named."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report.catalogues")
    parser.add_argument("--new", default="", metavar="LANGUAGE", help="begin a catalogue, as zh")
    new = parser.parse_args().new
    there = [path.parts[-3] for path in LOCALE.glob("*/LC_MESSAGES/messages.po")]
    for language in sorted({*there, new} - {""}):
        print(refresh(language, begin=language == new))


if __name__ == "__main__":
    main()
