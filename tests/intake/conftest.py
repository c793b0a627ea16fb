"""Files of orders, as they are read."""

import json

import pytest

from analysis.intake import readers
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
