"""Kernels that perform one notebook after another, as importing takes longer than many of them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq.asyncio
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.utils import run_sync

from analysis.files import ROOT
from analysis.run import fork_server
from analysis.run.fork_server import ForkServer

# What most notebooks wait for: it is imported while a run reads the records.
WARM = ("analysis.run.stage", "analysis.report.charts", "analysis.models.churn")
AFRESH = "import gc; get_ipython().reset(); gc.collect()"


class _Client(AsyncKernelClient):
    """Without a thread for heartbeats, which would hold up a run that is stopped."""

    def start_channels(self, *channels: Any, **named: Any) -> None:
        super().start_channels(*channels, **named | {"hb": False})


class _Forked(LocalProvisioner):
    """Has its kernel forked off."""

    def __init__(self, server: ForkServer, **named: Any) -> None:
        super().__init__(**named)
        self._server = server

    async def launch_kernel(self, cmd: list[str], **_: Any) -> Any:
        manager: Any = self.parent
        self.process = self._server.fork(manager.connection_file)
        self.pid = self.pgid = self.process.pid  # as of a session of its own
        return self.connection_info


class Kernel(AsyncKernelManager):
    """A kernel that knows the client of its notebook, to close what that leaves open."""

    def start(self, server: ForkServer | None) -> None:
        if server:
            self.provisioner = _Forked(server, parent=self, kernel_spec=self.kernel_spec)
        # What libraries print past Python is of no use to who waits for the run.
        quiet = {"stdout": subprocess.DEVNULL, "extra_arguments": ["--log-level=50"]}
        run_sync(self.start_kernel)(cwd=str(ROOT), **quiet)
        self.aside = self.blocking_client()
        self.aside.start_channels(iopub=False, stdin=False, hb=False, control=False)

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

    def __init__(self) -> None:
        self._idle = list[Kernel]()
        self._server = ForkServer(WARM) if fork_server.POSSIBLE else None

    def __enter__(self) -> "Kernels":
        return self

    def __exit__(self, *_: object) -> None:
        for kernel in self._idle:
            kernel.end()
        if self._server:
            self._server.end()

    @contextmanager
    def one(self) -> Iterator[Kernel]:
        """A kernel for one notebook."""
        kernel = self._idle.pop() if self._idle else self._begun()
        try:
            yield kernel
            kernel.afresh()
        except BaseException:
            kernel.connected.stop_channels()
            kernel.end()
            raise
        self._idle.append(kernel)

    def _begun(self) -> Kernel:
        # What kernels say goes over local TCP, where other users of the machine could listen.
        kernel = Kernel(
            context=zmq.asyncio.Context.instance(),  # none of its own could hold up the end
            client_factory=_Client,
            transport_encryption="auto",
        )
        kernel.start(self._server)
        return kernel
