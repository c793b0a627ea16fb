"""Kernels that one process forks off."""

from pathlib import Path

import pytest

from analysis.run import fork_server
from analysis.run.fork_server import ForkServer


@pytest.mark.skipif(not fork_server.POSSIBLE, reason="kernels are forked on Linux alone")
def test_kernels_are_apart_and_end_with_their_server(tmp_path: Path) -> None:
    """As they have to where a run is killed, which nobody can tell them."""
    server = ForkServer([])
    try:
        one, other = (server.fork(str(tmp_path / f"{n}.json")) for n in (1, 2))
        assert one.pid != other.pid and one.poll() is None and other.poll() is None
        one.kill()
        one.wait(10)
        one.send_signal(2)  # of one that has ended says nothing
        assert one.poll() is not None and other.poll() is None
    finally:
        server.end()
    other.wait(30)
    assert other.poll() is not None


@pytest.mark.skipif(not fork_server.POSSIBLE, reason="kernels are forked on Linux alone")
def test_a_kernel_whose_server_ends_before_it_has_begun_ends_too(tmp_path: Path) -> None:
    server = ForkServer([])
    early = server.fork(str(tmp_path / "kernel.json"))
    server.end()
    early.wait(30)
    assert early.poll() is not None
