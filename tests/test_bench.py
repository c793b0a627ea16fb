"""The benches' small versions: correctness only, never a time."""

from tests.bench import btyd_speed


def test_summaries_and_optima_agree_with_lifetimes() -> None:
    btyd_speed.small()
