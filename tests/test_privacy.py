import pytest

from analysis.privacy import HIDDEN, KEY, shown_id

CONTACTS = ["13812345678", "+49 170 1234567", "0049 30 123456-78", "010-62345678", "(0571) 8812 3456", "someone@example.com"]
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
