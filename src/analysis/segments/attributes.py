"""What a company knows of its customers besides their orders: each column of the profiles as
classes in the company's own words, and what the customers of each class are worth.

Small classes are shown with their intervals, many comparisons are corrected for, and where
customers are natural persons, counts that could point at one of them are not shown.
"""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.report.text import N_
from analysis.schema import RECORDS, TEXT, UNKNOWN, Column
from analysis.segments.segmentation import segmentation
from analysis.segments.small_cells import OTHER, THRESHOLD, grouped, in_order

PREFIX = "attribute_"
MOST_CLASSES = 24  # of a column, as many as a picture has bars; the rest stands together as `other`
MOST_NUMBERS = 12  # that stay classes of their own; more are cut
NUMBER_CLASSES = 5  # that numbers are cut into, of about as many customers each, as scores are
# of the customers, at least, stand in a class of their own; else the column is a name, not a class
LARGEST_HOLD = 1 / 3
# of the values, if a column of many values is to be cut; the rest is `other`
NUMBERS_AT_LEAST = 0.9
# Of the profiles: texts that name one customer, and where a row comes from.
NOT_CLASSES = {"company", "referrer", "source", "line"}
# As large agencies write them.
RATINGS = ["D", "C", "CC", "CCC", "B", "BB", "BBB", "A", "AA", "AAA"]

SURE = 0.95  # of intervals
ALARM = 0.05  # share of false ones among what is called notable
# draws of customers, so that the smallest p-value is 0.0002 and stays notable among 200 comparisons
DRAWS = 10_000
# customers in a draw; larger classes are taken as of 500
DRAWN = np.unique(np.geomspace(2, 500, 18).astype(int))
LEVEL = 1e-12  # a variance below this share of that of all is none
HEADLINE = 30  # customers of a class that a sentence speaks of
DOMINANT = 0.8  # share of a class's money; more of one person, and the sum is that person's

_UNITS = {"": 1, "k": 1e3, "千": 1e3, "万": 1e4, "m": 1e6, "亿": 1e8}
# 0012 is no number but an id, and so is one of more than ten digits.
_ONE = r"[$€£¥]?(-?(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,9}|0)(?:\.\d+)?)\s?(k|m|千|万|亿)?"
_NUMBER = re.compile(
    rf"(?:(<|≤|under|below|less than|up to)|(>|≥|over|more than))?\s?{_ONE}"
    rf"(?:\s?(?:-|–|~|to|至|到)\s?<?\s?{_ONE})?\s?(?:(\+|以上|or more|and more)|(以下|or less))?",
    re.IGNORECASE,
)


def number(text: str) -> float:
    """What a number, or a range as 50-99, 15-24K, under 10, 65+ or 100万以下, is to be sorted by;
    nan if it is neither.
    """
    found = _NUMBER.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if not found:
        return np.nan
    under, over, low, low_unit, high, high_unit, more, less = found.groups()
    unit = _UNITS[(high_unit or "").lower()]
    last = float((high or low).replace(",", "")) * (unit if high else 1)
    first = float(low.replace(",", "")) * _UNITS[(low_unit or "").lower()]
    if high and not low_unit and first * unit <= last:  # 15-24K
        first *= unit
    middle = (first + last) / 2 if high else first
    toward = -np.inf if under or less else np.inf if over or more else middle
    return float(np.nextafter(middle, toward))


def rating(text: str) -> float:
    """The place of a credit rating, as BBB+, from the worst; nan if it is none."""
    plain = unicodedata.normalize("NFKC", text).strip()
    grade = plain.rstrip("+-")
    if grade not in RATINGS:
        return np.nan
    return RATINGS.index(grade) + (plain[-1] == "+") / 3 - (plain[-1] == "-") / 3


def _cut(numbers: pd.Series, sizes: pd.Series) -> pd.Categorical:
    """Classes of about as many customers each, named by rounded limits: no limit is somebody's own
    number.
    """
    parts = np.arange(1, NUMBER_CLASSES) / NUMBER_CLASSES
    # the latter where most share one number
    quantiles = numbers.repeat(sizes.to_numpy()).quantile(parts), numbers.quantile(parts)
    whole = (numbers.dropna() % 1 == 0).all()
    upward = np.ceil if whole else float  # 9 is the first whole number of those from 8.6 on
    cuts = [
        sorted({float(upward(float(f"{c:.2g}"))) for c in some if c > numbers.min()})
        for some in quantiles
    ]
    limits = cuts[0] if len(cuts[0]) > 1 else cuts[1]
    last = [f"{limit - 1:.15g}" if whole else f"< {limit:.15g}" for limit in limits]
    inner = [f"{low:.15g} – {high}" for low, high in zip(limits, last[1:], strict=False)]
    names = [f"< {limits[0]:.15g}", *inner, f"≥ {limits[-1]:.15g}"] if limits else ["≥ 0"]
    codes = np.where(numbers.isna(), -1, np.digitize(numbers, limits))
    return pd.Categorical.from_codes(codes, names, ordered=True)


def _classes_of(sizes: pd.Series) -> tuple[dict[str, str], list[str], bool]:
    """The class of each text, the classes in order, and whether they are numbers, of customers by
    text, the largest first.
    """
    texts = list(sizes.index)
    numbers = pd.Series(map(number, texts), texts, dtype=float)
    readable = sizes[numbers.notna()].sum() / max(sizes.sum(), 1)
    if len(texts) > MOST_NUMBERS and readable >= NUMBERS_AT_LEAST:
        cut = _cut(numbers, sizes)
        return dict(zip(texts, cut.astype(object), strict=True)), list(cut.categories), True
    ratings = pd.Series(map(rating, texts), texts, dtype=float)
    places = numbers if numbers.notna().any() else ratings
    few = len(texts) <= MOST_CLASSES
    if few and places.notna().all():
        ordered = sorted(texts, key=lambda text: (places[text], text))
        return dict(zip(ordered, ordered, strict=True)), ordered, True
    kept = texts[: MOST_CLASSES if few else MOST_CLASSES - 1]
    named = sizes.sum() < 2 * len(sizes) or sizes[kept].sum() < LARGEST_HOLD * sizes.sum()
    return {} if named else dict(zip(kept, kept, strict=True)), kept, False


def classify(values: pd.Series | None) -> pd.Series | None:
    """The classes of one column, or none where it has no classes, as a column of names.

    Categories, ordered (but for `other` and `unknown`, the last) where they are numbers, ranges or
    ratings, else the largest first. The order follows from the texts: what was read back from a
    file is classified again.
    """
    if values is None:
        return None
    texts = values.astype("str").astype("category")
    every = texts.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    known = [text for text in every.index if text.strip() and text not in (OTHER, UNKNOWN)]
    if not known:
        return None
    found, names, ordered = _classes_of(every[known].rename(index=str))
    whole = {text: found.get(text, OTHER) for text in [*known, OTHER]}
    named = texts.map({text: OTHER if pd.isna(name) else name for text, name in whole.items()})
    classes = in_order(named, names, ordered)
    return classes if found and len(classes.cat.categories) > 1 else None


def asked(columns: Sequence[str]) -> list[str]:
    """The columns of the profiles that may be classes: texts that name no person, and the dataset's
    own attributes.
    """
    known = RECORDS["customers"].columns
    no_class = {
        name
        for name, meaning in known.items()
        if meaning.person or meaning.needed or meaning.reads_as != "text"
    }
    return [column for column in columns if column not in no_class | NOT_CLASSES]


def classes(profiles: pd.DataFrame) -> pd.DataFrame:
    """The class of each customer by each column of the table profiles that has some.

    Keyed by customer_id; columns attribute_<name>, categories as by `classify`.
    """
    keyed = profiles.set_index("customer_id")
    found = {f"{PREFIX}{name}": classify(keyed[name]) for name in asked(list(keyed.columns))}
    some = {name: column for name, column in found.items() if column is not None}
    return pd.DataFrame(some, keyed.index)


@segmentation(
    N_("Attribute"),
    N_(
        "What a company knows of its customers besides their orders, as region, industry, size or"
        " credit rating."
    ),
    "attribute",
    {OTHER: N_("Other"), UNKNOWN: N_("Unknown")},
    {
        "attribute": Column(
            TEXT,
            "class by the column of the profiles that is looked at closely; unknown without one",
        ),
        "attribute_name": Column(TEXT, "that column"),
    },
    needs=("customers.customer_id",),
)
def attributes(people: pd.DataFrame, name: str = "") -> pd.DataFrame:
    """Each customer's class by one of the columns attribute_<name> of `people`, the first unless
    named.

    Columns: attribute (in the company's words, other or unknown), attribute_name.
    """
    column = f"{PREFIX}{name}" if name else next((c for c in people if c.startswith(PREFIX)), "")
    found = people.set_index("customer_id").reindex(columns=[column])[column]
    named = found.astype("str").fillna(UNKNOWN).to_frame("attribute")
    return named.assign(attribute_name=column.removeprefix(PREFIX))


def _student(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Means in units of their standard error; without any spread infinitely many, or none."""
    without = np.where(abs(mean) > LEVEL, np.sign(mean), 0.0) * np.finfo(float).max
    return np.where(variance > LEVEL, mean / np.sqrt(np.maximum(variance, LEVEL)), without)


class _Draws:
    """How far the mean of some customers lies from that of all, in its own standard errors, by
    chance alone.

    A bootstrap-t whose shape is that of all customers: money is so skewed that a class of 10 or 100
    does not know its own. `values` have mean 0 and deviation 1.
    """

    def __init__(self, values: np.ndarray, seed: int) -> None:
        drawn = np.random.default_rng(seed).choice(values, (DRAWS, DRAWN[-1]))
        means = drawn.cumsum(axis=1)[:, DRAWN - 1] / DRAWN
        spread = (drawn**2).cumsum(axis=1)[:, DRAWN - 1] / DRAWN - means**2
        self.students = np.sort(_student(means, spread / (DRAWN - 1)), axis=0)

    def of(self, size: int) -> np.ndarray:
        """Sorted; for a size between those drawn, of the smaller, which is the more careful."""
        return self.students[:, max(int(np.searchsorted(DRAWN, size, "right")) - 1, 0)]

    def p(self, size: int, student: float) -> float:
        below = np.searchsorted(self.of(size), student, "right")
        above = DRAWS - np.searchsorted(self.of(size), student)
        return min(1.0, 2 * (1 + min(below, above)) / (1 + DRAWS))

    def p_against_others(self, by: pd.DataFrame) -> pd.Series:
        """How likely by chance each mean is as far from that of all others. Columns: size, mean,
        var.
        """
        n, mean, var = by["size"], by["mean"], by["var"]
        squares, others = var.fillna(0) * (n - 1) + n * mean**2, n.sum() - n
        rest = ((n * mean).sum() - n * mean) / others.where(others > 0)
        spread = (squares.sum() - squares - others * rest**2).clip(lower=0)
        rest_var = spread / (others - 1).where(others > 1)
        smaller = np.minimum(n, others)  # the more skewed; the gap is taken from its side
        gap = (mean - rest) * np.where(smaller == n, 1, -1)
        students = _student(gap.to_numpy(), (var / n + rest_var / others).to_numpy())
        p = [self.p(size, student) for size, student in zip(smaller, students, strict=True)]
        return pd.Series(p, by.index, dtype=float).where(rest_var.notna() & var.notna())

    def judged(self, groups: pd.Series, money: pd.Series) -> pd.DataFrame:
        """The interval of each class's mean of money (of mean 0 and deviation 1), and p against all
        others whose class is known. Columns: low, high, p.
        """
        by = money.groupby(groups, observed=True).agg(["size", "mean", "var"])
        error = np.sqrt((by["var"] / by["size"]).where(by["var"] > LEVEL))
        ends = [int(DRAWS * (1 - SURE) / 2), int(DRAWS * (1 + SURE) / 2)]
        below, above = np.array([self.of(n)[ends] for n in by["size"]]).T
        limits = pd.DataFrame(
            {"low": by["mean"] - above * error, "high": by["mean"] - below * error}
        )
        # where draws had no spread, nothing can be said
        sayable = limits.where(limits.abs() < np.sqrt(np.finfo(float).max))
        return sayable.assign(p=self.p_against_others(by.drop(UNKNOWN, errors="ignore")))


def adjusted(p: pd.Series) -> pd.Series:
    """p-values after Benjamini-Hochberg over all that are known.

    Not Holm, because the reader looks for leads: of those below ALARM at most one in twenty is
    expected to be chance.
    """
    from scipy.stats import false_discovery_control  # half a second to import

    known = p.astype(float).dropna()
    found = false_discovery_control(known) if len(known) else []
    return pd.Series(found, known.index, float).reindex(p.index)


def value_by(
    attributes: pd.DataFrame, people: pd.DataFrame, persons: bool, seed: int = 0
) -> pd.DataFrame:
    """What the customers of each class are worth, for all attributes, one below the other.

    `attributes` as of `classes`; `people` with customer_id and window_revenue. Columns: attribute
    (its name), group, customers, revenue (value window), revenue_share (of all), revenue_each (per
    customer), low, high (95 % interval of it; empty where the class cannot say), p (of revenue_each
    against all others whose class is known), q (`adjusted` over all classes of all attributes),
    differs (q under ALARM). For natural persons (`persons`) small classes stand together as in
    `small_cells.cross`, and money of few, or nearly all of one, is empty.
    """
    money = people.set_index("customer_id").window_revenue.astype(float).sort_index()
    money = money.fillna(0) if money.notna().any() else money
    mean, spread = money.mean(), money.std(ddof=0)
    deviation = (money - mean) / spread
    draws = _Draws(deviation.to_numpy(), seed) if spread > 0 else None
    enough = len(money) >= (THRESHOLD if persons else 1)
    columns = ["attribute", "group", "customers", "revenue", "low", "high", "p"]
    found = [pd.DataFrame(columns=columns, dtype=float)]
    for name, column in (attributes.reindex(money.index) if enough else {}).items():
        groups = grouped(column, money.index, persons)
        by = money.groupby(groups, observed=True)
        made = pd.DataFrame({"customers": by.size(), "revenue": by.sum(min_count=1)})
        made["attribute"], made["group"] = str(name).removeprefix(PREFIX), made.index.astype("str")
        if draws:
            made = made.join(draws.judged(groups, deviation))
        if persons:
            few = by.agg(lambda brought: (brought > 0).sum()) < THRESHOLD
            hidden = few | (by.max() > DOMINANT * by.sum())
            kept = made.columns.intersection(["revenue", "low", "high"])
            made[kept] = made[kept].mask(hidden)
        found.append(made)
    whole = pd.concat([one for one in found if len(one)] or found, ignore_index=True)
    whole = whole.reindex(columns=columns)
    return whole.assign(
        revenue_share=whole.revenue / (money.sum() or np.nan),
        revenue_each=whole.revenue / whole.customers,
        low=(whole.low.astype(float) * spread + mean).clip(lower=min(0.0, money.min())),
        high=whole.high.astype(float) * spread + mean,
        q=adjusted(whole.p),
        differs=adjusted(whole.p) < ALARM,
    )


def verdict(by: pd.DataFrame) -> tuple[str, dict[str, object]]:
    """A sentence on one attribute of `value_by`, and its values: the known class whose customers
    bring most, of those of HEADLINE customers and more where there are such.
    """
    known = by[by.group != UNKNOWN]
    large = known[known.customers >= HEADLINE]
    top = (large if len(large) else known).sort_values("revenue_each", kind="stable").iloc[-1]
    values = top[["attribute", "group", "revenue_each", "low", "high", "customers"]].to_dict()
    values |= {"marked": int(by.differs.sum()), "groups": int(by.q.count()), "least": HEADLINE}
    if not values["marked"]:
        return N_(
            "By {attribute:field}, revenue per customer differs by no more than chance."
        ), values
    return N_(
        "By {attribute:field}, of classes with {least:int} customers or more, {group:word} brings"
        " most: {revenue_each:money} per customer in the value window (95 % sure: {low:money} to"
        " {high:money}; customers: {customers:int})."
        " Classes that differ from the others beyond chance: {marked:int} of {groups:int}."
    ), values


def riskiest(by_risk: pd.DataFrame) -> dict[str, object]:
    """Of `small_cells.cross` with the bands of risk: the class (group), of HEADLINE customers or
    more, with the largest share at high risk, and that of all; nan where it is not shown.
    """
    high = by_risk.reindex(columns=["high"]).high.astype(float)
    shares = (high / by_risk.customers)[by_risk.customers >= HEADLINE]
    shares = shares.drop([UNKNOWN, OTHER], errors="ignore")
    group = shares.idxmax() if shares.notna().any() else ""
    whole = high.sum(skipna=False) / max(by_risk.customers.sum(), 1)
    return {"group": group, "share": shares.max(), "all": whole}
