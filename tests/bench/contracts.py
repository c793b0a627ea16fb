"""Invented companies with contracts whose renewals to come are known: does the risk of leaving come
true?

    python tests/bench/contracts.py  # all of them, 5 seeds
    python tests/bench/contracts.py annual --seeds 2
"""

import argparse
import datetime as dt
import time
from dataclasses import replace
from typing import NamedTuple

import ibis
import numpy as np
import pandas as pd
from ibis import _

from analysis.intake.dataset import Dataset
from analysis.models import churn, metrics
from analysis.models.history import Records

DAY = dt.date(2024, 12, 31)
HORIZON_DAYS = 91
SPAN = 1095  # days of the log


class Company(NamedTuple):
    """The months of a contract; whether the profiles flag who has left; the share of leavers who
    end theirs in the midst of it; the share whose first order lies anywhere before the contract,
    so that nothing tells when it began; the share of contracts that begin in October.
    """

    months: int = 12
    flagged: bool = True
    early: float = 0.0
    unknown: float = 0.0
    october: float = 0.0


COMPANIES = {
    "annual": Company(),
    "annual_unflagged": Company(flagged=False),
    "half_years": Company(months=6),
    "two_years": Company(months=24),
    "october": Company(october=0.7),
    "early": Company(early=0.2),
    "start_unknown": Company(unknown=1.0),
    "quarters": Company(months=3),
}


class Customers(NamedTuple):
    """Orders up to DAY; profiles as the file has them on it; who leaves within the horizon, and
    whose contract is due in it, of those whose contract runs on DAY (index).
    """

    orders: pd.DataFrame
    profiles: pd.DataFrame
    later: pd.DataFrame


def simulate(company: Company, seed: int, count: int = 2000) -> Customers:
    """Customers come evenly over three years, order by a rate of their own while their contract
    runs, at each end of it renew or do not by a chance of their own, and order less before they
    leave. Days are counted from the beginning of the log.
    """
    rng = np.random.default_rng(seed)
    term = 365.25 / 12 * company.months
    start = rng.uniform(0, SPAN - 20, count)
    in_october = rng.random(count) < company.october
    october = 365.25 * rng.integers(0, 3, count) + rng.uniform(274, 304, count)
    start = np.where(in_october & (october < SPAN - 20), october, start).round()
    terms = rng.geometric(rng.beta(1.2, 3.0, count))
    end = start + (terms * term).round()
    early = rng.random(count) < company.early
    end = np.where(early, end - rng.uniform(0.1, 0.9, count) * term, end).round()
    begun = np.where(
        rng.random(count) < company.unknown, start - rng.uniform(0, term, count), start
    )
    gaps = rng.exponential(1, (count, 150)) / rng.gamma(3, 1 / 60, count)[:, None]
    when = begun[:, None] + np.hstack([np.zeros((count, 1)), gaps.cumsum(axis=1)])
    tired = (when > end[:, None] - 90) & (rng.random(when.shape) < 0.6)
    here = (when < np.minimum(end, SPAN)[:, None]) & (when >= 0) & ~tired
    here[:, 0] = True
    who, place = np.nonzero(here)
    ids = pd.Series(np.arange(count)).astype("str").str.zfill(5).radd("c")
    orders = pd.DataFrame(
        {
            "customer_id": ids[who].to_numpy(),
            "day": _date(np.floor(when[who, place].clip(0))),
            "amount": rng.gamma(2, 20, len(who)).round(2),
        }
    )
    # a contract that still runs is known by its next end, whatever becomes of it then
    next_end = start + (term * np.ceil((SPAN - start) / term)).round()
    over = end < SPAN
    shown = np.where(over, end, next_end)
    profiles = pd.DataFrame({"customer_id": ids, "contract_end": _date(shown)})
    if company.flagged:
        profiles["churned"] = over
    horizon = SPAN - 1 + HORIZON_DAYS
    later = pd.DataFrame({"left": end <= horizon, "due": next_end <= horizon}).set_index(ids)
    return Customers(orders, profiles, later[~over])


def _date(days: np.ndarray) -> np.ndarray:
    """The date of a day of the log, whose last is DAY."""
    return (pd.Timestamp(DAY) + pd.to_timedelta(days - SPAN + 1, unit="D")).date


def records(company: Customers) -> Records:
    log = ibis.memtable(company.orders)
    log = log.mutate(day=_.day.cast("date"), amount=_.amount.cast("decimal(38, 12)")).cache()
    people = ibis.memtable(company.profiles)
    people = people.mutate(contract_end=_.contract_end.cast("date")).cache()
    return replace(Records(log), profiles=people)


def settings(company: Customers) -> Dataset:
    columns = {"customer_id": "c", "date": "d", "amount": "a"}
    named = {name: name for name in company.profiles}
    tables = {
        "transactions": {"path": "x.csv", "columns": columns},
        "customers": {"path": "p.csv", "columns": named},
    }
    return Dataset(name="contracts", tables=tables, churn="contract", horizon_days=HORIZON_DAYS)


def judged(company: Company, seed: int, count: int = 2000) -> dict[str, float | str]:
    """Of one company: AUC as the page shows it, as it came true, and of the bare rule "due within
    the horizon"; mean risk and share that left of who was due and was not.
    """
    made = simulate(company, seed, count)
    return came_true(made, churn.trial(records(made), DAY, settings(made)))


def came_true(made: Customers, trial: churn.Trial) -> dict[str, float | str]:
    """The same of a trial of these customers."""
    risk = pd.Series(trial.risks, trial.known.customer_id)
    later = made.later.loc[risk.index]
    due = later.due.to_numpy()
    return {
        "model": trial.champion,
        "shown": churn.measured(trial)["auc"],
        "auc": metrics.measure(risk.to_numpy(), later.left.to_numpy())["auc"],
        "flag": metrics.measure(due.astype(float), later.left.to_numpy())["auc"],
        "due_risk": float(risk[due].mean()),
        "due_left": float(later.left[due].mean()),
        "rest_risk": float(risk[~due].mean()),
        "rest_left": float(later.left[~due].mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("companies", nargs="*", default=list(COMPANIES))
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    for name in asked.companies:
        begun = time.perf_counter()
        found = pd.DataFrame([judged(COMPANIES[name], seed) for seed in range(asked.seeds)])
        mean, models = found.drop(columns="model").mean(), sorted({*found.model})
        print(
            f"{name:17} AUC shown {mean.shown:.3f}, came true {mean.auc:.3f}, due alone"
            f" {mean.flag:.3f}; risk of the due {mean.due_risk:.1%} ({mean.due_left:.1%} left), of"
            f" the others {mean.rest_risk:.2%} ({mean.rest_left:.2%}); {', '.join(models)};"
            f" {(time.perf_counter() - begun) / asked.seeds:.1f} s each",
            flush=True,
        )


if __name__ == "__main__":
    main()
