import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.report.privacy import HIDDEN, KEY, masked, shown_id, shown_staff

CONTACTS = [
    "13812345678",
    "+49 170 1234567",
    "0049 30 123456-78",
    "010-62345678",
    "(0571) 8812 3456",
    "someone@example.com",
]
IDS = ["007", "7", "K000123", "1234567890123456789", "20240131", "客户12", "A-13812345678", "00042"]


@pytest.mark.parametrize("contact", CONTACTS)
def test_an_id_that_is_a_contact_is_hidden_without_a_key(contact, monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    assert shown_id(contact) == HIDDEN


@pytest.mark.parametrize("contact", CONTACTS)
def test_with_a_key_it_is_a_pseudonym_that_depends_on_the_key(contact, monkeypatch):
    monkeypatch.setenv(KEY, "one")
    first = shown_id(contact)
    assert first == shown_id(contact) and contact not in first and len(first) > len(HIDDEN)
    monkeypatch.setenv(KEY, "two")
    assert shown_id(contact) != first


@pytest.mark.parametrize("customer_id", IDS)
def test_other_ids_stay(customer_id):
    assert shown_id(customer_id) == customer_id


# Words of customers
@pytest.mark.parametrize(
    "contact",
    [
        *CONTACTS,
        "someone＠example.com",
        "some.one (at) example.com",
        "some.one[at]example.com",
        "138 1234 5678",
        "138-1234-5678",
        "138\u200b1234\u200b5678",
        "138\n1234\n5678",
        "+49 (0)30 / 123-456",
        "１３８１２３４５６７８",
        "6222 0210 0112 3456 789",
        "11010519491231002X",
    ],
)
@pytest.mark.parametrize(
    "around", ["call {} today", "请联系{}，谢谢", "{}", "tel:{}!", "<b>{}</b>"]
)
def test_contact_details_in_words_are_hidden(contact, around):
    said = masked(around.format(contact))
    assert HIDDEN in said
    assert not re.search(r"\d{4}|example|some|＠|@", said)


@pytest.mark.parametrize(
    "text",
    [
        "很满意",
        "Fast, 5 of 5",
        "order A-1024 came 3 days late",
        "paid 1,250.00",
        "2 of 10 were broken",
    ],
)
def test_other_words_stay(text):
    assert masked(text) == text


def test_words_are_one_line_without_what_cannot_be_seen():
    assert masked("服务专业，\n下次还会\t合作 \u202eabc\x07") == "服务专业， 下次还会 合作 abc"


def test_long_words_are_cut_and_never_within_a_hidden_number():
    said = masked("a" * 195 + " 13812345678 thanks", most=200)
    assert len(said) <= 200
    assert not re.search(r"\d", said)
    assert said.endswith("…")
    assert masked("a" * 200) == "a" * 200
    assert masked("a" * 201) == "a" * 199 + "…"


def test_the_persons_of_the_profile_are_hidden_in_whole_and_in_parts():
    names = ["Ann Lee-Smith", "沅昀", None, float("nan"), "Bo", "x"]
    said = masked("ANN and ann Lee-Smith, not Annual; Bo, not Bob; 请沅昀回电 x", names)
    assert said == f"{HIDDEN} and {HIDDEN}, not Annual; {HIDDEN}, not Bob; 请{HIDDEN}回电 x"


def test_a_name_is_no_pattern():
    assert masked("a.b and axb", ["a.b"]) == f"{HIDDEN} and axb"


@given(
    st.text(), st.from_regex(r"\+?[0-9]{2,3}[ -]?[0-9]{4}[ -]?[0-9]{4}", fullmatch=True), st.text()
)
def test_no_telephone_is_readable_whatever_stands_around(before, phone, after):
    said = masked(f"{before} {phone} {after}", most=10_000)
    assert phone not in said
    assert not re.search("[0-9]{4}[ -]?[0-9]{4}", said)


# Staff
@pytest.mark.parametrize(
    ("owner", "shown"),
    [
        ("sales01@company.example", "sales01"),
        (" 王芳 ", "王芳"),
        ("Anna Berg", "Anna Berg"),
        ("@company.example", HIDDEN),
    ],
)
def test_of_staff_the_part_before_the_at_is_shown(owner, shown):
    assert shown_staff(owner) == shown


def test_a_telephone_of_staff_is_hidden(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)
    assert shown_staff("13812345678") == HIDDEN
    assert shown_staff("13812345678@sms.example") == HIDDEN
