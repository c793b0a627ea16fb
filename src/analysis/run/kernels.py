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

# What notebooks wait for: all of the first; the longest of the second, which a kernel imports while
# it has nothing else to do.
WARM = "import analysis.run.stage, analysis.report.charts"
LEARNING = "import analysis.models.churn"
AFRESH = "import gc; get_ipython().reset(); gc.collect()"


class _Client(AsyncKernelClient):
    """Without a thread for heartbeats, which would hold up a run that is stopped."""

    def start_channels(self, *channels: Any, **named: Any) -> None:
        super().start_channels(*channels, **named | {"hb": False})


class Kernel(AsyncKernelManager):
    """A kernel that knows the client of its notebook, to close what that leaves open."""

    def start(self, idle: bool = False) -> None:
        # What libraries print past Python is of no use to who waits for the run.
        quiet = {"stdout": subprocess.DEVNULL, "extra_arguments": ["--log-level=50"]}
        run_sync(self.start_kernel)(cwd=str(ROOT), **quiet)
        self.aside = self.blocking_client()
        self.aside.start_channels(iopub=False, stdin=False, hb=False, control=False)
        self.aside.execute(WARM, silent=True)
        if idle:
            self.aside.execute(LEARNING, silent=True)

    def client(self, **options: Any) -> Any:
        self.connected = super().client(**options)
        return self.connected

    def afresh(self) -> None:
        """Forget the notebook, its variables and the numbers of its cells."""
        self.connected.stop_channels()
        self.aside.execute(AFRESH, silent=True, reply=True, timeout=60)

    def end(self) -> None:
        self.aside.stop_channels()
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
            kernel.start(idle=bool(self._idle))
            self._idle.append(kernel)
        kernel = self._idle.pop(0)
        try:
            yield kernel
            kernel.afresh()
        except BaseException:
            kernel.connected.stop_channels()
            kernel.end()
            raise
        self._idle.append(kernel)
