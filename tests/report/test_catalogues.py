import copy

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from analysis.report import catalogues, text

COMPLETE = ("zh",)  # languages of which no message may be missing


def problems(messages, translated):
    """What a translation lacks, has too much, or says with other values than the English text."""
    asked, known = ({m.id: m for m in catalogue if m.id} for catalogue in (messages, translated))
    said = {key for key, m in known.items() if not m.fuzzy and all(_forms(m.string))}
    found = [f"missing: {key}" for key in asked.keys() - said]
    found += [f"unused: {key}" for key in known.keys() - asked.keys()]
    for key in asked.keys() & known.keys():
        found += _ill_formed(known[key], translated.num_plurals)
    return sorted(map(str, found))


def _forms(said):
    return tuple(said) if isinstance(said, list | tuple) else (said or "",)


def _ill_formed(message, plurals):
    ids, strings = _forms(message.id), [said for said in _forms(message.string) if said]
    allowed = [text.values_in(one) for one in ids]
    every, always = set().union(*allowed), set(allowed[0]).intersection(*allowed)
    if strings and len(strings) != (plurals if len(ids) > 1 else 1):
        yield f"{len(strings)} plurals instead of {plurals}: {ids[0]}"
    for said in strings:
        try:
            used = text.values_in(said)
        except ValueError:
            used = {("braces", "")}
        if not always <= used <= every:
            odd = ", ".join(f"{{{name}:{form}}}" for name, form in used ^ every)
            yield f"other values ({odd}): {ids[0]}"


@pytest.fixture(scope="module")
def messages():
    return catalogues.extracted()


def wrapped(messages, *without):
    """A made-up language that says every message in brackets."""
    made = Catalog("eo")
    for message in messages:
        if message.id and message.id not in without:
            ids = message.id
            made.add(ids, tuple(f"⟦{one}⟧" for one in ids) if message.pluralizable else f"⟦{ids}⟧")
    return made


def test_messages_are_collected_from_where_they_stand(tmp_path):
    package, notebooks = tmp_path / "src" / "analysis", tmp_path / "notebooks"
    package.mkdir(parents=True)
    notebooks.mkdir()
    (package / "a.py").write_text(
        'say("one" " whole", "many", n=1)\nN_("x" if a else "y")\nsay(name)\nother("no")\n'
        'page.finding("f" if b else "g", "fs" if b else "gs")\npage.figure(ax, "picture")\n'
        'page.table(frame, "caption", ["no"])\npage.cards(1, n=("Card", "int", 1))\n'
        '@chart("Title", x="x axis")\ndef c(): ...\n'
    )
    (package / "t.html.j2").write_text(
        '{{ say("Of {who}", who=1) }}{{ other("no") }}{{ say(name) }}'
    )
    (notebooks / "1.ipynb").write_text(
        '{"cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "## All\\nof'
        ' it"},{"cell_type": "markdown", "id": "c", "metadata": {"tags": ["analyst"]}, "source":'
        ' "no"},{"cell_type": "code", "id": "b", "metadata": {}, "source":'
        ' "page.caveat(\\"careful\\")","outputs": [], "execution_count": null}],"metadata": {},'
        ' "nbformat": 4, "nbformat_minor": 5}'
    )
    every = catalogues.extracted(tmp_path)
    found = {m.id for m in every if m.id}
    assert {m.id for m in every if ("src/analysis/t.html.j2", 0) in m.locations} == {"Of {who}"}
    assert found >= {
        ("one whole", "many"), "x", "y", ("f", "fs"), ("g", "gs"), "picture", "caption", "Card",
        "Title", "x axis", "Of {who}", "## All\nof it",
        "careful", "Revenue", "Strategic",
    }  # fmt: skip
    assert not found & {"no", "int", "code", "name"}


def test_a_whole_translation_has_no_problems(messages):
    assert len(messages) > 500
    assert problems(messages, wrapped(messages)) == []


def test_what_is_missing_unused_or_ill_formed_is_named():
    asked = Catalog()
    for one in ("Plain", "Of {n:int}", ("{n:int} file", "{n:int} files"), ("One", "{n:int} of us")):
        asked.add(one)
    whole = wrapped(asked)
    assert problems(asked, whole) == []
    assert problems(asked, wrapped(asked, "Plain")) == ["missing: Plain"]
    for key, said, found in (
        ("Plain", "", "missing: Plain"),
        ("New", "neu", "unused: New"),
        ("Of {n:int}", "von {n:number}", "other values"),
        ("Of {n:int}", "von", "other values"),
        ("Of {n:int}", "von {n:int} {m:int}", "other values"),
        ("Of {n:int}", "von {n:int", "other values"),
        (("{n:int} file", "{n:int} files"), ("{n:int} Datei",), "1 plurals instead of 2"),
    ):
        changed = copy.deepcopy(whole)
        changed.add(key, said)
        changed.get(key if isinstance(key, str) else key[0]).string = said
        [problem] = problems(asked, changed)
        assert problem.startswith(found), problem


def test_english_sentences_name_their_values_in_known_forms(messages):
    forms = text.Language()._forms.keys() | {""}
    for message in messages:
        for one in message.id if message.pluralizable else (message.id,):
            if one and "\n" not in one:
                assert {form for _, form in text.values_in(one)} <= forms, one


@pytest.mark.parametrize("language", COMPLETE)
def test_languages_declared_complete_are_complete(language, messages):
    assert problems(messages, text.catalogue(language)) == []


def test_a_catalogue_is_begun_and_refreshed_and_keeps_what_was_translated(tmp_path):
    path = catalogues.refresh("zh-TW", tmp_path, begin=True)
    assert path == tmp_path / "zh_TW" / "LC_MESSAGES" / "messages.po"
    written = path.read_text("utf-8").replace(
        'msgid "Strategic"\nmsgstr ""', 'msgid "Strategic"\nmsgstr "战略"'
    )
    path.write_text(f'{written}\nmsgid "gone"\nmsgstr "weg"\n', "utf-8")
    catalogues.refresh("zh-TW", tmp_path)
    with path.open("rb") as file:
        again = read_po(file)
    assert again.get("Strategic").string == "战略"
    assert "gone" not in again
    assert again.get("Important") is not None
    with pytest.raises(FileNotFoundError):
        catalogues.refresh("xx", tmp_path)
