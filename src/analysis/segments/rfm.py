"""RFM: recency, frequency and money, scored by rank, and the named segment of the scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.customers import has_ordered
from analysis.intake.dataset import Dataset
from analysis.report.text import N_
from analysis.schema import INTEGER, NUMBER, TEXT, Column
from analysis.segments.segmentation import segmentation

SCORES = 5  # quintiles, as RFM is usually done

# Named segments by recency score (rows, 5 first) and the mean of frequency and money scores
# (columns 1 to 5).
RFM_SEGMENTS = (
    ("new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"),
    ("promising", "potential_loyalists", "loyal", "loyal", "champions"),
    ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    ("lost", "hibernating", "at_risk", "cannot_lose", "cannot_lose"),
)


def score(values: pd.Series, scores: int = SCORES, cuts: Sequence[float] = ()) -> pd.Series:
    """Scores 1 to `scores`, the highest values best: by rank, ties taking the lowest, or by
    ascending cut points, each the least value of the next score. Empty stays empty.
    """
    if cuts:
        found = pd.Series(np.searchsorted(cuts, values, side="right") + 1, values.index)
        return found.where(values.notna()).astype("Int64")
    rank = values.rank(method="min") - 1
    return (rank * scores // max(values.count(), 1) + 1).astype("Int64")


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
        "Recency, frequency (order days), money (net): scores by rank among all customers, the"
        " highest best; the three together name a segment."
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
        "r_score": Column(INTEGER, "recency, the highest score bought last", empty=True),
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
    """Recency, frequency (order days) and money (net) scores over the value window, and the named
    segment.

    `weights` and `cuts` (ascending, one less than `scores`) go by recency (days), frequency (order
    days), money. Scores are empty without an order; without money frequency stands for it. Who has
    no order in the value window is named as one of the two lowest recency rows, however long all
    others stayed away.
    """
    cut = {"recency": (), "frequency": (), "money": ()} | dict(cuts or {})
    weigh = {"recency": 1.0, "frequency": 1.0, "money": 1.0} | dict(weights or {})
    bought = people[has_ordered(people)]
    r = score(-bought.recency_days, scores, [-days for days in reversed(cut["recency"])])
    f = score(bought.window_orders, scores, cut["frequency"])
    m = score(bought.window_revenue, scores, cut["money"])
    of_two = weigh["frequency"] * f + weigh["money"] * m.fillna(f)
    worth = np.floor(of_two / (weigh["frequency"] + weigh["money"]) + 0.5)
    total = (weigh["recency"] * r + of_two) / sum(weigh.values())
    grid = np.array(names, dtype=object)
    # The grid may have fewer or more rows than there are scores: the middle of the score decides.
    row, column = (
        ((np.asarray(s, float) - 0.5) / scores * len(grid)).astype(int) for s in (r, worth)
    )
    row = np.where(bought.window_orders > 0, row, np.minimum(row, 1))
    named = pd.Series(grid[len(grid) - 1 - row, column], bought.index, dtype="str")
    made = {"r_score": r, "f_score": f, "m_score": m, "rfm_score": total.astype(float)}
    found = pd.DataFrame(made | {"rfm_segment": named}).reindex(people.index)
    return found.fillna({"rfm_segment": "prospect"}).set_index(people.customer_id)


def score_grid(segmented: pd.DataFrame, scores: int = SCORES) -> pd.DataFrame:
    """Customers by r_score (index, the highest first) and f_score (columns)."""
    counts = pd.crosstab(segmented.r_score, segmented.f_score)
    return counts.reindex(index=range(scores, 0, -1), columns=range(1, scores + 1), fill_value=0)
