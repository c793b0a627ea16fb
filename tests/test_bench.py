"""The benches' small versions: correctness only, never a time."""

from tests.bench import btyd_speed, reading


def test_summaries_and_optima_agree_with_lifetimes() -> None:
    btyd_speed.small()


def test_reading_takes_its_turns(capsys) -> None:  # type: ignore[no-untyped-def]
    reading.main(1_000, 5_000, 1)
    assert "ratio" in capsys.readouterr().out
