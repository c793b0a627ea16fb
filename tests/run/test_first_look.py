"""What `init` and `check` say before anything is run."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from analysis.errors import InputError
from analysis.intake import dataset
from analysis.intake import init as onboarding
from analysis.run import first_look
from tests.run.shop import COMMAND, say

# Ten customers with a number, thirty orders of 10.00 on days of their own, and two of nobody
ROWS = [f"A{n},2024-0{n % 9 + 1}-1{n % 3},C{n % 10},10.00" for n in range(30)]
NOBODY = ["A90,2024-01-05,NULL,5.00", "A91,2024-01-06,guest,7.50"]
HEADER = "order no,order date,customer no,amount"


@pytest.fixture
def orders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CUSTOMER_MATRIX_HOME", str(tmp_path))
    path = tmp_path / "orders.csv"
    path.write_text("\n".join([HEADER, *ROWS, *NOBODY]) + "\n")
    return path


def test_init_ends_with_figures_to_check_and_asks_what_it_would_lose(orders: Path) -> None:
    code, said = say("init", orders)
    assert code == 0
    for line in (
        "customers: 10", "orders: 30 order numbers, 30 order days", "net money: $300.00",
        "from Jan 10, 2024 to Sep 12, 2024", "rows set apart: 2, with $12.50",
        "2 order lines (6.2 %, with 4.0 % of the money) are set apart: no customer id. Leave them",
    ):  # fmt: skip
        assert line in said.replace("\N{NO-BREAK SPACE}", " "), line
    file = orders.parent / "data" / "orders.yml"
    assert yaml.safe_load(file.read_text())["accept"] == "?"
    code, said = say("check", file)
    assert code == 2 and "accept is not answered yet" in said and "[no_customer]" in said


def test_an_answer_is_written_and_then_nothing_is_asked(orders: Path) -> None:
    file, _ = onboarding.init([orders], "shop", orders.parent / "data")
    asked: list[str] = []

    def ask(question: str, answers: list[str]) -> int:
        asked.append(question)
        return next(n for n, one in enumerate(answers) if one.startswith("yes"))

    first_look.begin(file, lambda line: None, ask)
    assert len(asked) == 1
    assert dataset.load(file).accept == ["no_customer"]
    code, said = say("check", file)
    assert code == 0 and "customers: 10" in said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no terminals to open")
def test_on_a_terminal_the_questions_are_put_and_their_answers_written(orders: Path) -> None:
    own, theirs = os.openpty()
    call = [COMMAND, "init", str(orders), "--name", "shop"]
    asked = subprocess.Popen(call, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(own, b"7\n1\n")  # of two answers the seventh is none, and it is asked again
    said = b""
    with contextlib.suppress(OSError):  # as Linux tells the end of a terminal
        while some := os.read(own, 1 << 16):
            said += some
    os.close(own)
    assert asked.wait() == 0, said.decode()
    assert said.count(b"Number") == 2 and b"1. yes, leave them out" in said
    assert dataset.load(orders.parent / "data" / "shop.yml").accept == ["no_customer"]


def test_check_refuses_what_would_stop_a_run(orders: Path) -> None:
    file, _ = onboarding.init([orders], "shop", orders.parent / "data")
    code, said = say("check", file)
    assert code == 2 and "write accept: [no_customer]" in said
    assert "customers: 10" in said  # though all else is said first


def test_losses_are_counted_by_rows_or_by_money_and_not_what_never_counted(orders: Path) -> None:
    few = "A90,2024-01-05,NULL,5.00"  # 1 of 31 rows
    uncounted = ["A91,2024-01-05,Grand Total,300.00", "A92,2031-01-05,C1,900.00"]  # to come
    for rows, refused in (
        ([few, *uncounted], False),
        (["A90,2024-01-05,NULL,50.00"], True),  # a seventh of the money
    ):
        orders.write_text("\n".join([HEADER, *rows, *ROWS]) + "\n")
        file, _ = onboarding.init(
            [orders], f"n{len(list(orders.parent.rglob('*.yml')))}", orders.parent
        )
        found = dataset.load(file)
        if refused:
            with pytest.raises(InputError, match="no customer id"):
                first_look.check(found, "2024-09-12", lambda line: None)
        else:
            first_look.check(found, "2024-09-12", lambda line: None)


def test_the_same_file_twice_is_refused_unless_a_key_tells_its_lines_apart(orders: Path) -> None:
    again = orders.with_name("orders (1).csv")
    again.write_bytes(orders.read_bytes())
    code, said = say("init", orders, again)
    assert code == 2 and "are the same, byte for byte" in said
    columns = {"customer_id": "customer no", "date": "order date", "amount": "amount"}
    table = {"path": "orders*.csv", "columns": columns | {"order_id": "order no"}}
    file = orders.with_name("shop.yml")
    for key, refused in (([], True), (["order_id"], False)):
        tables = {"transactions": table | {"order_key": key}}
        file.write_text(yaml.safe_dump({"tables": tables, "accept": ["no_customer"]}))
        code, said = say("check", file)
        assert (code == 2) == refused and ("byte for byte" in said) == refused
    assert "net money: $300.00" in said


def test_check_repeats_what_init_would_note_and_ask_but_not_what_is_settled(orders: Path) -> None:
    rows = [f"A{n},2024-01-{n + 1:02},C{n % 4},{n}.50,{n}.00,ok" for n in range(20)]
    rows[3] = rows[3].replace("ok", "refunded")
    orders.write_text("\n".join([HEADER + ",order total,status", *rows]) + "\n")
    columns = {"customer_id": "customer no", "date": "order date", "amount": "amount"}
    file = orders.with_name("shop.yml")
    for more, asked in (({}, True), ({"void_status": ["refunded"], "returns": {}}, False)):
        table = {"path": "orders.csv", "columns": columns | {"status": "status"}} | more
        file.write_text(yaml.safe_dump({"tables": {"transactions": table}}))
        code, said = say("check", file)
        assert code == 0 and ("question: orders.csv: what is a row with refunded?" in said) == asked
        assert "note: orders.csv: amount: amount; it could also be order total" in said
