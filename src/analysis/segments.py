"""Ways to group customers. Each takes the table `customers` and returns columns keyed by customer_id."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

SCORES = 5  # quintiles, as RFM is usually done
ABC_CUTS = {"A": 0.80, "B": 0.95}  # Pareto's usual cuts of cumulative revenue; the rest is C
TIE = 1e-9  # shares of revenue closer than this are equal: floats differ when the currency is scaled
SILENT_QUANTILE, LOST_QUANTILE = 0.80, 0.95  # of repeat customers' own mean gaps between orders
LOYAL_ORDERS = 5  # order days that make an active customer loyal
SILHOUETTE_SAMPLE = 2_000  # customers; the measure compares every pair
CLUSTER_SAMPLE = 200_000  # customers that place the centres; the rest is assigned to them
MIN_CLUSTERED = 10  # fewer distinct customers than this make no groups worth naming

# Named segments by recency score (rows, 5 first) and the mean of frequency and money scores (columns 1 to 5).
RFM_SEGMENTS = {
    5: ("new_customers", "potential_loyalists", "potential_loyalists", "champions", "champions"),
    4: ("promising", "potential_loyalists", "loyal", "loyal", "champions"),
    3: ("about_to_sleep", "about_to_sleep", "need_attention", "loyal", "loyal"),
    2: ("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    1: ("lost", "hibernating", "at_risk", "cannot_lose", "cannot_lose"),
}
STAGES = ("prospect", "new", "repeat", "loyal", "silent", "lost")
CLUSTER_FEATURES = ("recency_days", "frequency", "age_days", "window_revenue", "order_value")


def score(values: pd.Series, scores: int = SCORES) -> pd.Series:
    """Scores 1 to `scores` by rank, the highest values best; ties take the lowest rank, empty stays empty."""
    rank = values.rank(method="min") - 1
    return (rank * scores // max(values.count(), 1) + 1).astype("Int64")


def rfm(customers: pd.DataFrame) -> pd.DataFrame:
    """Recency, frequency (order days) and money (net) scores over the value window, and the named segment.

    Columns: r_score, f_score, m_score (1 to 5, 5 best; empty without an order), rfm_segment.
    """
    bought = customers[customers.orders > 0]
    scores = pd.DataFrame(
        {
            "r_score": score(-bought.recency_days),
            "f_score": score(bought.window_orders),
            "m_score": score(bought.window_revenue),
        }
    )
    worth = (scores.f_score + scores.m_score.fillna(scores.f_score) + 1) // 2  # without money frequency stands alone
    names = [RFM_SEGMENTS[r][fm - 1] for r, fm in zip(scores.r_score, worth, strict=True)]
    scores["rfm_segment"] = names
    whole = scores.reindex(customers.index)
    return whole.fillna({"rfm_segment": "prospect"}).set_index(customers.customer_id)


def abc_classes(values: pd.Series) -> pd.Series:
    """A, B, C by the share of the total that customers of higher value hold; `none` at or below zero.

    Equal values share a class, so it does not depend on the order of rows.
    """
    positive = values.where(values > 0)
    groups = positive.value_counts().sort_index(ascending=False)
    money = groups.index.to_numpy(float) * groups.to_numpy()
    share_above = pd.Series((money.cumsum() - money) / max(money.sum(), np.finfo(float).tiny), index=groups.index)
    before = positive.map(share_above)
    cuts = [(before < cut - TIE) for cut in ABC_CUTS.values()]
    classes = np.select([values.le(0) | values.isna(), *cuts], ["none", *ABC_CUTS], default="C")
    return pd.Series(classes, values.index, dtype="str")


def abc(customers: pd.DataFrame) -> pd.DataFrame:
    """ABC by net revenue in the value window. Columns: abc_revenue."""
    return pd.DataFrame({"abc_revenue": abc_classes(customers.set_index("customer_id").window_revenue)})


@dataclass(frozen=True)
class StageLimits:
    """Days without an order after which a customer is silent, then lost."""

    silent_days: int
    lost_days: int


def stage_limits(customers: pd.DataFrame, silent_days: int = 0, lost_days: int = 0) -> StageLimits:
    """Limits learned from the mean gaps of repeat customers, unless given (0: learn).

    With nobody who repeats, the median and the longest silence seen stand in for them.
    """
    repeaters = customers[customers.frequency > 0]
    gaps = (repeaters.age_days - repeaters.recency_days) / repeaters.frequency
    if gaps.empty:
        gaps = customers.recency_days.dropna()
    quantiles = gaps.quantile([SILENT_QUANTILE, LOST_QUANTILE]).fillna(0)
    silent = silent_days or max(1, int(np.ceil(quantiles[SILENT_QUANTILE])))
    return StageLimits(silent, max(silent, lost_days or int(np.ceil(quantiles[LOST_QUANTILE]))))


def lifecycle(customers: pd.DataFrame, limits: StageLimits | None = None) -> pd.DataFrame:
    """The stage each customer has reached. Columns: stage (one of STAGES)."""
    limits = limits or stage_limits(customers)
    c = customers.set_index("customer_id")
    tests = {
        "prospect": c.orders == 0,
        "lost": c.recency_days > limits.lost_days,
        "silent": c.recency_days > limits.silent_days,
        "new": c.orders == 1,
        "loyal": c.orders >= LOYAL_ORDERS,
    }
    stages = np.select([test.to_numpy(bool) for test in tests.values()], list(tests), default="repeat")
    return pd.DataFrame({"stage": stages}, c.index, dtype="str")


def _features(customers: pd.DataFrame) -> pd.DataFrame:
    """Logs, because all are skewed, brought to mean 0 and deviation 1; money over its median, so that the
    currency does not matter; features that are the same for everyone are left out."""
    raw = customers[list(CLUSTER_FEATURES)].fillna(0).clip(lower=0)
    for money in ("window_revenue", "order_value"):
        raw[money] /= raw[money][raw[money] > 0].median() if (raw[money] > 0).any() else 1
    logs = np.log1p(raw)
    varied = logs.loc[:, logs.std(ddof=0) > TIE]
    return (varied - varied.mean()) / varied.std(ddof=0)


def choose_clusters(customers: pd.DataFrame, seed: int, most: int = 8) -> pd.DataFrame:
    """The mean silhouette for 2 to `most` clusters on a sample. Columns: clusters, silhouette; empty if no groups."""
    bought = customers[customers.orders > 0].sort_values("customer_id")
    features = _features(bought)
    if len(features.drop_duplicates()) < MIN_CLUSTERED or features.empty:
        return pd.DataFrame({"clusters": [], "silhouette": []})
    sample = features.sample(min(len(features), SILHOUETTE_SAMPLE), random_state=seed)
    most = min(most, len(sample.drop_duplicates()) - 1)
    models = {k: KMeans(k, n_init=4, random_state=seed).fit(sample) for k in range(2, most + 1)}
    silhouettes = [silhouette_score(sample, model.labels_) for model in models.values()]
    return pd.DataFrame({"clusters": list(models), "silhouette": silhouettes})


def clusters(customers: pd.DataFrame, k: int = 0, seed: int = 0) -> pd.DataFrame:
    """k-means groups, numbered by their mean money from the highest. Columns: cluster (empty for prospects,
    or for everyone where the customers are too few or too alike). k = 0: the best silhouette."""
    bought = customers[customers.orders > 0].sort_values("customer_id")
    quality = choose_clusters(customers, seed)
    labels = pd.Series(pd.NA, customers.customer_id, dtype="str")
    if not quality.empty:
        k = k or int(quality.clusters[quality.silhouette.idxmax()])
        features = _features(bought)
        sample = features.sample(min(len(features), CLUSTER_SAMPLE), random_state=seed)
        k = min(k, len(sample.drop_duplicates()))
        found = KMeans(k, n_init=4, random_state=seed).fit(sample).predict(features)
        worth = bought.window_revenue.fillna(0).groupby(found).mean().rank(ascending=False, method="first")
        labels[bought.customer_id] = [f"cluster_{int(worth[label])}" for label in found]
    return pd.DataFrame({"cluster": labels})


SEGMENTATIONS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "rfm": rfm,
    "abc": abc,
    "lifecycle": lifecycle,
    "clusters": clusters,
}


def segment(customers: pd.DataFrame, **options: dict[str, object]) -> pd.DataFrame:
    """All segmentations side by side: the table `segments`. Options by name, as clusters={"k": 5}."""
    columns = [make(customers, **options.get(name, {})) for name, make in SEGMENTATIONS.items()]
    return pd.concat(columns, axis=1).reset_index(names="customer_id")


def by_group(customers: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """What each group is worth, the highest revenue first.

    Columns: group (index), customers, revenue (value window), revenue_share, orders, recency_days (mean).
    """
    keyed = customers.set_index("customer_id").assign(group=groups)
    size = keyed.groupby("group").agg(
        customers=("orders", "size"),
        revenue=("window_revenue", "sum"),
        orders=("window_orders", "mean"),
        recency_days=("recency_days", "mean"),
    )
    total = size.revenue.sum()
    size.insert(2, "revenue_share", size.revenue / total if total else np.nan)
    return size.sort_values(["revenue", "customers"], ascending=False)


def score_grid(segments: pd.DataFrame) -> pd.DataFrame:
    """Customers by r_score (index, 5 first) and f_score (columns); scores nobody has stand at 0."""
    counts = pd.crosstab(segments.r_score, segments.f_score)
    return counts.reindex(index=range(SCORES, 0, -1), columns=range(1, SCORES + 1), fill_value=0)


def segment_names() -> pd.DataFrame:
    """RFM_SEGMENTS as a table: recency, and the name for each mean of the other two scores (fm_1 to fm_5)."""
    names = pd.DataFrame(RFM_SEGMENTS, index=[f"fm_{n}" for n in range(1, SCORES + 1)]).T
    return names.rename_axis("recency").reset_index()


def concentration(values: pd.Series, points: int = 100) -> pd.DataFrame:
    """Which share of the positive total the most valuable share of customers holds. Columns: customers, value."""
    positive = values.clip(lower=0).fillna(0).sort_values(ascending=False).to_numpy()
    if not positive.sum():
        return pd.DataFrame({"customers": [], "value": []})
    held = np.append(0, positive.cumsum() / positive.sum())
    shares = np.linspace(0, 1, points + 1)
    return pd.DataFrame({"customers": shares, "value": np.interp(shares, np.linspace(0, 1, len(held)), held)})
