"""Whom to look after: bands of risk by what a contact costs and earns, and who has become likelier
to leave.
"""

import datetime as dt

import numpy as np
import pandas as pd

from analysis import customers
from analysis.intake.dataset import Dataset
from analysis.intake.settings import Contact
from analysis.models import churn, metrics, reasons
from analysis.models.churn_features import features
from analysis.models.churn_models import Risk
from analysis.models.leaving import Past
from analysis.statistics import wilson

BANDS = ("low", "medium", "high")
# limits of the bands where nothing is known of money: even, and four of five
WITHOUT_MONEY = (0.5, 0.8)
JUMP = 0.2  # of the risk, from one period to the next, that is worth a warning
LEAST_RISE = 0.05  # on the way into a higher band; a band crossed by less is chance
EARLIER = {"customer_id": "str", "day": "datetime64[s]", "churn_risk": float}
EARLIER |= {"risk_band": "str", "rose_by": "str"}
EDGES = (0.01, 0.99)  # a band that nobody or everybody is in tells nothing


def stakes(known: pd.DataFrame, settings: Dataset) -> pd.Series:
    """What each customer brings within a horizon if all goes on as in the value window (money:
    profit where costs are known, else revenue times customers.margin); not below 0,
    empty without money.
    """
    brought = known.window_revenue * customers.margin(known, settings)
    if "window_profit" in known:
        brought = known.window_profit.fillna(brought)
    # a customer of last week has not shown what a horizon brings
    days = np.maximum(known.age_days + 1, settings.horizon_days)
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


def limits(average: float, settings: Dataset) -> tuple[float, float]:
    """The risks from which a message and a call pay for a customer of this stake: the lower limits
    of medium and high.
    """
    if not average > 0:
        return WITHOUT_MONEY
    # where a contact never wins anybody, no risk is high enough
    pays_from = [
        cost_of(way, average) / (way.success * average) if way.success > 0 else np.inf
        for way in (settings.retention.message, settings.retention.call)
    ]
    low, high = np.clip(sorted(pays_from), *EDGES).tolist()
    return low, high


def band(risk: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """low, medium or high, which begin at the limits; unknown where the risk is."""
    found = np.array(BANDS, dtype=object)[np.searchsorted(limits, risk, side="right")]
    return np.where(np.isnan(risk), "unknown", found)


def before(past: Past, risk: Risk | None, as_of: dt.date, days: int) -> pd.Series:
    """The risk that the same model would have told `days` before, of who had ordered by then, by
    customer_id: from the log as it stood, not from an earlier run. The model is the same, so that a
    rise is the customer's and not the model's.
    """
    if risk is None:
        return pd.Series(dtype=float)
    then = _seen(past, as_of, as_of - dt.timedelta(days=days))
    return pd.Series(risk.predict(features(then)), then.customer_id, dtype=float)


def _seen(past: Past, as_of: dt.date, day: dt.date) -> pd.DataFrame:
    """Customers of a day as the model of another one sees them."""
    return past.in_season(past.known(day), day, as_of)


def earlier(
    trial: churn.Trial, table: pd.DataFrame, effects: pd.DataFrame, settings: Dataset
) -> pd.DataFrame:
    """The table `earlier_risk`: the risk a horizon ago as `before` tells it, by the bands of today,
    and the concept that moved it most of who is in a higher band today. `table` as from scored,
    `effects` (by its rows) as from reasons.effects. No rows without a model.
    """
    day = trial.today.day - dt.timedelta(days=settings.horizon_days)
    if trial.risk is None or trial.everyone is None:
        return pd.DataFrame(columns=list(EARLIER)).astype(EARLIER)
    then = _seen(trial.everyone, trial.today.day, day)
    told = features(then)
    found = then[["customer_id"]].assign(day=day, churn_risk=trial.risk.predict(told))
    edges = limits(average_stake(table), settings)
    found["risk_band"] = band(found.churn_risk.to_numpy(), edges)
    now = effects.set_axis(table.customer_id)
    rank = {name: place for place, name in enumerate(BANDS)}
    bands = found.customer_id.map(table.set_index("customer_id").risk_band)
    rose = bands.map(rank).astype(float) > found.risk_band.map(rank).astype(float)
    moved = now.reindex(found.customer_id[rose]).to_numpy() - reasons.effects(
        trial.risk, told[rose], trial.usual
    )
    found["rose_by"] = moved.idxmax(axis=1).reindex(found.index, fill_value="")
    return found.astype(EARLIER)


def scored(
    known: pd.DataFrame, risk: np.ndarray, earlier: pd.Series, settings: Dataset
) -> pd.DataFrame:
    """The table `churn` but for its words: the risk of each customer now and before, its band, what
    is at stake, and whether to warn. Risen is who is not lost, and has risen into a higher band or
    by JUMP since.
    """
    table = pd.DataFrame({"customer_id": known.customer_id, "churn_risk": risk, "risk_band": ""})
    table["risk_before"] = known.customer_id.map(earlier).astype(float)
    table["value_at_stake"] = stakes(known, settings)
    table["expected_loss"] = table.churn_risk * table.value_at_stake
    table["lost"] = known.stage == "lost"
    edges = limits(average_stake(table), settings)
    table["risk_band"] = band(risk, edges)
    rise = table.churn_risk - table.risk_before
    now, then = (np.searchsorted(edges, r, side="right") for r in (risk, table.risk_before))
    table["risen"] = ~table.lost & (((now > then) & (rise >= LEAST_RISE)) | (rise >= JUMP))
    return table.assign(warned=_most_to_lose(table, settings))


def _most_to_lose(table: pd.DataFrame, settings: Dataset) -> pd.Series:
    """Whether each customer is warned of: one of the `retention.calls` with most to lose, not lost,
    and with enough of it that a call pays; without money at high risk.
    """
    call, loss = settings.retention.call, table.expected_loss
    pays = loss * call.success > cost_of(call, average_stake(table))
    if loss.isna().all():
        pays, loss = table.risk_band == "high", table.churn_risk
    order = table.assign(loss=loss)[pays & ~table.lost].sort_values(
        ["loss", "customer_id"], ascending=[False, True]
    )
    return table.index.isin(order.index[: settings.retention.calls])


def warnings(table: pd.DataFrame) -> pd.DataFrame:
    """Who is warned of, the largest expected loss first; without money the highest risk."""
    by = "expected_loss" if table.expected_loss.notna().any() else "churn_risk"
    return table[table.warned].sort_values(
        [by, "customer_id"], ascending=[False, True], ignore_index=True
    )


def proof(trial: churn.Trial, days: int, settings: Dataset) -> dict[str, object]:
    """How the list would have done at the measured origin.

    Keys: origin, warned, left (share of them), low, high (its 95 % interval), base (share of all
    not lost that left), said (mean risk of the warned); money that left, for each one named: lost
    (of the warned), risen (how many had), risen_lost (of these), ranked_lost (of as many with most
    to lose). None and nan where there is none.
    """
    figures: dict[str, object] = {"origin": None, "warned": 0, "risen": 0}
    keys = ("left", "low", "high", "base", "said", "lost", "risen_lost", "ranked_lost")
    figures |= dict.fromkeys(keys, float("nan"))
    if (origin := trial.measured) is None or trial.past is None:
        return figures
    earlier = before(trial.past, origin.calibrated[trial.champion], origin.day, days)
    table = scored(origin.held, origin.risks[trial.champion], earlier, settings)
    figures["origin"], gone = origin.day, pd.Series(origin.gone, table.index)
    if not (count := int(table.warned.sum())):
        return figures
    left, risen = float(gone[table.warned].mean()), int(table.risen.sum())
    low, high = wilson(left, float(count))
    went = table.value_at_stake * gone
    ranked = table[~table.lost].sort_values("expected_loss", ascending=False).head(risen).index
    return figures | {
        "warned": count,
        "left": left,
        "low": low,
        "high": high,
        "base": float(gone[origin.active].mean()),
        "said": float(table.churn_risk[table.warned].mean()),
        "lost": float(went[table.warned].mean()),
        "risen": risen,
        "risen_lost": float(went[table.risen].mean()),
        "ranked_lost": float(went[ranked].mean()),
    }


def profit(trial: churn.Trial, settings: Dataset) -> pd.DataFrame:
    """metrics.profit_curve of calls at the measured origin, of those not lost, each with an own
    value. Empty without an origin, money or a margin: revenue is no profit.
    """
    gone, risk = churn.outcome(trial)
    nothing = metrics.profit_curve(risk[:0], gone[:0], risk[:0], 0.0, 0.0)
    if trial.measured is None or not customers.margin_source(trial.measured.held, settings):
        return nothing
    held, call = trial.measured.held[trial.measured.active], settings.retention.call
    value = stakes(held, settings)
    if value.empty or value.isna().any():
        return nothing
    return metrics.profit_curve(risk, gone, value, cost_of(call, value.mean()), call.success)


def best(curve: pd.DataFrame) -> dict[str, float]:
    """The point of a profit curve at which the list should have ended by the risks: contacted,
    profit (with what came), and of calling everybody: customers, all.
    """
    keys = ("contacted", "profit", "customers", "all")
    if curve.empty:
        return dict.fromkeys(keys, float("nan"))
    points = curve.loc[[curve.expected.idxmax(), curve.index[-1]], ["contacted", "profit"]]
    return dict(zip(keys, points.to_numpy().ravel().tolist(), strict=True))
