"""The benches' small versions: correctness only, never a time. Those that start processes run
before a release, as the benches do.
"""

import pytest

from tests.bench import btyd_speed, reading, segments_speed


@pytest.mark.slow
def test_summaries_and_optima_agree_with_lifetimes() -> None:
    btyd_speed.small()


@pytest.mark.slow
def test_reading_takes_its_turns(capsys) -> None:  # type: ignore[no-untyped-def]
    reading.main(1_000, 5_000, 1)
    assert "ratio" in capsys.readouterr().out


def test_many_customers_get_their_groups(capsys) -> None:  # type: ignore[no-untyped-def]
    segments_speed.main(2_000)
    assert "2,000 customers" in capsys.readouterr().out
