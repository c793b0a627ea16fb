"""Who will not order within the horizon: learned at an earlier date, measured at a later one."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ibis.expr.types import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from analysis.customers import calibration_holdout
from analysis.intervals import wilson

RISK_BANDS = {"low": 0.5, "medium": 0.8}  # upper limits of the probability; above is high
MIN_CASES = 30  # customers who left, and who stayed, that a model needs to be learned
BINS = 10  # deciles, for calibration and lift


def features(customers: pd.DataFrame) -> pd.DataFrame:
    """What is known of each customer at a date, in logs because all are skewed; money over its median.

    Columns: recency, frequency, age, gap (own mean days between orders), overdue (recency over gap), value.
    """
    c = customers
    gap = (c.age_days - c.recency_days + 1) / (c.frequency + 1)
    value = c.order_value.clip(lower=0).fillna(0)
    typical = value[value > 0].median() if (value > 0).any() else 1.0
    raw = {
        "recency": c.recency_days,
        "frequency": c.frequency,
        "age": c.age_days,
        "gap": gap,
        "overdue": c.recency_days / gap,
        "value": value / typical,
    }
    return pd.DataFrame({name: np.log1p(column.astype(float)) for name, column in raw.items()})


def model() -> Pipeline:
    """Logistic regression on splines of the features: bends with the data, gives probabilities, and holds
    beyond what it has seen the value at the edge (a straight line led a year of groceries
    astray, where all are older today than ever before)."""
    return make_pipeline(
        SplineTransformer(n_knots=4, degree=2, extrapolation="constant", knots="quantile"),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=2000),
    )


@dataclass
class Split:
    """Customers at two origins: learned at the first, measured at the second (both as calibration_holdout)."""

    train: pd.DataFrame
    test: pd.DataFrame
    measured_at: dt.date


def split(transactions: Table, as_of: dt.date, horizon_days: int) -> Split:
    """Origins two horizons and one horizon before the as-of date, so that no outcome is seen twice."""
    earlier, later = (as_of - dt.timedelta(days=n * horizon_days) for n in (2, 1))
    held = [calibration_holdout(transactions, origin, horizon_days) for origin in (earlier, later)]
    return Split(train=held[0], test=held[1], measured_at=later)


def left(held: pd.DataFrame) -> pd.Series:
    """Whether each customer placed no order in the holdout."""
    return held.holdout_orders == 0


def learnable(held: pd.DataFrame) -> bool:
    """Whether enough customers left and enough stayed."""
    gone = left(held)
    return bool(min(gone.sum(), (~gone).sum()) >= MIN_CASES)


def fit(held: pd.DataFrame) -> Pipeline:
    """The model learned from customers at one origin."""
    ordered = held.sort_values("customer_id")
    return model().fit(features(ordered), left(ordered))


@dataclass
class Evidence:
    """How the model did at the later origin: figures as from measure, deciles as from deciles.

    Where nothing can be measured the figures are nan, the deciles empty and `measured` False.
    """

    measured: bool
    figures: dict[str, float]
    deciles: pd.DataFrame


def evaluate(split: Split) -> Evidence:
    """Learn at the first origin, measure at the second."""
    if not (learnable(split.train) and learnable(split.test)):
        figures = dict.fromkeys(("auc", "brier", "brier_base", "base"), float("nan"))
        return Evidence(False, figures, pd.DataFrame())
    risk, gone = predict(fit(split.train), split.test).churn_risk.to_numpy(), left(split.test)
    return Evidence(True, measure(risk, gone), deciles(risk, gone))


def predict(fitted: Pipeline | None, customers: pd.DataFrame) -> pd.DataFrame:
    """The table `churn` for customers with an order; risk is empty and the band unknown without a model."""
    bought = customers[customers.orders > 0]
    risk = np.full(len(bought), np.nan) if fitted is None or bought.empty else fitted.predict_proba(features(bought))[:, 1]
    return pd.DataFrame({"customer_id": bought.customer_id, "churn_risk": risk, "risk_band": band(risk)})


def band(risk: np.ndarray) -> np.ndarray:
    """low, medium or high by RISK_BANDS; unknown where the risk is."""
    return np.select(
        [np.isnan(risk), *(risk <= limit for limit in RISK_BANDS.values())], ["unknown", *RISK_BANDS], default="high"
    )


def deciles(risk: np.ndarray, gone: pd.Series) -> pd.DataFrame:
    """Customers in ten groups by predicted risk, the highest first.

    Columns: decile, customers, predicted, actual (shares that left), low, high (95 % Wilson interval of actual), lift.
    """
    order = np.argsort(-risk, kind="stable")
    groups = np.array_split(order, min(BINS, len(order)))
    rows = [(len(g), risk[g].mean(), gone.to_numpy()[g].mean()) for g in groups]
    table = pd.DataFrame(rows, columns=["customers", "predicted", "actual"])
    table.insert(0, "decile", range(1, len(table) + 1))
    table["low"], table["high"] = wilson(table.actual, table.customers)
    return table.assign(lift=table.actual / gone.mean())


def measure(risk: np.ndarray, gone: pd.Series) -> dict[str, float]:
    """AUC and Brier score, and the Brier score of giving everyone the base rate."""
    base = float(gone.mean())
    auc = roc_auc_score(gone, risk) if 0 < base < 1 else float("nan")
    return {"auc": float(auc), "brier": float(brier_score_loss(gone, risk)), "brier_base": base * (1 - base), "base": base}


def means(deciles: pd.DataFrame) -> dict[str, float]:
    """Predicted and actual share of leavers over all deciles."""
    if deciles.empty:
        return {"predicted": float("nan"), "actual": float("nan")}
    weighted = deciles[["predicted", "actual"]].mul(deciles.customers, axis=0).sum() / deciles.customers.sum()
    return {"predicted": float(weighted.predicted), "actual": float(weighted.actual)}


def extremes(deciles: pd.DataFrame) -> dict[str, float]:
    """Share that left in the decile of highest (top) and lowest (bottom) risk."""
    if deciles.empty:
        return {"top": float("nan"), "bottom": float("nan")}
    return {"top": float(deciles.actual.iloc[0]), "bottom": float(deciles.actual.iloc[-1])}
