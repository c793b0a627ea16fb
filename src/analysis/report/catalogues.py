"""The messages of reports, collected from where they stand, and the catalogues of translations.

    python -m analysis.report.catalogues            refresh every catalogue, keeping translations
    python -m analysis.report.catalogues --new zh   begin one

A message is a literal in one of the calls below, a text cell of a notebook, a text of the schema,
the meaning of a key of the dataset file or a sentence of a template. Playbooks hold their own
languages.
"""

import argparse
import ast
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment
from jinja2.ext import extract_from_ast

from analysis import schema
from analysis.files import ROOT
from analysis.report.page import is_for_analysts
from analysis.report.text import LOCALE, languages

# Calls whose texts are messages: the first (and its plural, the second), the second, or every one.
SENTENCES = ("say", "N_", "finding", "caveat", "translated")
SECOND = ("figure", "table")

Found = tuple[str, str, str]  # a message, its plural or nothing, and where it stands


def extracted(root: Path = ROOT) -> Catalog:
    """All messages, with the files they stand in."""
    catalogue = Catalog(project="customer-matrix")
    for one, many, where in _everywhere(root):
        catalogue.add((one, many) if many else one, locations=[(where, 0)])
    return catalogue


def _everywhere(root: Path) -> Iterator[Found]:
    package = root / "src" / "analysis"
    for path in [*sorted(package.rglob("*.py")), *sorted((root / "notebooks").glob("*.ipynb"))]:
        where, content = path.relative_to(root).as_posix(), path.read_text("utf-8")
        sources = [content]
        if path.suffix == ".ipynb":
            cells = nbformat.reads(content, as_version=4).cells
            told = (c for c in cells if c.cell_type == "markdown" and not is_for_analysts(c))
            yield from ((cell.source, "", where) for cell in told)
            sources = [c.source for c in cells if c.cell_type == "code"]
        for node in (node for source in sources for node in ast.walk(ast.parse(source))):
            if isinstance(node, ast.Call):
                yield from ((one, many, where) for one, many in _of(node) if one)
            elif isinstance(node, ast.ClassDef) and "Strict" in map(ast.unparse, node.bases):
                yield from ((one, "", where) for one in _meanings(node))
    for path in sorted(package.rglob("*.j2")):
        tree = Environment().parse(path.read_text("utf-8"))
        for _, _, said in extract_from_ast(tree, ("say",), babel_style=False):
            assert isinstance(said, tuple)  # but in babel's style
            yield str(said[0]), "", path.relative_to(root).as_posix()
    shown = [heading for heading, _ in schema.SHOWN.values()]
    for records in schema.RECORDS.values():
        meanings = records.columns.values()
        shown += [records.row, *(m.words for m in meanings), *(m.reads_as for m in meanings)]
    for one in [*shown, *schema.LABELS.values(), *schema.FIELDS.values()]:
        yield one, "", "src/analysis/schema.yml"


def _of(call: ast.Call) -> Iterable[tuple[str, str]]:
    """The messages of one call, with their plurals."""
    name, keywords = ast.unparse(call.func).rpartition(".")[2], [k.value for k in call.keywords]
    if name in SENTENCES and call.args:
        ones, many = (_literals(call.args[n : n + 1]) for n in (0, 1))
        return zip(ones, many if len(many) == len(ones) else [""] * len(ones), strict=True)
    said: list[ast.expr] = []
    if name in SECOND:
        said = call.args[1:2]
    elif name == "cards":
        said = [value.elts[0] for value in keywords if isinstance(value, ast.Tuple)]
    elif name == "chart":
        said = [*call.args, *keywords]
    return [(one, "") for one in _literals(said)]


def _meanings(settings: ast.ClassDef) -> Iterable[str]:
    """What stands below the keys of a part of the dataset file, on one line."""
    pairs = itertools.pairwise(settings.body)
    below = [text for key, text in pairs if isinstance(key, ast.AnnAssign)]
    values = _literals(text.value for text in below if isinstance(text, ast.Expr))
    return [" ".join(text.split()) for text in values]


def _literals(nodes: Iterable[ast.expr]) -> list[str]:
    """The texts that expressions may be: a literal, or either side of a condition."""
    found: list[str] = []
    for node in nodes:
        if isinstance(node, ast.IfExp):
            found += _literals([node.body, node.orelse])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value)
    return found


def refresh(language: str, folder: Path = LOCALE, begin: bool = False) -> Path:
    """Write the catalogue of a language with all messages of today, keeping its translations."""
    locale = language.replace("-", "_")
    path = folder / locale / "LC_MESSAGES" / "messages.po"
    if begin and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        catalogue = Catalog(locale, project="customer-matrix", fuzzy=False)
    else:
        with path.open("rb") as file:
            catalogue = read_po(file, locale)
    catalogue.update(extracted(), no_fuzzy_matching=True, keep_user_comments=True)
    catalogue.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalogue, width=100, include_lineno=False, sort_output=True)
    return path


def main() -> None:
    """Refresh every catalogue, and begin the one named."""
    parser = argparse.ArgumentParser(prog="python -m analysis.report.catalogues")
    parser.add_argument("--new", default="", metavar="LANGUAGE", help="begin a catalogue, as zh")
    new = parser.parse_args().new
    for language in sorted({*languages(), new} - {"", "en"}):
        print(refresh(language, begin=language == new))


if __name__ == "__main__":
    main()
