"""A process that has imported what notebooks need and forks kernels off, since importing takes
longer than many notebooks. On Linux alone: elsewhere what libraries have begun may not live through
a fork.
"""

import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import psutil

from analysis.files import ROOT

POSSIBLE = sys.platform == "linux"
INLINE = "module://matplotlib_inline.backend_inline"  # as kernels have it, before matplotlib loads


class Forked(psutil.Process):
    """A kernel's process, in the words of subprocess.Popen."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        """None while it lives; how it ended only its server could know."""
        return None if self.is_running() else 1

    def send_signal(self, sig: int) -> None:
        with suppress(psutil.NoSuchProcess):
            super().send_signal(sig)


class ForkServer:
    """The process as its run sees it."""

    def __init__(self, modules: Sequence[str]) -> None:
        code = f"from analysis.run.fork_server import serve; serve({[*modules]})"
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._one_asks = threading.Lock()

    def fork(self, connection_file: str) -> Forked:
        """A kernel with this connection file."""
        assert self._process.stdin and self._process.stdout
        with self._one_asks:
            print(connection_file, file=self._process.stdin, flush=True)
            return Forked(int(self._process.stdout.readline()))

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def serve(modules: Sequence[str]) -> None:
    """Begin a kernel with each connection file that a line of the input names, and answer with the
    number of its process, until the input ends.
    """
    os.environ.setdefault("MPLBACKEND", INLINE)
    for name in ("ipykernel.kernelapp", *modules):
        importlib.import_module(name)
    gc.freeze()  # a collection in a kernel would copy the memory that all share
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody here asks how kernels end
    server = os.getpid()
    for line in sys.stdin:
        forked = os.fork()
        if not forked:
            become_kernel(line.strip(), server)
        print(forked, flush=True)


def become_kernel(connection_file: str, server: int) -> None:
    """Does not return. The kernel ends with the server (its process number; it may have ended
    before the kernel could ask), which ends with its run.
    """
    from ipykernel.kernelapp import IPKernelApp

    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for taken in (0, 1):
            os.dup2(nowhere, taken)
        parent = f"--IPKernelApp.parent_handle={server}"
        IPKernelApp.launch_instance(["-f", connection_file, "--log-level=50", parent])
    finally:
        os._exit(1)
