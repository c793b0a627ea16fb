"""RFM: recency by the customer's own limits, frequency and money by rank, and the named segment of
the scores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.customers import has_ordered
from analysis.intake.dataset import Dataset
from analysis.report.text import N_
from analysis.schema import INTEGER, NUMBER, TEXT, Column
from analysis.segments.lifecycle import SILENT_CHANCE
from analysis.segments.segmentation import segmentation

SCORES = 5  # quintiles, as RFM is usually done

# Where recency stands between 0 and 1, so that of five rows the lowest are the lost, the second
# lowest the silent, and the others the active.
LOST, SILENT, ACTIVE_FROM = 0.1, 0.3, 0.4

# Named segments by recency (rows, the latest first) and the mean of frequency and money scores
# (columns, 1 first).
RFM_SEGMENTS = (
    ("new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"),
    ("promising", "potential_loyalists", "potential_loyalists", "loyal", "champions"),
    ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    ("lost", "hibernating", "at_risk", "cannot_lose", "cannot_lose"),
)


def score(
    values: pd.Series,
    scores: int = SCORES,
    cuts: Sequence[float] = (),
    ranked: pd.Series | None = None,
) -> pd.Series:
    """Scores 1 to `scores`, the highest values best: by rank, ties taking the lowest (all others
    than those `ranked` score 1), or by ascending cut points, each the least value of the next
    score. Empty stays empty.
    """
    if cuts:
        found = pd.Series(np.searchsorted(cuts, values, side="right") + 1, values.index)
    else:
        among = values if ranked is None else values.where(ranked)
        rank = among.rank(method="min") - 1
        found = (rank * scores // max(rank.count(), 1) + 1).fillna(1)
    return found.where(values.notna()).astype("Int64")


def standing(people: pd.DataFrame) -> pd.Series:
    """Where the recency of customers (with lifecycle's columns) stands: LOST, SILENT, and beyond
    ACTIVE_FROM up to 1 the active, in equal parts of the chance of so long a pause.
    """
    free = ((people.pause_chance - SILENT_CHANCE) / (1 - SILENT_CHANCE)).clip(lower=1e-9)
    active = ACTIVE_FROM + (1 - ACTIVE_FROM) * free
    return people.stage.map({"lost": LOST, "silent": SILENT}).fillna(active)


def _options(settings: Dataset) -> dict[str, Any]:
    return {
        "scores": settings.rfm_scores,
        "weights": settings.rfm_weights,
        "cuts": settings.rfm_cuts,
        "names": settings.rfm_segments or RFM_SEGMENTS,
    }


@segmentation(
    N_("RFM"),
    N_(
        "Recency scored by what the last pause means for this customer, frequency (order days) and"
        " money (net) by rank among those who ordered in the value window, the highest best, unless"
        " the limits are set; the three together name a segment."
    ),
    "rfm_segment",
    {
        "champions": N_("Champions"),
        "loyal": N_("Loyal"),
        "potential_loyalists": N_("Potential loyalists"),
        "new_customers": N_("New customers"),
        "promising": N_("Promising"),
        "need_attention": N_("Need attention"),
        "about_to_sleep": N_("About to sleep"),
        "at_risk": N_("At risk"),
        "cannot_lose": N_("Cannot lose them"),
        "hibernating": N_("Hibernating"),
        "lost": N_("Lost"),
        "prospect": N_("Prospect"),
    },
    {
        "r_score": Column(
            INTEGER, "recency: lost lowest, then silent, the highest just bought", empty=True
        ),
        "f_score": Column(
            INTEGER, "order days in the value window, the highest score most", empty=True
        ),
        "m_score": Column(INTEGER, "money in the value window, the highest score most", empty=True),
        "rfm_score": Column(NUMBER, "weighted mean of the three scores", empty=True),
        "rfm_segment": Column(TEXT, "named segment of the scores"),
    },
    options=_options,
    always=True,
)
def rfm(
    people: pd.DataFrame,
    scores: int = SCORES,
    weights: Mapping[str, float] | None = None,
    cuts: Mapping[str, Sequence[float]] | None = None,
    names: Sequence[Sequence[str]] = RFM_SEGMENTS,
) -> pd.DataFrame:
    """Scores of recency, and of frequency (order days) and money (net) in the value window, and the
    named segment; `people` with the columns of lifecycle.

    `weights` and `cuts` (ascending, one less than `scores`) go by recency (days), frequency (order
    days), money. Scores are empty without an order; without money frequency stands for it. Who has
    no order in the value window is named as one of the two lowest recency rows, and new customers
    are those of one order.
    """
    cut = {"recency": (), "frequency": (), "money": ()} | dict(cuts or {})
    weigh = {"recency": 1.0, "frequency": 1.0, "money": 1.0} | dict(weights or {})
    bought = people[has_ordered(people)]
    in_window = bought.window_orders > 0
    f = score(bought.window_orders, scores, cut["frequency"], in_window)
    m = score(bought.window_revenue, scores, cut["money"], in_window)
    recency = standing(bought)
    r = np.ceil(recency * scores).astype("Int64")
    if cut["recency"]:
        r = score(-bought.recency_days, scores, [-days for days in reversed(cut["recency"])])
        recency = (r - 0.5) / scores
    of_two = weigh["frequency"] * f + weigh["money"] * m.fillna(f)
    worth = np.floor(of_two / (weigh["frequency"] + weigh["money"]) + 0.5)
    total = (weigh["recency"] * r + of_two) / sum(weigh.values())
    grid = np.array(names, dtype=object)
    # The grid may have fewer or more rows than there are scores: the middle of the score decides.
    row = np.ceil(np.asarray(recency, float) * len(grid)).astype(int) - 1
    column = ((np.asarray(worth, float) - 0.5) / scores * len(grid)).astype(int)
    row = np.where(in_window, row, np.minimum(row, 1))
    named = pd.Series(grid[len(grid) - 1 - row, column], bought.index, dtype="str")
    named = named.mask(named.eq("new_customers") & (bought.orders > 1), "promising")
    made = {"r_score": r, "f_score": f, "m_score": m, "rfm_score": total.astype(float)}
    found = pd.DataFrame(made | {"rfm_segment": named}).reindex(people.index)
    return found.fillna({"rfm_segment": "prospect"}).set_index(people.customer_id)


def cut_points(
    people: pd.DataFrame, segmented: pd.DataFrame, scores: int = SCORES
) -> dict[str, list[float]]:
    """The least order days and the least money of each score above 1, with which `rfm` scores
    others, or the same at another date, as it scored `people`; none where a score is not known.
    """
    of, found = segmented.set_index("customer_id"), {}
    for name, column, made in (
        ("frequency", "window_orders", "f_score"),
        ("money", "window_revenue", "m_score"),
    ):
        score = people.customer_id.map(of[made].dropna().astype(int))
        if score.notna().any():
            least = [people[column][score >= n].min() for n in range(2, scores + 1)]
            found[name] = [float(np.nan_to_num(cut, nan=np.inf)) for cut in least]
    return found


def score_grid(segmented: pd.DataFrame, scores: int = SCORES) -> pd.DataFrame:
    """Customers by r_score (index, the highest first) and f_score (columns)."""
    counts = pd.crosstab(segmented.r_score, segmented.f_score)
    return counts.reindex(index=range(scores, 0, -1), columns=range(1, scores + 1), fill_value=0)
