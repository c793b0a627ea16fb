import gzip
import json

import pytest

from analysis.errors import InputError
from tests.intake.reading import of

ORDERS = [
    {"id": "007", "day": "2024-01-05", "eur": "5.00", "paid": True},
    {"id": 8, "day": "2024-01-06", "eur": 12.50, "note": None},
    {"id": 12345678901234567890, "day": None, "eur": -0.1, "note": "a, b"},
]
KEPT = [("007", "2024-01-05", "5.00"), ("8", "2024-01-06", "12.5")]
KEPT += [("12345678901234567890", None, "-0.1")]


def written(**ways):
    return {name.replace("__", "."): text for name, text in ways.items()}


FILES = written(
    list__json=json.dumps(ORDERS, indent=1),
    key__json="\ufeff" + json.dumps({"count": 3, "orders": ORDERS}),
    lines__jsonl="\n\n".join(map(json.dumps, ORDERS)) + "\n",
    lines__ndjson="\r\n".join(map(json.dumps, ORDERS)),
    packed__json__gz=gzip.compress(json.dumps(ORDERS).encode()),
)


@pytest.mark.parametrize("name", FILES)
def test_flat_objects_are_rows_with_their_texts_as_written(read_all, name):
    (rows,) = read_all({"path": name}, {name: FILES[name]}).values()
    found = zip(of(rows, "customer_id"), of(rows, "date"), of(rows, "amount"), strict=True)
    assert list(found) == KEPT
    assert of(rows, "line") == ([1, 3, 5] if name == "lines.jsonl" else [1, 2, 3])


def test_numbers_have_the_decimal_mark_of_the_texts_and_objects_inside_are_named(read_all):
    orders = [{"who": {"id": 7}, "day": "2024-01-05", "eur": 1.5}]
    columns = {"customer_id": "who.id", "date": "day", "amount": "eur"}
    described = {"path": "o.json", "decimal": ",", "columns": columns}
    (rows,) = read_all(described, {"o.json": json.dumps(orders)}).values()
    assert rows == [{"line": 1, "customer_id": "7", "date": "2024-01-05", "amount": "1,5"}]


FAULTS = {
    '[{"id": 1, "items": [{"sku": "A"}]}]': r"lists of others \(items\); export as CSV",
    '{"orders": [{"id": 1}], "customers": [{"id": 1}]}': "several lists",
    "[1, 2]": "other things than objects",
    '[{"id": 1},': "line 1: no JSON",
    '{"id": 1}\n{"id": 2\n': "line 2: no JSON",
    b'[{"id": "\xff"}]': "not UTF-8",
    "[]": "empty|no column",
}


@pytest.mark.parametrize("content", FAULTS)
def test_other_json_is_refused_with_what_to_do(read_all, content):
    with pytest.raises(InputError, match=rf"o\.json.*{FAULTS[content]}"):
        read_all({"path": "o.json"}, {"o.json": content})
