"""Risk of leaving on time no model had seen: the champion against recency alone, P(alive) of BG/NBD
as lifetimes has it, expected orders of the best probabilistic model, and logistic regression, on
the same customers. CDNOW and Complete Journey, 91 days.

`churn.py 1000000` instead tells the seconds and the peak of the process for so many generated
customers; `churn.py christmas mild` how the level of the risk came true in worlds.py.
"""

import datetime as dt
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import cdnow, complete_journey
from btyd_speed import AS_OF, write_log
from worlds import HORIZON_DAYS, WORLDS, World, as_log, simulate

from analysis.engine import connect
from analysis.files import ROOT
from analysis.intake import dataset
from analysis.models import btyd, churn, early_warning, metrics, reasons
from analysis.models.history import Records


def alive(held: pd.DataFrame) -> np.ndarray:
    """P(alive) of lifetimes' BG/NBD, in weeks."""
    history = held.frequency, (held.age_days - held.recency_days) / 7, held.age_days / 7
    return np.asarray(btyd.BetaGeoFitter().fit(*history).conditional_probability_alive(*history))


def board(trial: churn.Trial, who: np.ndarray) -> pd.DataFrame:
    """Figures of the champion and what it is held against, of these customers at the measured
    origin.
    """
    origin = trial.measured
    assert origin is not None
    gone, risks = origin.gone[who], {name: risk[who] for name, risk in origin.risks.items()}
    risks["P(alive)"] = 1 - alive(origin.held)[who]
    mine, rows = risks[trial.champion], {}
    for name, risk in risks.items():
        told = metrics.measure(risk, gone)
        gap = metrics.brier_difference(risk, mine, gone)
        rows[name] = {
            "auc": told["auc"], "from": told["auc_low"], "to": told["auc_high"],
            "brier": told["brier"], "worse by": gap["difference"],
            "slope": told["slope"],
            "slope_low": told["slope_low"], "slope_high": told["slope_high"],
            "ece": told["ece"], "ece_limit": told["ece_limit"],
            "mean": risk.mean(), "left": told["base"],
        }  # fmt: skip
    return pd.DataFrame(rows).T.sort_values("brier")


def accuracy() -> None:
    for name, log, as_of in (
        ("cdnow", cdnow(), dt.date(1998, 6, 30)),
        ("complete_journey", complete_journey(), dt.date(2017, 12, 31)),
    ):
        trial = churn.trial(Records(log), as_of, dataset.load(ROOT / "data" / f"{name}.yml"))
        assert trial.measured is not None
        print(
            f"\n{name}, measured at {trial.measured.day}, chosen at {len(trial.choosing)} earlier"
            f" dates: {trial.champion}"
        )
        print(f"Brier score at those, of customers not lost:\n{trial.choice.round(5).to_string()}")
        for words, who in (
            ("everybody", np.ones(len(trial.measured.held), bool)),
            ("not lost", trial.measured.active),
        ):
            print(f"measured, {words}:\n{board(trial, who).round(4).to_string()}")


def came_true(world: World, seed: int) -> dict[str, float]:
    """Of customers not lost: mean risk, the share that left, half the width of its interval,
    whether that held, and slope and Brier score of the risk.
    """
    past, later, *_rest = simulate(world, seed)
    columns = {"customer_id": "c", "date": "d", "amount": "a"}
    settings = dataset.Dataset(
        name="w", tables={"transactions": {"path": "x.csv", "columns": columns}}
    )
    trial = churn.trial(Records(as_log(past)), world.day, settings)
    came = later.customer_id[later.day <= world.day + dt.timedelta(days=HORIZON_DAYS)]
    who = trial.today.active
    gone, risk = ~trial.known.customer_id.isin(came)[who], trial.risks[who]
    level, told = churn.level(trial, pd.Series(risk)), metrics.measure(risk, gone)
    return {
        "shown": risk.mean(), "left": gone.mean(), "half": (level["high"] - level["low"]) / 2,
        "held": float(level["low"] <= gone.mean() <= level["high"]),
        "slope": told["slope"], "brier": told["brier"],
    }  # fmt: skip


def levels(names: list[str], seeds: int = 6) -> None:
    for name in names:
        found = pd.DataFrame([came_true(WORLDS[name], seed) for seed in range(seeds)])
        off, mean = found.shown - found.left, found.mean()
        print(
            f"{name:20} shown {mean.shown:.1%}, left {mean.left:.1%}: off by {off.abs().mean():.1%}"
            f" (mean {off.mean():+.1%}); half-width {mean.half:.1%}, held {mean.held:.0%}; slope"
            f" {mean.slope:.2f}, Brier score {mean.brier:.4f}",
            flush=True,
        )


def speed(count: int) -> None:
    settings = dataset.load(ROOT / "data" / "cdnow.yml")
    with tempfile.TemporaryDirectory() as folder:
        records, began = (
            Records(connect().read_parquet(write_log(count, Path(folder) / "log.parquet"))),
            time.perf_counter(),
        )
        trial = churn.trial(records, AS_OF, settings)
        risk, known = trial.risk, trial.known
        print(
            f"learned, calibrated, measured: {time.perf_counter() - began:.0f} s; champion"
            f" {trial.champion}",
            flush=True,
        )
        before = early_warning.before(trial.everyone, risk, AS_OF, 30)
        scored = early_warning.scored(known, trial.risks, before, settings)
        effects = reasons.effects(risk, trial.features, trial.usual)
        seconds, peak = (
            time.perf_counter() - began,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
        )
        print(
            f"{len(scored):,} scored now and before, {effects.shape[1]} effects each: {seconds:.0f}"
            f" s, peak {peak:.2f} GB"
        )


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked and asked[0].isdigit():
        speed(int(asked[0]))
    elif asked:
        levels(asked)
    else:
        accuracy()
