"""Kernels that perform one notebook after another, as importing takes longer than many of them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from analysis.files import ROOT

# What most notebooks wait for: a kernel imports it while it has nothing else to do.
WARM = "import analysis.run.stage, analysis.report.charts, analysis.models.churn"
AFRESH = "get_ipython().reset()"


class _Client(AsyncKernelClient):
    """Without a thread for heartbeats, which would hold up a run that is stopped."""

    def start_channels(self, *channels: Any, **named: Any) -> None:
        super().start_channels(*channels, **named | {"hb": False})


class Kernel(AsyncKernelManager):
    """A kernel that knows the client of its notebook, to close what that leaves open."""

    def start(self) -> None:
        # What libraries print past Python is of no use to who waits for the run.
        quiet = {"stdout": subprocess.DEVNULL, "extra_arguments": ["--log-level=50"]}
        run_sync(self.start_kernel)(cwd=str(ROOT), **quiet)
        self.say(WARM)

    def client(self, **options: Any) -> Any:
        self.connected = super().client(**options)
        return self.connected

    def say(self, code: str) -> None:
        """Have code executed before anything else, without waiting for it."""
        client = self.blocking_client()
        client.start_channels(iopub=False, stdin=False, hb=False, control=False)
        client.execute(code, silent=True)
        client.stop_channels()

    def end(self) -> None:
        run_sync(self.shutdown_kernel)(now=True)


class Kernels:
    """As many kernels as notebooks go side by side.

    Every notebook finds an empty namespace; one that fails takes its kernel with it.
    """

    def __init__(self, number: int) -> None:
        self._number, self._idle = number, list[Kernel]()

    def __enter__(self) -> "Kernels":
        return self

    def __exit__(self, *_: object) -> None:
        for kernel in self._idle:
            kernel.end()

    @contextmanager
    def one(self) -> Iterator[Kernel]:
        """A kernel for one notebook."""
        while self._number:  # all begin with the first, to import while that one works
            self._number -= 1
            # What kernels say goes over local TCP, where other users of the machine could listen.
            kernel = Kernel(
                context=zmq.asyncio.Context.instance(),  # none of its own could hold up the end
                client_factory=_Client,
                transport_encryption="auto",
            )
            kernel.start()
            self._idle.append(kernel)
        kernel = self._idle.pop(0)
        try:
            yield kernel
        except BaseException:
            kernel.connected.stop_channels()
            kernel.end()
            raise
        kernel.connected.stop_channels()
        kernel.say(AFRESH)
        self._idle.append(kernel)
