"""Files of orders, as they are read."""

import csv
import json

import pytest

from analysis.intake import init, readers
from tests.intake.reading import COLUMNS, lines


@pytest.fixture(scope="module")
def read(shop):
    """The rows of a file of orders as they stream."""

    def rows(content, **table):
        found = shop(content, **table)
        (piece,) = readers.pieces(found, "transactions")
        return lines(readers.stream(piece, "transactions", found.file))

    return rows


@pytest.fixture
def read_all(company):
    """The rows of all pieces of transactions by piece; `files` are bytes by name, or functions that
    write to a path.
    """

    def rows(table, files=None, make=None, **settings):
        base = {"columns": COLUMNS}
        described = [base | one for one in table] if isinstance(table, list) else base | table
        found = company(
            files or {}, {"transactions": json.loads(json.dumps(described))}, **settings
        )
        for name, write in (make or {}).items():
            write(found.file.parent / name)
        return {
            piece.name: lines(readers.stream(piece, "transactions", found.file))
            for piece in readers.pieces(found, "transactions")
        }

    return rows


@pytest.fixture
def described(tmp_path):
    """Runs init on rows by file name, the first of each its header; returns the dataset file, and
    what was said. `answers` begin the answers to choose.
    """

    def run(answers=(), **files):
        paths = []
        for name, rows in files.items():
            path = tmp_path / f"{name}.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(rows)
            paths.append(path)
        left = list(answers)

        def ask(question, words):
            begin = left.pop(0)
            return next(n for n, one in enumerate(words) if one.startswith(begin))

        (tmp_path / "shop.yml").unlink(missing_ok=True)
        file, said = init.init(paths, "shop", tmp_path, ask if answers else None)
        assert not left
        return file, "\n".join(said)

    return run
