"""Whom to look after: bands of risk by what a contact costs and earns, and who has become likelier
to leave.
"""

import datetime as dt

import numpy as np
import pandas as pd

from analysis.intake.dataset import Dataset
from analysis.intake.settings import Contact
from analysis.models import churn, metrics
from analysis.models.churn import Risk
from analysis.models.churn_features import features
from analysis.models.history import Records
from analysis.statistics import wilson

BANDS = ("low", "medium", "high")
WITHOUT_MONEY = (
    0.5,
    0.8,
)  # limits of the bands where nothing is known of money: even, and four of five
JUMP = 0.2  # of the risk, from one period to the next, that is worth a warning
LEAST_RISE = 0.05  # on the way into a higher band; a band crossed by less is chance
EDGES = (0.01, 0.99)  # a band that nobody or everybody is in tells nothing


def stakes(known: pd.DataFrame, settings: Dataset) -> pd.Series:
    """What each customer brings within a horizon if all goes on as in the value window (money:
    profit where costs are known, else revenue times the margin if that is known); not below 0,
    empty without money.
    """
    brought = known.window_revenue * (settings.margin or 1)
    if "window_profit" in known:
        brought = known.window_profit.fillna(brought)
    days = np.maximum(
        known.age_days + 1, settings.horizon_days
    )  # a customer of last week has not shown what a horizon brings
    days = np.minimum(days, settings.value_window_days or days)
    return (brought / days * settings.horizon_days).clip(lower=0)


def cost_of(contact: Contact, average: float) -> float:
    """What reaching a customer costs (money); `average` is what the average customer brings within
    a horizon.
    """
    return contact.share * average if contact.cost is None else contact.cost


def average_stake(table: pd.DataFrame) -> float:
    """What a customer not lost brings within a horizon, on average; `table` as from scored."""
    return float(table.value_at_stake[~table.lost].mean())


def limits_of(table: pd.DataFrame, settings: Dataset) -> tuple[float, float]:
    """The limits of the bands in a table as from scored."""
    return limits(table.value_at_stake[~table.lost], settings)


def limits(at_stake: pd.Series, settings: Dataset) -> tuple[float, float]:
    """The risks from which a message and a call pay for the average of these customers: the lower
    limits of medium and high.
    """
    average = float(at_stake.mean())
    if not average > 0:
        return WITHOUT_MONEY
    ways = (settings.retention.message, settings.retention.call)
    pays_from = [
        metrics.best_threshold(cost_of(way, average), way.success, average) for way in ways
    ]
    low, high = np.clip(sorted(pays_from), *EDGES)
    return float(low), float(high)


def band(risk: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """low, medium or high, which begin at the limits; unknown where the risk is."""
    return np.where(
        np.isnan(risk),
        "unknown",
        np.array(BANDS, dtype=object)[np.searchsorted(limits, risk, side="right")],
    )


def before(
    records: Records, risk: Risk | None, as_of: dt.date, days: int, settings: Dataset
) -> pd.Series:
    """The risk that the same model would have told `days` before, of who had ordered by then, by
    customer_id: from the log as it stood, not from an earlier run. The model is the same, so that a
    rise is the customer's and not the model's.
    """
    if risk is None:
        return pd.Series(dtype=float)
    then = churn.describe(records, as_of - dt.timedelta(days=days), settings)
    return pd.Series(
        risk.predict(features(then)) if len(then) else [], then.customer_id, dtype=float
    )


def scored(
    known: pd.DataFrame, risk: np.ndarray, earlier: pd.Series, settings: Dataset
) -> pd.DataFrame:
    """The table `churn` but for its reasons: the risk of each customer now and before, its band,
    what is at stake, and whether to warn. Warned is of who is not lost, and has risen into a higher
    band or by JUMP since.
    """
    at_stake = stakes(known, settings)
    edges = limits(at_stake[known.stage != "lost"], settings)
    table = pd.DataFrame(
        {"customer_id": known.customer_id, "churn_risk": risk, "risk_band": band(risk, edges)}
    )
    table["risk_before"] = known.customer_id.map(earlier).astype(float)
    table["value_at_stake"] = at_stake
    table["expected_loss"] = table.churn_risk * at_stake
    table["lost"] = known.stage == "lost"
    rank = dict(zip(BANDS, range(len(BANDS)), strict=True))
    then = pd.Series(band(table.risk_before.to_numpy(), edges), table.index)
    rise, higher = table.churn_risk - table.risk_before, table.risk_band.map(rank) > then.map(rank)
    table["warned"] = ~table.lost & ((higher & (rise >= LEAST_RISE)) | (rise >= JUMP))
    return table


def warnings(table: pd.DataFrame) -> pd.DataFrame:
    """Who is warned of, the largest expected loss first; without money the highest risk."""
    by = "expected_loss" if table.expected_loss.notna().any() else "churn_risk"
    return table[table.warned].sort_values(
        [by, "customer_id"], ascending=[False, True], ignore_index=True
    )


def proof(trial: churn.Trial, records: Records, days: int, settings: Dataset) -> dict[str, object]:
    """How warnings would have done at the measured origin.

    Keys: origin, warned, left (share of them), low, high (its 95 % interval), said (their mean
    risk), before (the same a period earlier).
    """
    nothing: dict[str, object] = {
        "origin": None,
        "warned": 0,
        **dict.fromkeys(("left", "said", "low", "high", "before"), float("nan")),
    }
    origin = trial.measured
    if origin is None:
        return nothing
    risk = origin.calibrated[trial.champion]
    earlier = before(records, risk, origin.day, days, settings)
    table = scored(origin.held, origin.risks[trial.champion], earlier, settings)
    warned = table.warned.to_numpy()
    if not warned.any():
        return nothing | {"origin": origin.day}
    left, count = float(origin.gone[warned].mean()), float(warned.sum())
    low, high = wilson(left, count)
    said = table[warned][["churn_risk", "risk_before"]].mean()
    return {
        "origin": origin.day,
        "warned": int(count),
        "left": left,
        "low": low,
        "high": high,
        "said": float(said.churn_risk),
        "before": float(said.risk_before),
    }


def profit(trial: churn.Trial, settings: Dataset) -> pd.DataFrame:
    """evidence.profit_curve of calls at the measured origin, of those not lost, each with an own
    value.

    Empty without an origin or money.
    """
    if (origin := trial.measured) is None:
        return pd.DataFrame()
    gone, risk = churn.outcome(trial)
    value = stakes(origin.held[origin.active], settings)
    call = settings.retention.call
    known = value.notna().all() and len(value)
    return (
        metrics.profit_curve(risk, gone, value, cost_of(call, value.mean()), call.success)
        if known
        else pd.DataFrame()
    )


def best(curve: pd.DataFrame) -> dict[str, float]:
    """The point of a profit curve at which the list should have ended by the risks: contacted,
    profit (with what came), and of calling everybody: customers, all.
    """
    if curve.empty:
        return dict.fromkeys(("contacted", "profit", "customers", "all"), float("nan"))
    end, last = curve.loc[curve.expected.idxmax()], curve.iloc[-1]
    return {
        "contacted": end.contacted,
        "profit": end.profit,
        "customers": last.contacted,
        "all": last.profit,
    }
