"""Groups found in the data: how many, who stands in which, what each is called, and rules that say
who belongs where.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.customers import buyers
from analysis.report.text import N_, say
from analysis.schema import SHOWN, TEXT, Column
from analysis.segments.segmentation import segmentation

if TYPE_CHECKING:  # half a second to import, which only those who look for groups should wait for
    from sklearn.cluster import KMeans


@dataclass(frozen=True)
class Feature:
    """What customers are compared by: what a low and a high mean of it is called. `share` are the
    columns of a habit of which it is a share.
    """

    low: str
    high: str
    very_low: str
    very_high: str
    share: tuple[str, str] | None = None


FEATURES = {
    "recency_days": Feature(
        N_("recently"), N_("long ago"), N_("very recently"), N_("very long ago")
    ),
    "frequency": Feature(N_("rarely"), N_("often"), N_("very rarely"), N_("very often")),
    "age_days": Feature(
        N_("briefly known"), N_("long known"), N_("very briefly known"), N_("very long known")
    ),
    "window_revenue": Feature(
        N_("little money"), N_("much money"), N_("very little money"), N_("very much money")
    ),
    "order_value": Feature(
        N_("small orders"), N_("large orders"), N_("very small orders"), N_("very large orders")
    ),
    "night_share": Feature(
        N_("by day"),
        N_("by night"),
        N_("very by day"),
        N_("very by night"),
        ("night_orders", "timed_orders"),
    ),
    "discount_share": Feature(
        N_("few discounts"),
        N_("many discounts"),
        N_("very few discounts"),
        N_("very many discounts"),
        ("discount", "undiscounted"),
    ),
}
SHARES = [name for name, of in FEATURES.items() if of.share]
TYPICAL = "typical"
# order days of the average customer that are added to a share: one order at night makes no night
# buyer
FEW_ORDERS = 3.0
COUNTED = ("recency_days", "frequency", "age_days")  # whole numbers; the others are money or shares
# customers on whom the numbers of groups are compared; the silhouette looks at every pair
MEASURED = 2_000
CLUSTERED = 200_000  # customers that place the centres; the rest is assigned to them
FEWEST = 10  # different customers; among fewer no group is worth a name
MOST = 8  # groups: more are not remembered
# of k-means, the best of which counts; with 4, five groups of CDNOW came out differently in most
# runs
STARTS = 10
DRAWS = 10  # halves of the sample that are grouped anew, to see whether the same groups come out
# silhouette up to which there is no substantial structure (Kaufman and Rousseeuw 1990, table 4)
CLEAR = 0.25
# adjusted Rand that Steinley (2004, Psychological Methods 9, 386) calls good; less is chance
STABLE = 0.8
TIE = 1e-9  # below this a feature is the same for all
# of the logs, about 25 %: ages of 462 to 545 days must not divide customers as ten and a thousand
# do
LEAST_SPREAD = 0.125
LEAST_SPREAD_OF_SHARES = 0.03  # three of a hundred orders
FARTHEST = 3.0  # deviations from the mean: one very rich customer is no group
# money in another unit differs in the last digits of a float, which must not move anybody
DIGITS = 9
# From how many deviations off the mean of all a group's mean is named, and named "very". High at
# first, because few words are read more easily and change less from day to day; the next is for
# groups left without a word, and all the others for groups that would otherwise bear the same name.
LEVELS = ((0.6, np.inf), (0.4, np.inf), (0.2, 1.5), (0.1, 1.0), (0.0, 0.5))
# of the largest deviation; what is less is not said beside it, unless names need finer words
BESIDE = 0.5
DEPTH = 3  # questions to ask about a customer; more are no rule of thumb
LEAST_LEAF = 0.02  # of the customers; a rule for fewer is not worth remembering
# How groups are judged; -1: the lower the better. The first three look at how compact and how far
# apart they are.
CRITERIA = {"silhouette": 1, "calinski_harabasz": 1, "davies_bouldin": -1, "stability": 1}
Condition = tuple[str, str, float]  # feature, "≤" or ">", threshold in days, orders or money
WORDS = [
    *(word for of in FEATURES.values() for word in (of.low, of.high)),
    *(word for of in FEATURES.values() for word in (of.very_low, of.very_high)),
]


def raw_features(people: pd.DataFrame) -> pd.DataFrame:
    """FEATURES of all who ordered, in days, orders, money and shares, sorted by customer_id
    (index).

    A feature that nobody has is left out; one customer's unknown value counts as the median.
    """
    known = buyers(people).set_index("customer_id").sort_index()
    for name, feature in FEATURES.items():
        if feature.share and feature.share[0] in known:
            part, whole = (known[column] for column in feature.share)
            known[name] = part / whole.where(whole > 0)
    raw = known[[name for name in FEATURES if name in known]].astype("float64")
    return raw.dropna(axis=1, how="all").fillna(raw.median())


def standardised(people: pd.DataFrame) -> pd.DataFrame:
    """The same made comparable: shares drawn to their mean the more the fewer the orders; all else
    over its median (so that no unit matters) and in logs (because all are skewed). Mean 0 and
    deviation 1, at most FARTHEST from it; what is the same for all is left out.
    """
    raw = raw_features(people).clip(lower=0)
    shares = raw.columns.intersection(SHARES)
    orders = people.set_index("customer_id").orders.reindex(raw.index)
    drawn = raw[shares].sub(raw[shares].mean()).mul(orders / (orders + FEW_ORDERS), axis=0)
    logs = np.log1p(raw / raw[raw > 0].median()).assign(**drawn)
    varied = logs.loc[:, logs.std(ddof=0) > TIE]
    least = np.where(varied.columns.isin(shares), LEAST_SPREAD_OF_SHARES, LEAST_SPREAD)
    scaled = (varied - varied.mean()) / np.maximum(varied.std(ddof=0), least)
    return scaled.clip(-FARTHEST, FARTHEST).round(DIGITS)


def _different(points: pd.DataFrame) -> int:
    """How many customers differ; pandas takes rows without columns for different."""
    return len(points.drop_duplicates()) if len(points.columns) else 0


def _fit(points: pd.DataFrame, k: int, seed: int) -> "KMeans":
    from sklearn.cluster import KMeans

    return KMeans(min(k, _different(points)), n_init=STARTS, random_state=seed).fit(points)


def _sample(points: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    return points.sample(min(len(points), size), random_state=seed)


def _measured(sample: pd.DataFrame, k: int, seed: int) -> dict[str, float]:
    """The criteria of k groups, and the least and most of stability: the adjusted Rand between
    these groups and those that half of the customers make.
    """
    from sklearn import metrics

    labels = _fit(sample, k, seed).labels_
    halves = (sample.sample(frac=0.5, random_state=seed + draw) for draw in range(DRAWS))
    again = [_fit(half, k, seed).predict(sample) for half in halves]
    agreements = [metrics.adjusted_rand_score(labels, others) for others in again]
    return {
        "k": k,
        "silhouette": metrics.silhouette_score(sample, labels),
        "calinski_harabasz": metrics.calinski_harabasz_score(sample, labels),
        "davies_bouldin": metrics.davies_bouldin_score(sample, labels),
        "stability": np.mean(agreements),
        "low": min(agreements),
        "high": max(agreements),
    }


def choose(people: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How well 2 to MOST groups fit, on a sample. Empty where customers are too few or too alike.

    Columns: k, silhouette, calinski_harabasz, davies_bouldin, stability (adjusted Rand when half of
    the customers make the groups: mean, low, high), rank (mean over CRITERIA, 1 best), chosen (at
    most one: the best rank of those that are STABLE and CLEAR, the fewer groups where ranks tie).
    """
    sample = _sample(standardised(people), MEASURED, seed)
    different = _different(sample)
    ks = range(2, min(MOST, different - 1) + 1 if different >= FEWEST else 2)
    measured = [_measured(sample, k, seed) for k in ks]
    quality = pd.DataFrame(measured, columns=["k", *CRITERIA, "low", "high"])
    quality["rank"] = (quality[list(CRITERIA)] * CRITERIA).rank(ascending=False).mean(axis=1)
    eligible = quality[(quality.stability >= STABLE) & (quality.silhouette > CLEAR)]
    best = eligible["rank"].idxmin() if len(eligible) else -1
    return quality.assign(chosen=quality.index == best)


def chosen(quality: pd.DataFrame) -> int:
    """The number of groups that `choose` chose; 0 for none."""
    return int(quality.k[quality.chosen].sum())


def verdict(quality: pd.DataFrame, k: int = 0) -> tuple[str, dict[str, float]]:
    """A sentence on how many groups there are and why, and its values. k as asked for, or 0."""
    if quality.empty:
        return N_("The customers are too few or too much alike to find groups among them."), {}
    if k:
        return N_("As many groups as asked for were made: {k:int}."), {"k": k}
    if quality.chosen.any():
        return (
            N_(
                "The customers fall into {k:int} groups by how they buy (silhouette"
                " {silhouette:number}: 1 is sharp, below 0.5 they overlap at their edges)."
            ),
            quality.loc[quality.chosen, ["k", "silhouette"]].iloc[0].to_dict(),
        )
    found = quality[["stability", "silhouette"]].max().to_dict()
    return (
        N_(
            "The customers do not fall into clear groups (silhouette {silhouette:number} at best,"
            " more than {clear:number} is wanted; stability {stability:number} at best,"
            " {needed:number} is wanted). None is taken; tiers and stages describe them better."
        ),
        found | {"needed": STABLE, "clear": CLEAR},
    )


def _name(means: pd.Series, level: int) -> str:
    clearly, very = LEVELS[level]
    least = max(clearly, 0.0 if level > 1 else BESIDE * means.abs().max())
    words = []
    for name, mean in means[means.abs() >= least].items():
        of = FEATURES[str(name)]
        plain, strong = (of.high, of.very_high) if mean > 0 else (of.low, of.very_low)
        words.append(strong if abs(mean) >= very else plain)
    return "+".join(words).replace(" ", "_") or TYPICAL


def name(means: pd.DataFrame) -> pd.Series:
    """A name for each group from its standardised means (index: group; columns: features), as
    recently+often.

    Groups without a name or with the same take finer words; what no word tells apart shares its
    name.
    """
    level = pd.Series(0, means.index)
    while True:
        named = {group: _name(means.loc[group], level[group]) for group in means.index}
        names = pd.Series(named, means.index, dtype="str")
        alike = names.duplicated(keep=False) & (level < len(LEVELS) - 1)
        vague = alike | (names.eq(TYPICAL) & (level == 0))
        if not vague.any():
            return names
        level += vague


@segmentation(
    N_("Group"),
    N_(
        "Customers who are alike, found without saying beforehand what to look for. Its name says"
        " in what it lies clearly above or below the mean of all."
    ),
    "cluster",
    {word.replace(" ", "_"): word for word in WORDS} | {TYPICAL: N_("like the average")},
    {"cluster": Column(TEXT, "group found in the data, named by what marks it", empty=True)},
    options=lambda settings: {"seed": settings.seed},
)
def clusters(people: pd.DataFrame, k: int = 0, seed: int = 0) -> pd.DataFrame:
    """k-means groups, named by what marks them. k = 0: the number that `choose` chooses; 1: none.

    Columns: cluster (empty for prospects, and for everybody where customers are too few, too alike
    or no number of groups is stable). Fewer than k where no word tells two of them apart.
    """
    points = standardised(people)
    sample = _sample(points, CLUSTERED, seed)
    k = k or chosen(choose(people, seed))
    named = pd.Series(pd.NA, points.index, dtype="str")
    if k > 1 and _different(sample) >= FEWEST:
        found = _fit(sample, k, seed).predict(points)
        named[:] = name(points.groupby(found).mean()).loc[found].to_numpy()
    return named.reindex(people.customer_id).to_frame("cluster")


def labels(segmented: pd.DataFrame) -> pd.Series:
    """The cluster of each customer, by customer_id; empty for all where none were made."""
    return segmented.set_index("customer_id").reindex(columns=["cluster"]).cluster.astype("str")


def profile(people: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """What each group (index: cluster) is like, the one with most revenue in the value window
    first.

    Columns: customers, share (of those in a group), and the median of each of FEATURES that is
    known, in its own unit.
    """
    raw = raw_features(people)
    groups = raw.groupby(labels.rename("cluster").reindex(raw.index))
    made, customers = groups.median(), groups.size()
    made.insert(0, "customers", customers)
    made.insert(1, "share", customers / customers.sum())
    revenue = groups.window_revenue.sum() if "window_revenue" in raw else customers
    order = made.assign(revenue=revenue).sort_values(
        ["revenue", "customers"], ascending=False, kind="stable"
    )
    return made.loc[order.index]


def apart(people: pd.DataFrame, labels: pd.Series) -> pd.DataFrame:
    """How far each group's mean (index: cluster) lies from that of all, in standard deviations.
    Columns: features.
    """
    return standardised(people).groupby(labels.rename("cluster")).mean()


def _leaves(
    tree: Any, features: list[str], node: int = 0, path: tuple[Condition, ...] = ()
) -> list[tuple[int, tuple[Condition, ...]]]:
    """What each leaf says, and its conditions; a branch whose leaves all say the same is one."""
    if tree.children_left[node] == tree.children_right[node]:  # a leaf has none
        return [(int(tree.value[node].argmax()), path)]
    name, exact = features[tree.feature[node]], tree.threshold[node]
    # whole days and orders; money to two digits
    threshold = float(np.floor(exact)) if name in COUNTED else float(f"{exact:.2g}")
    sides = (("≤", tree.children_left[node]), (">", tree.children_right[node]))
    found = [
        leaf
        for side, child in sides
        for leaf in _leaves(tree, features, child, (*path, (name, side, threshold)))
    ]
    return [(found[0][0], path)] if len({says for says, _ in found}) == 1 else found


def _tightest(path: tuple[Condition, ...]) -> list[Condition]:
    """At most one lower and one upper bound of each feature, in the order of FEATURES."""
    bounds: dict[tuple[str, str], float] = {}
    for feature, side, threshold in path:
        tighter = max if side == ">" else min
        bounds[feature, side] = tighter(threshold, bounds.get((feature, side), threshold))
    order = sorted(bounds, key=lambda bound: (list(FEATURES).index(bound[0]), bound[1]))
    return [(*bound, bounds[bound]) for bound in order]


def tree(people: pd.DataFrame, labels: pd.Series, seed: int = 0) -> pd.DataFrame:
    """Rules that say who belongs where: a shallow decision tree, its thresholds rounded, then
    counted on everybody.

    Columns: cluster (the most frequent among those who meet the rule), conditions ((feature, side,
    threshold), all of which must hold), customers (who meet them), right (share of these in that
    cluster), rule (the conditions in words). The rules with most customers first.
    """
    from sklearn.tree import DecisionTreeClassifier

    grouped = labels.dropna().sort_index()
    raw = raw_features(people).reindex(grouped.index)
    rows = []
    if len(grouped):
        sample = _sample(raw, CLUSTERED, seed)
        model = DecisionTreeClassifier(
            max_depth=DEPTH, min_samples_leaf=LEAST_LEAF, random_state=seed
        )
        for _, path in _leaves(model.fit(sample, grouped[sample.index]).tree_, list(raw)):
            met = pd.Series(True, raw.index)
            for feature, side, threshold in path:
                met &= raw[feature] > threshold if side == ">" else raw[feature] <= threshold
            members = grouped[met].value_counts()
            if len(members):  # rounded thresholds may leave nobody between two
                right = members.iloc[0] / members.sum()
                rows.append((members.index[0], _tightest(path), members.sum(), right))
    rules = pd.DataFrame(rows, columns=["cluster", "conditions", "customers", "right"])
    rules["rule"] = rules.conditions.map(_words)
    return rules.sort_values("customers", ascending=False, kind="stable", ignore_index=True)


def accuracy(rules: pd.DataFrame) -> float:
    """The share of customers whom the rules put into their own group; nan without rules."""
    return float(np.average(rules.right, weights=rules.customers)) if len(rules) else np.nan


def _words(conditions: list[Condition]) -> str:
    parts = [
        f"{say.heading(feature)} {side} {say.form(SHOWN[feature][1], threshold)}"
        for feature, side, threshold in conditions
    ]
    return "; ".join(parts) or say("everybody")
