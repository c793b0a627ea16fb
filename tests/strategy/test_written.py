import pytest

from analysis.errors import InputError
from analysis.strategy import written
from analysis.strategy.written import Text


class Note(written.Strict):
    text: Text
    number: int = 0


def test_a_text_is_said_in_the_language_or_in_english():
    text = {"en": "write", "zh": "写信"}
    assert [written.in_language(text, code) for code in ("zh", "en", "de")] == [
        "写信",
        "write",
        "write",
    ]
    assert written.in_language("always", "de") == "always"


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "no keys"), ("- a\n- b\n", "no keys"), ("tiers: [a\n", "not readable as YAML")],
)
def test_a_file_that_holds_no_keys_is_named(tmp_path, content, words):
    path = tmp_path / "mine.yml"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError, match=rf"mine\.yml.*{words}"):
        written.content(path)
    with pytest.raises(InputError, match=r"gone\.yml.*name a file that is there"):
        written.content(tmp_path / "gone.yml")


@pytest.mark.parametrize(
    ("found", "place"),
    [
        ({"text": {"zh": "写信"}}, "text: give at least the English text, en"),
        ({"text": "a", "number": "b"}, "number: "),
        ({"text": "a", "colour": "red"}, "colour: "),
        ({}, "text: "),
    ],
)
def test_what_a_file_may_not_hold_is_named_with_its_place(found, place):
    with pytest.raises(InputError, match=rf"mine\.yml: {place}"):
        written.checked(Note, found, "mine.yml")
    assert written.checked(Note, {"text": "a"}, "mine.yml").text == "a"
