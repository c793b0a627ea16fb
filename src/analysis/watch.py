"""Whom to look after: bands of risk by what a contact costs and earns, and who has become likelier to leave."""

import datetime as dt
from typing import TypeVar

import numpy as np
import pandas as pd

from analysis import churn, evidence
from analysis.churn import Risk
from analysis.churn_features import features
from analysis.dataset import Contact, Dataset
from analysis.intervals import wilson
from analysis.signals import Records

Money = TypeVar("Money", float, pd.Series)
BANDS = ("low", "medium", "high")
WITHOUT_MONEY = (0.5, 0.8)  # limits of the bands where nothing is known of money: even, and four of five
JUMP = 0.2  # of the risk, from one period to the next, that is worth a warning
EDGES = (0.01, 0.99)  # a band that nobody or everybody is in tells nothing


def stakes(known: pd.DataFrame, settings: Dataset) -> pd.Series:
    """What each customer brings within a horizon if all goes on as in the value window (money: profit where costs are known, else
    revenue times the margin if that is known); not below 0, empty without money."""
    window = known.age_days + 1 if not settings.value_window_days else np.minimum(settings.value_window_days, known.age_days + 1)
    brought = known.window_revenue * (settings.margin or 1)
    if "window_profit" in known:
        brought = known.window_profit.fillna(brought)
    days = np.maximum(window, settings.horizon_days)  # a customer of last week has not shown what a horizon brings
    return (brought / days * settings.horizon_days).clip(lower=0)


def pays_from(contact: Contact, value: float) -> float:
    """The risk from which it pays to reach a customer who brings `value` within the horizon."""
    return evidence.best_threshold(cost_of(contact, value), contact.success, value)


def cost_of(contact: Contact, value: Money) -> Money:
    """What reaching one costs: money, and what the offer gives away."""
    return contact.cost + contact.offer * value


def average_stake(table: pd.DataFrame) -> float:
    """What a customer not lost brings within a horizon, on average; `table` as from scored."""
    return float(table.value_at_stake[~table.lost].mean())


def limits_of(table: pd.DataFrame, settings: Dataset) -> tuple[float, float]:
    """The limits of the bands in a table as from scored."""
    return limits(table.value_at_stake[~table.lost], settings)


def limits(at_stake: pd.Series, settings: Dataset) -> tuple[float, float]:
    """The risks from which a message and a call pay for the average of these customers: the lower limits of medium and high."""
    value = float(at_stake.mean())
    if not value > 0:
        return WITHOUT_MONEY
    message, call = (pays_from(contact, value) for contact in (settings.retention.message, settings.retention.call))
    low, high = np.clip(sorted((message, call)), *EDGES)
    return float(low), float(high)


def band(risk: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """low, medium or high, which begin at the limits; unknown where the risk is."""
    return np.where(np.isnan(risk), "unknown", np.array(BANDS, dtype=object)[np.searchsorted(limits, risk, side="right")])


def before(records: Records, risk: Risk | None, as_of: dt.date, days: int, settings: Dataset) -> pd.Series:
    """The risk that the same model would have told `days` before, of who had ordered by then, by customer_id: from the log as it
    stood, not from an earlier run. The model is the same, so that a rise is the customer's and not the model's."""
    if risk is None:
        return pd.Series(dtype=float)
    then = churn.describe(records, as_of - dt.timedelta(days=days), settings)
    return pd.Series(risk.predict(features(then)) if len(then) else [], then.customer_id, dtype=float)


def scored(known: pd.DataFrame, risk: np.ndarray, earlier: pd.Series, settings: Dataset) -> pd.DataFrame:
    """The table `churn` but for its reasons: the risk of each customer now and before, its band, what is at stake, and whether to
    warn. Warned is of who is not lost, and has risen into a higher band or by JUMP since."""
    at_stake = stakes(known, settings)
    edges = limits(at_stake[known.stage != "lost"], settings)
    table = pd.DataFrame({"customer_id": known.customer_id, "churn_risk": risk, "risk_band": band(risk, edges)})
    table["risk_before"] = known.customer_id.map(earlier).astype(float)
    table["value_at_stake"] = at_stake
    table["expected_loss"] = table.churn_risk * at_stake
    table["lost"] = known.stage == "lost"
    rank = dict(zip(BANDS, range(len(BANDS)), strict=True))
    then = pd.Series(band(table.risk_before.to_numpy(), edges), table.index)
    risen = table.risk_band.map(rank) > then.map(rank)
    table["warned"] = ~table.lost & (risen | (table.churn_risk - table.risk_before >= JUMP))
    return table


def warnings(table: pd.DataFrame) -> pd.DataFrame:
    """Who is warned of, the largest expected loss first; without money the highest risk."""
    by = "expected_loss" if table.expected_loss.notna().any() else "churn_risk"
    return table[table.warned].sort_values([by, "customer_id"], ascending=[False, True], ignore_index=True)


def proof(trial: churn.Trial, records: Records, days: int, settings: Dataset) -> dict[str, object]:
    """How warnings would have done at the measured origin.

    Keys: origin, warned, left (share of them), low, high (its 95 % interval), said (their mean risk), rest (share that left of
    the others who were not lost).
    """
    nothing: dict[str, object] = {
        "origin": None,
        "warned": 0,
        **dict.fromkeys(("left", "said", "low", "high", "rest"), float("nan")),
    }
    origin = trial.measured
    if origin is None:
        return nothing
    risk = origin.calibrated[trial.champion]
    earlier = before(records, risk, origin.day, days, settings)
    table = scored(origin.held, origin.risks[trial.champion], earlier, settings)
    warned, others = table.warned.to_numpy(), (~table.warned & ~table.lost).to_numpy()
    if not warned.any():
        return nothing | {"origin": origin.day}
    low, high = wilson(float(origin.gone[warned].mean()), float(warned.sum()))
    return {
        "origin": origin.day,
        "warned": int(warned.sum()),
        "left": float(origin.gone[warned].mean()),
        "said": float(table.churn_risk[warned].mean()),
        "low": low,
        "high": high,
        "rest": float(origin.gone[others].mean()) if others.any() else float("nan"),
    }


def profit(trial: churn.Trial, settings: Dataset) -> pd.DataFrame:
    """evidence.profit_curve of calls at the measured origin, of those not lost, each with an own value.

    Empty without an origin or money.
    """
    if (origin := trial.measured) is None:
        return pd.DataFrame()
    gone, risk = churn.outcome(trial)
    value = stakes(origin.held[origin.active], settings)
    call = settings.retention.call
    return evidence.profit_curve(risk, gone, value, cost_of(call, value), call.success) if value.notna().all() else pd.DataFrame()


def best(curve: pd.DataFrame) -> dict[str, float]:
    """The point of a profit curve at which the list should have ended by the risks: contacted, profit (with what came), and of
    calling everybody: customers, all."""
    if curve.empty:
        return dict.fromkeys(("contacted", "profit", "customers", "all"), float("nan"))
    end, last = curve.loc[curve.expected.idxmax()], curve.iloc[-1]
    return {"contacted": end.contacted, "profit": end.profit, "customers": last.contacted, "all": last.profit}
