import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from hypothesis import given
from hypothesis import strategies as st

from analysis import schema
from analysis.errors import InputError
from analysis.report import text
from analysis.report.page import BESIDE
from analysis.report.text import N_, Language, printable

NBSP = "\N{NO-BREAK SPACE}"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the catalogue of a language from {message or (message, plural): translation}."""
    monkeypatch.setattr(text, "LOCALE", tmp_path)
    text.catalogue.cache_clear()

    def write(language, messages=()):
        catalogue = Catalog(language)
        for key, said in dict(messages).items():
            catalogue.add(key, said)
        path = tmp_path / language / "LC_MESSAGES" / "messages.po"
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            write_po(file, catalogue)

    yield write
    text.catalogue.cache_clear()


# Sentences
def test_a_sentence_by_hand():
    said = Language()("{n:int} customers, {share:percent} of them twice.", n=1200, share=0.25)
    assert said == f"1,200 customers, 25.0{NBSP}% of them twice."
    assert N_("as it is {n:int}") == "as it is {n:int}"
    assert Language()("") == ""


def test_a_plural_goes_by_the_first_whole_number():
    one, many = "{share:percent}: {n:int} file of {all:int}", "{share:percent}: {n:int} files"
    say = Language()
    assert say(one, many, n=1, all=9, share=0.5) == f"50.0{NBSP}%: 1 file of 9"
    for n in (0, 2, 1.6):
        assert say(one, many, n=n, all=1, share=0.5) == f"50.0{NBSP}%: {round(n)} files"


def test_another_language_says_its_own_text_and_english_where_it_has_none(written):
    written(
        "pl",
        {
            "Tiers": "Klasy",
            "Strategic": "Ważny",
            "Empty": "",
            ("{n:int} file", "{n:int} files"): ("{n:int} plik", "{n:int} pliki", "{n:int} plików"),
        },
    )
    say = Language("pl", "PLN")
    assert (say("Tiers"), say("Other"), say("Empty")) == ("Klasy", "Other", "Empty")
    files = [say("{n:int} file", "{n:int} files", n=n) for n in (1, 2, 5, 22)]
    assert files == ["1 plik", "2 pliki", "5 plików", "22 pliki"]
    assert say("{n:int} row", "{n:int} rows", n=2) == "2 rows"
    assert say.word("strategic") == "Ważny"
    say.speak("en", "USD")
    assert say("Tiers") == "Tiers"


def test_classes_and_columns_have_names_and_others_are_shown_as_they_are():
    say = Language()
    assert say.word("strategic") == "Strategic"
    assert say.word("strategic+important") == "Strategic, Important"
    assert say.word("strategic+whatever") == "strategic+whatever"
    assert say.word("something of the data") == "something of the data"
    assert say.word("") == ""
    assert say.word("{x}{") == "{x}{" and say.field("{x.y}") == "{x.y}"  # of the data
    assert say.field("phone, email") == "Phone, E-mail"
    assert say.field("their own_column") == "their own column"
    assert say.heading("window_revenue") == "Revenue"
    assert say.heading("phone") == "Phone"


def test_every_column_of_the_records_has_a_name():
    names = {name for records in schema.RECORDS.values() for name in records.columns}
    assert (
        names | {f"{table}_records" for table in schema.RECORDS}
    ) - schema.FIELDS.keys() == set()


def test_every_form_of_a_table_is_known():
    forms = {form for _, form in schema.SHOWN.values()}
    assert forms <= Language()._forms.keys() | {BESIDE}


@pytest.mark.parametrize("language", ["fr", "", "../en", "EN ", "en.yml", "tlh"])
def test_a_language_without_a_catalogue_is_an_input_error(language):
    with pytest.raises(InputError, match="en"):
        Language(language)


@given(st.text())
def test_a_text_of_the_data_is_said_as_it_is_and_not_read_for_placeholders(words):
    said = Language()("The customers of {company}", company=words)
    assert said == f"The customers of {words}"


def test_a_sentence_with_an_unknown_number_is_noticed():
    sentence, values = "On {end:date} {a:int}", {"end": dt.date(2026, 1, 1), "a": 6}
    assert not Language().unknown(sentence, values | {"not in the sentence": float("nan")})
    assert Language().unknown(sentence, values | {"a": float("nan")})
    assert Language().unknown(sentence, values | {"end": pd.NaT})


def test_what_no_xml_may_hold_is_left_out():
    assert printable("a\x00\x0b\ud800\uffff\tb\n客") == "a\tb\n客"


# Numbers, money and days
SAID = [
    ("en", "USD", "int", 1234567, "1,234,567"),
    ("en", "USD", "int", np.float64(2.6), "3"),
    ("en", "USD", "number", 1234.567, "1,234.57"),
    ("en", "USD", "number", 2, "2.00"),
    ("en", "USD", "short", 0.18456, "0.185"),
    ("en", "USD", "short", 1236.7, "1,240"),
    ("en", "USD", "percent", 0.1234, f"12.3{NBSP}%"),
    ("en", "USD", "percent", -0.05, f"-5.0{NBSP}%"),
    ("en", "USD", "percent", -0.0001, f"0.0{NBSP}%"),
    ("en", "USD", "whole_percent", 0.126, f"13{NBSP}%"),
    ("en", "USD", "compact", 1234567, "$1.23M"),
    ("en", "USD", "compact", 123.4, "$123"),
    ("en", "USD", "compact", 1000, "$1K"),
    ("zh", "CNY", "compact", 12345678, "¥1230万"),
    ("en", "USD", "money", 99_999, "$99,999"),
    ("en", "USD", "money", 359_692_554, "$360M"),
    ("zh", "CNY", "money", 359_692_554, "¥3.6亿"),
    ("zh", "CNY", "money", 99_999_999, "¥1亿"),
    ("en", "USD", "time", 1, "1 day"),
    ("en", "USD", "time", 364.0, "364 days"),
    ("en", "USD", "time", 365, "12 months"),
    ("en", "USD", "time", 1095, "3 years"),
    ("en", "USD", "money", 0, "$0"),
    ("en", "USD", "money", 5.5, "$5.50"),
    ("en", "USD", "money", 5.0, "$5"),
    ("en", "USD", "money", 999.99, "$999.99"),
    ("en", "USD", "money", 1000.4, "$1,000"),
    ("en", "USD", "money", -1234.6, "-$1,235"),
    ("en", "USD", "exact", Decimal("1000000000000000.01"), "$1,000,000,000,000,000.01"),
    ("en", "CNY", "money", 1234.4, "CN¥1,234"),
    ("en", "JPY", "exact", 1234, "¥1,234"),
    ("en", "USD", "date", dt.date(2026, 11, 1), "Nov 1, 2026"),
    ("en", "USD", "date", pd.Timestamp("2026-11-01 23:59"), "Nov 1, 2026"),
    ("en", "USD", "text", 7, "7"),
    ("en", "USD", "customer", "00001", "00001"),
    ("en", "USD", "customer", "+49 170 1234567", "•••"),
    ("en", "USD", "word", "strategic", "Strategic"),
    ("en", "USD", "field", "phone", "Phone"),
    ("zh", "CNY", "percent", 0.1234, "12.3%"),
    ("zh", "CNY", "money", 5.5, "¥5.50"),
    ("zh", "CNY", "exact", Decimal("-0.1"), "-¥0.10"),
    ("zh", "USD", "money", 1234.4, "US$1,234"),
    ("zh", "CNY", "date", dt.date(2026, 11, 1), "2026年11月1日"),
    ("de", "EUR", "number", 1234.5, "1.234,50"),
    ("de", "EUR", "money", 5.5, f"5,50{NBSP}€"),
    ("de", "EUR", "money", 1234.4, f"1.234{NBSP}€"),
]


def test_values_as_the_language_writes_them(written, monkeypatch):
    monkeypatch.delenv("CUSTOMER_MATRIX_KEY", raising=False)
    written("zh")
    written("de")
    for language, currency, form, value, said in SAID:
        assert Language(language, currency).form(form, value) == said, (language, form, value)


def test_what_is_not_known_is_a_dash():
    nothings = [None, float("nan"), np.float32("nan"), pd.NaT, pd.NA, Decimal("nan")]
    for form in Language()._forms:
        assert [Language().form(form, nothing) for nothing in nothings] == ["–"] * 6


@given(st.integers(-(10**15), 10**15))
def test_a_whole_number_can_be_read_back(number):
    assert int(Language().form("int", number).replace(",", "")) == number


@given(st.decimals(-(10**12), 10**12, places=2))
def test_no_cent_is_lost_in_exact_money(amount):
    assert Decimal(Language().form("exact", amount).replace(",", "").replace("$", "")) == amount
