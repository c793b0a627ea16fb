"""Summaries of order logs and fits of buy-till-you-die models: time, peak memory and growth against
lifetimes and against SQL written by hand. `--small` compares results alone and never asserts a
time.
"""

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import lifetimes
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from lifetimes.utils import summary_data_from_transaction_data

from analysis.customers import customers
from analysis.engine import connect
from analysis.models import btyd
from analysis.schema import MONEY

SEED = 20240229
AS_OF = dt.date(2024, 12, 31)
SPAN = 900  # days in which customers come
MODELS = {
    "BG/NBD": "BetaGeoFitter",
    "MBG/NBD": "ModifiedBetaGeoFitter",
    "Pareto/NBD": "ParetoNBDFitter",
}
HISTORY = ["frequency", "recency", "T"]
SLOW = 8.0  # seconds from which one turn is enough
Line = dict[str, Any]
BY_HAND = """
WITH days AS (
    SELECT customer_id, day, sum(amount) AS net,
        coalesce(sum(amount) FILTER (amount >= 0), 0) AS sales,
        bool_or(amount >= 0) AS ordered
    FROM read_parquet('{path}') WHERE day <= DATE '{as_of}' GROUP BY customer_id, day
), facts AS (
    SELECT customer_id, count(*) FILTER (ordered) AS orders,
        min(day) FILTER (ordered) AS first_order, max(day) FILTER (ordered) AS last_order,
        sum(net) AS net, sum(sales) AS sales, count(*) FILTER (sales > 0) AS valued,
        coalesce(arg_min(sales, day) FILTER (ordered), 0) AS first_sales
    FROM days GROUP BY customer_id
)
SELECT customer_id, orders, first_order, last_order, greatest(orders - 1, 0) AS frequency,
    DATE '{as_of}' - last_order AS recency_days, DATE '{as_of}' - first_order AS age_days,
    net::DOUBLE AS revenue, sales::DOUBLE / nullif(orders, 0) AS order_value,
    (sales - first_sales)::DOUBLE / nullif(valued - (first_sales > 0)::INT, 0) AS repeat_value,
    valued - (first_sales > 0)::INT AS repeat_valued, orders AS window_orders,
    net::DOUBLE AS window_revenue
FROM facts ORDER BY customer_id
"""


def write_log(number: int, path: Path) -> Path:
    """An order log of so many customers who buy and leave as BG/NBD says, in order of days."""
    rng = np.random.default_rng(SEED)
    who, day = _orders(number, rng)
    lines = 1 + (rng.random(len(who)) < 0.32)
    who, day = np.repeat(who, lines), np.repeat(day, lines)
    order = np.argsort(day, kind="stable")
    who, day = who[order], day[order]
    cents = (
        np.ceil(rng.gamma(2.0, 1500.0, number)[who] * rng.gamma(3.0, 1 / 3, len(who))).astype(
            np.int64
        )
        + 1
    )
    names = pa.array(np.char.add("C", np.char.zfill(np.arange(number).astype(str), 7)))
    last = (AS_OF - dt.date(1970, 1, 1)).days
    columns = {
        "customer_id": names.take(pa.array(who)),
        "day": pa.array((last - SPAN + day).astype(np.int32)).cast(pa.date32()),
        "amount": pa.array(cents / 100).cast(pa.decimal128(18, 2)).cast(MONEY),
        "source": pa.array(["orders.csv"] * len(who)),
        "line": pa.array(np.arange(1, len(who) + 1)),
    }
    pq.write_table(pa.table(columns), path)
    return path


def _orders(number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Customer and day (0 to SPAN) of every order: rounds in which everybody still here orders once
    more or leaves.
    """
    now = rng.integers(0, SPAN, number).astype(float)
    rate, leaving = rng.gamma(0.8, 1 / 75, number), rng.beta(0.8, 3.0, number)
    here = np.arange(number)
    found = [(here, now.astype(int))]
    while len(here):
        now[here] += rng.exponential(1 / rate[here])
        here = here[now[here] < SPAN]
        found.append((here, np.ceil(now[here]).astype(int)))
        here = here[rng.random(len(here)) >= leaving[here]]
    who, day = (np.concatenate(part) for part in zip(*found, strict=True))
    return who, day


def frame_of_log(path: Path) -> pd.DataFrame:
    """The log as lifetimes wants it: money as floats, days as timestamps (nanoseconds, pandas 3's
    fastest here).
    """
    log = pq.read_table(path, columns=["customer_id", "day", "amount"])
    log = log.set_column(2, "amount", log["amount"].cast(pa.float64()))
    return log.to_pandas(date_as_object=False).astype({"day": "datetime64[ns]"})


def summary(log: ibis.Table) -> pd.DataFrame:
    """Our table `customers`, as a pandas frame."""
    return customers(log, AS_OF).to_pandas()


def their_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """lifetimes' table of the same log."""
    return summary_data_from_transaction_data(
        frame, "customer_id", "day", "amount", observation_period_end=AS_OF
    )


def by_hand(log: ibis.Table, path: Path) -> ibis.Table:
    """The SQL written by hand as a view of the same engine, so that it is fetched the same way."""
    engine = log.get_backend()
    engine.raw_sql(
        "CREATE OR REPLACE TEMP VIEW by_hand AS " + BY_HAND.format(path=path, as_of=AS_OF)
    )
    return engine.table("by_hand")


def histories(table: pd.DataFrame) -> list[np.ndarray]:
    """Repeat orders, the time of the last and the age of each customer, in weeks."""
    age = table.age_days.to_numpy(float)
    return [
        table.frequency.to_numpy(float),
        (age - table.recency_days.to_numpy(float)) / 7,
        age / 7,
    ]


def fit(library: Any, model: str, history: list[np.ndarray]) -> Any:
    """The fitter of that model of our module or of lifetimes', fitted."""
    with np.errstate(all="ignore"):
        return getattr(library, MODELS[model])().fit(*history)


def likelihoods(ours: Any, theirs: Any, history: list[np.ndarray]) -> tuple[float, float]:
    """The log-likelihoods of our optimum and of lifetimes', both under our formulas."""
    other = ours.with_parameters(theirs.params_[list(ours.names)])
    return float(ours.log_likelihoods(*history).sum()), float(other.log_likelihoods(*history).sum())


def race(**runners: Callable[[], Any]) -> dict[str, tuple[float, Any]]:
    """Best seconds and the result of each: up to three turns in alternation, one for the slow."""
    best: dict[str, tuple[float, Any]] = {}
    slow: set[str] = set()
    for _ in range(3):
        for name in [name for name in runners if name not in slow]:
            began = time.perf_counter()
            result = runners[name]()
            seconds = time.perf_counter() - began
            best[name] = min(seconds, best.get(name, (np.inf,))[0]), result
            if seconds > SLOW:
                slow.add(name)
    return best


def row(
    what: str,
    unit: str,
    ours: float,
    theirs: float | None = None,
    ratio: float | None = None,
    aim: str = "",
) -> Line:
    """A line of the result. An aim is '>= number' or '<= number'; reached is None without one."""
    reached = None
    if aim and ratio is not None:
        sign, bound = aim.split()
        reached = ratio >= float(bound) if sign == ">=" else ratio <= float(bound)
    return {
        "what": what,
        "unit": unit,
        "ours": ours,
        "theirs": theirs,
        "ratio": ratio,
        "aim": aim,
        "reached": reached,
    }


def bench_summary(path: Path, label: str, aimed: bool) -> tuple[list[Line], float, pd.DataFrame]:
    """The lines on the summary of a log, our seconds, and our table."""
    log, frame = connect().read_parquet(path), frame_of_log(path)
    hand = by_hand(log, path)
    found = race(
        ours=lambda: summary(log),
        lifetimes=lambda: their_summary(frame),
        sql=hand.to_pandas,
        plain=lambda: log.get_backend().raw_sql("FROM by_hand").df(),
    )
    (ours, table), sql, plain, theirs = (
        found["ours"],
        found["sql"][0],
        found["plain"][0],
        found["lifetimes"][0],
    )
    same_summaries(table, found["lifetimes"][1], found["sql"][1])
    rows = [
        row(
            f"summary {label}: lifetimes / ours",
            "s",
            ours,
            theirs,
            theirs / ours,
            ">= 6" if aimed else "",
        ),
        row(
            f"summary {label}: ours / SQL, fetched by Ibis",
            "s",
            ours,
            sql,
            ours / sql,
            "<= 1.3" if aimed else "",
        ),
        row(f"summary {label}: ours / SQL, fetched by DuckDB", "s", ours, plain, ours / plain),
    ]
    return rows, ours, table


def bench_fit(
    model: str, label: str, history: list[np.ndarray], aim: float
) -> tuple[list[Line], Any, float]:
    """The lines on the fit of a model, our fitter, and our seconds."""
    found = race(
        ours=lambda: fit(btyd, model, history), lifetimes=lambda: fit(lifetimes, model, history)
    )
    (ours, mine), (theirs, other) = found["ours"], found["lifetimes"]
    best = likelihoods(mine, other, history)
    rows = [
        row(
            f"fit {model} {label}: lifetimes / ours",
            "s",
            ours,
            theirs,
            theirs / ours,
            f">= {aim:g}",
        ),
        row(
            f"fit {model} {label}: log-likelihood, ours - lifetimes",
            "log",
            *best,
            best[0] - best[1],
            f">= {-abs(best[0]) * 1e-12}",
        ),
    ]
    return rows, mine, ours


def alone(what: str, log: Path, history: Path) -> None:
    """Do one thing and print the peak memory (MB) of this process. ru_maxrss would count the
    parent's memory too: Linux hands it on to the child over fork and exec; VmHWM starts anew.
    """
    jobs = {
        "our summary": lambda: summary(connect().read_parquet(log)),
        "their summary": lambda: their_summary(frame_of_log(log)),
        "our fit": lambda: fit(btyd, "BG/NBD", list(np.load(history))),
        "their fit": lambda: fit(lifetimes, "BG/NBD", list(np.load(history))),
    }
    jobs[what]()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)


def peak(what: str, log: Path, history: Path) -> float:
    """Peak memory (MB) of a process that does this alone, with its imports and its data."""
    call = [sys.executable, "-W", "ignore", __file__, "--alone", what, str(log), str(history)]
    return float(
        subprocess.run(call, check=True, capture_output=True, text=True).stdout.split()[-1]
    )


def bench_memory(log: Path, history: list[np.ndarray], label: str) -> list[Line]:
    """The lines on peak memory."""
    kept = log.with_suffix(".npy")
    np.save(kept, history)
    rows = []
    for what in ("summary", "fit"):
        ours, theirs = (peak(f"{who} {what}", log, kept) for who in ("our", "their"))
        rows.append(
            row(
                f"peak memory of {what} {label}: lifetimes / ours",
                "MB",
                ours,
                theirs,
                theirs / ours,
            )
        )
    return rows


def bench(folder: Path) -> list[Line]:
    """All lines, at 100 thousand and 1 million customers."""
    few_log, many_log = (
        write_log(100_000, folder / "few.parquet"),
        write_log(1_000_000, folder / "many.parquet"),
    )
    rows, few_summary, few_table = bench_summary(few_log, "100k", aimed=False)
    more, many_summary, many_table = bench_summary(many_log, "1M", aimed=True)
    few, many = histories(few_table), histories(many_table)
    lines = pq.read_metadata(many_log).num_rows / pq.read_metadata(few_log).num_rows
    growth = [
        row(
            "growth of summary 100k to 1M: seconds / lines",
            "s",
            many_summary,
            few_summary,
            many_summary / few_summary / lines,
        )
    ]
    rows += more
    for model in ("BG/NBD", "MBG/NBD"):
        more, fitter, seconds = bench_fit(model, "1M", many, 20)
        rows += more
        growth.append(grown(model, seconds, race(it=lambda m=model: fit(btyd, m, few))["it"][0]))
        if model == "BG/NBD":
            began = time.perf_counter()
            fitter.refits(100, SEED)
            rows.append(row("100 refits of BG/NBD 1M", "s", time.perf_counter() - began))
    more, _, seconds = bench_fit("Pareto/NBD", "100k", few, 40)
    growth.append(
        grown("Pareto/NBD", race(it=lambda: fit(btyd, "Pareto/NBD", many))["it"][0], seconds)
    )
    return rows + more + growth + bench_memory(many_log, many, "1M")


def grown(model: str, many: float, few: float) -> Line:
    """The line on the growth of our fit's time."""
    return row(
        f"growth of fit {model} 100k to 1M: seconds / customers", "s", many, few, many / few / 10
    )


def same_summaries(ours: pd.DataFrame, theirs: pd.DataFrame, hand: pd.DataFrame) -> None:
    """Our table is that of the SQL by hand; orders, times and money are those of lifetimes."""
    pd.testing.assert_frame_equal(ours, hand, check_dtype=False, rtol=1e-12)
    expected = theirs.sort_index()
    assert list(ours.customer_id) == list(expected.index)
    for column, values in zip(HISTORY, histories(ours), strict=True):
        days = values if column == "frequency" else values * 7
        np.testing.assert_allclose(days, expected[column], atol=1e-9)
    np.testing.assert_array_equal(ours.orders, expected.frequency + 1)
    np.testing.assert_allclose(
        ours.repeat_value.fillna(0).astype(float), expected.monetary_value, rtol=1e-9
    )


def small() -> None:
    """The same summaries and optima as lifetimes at 2,000 and 5,000 customers; no time is looked
    at.
    """
    with tempfile.TemporaryDirectory() as folder:
        for number in (2_000, 5_000):
            path = write_log(number, Path(folder, f"{number}.parquet"))
            log = connect().read_parquet(path)
            table = summary(log)
            same_summaries(table, their_summary(frame_of_log(path)), by_hand(log, path).to_pandas())
            for model in MODELS:
                same_optimum(model, histories(table))


def same_optimum(model: str, history: list[np.ndarray]) -> None:
    """Our optimum is no worse than lifetimes', and its likelihood is the same but for where
    lifetimes stops searching.
    """
    ours, theirs = fit(btyd, model, history), fit(lifetimes, model, history)
    mine, other = likelihoods(ours, theirs, history)
    assert ours.problem_ == "" and -1e-6 < mine - other < 0.01, (model, mine, other)
    np.testing.assert_allclose(ours.params_, theirs.params_[list(ours.names)], rtol=0.02)


def show(rows: list[Line]) -> None:
    """The table on standard output."""
    digits = {"s": ",.3f", "MB": ",.0f", "log": ",.3f"}
    print(f"{'what':<58} {'ours':>16} {'theirs':>16} {'ratio':>8} {'aim':>10} reached")
    for line in rows:
        numbers = [
            f"{line[who]:{digits[line['unit']]}}" if line[who] is not None else ""
            for who in ("ours", "theirs")
        ]
        ratio = f"{line['ratio']:.2f}" if line["ratio"] is not None else ""
        aim = ">= 0" if line["unit"] == "log" else line["aim"]
        reached = {True: "yes", False: "no", None: ""}[line["reached"]]
        print(
            f"{line['what']:<58} {numbers[0]:>16} {numbers[1]:>16} {ratio:>8} {aim:>10} {reached}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--small", action="store_true", help="compare results at a few thousand customers, no times"
    )
    parser.add_argument("--json", type=Path, help="write the lines to this file")
    parser.add_argument(
        "--alone", nargs=3, metavar=("WHAT", "LOG", "HISTORY"), help=argparse.SUPPRESS
    )
    asked = parser.parse_args()
    if asked.alone:
        alone(asked.alone[0], *map(Path, asked.alone[1:]))
    elif asked.small:
        small()
        print("same summaries and optima")
    else:
        with tempfile.TemporaryDirectory() as folder:
            rows = bench(Path(folder))
        show(rows)
        if asked.json:
            asked.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
