import dataclasses

import pytest

from analysis.intake import formats
from analysis.intake.formats import FORMATS
from analysis.intake.table_files import TableFile


def described(name, path):
    """The least that has to be said of a file of a format."""
    table = {"table": "orders"} if "table" in FORMATS[name].keys else {}
    return TableFile(path=path, columns={}, **table)


def test_an_entry_is_all_that_a_format_needs():
    """Contract: known by endings that no other has, read by a function, its keys refused to others,
    its parts named by one of its keys.
    """
    endings = [ending for form in FORMATS.values() for ending in form.endings]
    assert len(set(endings)) == len(endings)
    for name, form in FORMATS.items():
        for ending in form.endings:
            assert described(name, f"orders{ending}").kind == name
            assert described(name, f"b/*{ending.upper()}").kind == name
        assert callable(form.read) and set(form.keys) <= set(TableFile.model_fields)
        assert bool(form.part) == bool(form.parts)
        assert not form.part or form.part in form.keys
        for key in form.keys:
            assert name in formats.with_key(key)
        assert TableFile.model_fields["format"].description.count(name) >= 1
        assert form.begins == "" or formats.of_bytes(begins_like(form.begins)) == name


def begins_like(pattern):
    return pattern.split("|")[0].replace(".{8}", "12345678").encode("latin-1")


def test_a_format_added_in_one_place_is_known_by_its_ending(monkeypatch):
    lines = dataclasses.replace(FORMATS["csv"], endings=(".lines",), keys=())
    monkeypatch.setitem(FORMATS, "lines", lines)
    monkeypatch.setitem(formats.ENDINGS, ".lines", "lines")
    assert TableFile(path="orders.lines", columns={}).kind == "lines"


@pytest.mark.parametrize("path", ["orders.lines", "orders.2024.01", "a/*.xml.gz", "orders.dat"])
def test_an_unknown_ending_is_refused_by_name_with_the_list(path):
    with pytest.raises(ValueError, match="unknown ending") as error:
        TableFile(path=["a.csv", path], columns={})
    assert path in str(error.value)
    assert all(f"{ending}" in str(error.value) for ending in formats.ENDINGS)
    assert all(name in str(error.value) for name in FORMATS)
    assert TableFile(path=path, format="csv", columns={}).kind == "csv"


def test_without_an_ending_it_is_csv_and_packed_files_are_named_before_gz():
    for name in ("orders", "orders.2024.01.CSV.GZ", "orders.gz"):
        assert formats.of_name(name) == "csv"
    assert formats.of_bytes(b"id,day\n") == "csv"
