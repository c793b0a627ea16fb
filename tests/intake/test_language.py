"""`init` and `check` speak the language they are asked for, from the first question to the last
comment.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import openpyxl
import pytest
import yaml
from babel.messages.pofile import write_po
from click.testing import CliRunner, Result

from analysis.errors import InputError
from analysis.intake import dataset
from analysis.intake import init as onboarding
from analysis.intake.company import Ask
from analysis.intake.encodings import ENCODINGS
from analysis.intake.file_form import form_of, parts_of
from analysis.intake.table_files import TableFile
from analysis.report import text as text_module
from analysis.report.catalogues import extracted
from analysis.report.text import say
from analysis.run.cli import main
from analysis.schema import RECORDS
from tests.intake.test_cases import CASES, REFUSED, files_of
from tests.report.test_catalogues import wrapped

WORD = re.compile(r"[A-Za-z]{2,}")
# That are no English: keys of the dataset file, our names of tables and columns, and some values
KEYS = {*dataset.Dataset.model_fields, *TableFile.model_fields, *RECORDS, "prefix", "all"}
COLUMNS = {column for records in RECORDS.values() for column in records.columns}
VALUES = "csat nps complaint ticket true false iso excel epoch_s epoch_ms UTC UTF US USD CNY JPY"
KNOWN = {*KEYS, *COLUMNS, *VALUES.split(), *ENCODINGS, *get_args(dataset.Reason)}
OURS = {word for name in KNOWN for word in WORD.findall(name)}


def turned(text: str) -> str:
    """A message with circles around its letters, and its values as they are."""
    parts = re.split(r"({[^{}]*})", text)
    parts[::2] = [
        re.sub("[A-Za-z]", lambda c: chr(ord("ⓐ") + ord(c[0].lower()) - 97), part)
        for part in parts[::2]
    ]
    return "".join(parts)


@pytest.fixture(scope="module")
def chinese(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In place of Chinese a made-up language: whatever has letters is no message."""
    folder = tmp_path_factory.mktemp("locale")
    made = wrapped(extracted())
    for message in made:
        if message.id:
            said = message.string
            message.string = turned(said) if isinstance(said, str) else (*map(turned, said),)
    path = folder / "zh" / "LC_MESSAGES" / "messages.po"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        write_po(file, made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "LOCALE", folder)
        text_module.catalogue.cache_clear()
        yield
    text_module.catalogue.cache_clear()
    say.speak("en", "USD")


def english(lines: list[str], paths: list[Path]) -> list[str]:
    """The lines with words that are neither of the files nor of ours."""
    known = {"x", *OURS, *(word for path in paths for word in WORD.findall(path.name))}
    for path in paths:
        parts = [part.sheet or part.table for part in parts_of(path, form_of(path)[0])]
        known |= {word for part in parts for word in WORD.findall(part)}
        for found in onboarding.look_at(path, 1_000):
            for name, column in found.look.items():
                known |= {word for text in {name, *column.texts} for word in WORD.findall(text)}
    return [
        line
        for line in lines
        if [word for word in WORD.findall(line) if word not in known and {*word} != {"x"}]
    ]


def comments(text: str) -> list[str]:
    return [line.partition("# ")[2] for line in text.splitlines() if "# " in line]


def spoken_of(paths: list[Path], folder: Path) -> list[str]:
    """All that `init` says and writes of files: unanswered, and with the first, second and last
    answer to each question, as far as that is another one.
    """
    spoken: list[str] = []
    most = 0

    def answering(place: int) -> Ask:
        def ask(question: str, answers: list[str]) -> int:
            nonlocal most
            most = max(most, len(answers))
            spoken.extend([question, *answers])
            return min(place, len(answers) - 1)

        return ask

    for n, place in enumerate((None, 0, 1, 9)):
        ask = None if place is None else answering(place)
        file, said = onboarding.init(paths, f"shop{n}", folder, ask, "zh")
        text = file.read_text("utf-8")
        assert yaml.safe_load(text)["language"] == "zh"
        spoken += [*said, *comments(text)]
        if '"?"' not in text if place is None else place + 1 >= most:
            break
    return spoken


@pytest.mark.parametrize("case", sorted({path.name for path in CASES.iterdir()} - {*REFUSED}))
def test_all_that_is_said_of_a_case_is_translated(case: str, chinese: None, tmp_path: Path) -> None:
    assert english(spoken_of(files_of(case), tmp_path), files_of(case)) == []


CUSTOMERS = [f"C{n % 7}" for n in range(30)]
ORDERS = [f"A{n // 2}" for n in range(30)]
DAYS = [f"2024-01-{n // 2 + 10}" for n in range(30)]
MONEY = [f"{n % 9 + 1}.50" for n in range(30)]
LOG = {"Customer No": CUSTOMERS, "Order Date": DAYS, "Amount": MONEY}
# Columns of orders, and the key that is asked for or noted; "" takes a column out
LOGS: dict[str, dict[str, list[str] | str]] = {
    "date": {"Order Date": [f"0{n % 9 + 1}/02/2024" for n in range(30)]},
    "day and month": {"Order Date": ["13/02/2024", "02/14/2024", *["03/04/2024"] * 28]},
    "two ways": {"Order Date": [*["2024/01/31"] * 20, *["31 Jan 2024"] * 10]},
    "swapped": {"Order Date": [*["13/02/2024"] * 15, *["2024-03-02"] * 15]},
    "numbered days": {"Order Date": [str(45_000 + n) for n in range(30)]},
    "from UTC": {"Order Date": [str(1_700_000_000 + n) for n in range(30)]},
    "offsets": {"Order Date": [f"{day}T10:00:00+08:00" for day in DAYS]},
    "decimal": {"Amount": [f"{n + 1},234" for n in range(30)]},
    "both marks": {"Amount": ["1.50", "2,50"] * 15},
    "comma": {"Amount": [f"{n},50" for n in range(30)]},
    "masked": {"Customer No": "", "Customer ID": ["13*****99"] * 30, "who": CUSTOMERS},
    "two customers": {"Client No": CUSTOMERS[::-1], "Customer No": CUSTOMERS},
    "by values": {"Customer No": "", "whose": CUSTOMERS},
    "nobody's": {"Customer No": ["0"] * 25 + ["C1", "C2", "C3", "C4", "C5"]},
    "e-mail": {
        "Customer No": ["0"] * 25 + CUSTOMERS[:5],
        "E-mail": [f"a{n}@x.example" for n in range(30)],
    },
    "partly money": {"Amount": ["later"] * 10 + ["5.50"] * 20},
    "a third no money": {"Amount": ["later"] * 10 + ["5.50"] * 20, "Paid": MONEY},
    "whole numbers": {"Amount": "", "worth": [str(n % 5 + 2) for n in range(30)]},
    "returned": {"Status": ["ok"] * 28 + ["returned"] * 2},
    "cancelled": {"Status": ["ok"] * 28 + ["cancelled"] * 2},
    "prefix": {"Order No": [f"A{n}" for n in range(28)] + ["RA1", "RA2"]},
    "of the order": {"Order No": ORDERS, "Amount": [f"{n // 2 + 1}.50" for n in range(30)]},
    "of the order once": {
        "Order No": ORDERS,
        "Amount": [f"{n}.50" if n % 2 == 0 else "" for n in range(30)],
    },
    "grouped": {"Customer No": [c if n % 5 == 0 else "" for n, c in enumerate(ORDERS)]},
    "currencies": {"Currency": ["USD", "EUR"] * 15},
    "yen or yuan": {"Amount": [f"¥{money}" for money in MONEY]},
    "discount": {"Discount": ["0.50"] * 30, "Unit Price": MONEY, "Quantity": ["2"] * 30},
    "refund": {"Refund": ["0", "1.50"] * 15},
    "an id of several days": {"Customer No": "", "id": CUSTOMERS},
    "nothing left": {"Customer No": "", "Amount": "", "a": DAYS, "b": DAYS},
    "money elsewhere": {"Amount": ["later"] * 10 + ["5.50"] * 20, "line total": MONEY},
    "prefixes": {"Order No": [*(f"{n}" for n in range(28)), "C1", "C2"]},
    "returned beside": {
        "Order No": [*(f"{n}" for n in range(29)), "R3"],
        "Status": [*["ok"] * 29, "returned"],
    },
    "never a sale": {"Status": ["cancelled"] * 30},
    "a price": {"Amount": "", "Unit Price": MONEY},
    "discount in the price": {"Amount": "", "Unit Price": MONEY, "Quantity": ["2"] * 30}
    | {"Discount": ["0.50", "1.50"] * 15},
    "refunded already": {
        "Amount": [f"{n % 9 + 1 - n % 2}.50" for n in range(30)],
        "Refund": [f"{n % 2}.00" for n in range(30)],
        "worth before": MONEY,
    },
    "milliseconds": {"Order Date": [str(1_700_000_000_000 + n) for n in range(30)]},
    "one otherwise": {"Order Date": [*[f"31/01/20{n}" for n in range(10, 39)], "2024-01-31"]},
    "no orders": {"Amount": "", "Order Date": "", "Colour": ["red", "blue"] * 15},
}


def write_log(path: Path, changed: dict[str, list[str] | str]) -> Path:
    columns = {name: cells for name, cells in (LOG | changed).items() if cells}
    rows = [[*columns], *zip(*columns.values(), strict=True)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.mark.parametrize("log", LOGS)
def test_all_that_is_asked_and_answered_of_a_log_is_translated(
    log: str, chinese: None, tmp_path: Path
) -> None:
    path = write_log(tmp_path / "orders.csv", LOGS[log])
    spoken = spoken_of([path], tmp_path)
    assert len(spoken) > 5
    assert english(spoken, [path]) == []


def test_all_that_is_asked_of_several_files_is_translated(chinese: None, tmp_path: Path) -> None:
    """Sheets of one kind, encodings, feedback, customers in other numbers, and a useless file."""
    orders = write_log(tmp_path / "orders.csv", {"Customer No": [f"00{n % 7}" for n in range(30)]})
    profiles = tmp_path / "accounts.csv"
    names = "".join(f"{n}.0,Aé {n},Bé,guest\n" for n in range(7))
    profiles.write_text(f"Customer No,Company Name,City,Level\n{names}guest,b,c,d\n", "cp1252")
    feedback = tmp_path / "feedback.csv"
    words = "".join(f"{n},2024-01-1{n},{n}\n" for n in range(7))
    feedback.write_text(f"Customer No,Feedback Date,Score\n{words}", "utf-8")
    useless = tmp_path / "visits.csv"
    useless.write_text("visit channel,outcome\n" + "web,sold\n" * 9, "utf-8")
    book = openpyxl.Workbook()
    for name, first in (("Old", 0), ("New", 20), ("All", 0)):
        sheet = book.create_sheet(name)
        sheet.append(["Customer No", "Order Date", "Amount"])
        for n in range(first, 40 if name == "All" else first + 20):
            sheet.append([f"C{n}", f"2024-01-{n % 20 + 1:02}", f"{n}.50"])
    del book["Sheet"]
    book.save(tmp_path / "orders.xlsx")
    for paths in ([orders, profiles, feedback, useless], [tmp_path / "orders.xlsx"], [useless]):
        file, said = onboarding.init(paths, f"of{len(paths)}{paths[0].stem}", tmp_path, None, "zh")
        lines = [*said, *comments(file.read_text("utf-8"))]
        assert english(lines, paths) == []


def test_figures_losses_and_quality_are_said_in_the_language_of_the_dataset(
    chinese: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    nobody = {"Customer No": ["guest"] * 5 + CUSTOMERS[:25], "Channel": ["web", ""] * 15}
    path = write_log(tmp_path / "orders.csv", nobody)
    file = tmp_path / "data" / "shop.yml"
    done = command("init", path, "--name", "shop", "--language", "zh")
    known = [str(file), "customer-matrix", "orders.csv"]
    assert done.exit_code == 0 and english(without(known, done.output), [path]) == []
    text = file.read_text("utf-8")
    assert "language: zh" in text and english(comments(text), [path]) == []
    with pytest.raises(
        InputError, match=r"accept is not answered yet. .*ⓛⓔⓐⓥⓔ ⓣⓗⓔⓜ ⓞⓤⓣ.*; .*ⓦⓡⓘⓣⓔ"
    ):
        dataset.load(file)
    file.write_text(text.replace('accept: "?"', "accept: [no_customer]"), "utf-8")
    done = command("check", file)
    assert done.exit_code == 0 and english(without(known, done.output), [path]) == []
    assert "ⓒⓤⓢⓣⓞⓜⓔⓡⓢ: 7" in done.output
    assert "customers: 7" in command("check", file, "--language", "en").output
    keys = command("check", "--language", "zh").output.splitlines()
    told = [line for line in keys if "  format:" not in line]  # which lists the formats
    assert len(told) > 100 and not re.search("[a-z]{3,} [a-z]{2,} [a-z]{2,}", "".join(told))


def without(known: list[str], output: str) -> list[str]:
    """The lines of an output, but for what is known."""
    return re.sub("|".join(map(re.escape, known)), "", output).splitlines()


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_a_language_that_there_is_not_is_refused_with_those_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    path = write_log(tmp_path / "orders.csv", {})
    for language in ("tlh", "../en", "Deutsch"):
        done = command("init", path, "--language", language)
        assert done.exit_code == 2 and "known: en" in done.output
    assert not (tmp_path / "data").exists()


def test_english_is_spoken_where_no_language_is_named(chinese: None, tmp_path: Path) -> None:
    path = write_log(tmp_path / "orders.csv", {})
    for language in ("zh", "en"):
        file, said = onboarding.init([path], language, tmp_path, language=language)
    assert "# language: en  # of the reports" in file.read_text("utf-8")
    assert said == ["orders.csv: transactions with customer_id, date, amount"]
