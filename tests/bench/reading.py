"""Reading and cleaning a CSV file against DuckDB's own read_csv into Parquet: time as a ratio, and
memory as it grows.

Each turn is a process of its own. `--small` reads a few lines, so that a test can see that this
still works.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import yaml

LINES, MANY = 4_700_000, 23_500_000
TYPES = {
    "customer_id": "VARCHAR",
    "date": "DATE",
    "amount": "DECIMAL(38, 12)",
    "quantity": "DOUBLE",
    "order_id": "VARCHAR",
}
TYPES |= {"product": "VARCHAR", "channel": "VARCHAR"}
GENERATED = """
COPY (SELECT 'K' || lpad((hash(i // 5) % {customers})::VARCHAR, 7, '0') AS customer_id,
    (DATE '2022-01-01' + ((hash(i // 3 + 7) % 1000)::INT))::VARCHAR AS date,
    (hash(i * 3) % 20000) / 100 AS amount,
    1 + hash(i * 5) % 5 AS quantity, 'SO' || (i // 3) AS order_id, 'P' || (i % 5000) AS product,
    ['web', 'shop', 'phone'][(1 + hash(i * 13) % 3)::INT] AS channel
    FROM range({lines}) t(i)) TO '{path}' (HEADER)
"""


def write_csv(path: Path, lines: int) -> None:
    """An order log without faults, as most are by far."""
    duckdb.connect().execute(GENERATED.format(path=path, lines=lines, customers=max(lines // 5, 1)))


def by_duckdb(path: Path, folder: Path) -> None:
    """The peer: the same columns with the same types."""
    duckdb.connect().execute(
        f"COPY (FROM read_csv('{path}', types = {TYPES})) TO '{folder}/peer.parquet'"
    )


def by_us(path: Path, folder: Path) -> None:
    """All that a run does with the log: read, parse, judge, tell copies, write transactions and
    rejects.
    """
    from analysis.intake import cleaning, store  # whose time and memory are not the peer's
    from analysis.intake import dataset as dataset_file

    columns = {name: name for name in TYPES}
    described = {"path": str(path), "columns": columns, "order_key": ["order_id", "product"]}
    (folder / "big.yml").write_text(
        yaml.safe_dump({"tables": {"transactions": described}}), "utf-8"
    )
    dataset = dataset_file.load(folder / "big.yml")
    typed = store.typed(store.gather(dataset, folder), "transactions")
    judged = cleaning.judge(typed, cleaning.last_complete_day(typed, dataset))
    cleaning.transactions(judged).to_parquet(folder / "transactions.parquet")
    cleaning.rejects(judged).to_parquet(folder / "rejects.parquet")


WAYS = {"duckdb": by_duckdb, "customer-matrix": by_us}


def measured(way: str, path: Path) -> dict[str, float]:
    """Seconds and peak memory (MB) of one turn in a process of its own."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        call = [sys.executable, __file__, "--way", way, str(path), folder]
        return json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)


def _turn(way: str, path: Path, folder: Path) -> None:
    began = time.perf_counter()
    WAYS[way](path, folder)
    seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu": usage.ru_utime + usage.ru_stime,
                "mb": usage.ru_maxrss / 1024,
            }
        )
    )


def main(lines: int = LINES, many: int = MANY, times: int = 3) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        write_csv(path, lines)
        turns = {way: [measured(way, path) for _ in range(times)] for way in WAYS}
        middle = {
            way: statistics.median(turn["seconds"] for turn in some) for way, some in turns.items()
        }
        for way, some in turns.items():
            cpu, peak = min(turn["cpu"] for turn in some), max(turn["mb"] for turn in some)
            print(
                f"{way:<16} {lines:>12,} lines: median {middle[way]:6.2f} s, CPU {cpu:6.2f} s, peak"
                f" {peak:6,.0f} MB"
            )
        print(f"ratio {middle['customer-matrix'] / middle['duckdb']:.2f}")
        write_csv(path, many)
        turn = measured("customer-matrix", path)
        print(
            f"{'customer-matrix':<16} {many:>12,} lines: {turn['seconds']:13.2f} s, peak"
            f" {turn['mb']:6,.0f} MB"
        )
        print(
            f"memory grows by {turn['mb'] / max(t['mb'] for t in turns['customer-matrix']) - 1:.0%}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--way", nargs=3, metavar=("WAY", "CSV", "FOLDER"))
    given = parser.parse_args()
    if given.way:
        _turn(given.way[0], Path(given.way[1]), Path(given.way[2]))
    elif given.small:
        main(1_000, 5_000, 1)
    else:
        main()
