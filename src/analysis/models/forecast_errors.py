"""How far forecasts of single customers lie from what came: a leaderboard and its measures."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from analysis.models.intervals import TAILS, tenths
from analysis.report.text import N_

RESAMPLES = 400  # of customers, for the interval of a difference


class Metric(NamedTuple):
    """A measure (of actual, forecast), and how a table heads and writes it."""

    label: str
    form: str
    measure: Callable[[np.ndarray, np.ndarray], float]


def bias(actual: np.ndarray, forecast: np.ndarray) -> float:
    return float(forecast.sum() / actual.sum() - 1) if actual.sum() else float("nan")


def gini(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Normalised Gini: the area between the cumulative share of actual orders, customers sorted by
    forecast, and the diagonal, over the same for the perfect sorting. Customers of equal forecast
    share their orders evenly.
    """
    even = pd.Series(actual).groupby(forecast).transform("mean").to_numpy()
    perfect = _area(actual, actual)
    return _area(even, forecast) / perfect if perfect else float("nan")


def _area(actual: np.ndarray, by: np.ndarray) -> float:
    if not actual.sum():
        return 0.0
    share = np.append(0, actual[np.argsort(-by, kind="stable")].cumsum()) / actual.sum()
    return float(np.trapezoid(share, np.linspace(0, 1, len(share))) - 0.5)


def decile_error(actual: np.ndarray, forecast: np.ndarray) -> float:
    """Mean absolute difference of forecast and actual mean over tenths of customers by forecast,
    over the actual mean.
    """
    groups = [group for group in tenths(forecast) if len(group)]
    gaps = [abs(forecast[g].mean() - actual[g].mean()) for g in groups]
    return float(np.mean(gaps) / actual.mean()) if actual.any() else float("nan")


METRICS = {
    "bias": Metric(N_("Total off by"), "percent", bias),
    "mae": Metric(N_("Mean error"), "short", mean_absolute_error),
    "rmse": Metric(N_("Root mean square error"), "short", root_mean_squared_error),
    "gini": Metric(N_("Gini"), "short", gini),
    "decile_error": Metric(N_("Error by tenths"), "short", decile_error),
}


def leaderboard(
    forecasts: Mapping[str, np.ndarray], actual: np.ndarray, champion: str, seed: int = 0
) -> pd.DataFrame:
    """Candidates (index, model), the lowest RMSE first. Columns: METRICS, and the difference of
    RMSE to the champion with its 80 % interval by paired bootstrap: difference, low, high.
    """
    rows = {
        name: {key: metric.measure(actual, values) for key, metric in METRICS.items()}
        for name, values in forecasts.items()
    }
    table = pd.DataFrame(rows).T.rename_axis("model")
    table[["difference", "low", "high"]] = np.nan
    if champion in forecasts:
        squares = np.array([(values - actual) ** 2 for values in forecasts.values()])
        generator, drawn = np.random.default_rng(seed), np.empty((RESAMPLES, len(squares)))
        for row in drawn:
            counts = generator.poisson(1.0, len(actual))
            row[:] = np.sqrt(squares @ counts / max(counts.sum(), 1))
        place, rmse = list(forecasts).index(champion), np.sqrt(squares.mean(axis=1))
        table["difference"] = rmse - rmse[place]
        table["low"], table["high"] = np.quantile(drawn - drawn[:, [place]], TAILS, axis=0)
    return table.sort_values("rmse")
