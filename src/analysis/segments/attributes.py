"""What is known of customers against what they do: a column of the profiles crossed with value,
stage and risk.

A column becomes classes in the company's own words. Small classes are shown with their intervals,
many comparisons are corrected for, and where customers are natural persons, counts that could point
at one of them are not shown.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import InputError, did_you_mean
from analysis.schema import RECORDS, TEXT, UNKNOWN, Column
from analysis.segments.registry import Texts, segmentation
from analysis.segments.small_cells import OTHER, THRESHOLD, grouped, in_order

PREFIX = "attribute_"
MOST_CLASSES = 24  # of a column, as many as a picture has bars; the rest stands together as `other`
MOST_NUMBERS = 12  # that stay classes of their own; more are cut
NUMBER_CLASSES = 5  # that numbers are cut into, of about as many customers each, as scores are
LARGEST_HOLD = (
    1 / 3
)  # of the customers, at least, stand in a class of their own; else the column is a name, not a class
NUMBERS_AT_LEAST = (
    0.9  # of the values, if a column of many values is to be cut; the rest is `other`
)
NOT_CLASSES = {"company", "referrer"}  # texts of the profiles that name one customer
SURE = 0.95  # of intervals
Z = 1.959964  # deviations of a normal distribution that hold that share
ALARM = 0.05  # share of false ones among what is called notable
# a correlation below this is none worth acting on (Cohen, Statistical Power Analysis, 1988)
NEGLIGIBLE = 0.1
# draws of customers, so that the smallest p-value is 0.0002 and stays notable among 200 comparisons
DRAWS = 10_000
DRAWN = np.unique(
    np.geomspace(2, 500, 18).astype(int)
)  # customers in a draw; larger classes are taken as of 500
LEVEL = 1e-12  # a variance below this share of that of all is none
# customers that associations are measured on: known to 0.01, and every p-value that matters is
# small
SAMPLE = 100_000
HEADLINE = 30  # customers of a class that a sentence speaks of
DOMINANT = 0.8  # share of a class's money; more of one person, and the sum is that person's
FEWEST = 20  # customers that a measure of association takes
SMALL_EXPECTED, MOST_SMALL = (
    5,
    0.2,
)  # Cochran's rule (1954): above this share of expected counts under 5, no chi-square
TABLES_DRAWN = 1_999  # tables drawn where Cochran's rule fails

RATINGS = (
    "D",
    "C",
    "CC",
    "CCC",
    "B",
    "BB",
    "BBB",
    "A",
    "AA",
    "AAA",
)  # as the large agencies write them
VALUE_COLUMNS = [
    "attribute",
    "group",
    "customers",
    "revenue",
    "revenue_share",
    "revenue_each",
    "low",
    "high",
    "p",
]

_UNITS = {"": 1, "k": 1e3, "千": 1e3, "万": 1e4, "m": 1e6, "亿": 1e8}
# 0012 is no number but an id, and so is one of more than ten digits.
_ONE = r"[$€£¥]?(-?(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,9}|0)(?:\.\d+)?)\s?(k|m|千|万|亿)?"
_NUMBER = re.compile(
    rf"(?:(<|≤|under|below|less than|up to)|(>|≥|over|more than))?\s?{_ONE}"
    rf"(?:\s?(?:-|–|~|to|至|到)\s?<?\s?{_ONE})?\s?(?:(\+|以上|or more|and more)|(以下|or less))?",
    re.IGNORECASE,
)


def number(text: str) -> float:
    """What a number, or a range as 50-99, 15-24K, under 10, 65+ or 100万以下, is to be sorted by; nan
    if it is neither.
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
    return float(
        np.nextafter(middle, -np.inf if under or less else np.inf if over or more else middle)
    )


def rating(text: str) -> float:
    """The place of a credit rating, as BBB+, from the worst; nan if it is none."""
    plain = unicodedata.normalize("NFKC", text).strip()
    grade = plain.rstrip("+-")
    return (
        RATINGS.index(grade) + (plain[-1] == "+") / 3 - (plain[-1] == "-") / 3
        if grade in RATINGS
        else np.nan
    )


def _cut(numbers: pd.Series, sizes: pd.Series) -> pd.Categorical:
    """Classes of about as many customers each, named by rounded limits: no limit is somebody's own
    number.
    """
    parts = np.arange(1, NUMBER_CLASSES) / NUMBER_CLASSES
    found = [
        numbers.repeat(sizes.to_numpy()).quantile(parts),
        numbers.quantile(parts),
    ]  # the latter where most share one number
    cuts = [sorted({float(f"{cut:.2g}") for cut in some if cut > numbers.min()}) for some in found]
    limits = cuts[0] if len(cuts[0]) > 1 else cuts[1]
    whole = (numbers.dropna() % 1 == 0).all()
    last = [f"{limit - 1:.15g}" if whole else f"< {limit:.15g}" for limit in limits]
    inner = [f"{low:.15g} – {high}" for low, high in zip(limits, last[1:], strict=False)]
    names = [f"< {limits[0]:.15g}", *inner, f"≥ {limits[-1]:.15g}"] if limits else ["≥ 0"]
    codes = np.where(numbers.isna(), -1, np.digitize(numbers, limits))
    return pd.Categorical.from_codes(codes, names, ordered=True)


def _classes_of(sizes: pd.Series) -> tuple[dict[str, str], list[str], bool]:
    """The class of each text, the classes in order, and whether they are numbers, of customers by
    text, the largest first.
    """
    numbers = pd.Series({text: number(text) for text in sizes.index}, dtype=float)
    readable = sizes[numbers.notna()].sum() / max(sizes.sum(), 1)
    if len(sizes) > MOST_NUMBERS and readable >= NUMBERS_AT_LEAST:
        cut = _cut(numbers, sizes)
        return dict(zip(sizes.index, cut.astype(object), strict=True)), list(cut.categories), True
    places = (
        numbers
        if numbers.notna().any()
        else pd.Series({text: rating(text) for text in sizes.index}, dtype=float)
    )
    if len(sizes) <= MOST_CLASSES and places.notna().all():
        ordered = sorted(sizes.index, key=lambda text: (places[text], text))
        return dict(zip(ordered, ordered, strict=True)), ordered, True
    kept = list(sizes.index[: MOST_CLASSES if len(sizes) <= MOST_CLASSES else MOST_CLASSES - 1])
    named = sizes.sum() < 2 * len(sizes) or sizes[kept].sum() < LARGEST_HOLD * sizes.sum()
    return {} if named else dict(zip(kept, kept, strict=True)), kept, False


def classify(values: pd.Series) -> pd.Series | None:
    """The classes of one column, or none where it has no classes, as a column of names.

    Categories, ordered (but for `other` and `unknown`, the last) where they are numbers, ranges or
    ratings, else the largest first. The order follows from the texts: what was read back from a
    file is classified again.
    """
    texts = values.astype("str").astype("category")
    every = texts.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    known = [text for text in every.index if text.strip() and text not in (OTHER, UNKNOWN)]
    if every.empty or not known:
        return None
    found, names, ordered = _classes_of(every[known].rename(index=str))
    whole = {text: found.get(text, OTHER) for text in [*known, OTHER]}
    classes = in_order(
        texts.map({text: OTHER if pd.isna(name) else name for text, name in whole.items()}),
        names,
        ordered,
    )
    return classes if found and len(classes.cat.categories) > 1 else None


def asked(columns: Sequence[str]) -> list[str]:
    """The columns of the profiles that may be classes: texts that name no person, and the dataset's
    own attributes.
    """
    means = RECORDS["customers"].columns
    not_texts = {
        name
        for name, meaning in means.items()
        if meaning.person or meaning.needed or meaning.reads_as != "text"
    }
    return [c for c in columns if c not in not_texts | NOT_CLASSES | {"source", "line"}]


def classes(profiles: pd.DataFrame) -> pd.DataFrame:
    """The class of each customer by each column of the table profiles that has some.

    Keyed by customer_id; columns attribute_<name>, categories as by `classify`.
    """
    keyed = profiles.set_index("customer_id")
    found = {f"{PREFIX}{name}": classify(keyed[name]) for name in asked(list(keyed.columns))}
    return pd.DataFrame(
        {name: column for name, column in found.items() if column is not None}, keyed.index
    )


def _student(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Means in units of their standard error; without any spread infinitely many, or none."""
    without = np.where(abs(mean) > LEVEL, np.sign(mean), 0.0) * np.finfo(float).max
    return np.where(variance > LEVEL, mean / np.sqrt(np.maximum(variance, LEVEL)), without)


@segmentation(
    "attribute",
    {
        "attribute": Column(
            TEXT,
            "class by the column of the profiles that is looked at closely; unknown without one",
        ),
        "attribute_name": Column(TEXT, "that column"),
    },
    Texts(
        "Attribute",
        "What a company knows of its customers besides their orders, as region, industry, size or"
        " credit rating.",
        {OTHER: "Other", UNKNOWN: "Unknown"},
    ),
    needs=("customers.customer_id",),
)
def attributes(people: pd.DataFrame, name: str = "") -> pd.DataFrame:
    """Each customer's class by one of the columns attribute_<name> of `people`, the first unless
    named.

    Columns: attribute (in the company's words, other or unknown), attribute_name.
    """
    column = f"{PREFIX}{name}" if name else next((c for c in people if c.startswith(PREFIX)), "")
    found = (
        people[column].astype("str")
        if column in people
        else pd.Series(index=people.index, dtype="str")
    )
    made = pd.DataFrame(
        {"attribute": found.fillna(UNKNOWN), "attribute_name": column.removeprefix(PREFIX)}
    )
    return made.set_index(people.customer_id)


class _Draws:
    """How far the mean of some customers lies from that of all, in its own standard errors, by
    chance alone.

    A bootstrap-t whose shape is that of all customers: money is so skewed that a class of 10 or 100
    does not know its own.
    """

    def __init__(self, values: np.ndarray, seed: int) -> None:
        drawn = np.random.default_rng(seed).choice(values, (DRAWS, DRAWN[-1]))
        means = drawn.cumsum(axis=1)[:, DRAWN - 1] / DRAWN
        spread = (drawn**2).cumsum(axis=1)[:, DRAWN - 1] / DRAWN - means**2
        self.students = np.sort(_student(means, spread / (DRAWN - 1)), axis=0)

    def of(self, size: int) -> np.ndarray:
        """Sorted; for a size between those drawn, of the smaller, which is the more careful."""
        return self.students[:, max(int(np.searchsorted(DRAWN, size, "right")) - 1, 0)]

    def interval(self, size: int) -> tuple[float, float]:
        low, high = int(DRAWS * (1 - SURE) / 2), int(DRAWS * (1 + SURE) / 2)
        return self.of(size)[low], self.of(size)[high]

    def p(self, size: int, student: float) -> float:
        below, above = (
            np.searchsorted(self.of(size), student, "right"),
            DRAWS - np.searchsorted(self.of(size), student),
        )
        return min(1.0, 2 * (1 + min(below, above)) / (1 + DRAWS))


def _adjusted(p: pd.Series) -> pd.Series:
    """p-values corrected over all that are known."""
    from scipy.stats import false_discovery_control

    known = p.dropna()
    return pd.Series(
        false_discovery_control(known) if len(known) else [], known.index, float
    ).reindex(p.index)


def _p_against_others(by: pd.DataFrame, draws: _Draws) -> pd.Series:
    """How likely by chance each mean is as far from that of all others. Columns: size, mean, var;
    money has mean 0.
    """
    squares = by["var"].fillna(0) * (by["size"] - 1) + by["size"] * by["mean"] ** 2
    size = by["size"].sum() - by["size"]
    mean = ((by["size"] * by["mean"]).sum() - by["size"] * by["mean"]) / size.where(size > 0)
    var = (squares.sum() - squares - size * mean**2).clip(lower=0) / (size - 1).where(size > 1)
    smaller = np.minimum(
        by["size"], size
    )  # which of the two is more skewed; the gap is taken from its side
    gap = (by["mean"] - mean) * np.where(smaller == by["size"], 1, -1)
    students = _student(gap.to_numpy(), (by["var"] / by["size"] + var / size).to_numpy())
    p = [draws.p(n, student) for n, student in zip(smaller, students, strict=True)]
    return pd.Series(p, by.index, dtype=float).where(var.notna() & by["var"].notna())


def _means(groups: pd.Series, money: pd.Series, draws: _Draws) -> pd.DataFrame:
    """Mean of money by class, its interval, and p against all others whose class is known. Columns:
    low, high, p.
    """
    by = money.groupby(groups, observed=True).agg(["size", "mean", "var"])
    error = np.sqrt((by["var"] / by["size"]).where(by["var"] > LEVEL))
    below, above = np.array([draws.interval(n) for n in by["size"]]).T
    limits = pd.DataFrame({"low": by["mean"] - above * error, "high": by["mean"] - below * error})
    sayable = limits.where(
        limits.abs() < np.sqrt(np.finfo(float).max)
    )  # where draws had no spread, nothing can be said
    return sayable.assign(p=_p_against_others(by.drop(UNKNOWN, errors="ignore"), draws))


def _tells_of_one(by: Any, threshold: int) -> pd.Series:
    """Whether a class's money is that of few, or nearly all of one: then its sum tells what they
    bring.
    """
    return (by.agg(lambda money: (money > 0).sum()) < threshold) | (by.max() > DOMINANT * by.sum())


def _value_of(
    groups: pd.Series, keyed: pd.DataFrame, draws: _Draws | None, persons: bool, threshold: int
) -> pd.DataFrame:
    by = keyed.money.groupby(groups, observed=True)
    customers, revenue = by.size(), by.sum(min_count=1)
    none = pd.DataFrame(np.nan, customers.index, ["low", "high", "p"])
    means = _means(groups, keyed.deviation, draws).reindex(customers.index) if draws else none
    limits = means[["low", "high"]] * keyed.money.std(ddof=0) + keyed.money.mean()
    if persons:
        hidden = _tells_of_one(by, threshold)
        revenue, limits = revenue.mask(hidden), limits.mask(hidden)
    return pd.DataFrame(
        {
            "group": customers.index.astype("str"),
            "customers": customers,
            "revenue": revenue,
            "revenue_share": revenue / (keyed.money.sum() or np.nan),
            "revenue_each": revenue / customers,
            "low": limits.low.clip(lower=min(0.0, keyed.money.min())),
            "high": limits.high,
            "p": means.p,
        }
    )


def value_by(
    attributes: pd.DataFrame,
    people: pd.DataFrame,
    persons: bool,
    seed: int = 0,
    threshold: int = THRESHOLD,
) -> pd.DataFrame:
    """What the customers of each class are worth, for all attributes, one below the other.

    `attributes` as of `classes`; `people` with customer_id and window_revenue. Columns: attribute
    (its name), group, customers, revenue (value window), revenue_share (of all), revenue_each (per
    customer), low, high (95 % interval of it; empty where the class cannot say), p (of revenue_each
    against all others whose class is known), q (p after Benjamini-Hochberg over all classes of all
    attributes), differs (q under ALARM). Benjamini-Hochberg, not Holm, because the reader looks for
    leads: of those marked at most one in twenty is expected to be chance.

    For natural persons (`persons`) small classes stand together as in `disclosure.cross`.
    """
    keyed = people.sort_values("customer_id").set_index("customer_id")[["window_revenue"]]
    known = keyed.window_revenue.notna().any()
    keyed["money"] = keyed.window_revenue.astype(float).fillna(0) if known else np.nan
    spread = keyed.money.std(ddof=0)
    keyed["deviation"] = (keyed.money - keyed.money.mean()) / spread
    draws = _Draws(keyed.deviation.to_numpy(), seed) if spread > 0 else None
    shown = (
        attributes.reindex(keyed.index)
        if len(keyed) >= (threshold if persons else 1)
        else pd.DataFrame()
    )
    groups = {
        name: grouped(column, keyed.index, persons, threshold) for name, column in shown.items()
    }
    found = [
        _value_of(of, keyed, draws, persons, threshold).assign(
            attribute=str(name).removeprefix(PREFIX)
        )
        for name, of in groups.items()
    ]
    whole = (
        pd.concat(found, ignore_index=True)
        if found
        else pd.DataFrame(columns=VALUE_COLUMNS, dtype=float)
    )
    q = _adjusted(whole.p)
    return whole[VALUE_COLUMNS].assign(q=q, differs=q < ALARM)


def spearman(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[float, float, float, float]:
    """Spearman's rho, its interval (Bonett and Wright, 2000) and p-value; both are ordered."""
    from scipy.stats import spearmanr

    rho, p = spearmanr(a, b)
    half = Z * np.sqrt((1 + rho**2 / 2) / (len(a) - 3))
    near = np.clip(rho, -1 + LEVEL, 1 - LEVEL)
    return (
        float(rho),
        float(np.tanh(np.arctanh(near) - half)),
        float(np.tanh(np.arctanh(near) + half)),
        float(p),
    )


def _rooted(statistic: float, freedom: int, scale: float) -> tuple[float, float, float]:
    """The strength of a chi-square statistic less what chance brings (its freedom), and its
    interval.

    The root of a noncentral chi-square has a deviation of about 1.
    """
    ends = [max(np.sqrt(statistic) + step, 0) ** 2 - freedom for step in (0, -Z, Z)]
    strength, low, high = (float(np.sqrt(min(max(end, 0) / scale, 1))) for end in ends)
    return strength, low, high


def epsilon(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[float, float, float, float]:
    """The root of epsilon squared on ranks, its interval and Kruskal and Wallis' p-value; `a` are
    classes, `b` ordered.

    Of two classes it is about the correlation of ranks. Epsilon squared is the share of the
    variance of ranks between classes, less what chance brings: (H - k + 1) / (n - k). Source:
    Kelley (1935); Tomczak and Tomczak (2014).
    """
    from scipy.stats import kruskal

    groups = [b[a == name] for name in np.unique(a)]
    statistic, p = kruskal(*groups)
    return *_rooted(float(statistic), len(groups) - 1, len(b) - len(groups)), float(p)


def cramers_v(a: np.ndarray, b: np.ndarray, seed: int = 0) -> tuple[float, float, float, float]:
    """Cramér's V corrected for bias, its interval and p-value; both are classes.

    By chi-square, or where expected counts are small by tables drawn with the same totals.
    Source: Bergsma, A bias-correction for Cramér's V and Tschuprow's T (2013).
    """
    from scipy.stats import chi2_contingency, random_table

    table = pd.crosstab(a, b).to_numpy()
    statistic, p, freedom, expected = chi2_contingency(table, correction=False)
    cases = table.sum()
    if (expected < SMALL_EXPECTED).mean() > MOST_SMALL or expected.min() < 1:
        drawn = random_table(table.sum(axis=1), table.sum(axis=0), seed=seed).rvs(TABLES_DRAWN)
        chance = ((drawn - expected) ** 2 / expected).sum(axis=(1, 2))
        p = (1 + (chance >= statistic * (1 - LEVEL)).sum()) / (1 + TABLES_DRAWN)
    sides = min(side - (side - 1) ** 2 / (cases - 1) - 1 for side in table.shape)
    scaled = (
        statistic * (cases - 1) / cases
    )  # so that the freedom taken off is Bergsma's (k - 1)(r - 1)/(n - 1)
    return *_rooted(scaled, freedom, sides * (cases - 1)), float(p)


MEASURES = {
    (True, True): spearman,
    (False, True): epsilon,
    (False, False): cramers_v,
}  # by whether each is ordered


def _coded(column: pd.Series) -> tuple[pd.Series, bool]:
    """A column as numbers, empty where nothing is known, and whether their order means something."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.astype(float), True
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and bool(column.cat.ordered)
    codes = (
        column.cat.codes
        if isinstance(column.dtype, pd.CategoricalDtype)
        else pd.Series(pd.factorize(column, sort=True)[0])
    )
    no_class = column.isna() | column.isin([UNKNOWN, OTHER] if ordered else [UNKNOWN])
    return pd.Series(codes.to_numpy(float), column.index).where(~no_class), ordered


def _associate(
    a: tuple[pd.Series, bool], b: tuple[pd.Series, bool], seed: int
) -> dict[str, object]:
    first, second = (a, b) if b[1] or not a[1] else (b, a)
    both = pd.concat([first[0], second[0]], axis=1, keys=["a", "b"]).dropna().to_numpy()
    measure = MEASURES[first[1], second[1]]
    enough = len(both) >= FEWEST and all(len(np.unique(column)) > 1 for column in both.T)
    found = measure(both[:, 0], both[:, 1], seed) if enough else (np.nan,) * 4
    return dict(zip(("strength", "low", "high", "p"), found, strict=True)) | {
        "measure": measure.__name__,
        "customers": len(both),
    }


def associations(attributes: pd.DataFrame, outcomes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How strongly each attribute goes with each outcome, by the measure that fits the two types,
    the strongest first.

    Both keyed by customer_id. Numbers and ordered categories are compared by rank. Columns: a, b
    (names), measure (spearman, epsilon, cramers_v), strength (-1 to 1 for spearman, else 0 to 1;
    all are of the size of a correlation), low, high (95 %, approximate), customers (with both
    known, on a sample above SAMPLE), p, q (Benjamini-Hochberg over all pairs), notable (q under
    ALARM, and not negligible). Empty where fewer than FEWEST customers or one class are known.
    """
    whole = outcomes.join(
        attributes[attributes.columns.difference(outcomes.columns, sort=False)]
    ).sort_index()
    sample = whole.sample(min(len(whole), SAMPLE), random_state=seed)
    coded = {name: _coded(column) for name, column in sample.items()}
    pairs = {frozenset((a, b)): (a, b) for a, b in product(attributes, outcomes) if a != b}.values()
    found = [{"a": a, "b": b} | _associate(coded[a], coded[b], seed) for a, b in pairs]
    table = pd.DataFrame(
        found, columns=["a", "b", "measure", "strength", "low", "high", "customers", "p"]
    )
    q = _adjusted(table.p.astype(float))
    table = table.assign(
        q=q, notable=(q < ALARM) & (table.strength.astype(float).abs() > NEGLIGIBLE)
    )
    table[["a", "b"]] = table[["a", "b"]].map(lambda name: str(name).removeprefix(PREFIX))
    return table.sort_values(
        "strength", key=lambda s: -s.astype(float).abs(), kind="stable", ignore_index=True
    )


def again(classes: pd.Series | None) -> pd.Series | None:
    """Classes that were read back from a table, as `classify` made them; none where nobody has one."""
    return None if classes is None else classify(classes)


def riskiest(by_risk: pd.DataFrame) -> dict[str, object]:
    """Of `disclosure.cross` with the bands of risk: the class with the largest share at high risk,
    as `most_in`.
    """
    return most_in(by_risk, ["high"])


def most_in(counts: pd.DataFrame, columns: Sequence[str]) -> dict[str, object]:
    """Of `disclosure.cross`: the class (group), of HEADLINE customers or more, with the largest
    share in these columns, and that of all; nan where a column is missing or not shown.
    """
    hits = counts.reindex(columns=list(columns)).astype(float).sum(axis=1, skipna=False)
    shares = (hits / counts.customers)[counts.customers >= HEADLINE].drop(
        [UNKNOWN, OTHER], errors="ignore"
    )
    group = shares.idxmax() if shares.notna().any() else ""
    return {
        "group": group,
        "share": shares.max(),
        "all": hits.sum(skipna=False) / counts.customers.sum(),
    }


def looked_at(
    attributes: pd.DataFrame, customers: pd.DataFrame, name: str = "", seed: int = 0
) -> str:
    """The attribute of that name; without a name the one that goes most with revenue in the value
    window, the first where none does, "" where there is none. Raises InputError for a name that is
    none.
    """
    names = [str(column).removeprefix(PREFIX) for column in attributes]
    if name and name not in names:
        raise InputError(f"attribute: there is no {name} to group by; {did_you_mean(name, names)}")
    revenue = customers.set_index("customer_id")[["window_revenue"]]
    links = associations(attributes, revenue, seed).dropna(subset="strength")
    return name or next(iter([*links.a, *names]), "")


def strongest(links: pd.DataFrame) -> dict[str, object]:
    """Of `associations`: how many are notable, and the strongest of those, or of all."""
    first = (links[links.notable] if links.notable.any() else links).iloc[0]
    return {"notable": int(links.notable.sum()), **first[["a", "b", "strength"]]}


def best(by: pd.DataFrame) -> dict[str, object]:
    """Of one attribute of `value_by`: the known class whose customers bring most, of those of
    HEADLINE customers and more where there are such; how many classes differ, of how many.
    """
    known = by[by.group != UNKNOWN]
    large = known[known.customers >= HEADLINE] if (known.customers >= HEADLINE).any() else known
    top = large.sort_values("revenue_each", kind="stable").iloc[-1]
    counts = {
        "marked": int(by.differs.sum()),
        "groups": int(by.q.count()),
        "customers": int(top.customers),
    }
    return {"group": top.group, "each": top.revenue_each, "low": top.low, "high": top.high} | counts
