"""Time and memory of the default run and of answering --help: measured as whole processes, never
asserted.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

COMMAND = str(Path(sys.executable).with_name("customer-matrix"))


def measured(call: list[str], home: str) -> tuple[float, float]:
    """Seconds, and the peak of the memory (MB) that the process and its children hold together."""
    began = time.perf_counter()
    process = subprocess.Popen(
        call, env=os.environ | {"CUSTOMER_MATRIX_HOME": home}, stdout=subprocess.DEVNULL
    )
    peak, done = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, done))
    watcher.start()
    process.wait()
    done.set()
    watcher.join()
    return time.perf_counter() - began, peak[0]


def _watch(pid: int, peak: list[float], done: threading.Event) -> None:
    """Proportional set sizes: pages that processes share count once."""
    while not done.wait(0.1):
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            peak[0] = max(
                peak[0], sum(process.memory_full_info().pss for process in family) / 1024**2
            )
        except psutil.NoSuchProcess:
            continue


def main(times: int = 3) -> None:
    calls = {
        "default run": [COMMAND, "run", "data/cdnow.yml"],
        "--help": [COMMAND, "--help"],
        "import": [sys.executable, "-c", "import analysis"],
    }
    result = {}
    for name, call in calls.items():
        runs = []
        for _ in range(times):
            with tempfile.TemporaryDirectory() as home:
                runs.append(measured(call, home))
        seconds, memory = zip(*runs, strict=True)
        result[name] = {"seconds": [round(s, 2) for s in seconds], "peak_mb": round(max(memory))}
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(
            f"{name:<12} median {statistics.median(seconds):6.2f} s ({spread}), peak"
            f" {max(memory):6,.0f} MB"
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
