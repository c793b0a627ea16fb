"""How strongly what is known of customers goes with what they do: Spearman's rho, epsilon squared
or Cramér's V, by the types of the two columns.
"""

from itertools import product

import numpy as np
import pandas as pd

from analysis.errors import InputError, did_you_mean
from analysis.report.text import N_
from analysis.schema import STAGES, UNKNOWN
from analysis.segments.attributes import ALARM, LEVEL, PREFIX, adjusted
from analysis.segments.small_cells import OTHER

Z = 1.959964  # deviations of a normal distribution that hold 95 %
# a correlation below this is none worth acting on (Cohen, Statistical Power Analysis, 1988)
NEGLIGIBLE = 0.1
# customers that associations are measured on: known to 0.01, and every p-value that matters small
SAMPLE = 100_000
FEWEST = 20  # customers that a measure of association takes
# Cochran's rule (1954): above this share of expected counts under 5, no chi-square
SMALL_EXPECTED, MOST_SMALL = 5, 0.2
TABLES_DRAWN = 1_999  # tables drawn where Cochran's rule fails
Measured = tuple[float, float, float, float]  # strength, its 95 % interval, p


def spearman(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Measured:
    """Spearman's rho, its interval (Bonett and Wright, 2000) and p-value; both are ordered."""
    from scipy.stats import spearmanr

    rho, p = spearmanr(a, b)
    half = Z * np.sqrt((1 + rho**2 / 2) / (len(a) - 3))
    near = np.arctanh(np.clip(rho, -1 + LEVEL, 1 - LEVEL))
    return float(rho), float(np.tanh(near - half)), float(np.tanh(near + half)), float(p)


def _rooted(statistic: float, freedom: int, scale: float) -> tuple[float, float, float]:
    """The strength of a chi-square statistic less what chance brings (its freedom), and its
    interval: the root of a noncentral chi-square has a deviation of about 1.
    """
    ends = [max(np.sqrt(statistic) + step, 0) ** 2 - freedom for step in (0, -Z, Z)]
    strength, low, high = (float(np.sqrt(min(max(end, 0) / scale, 1))) for end in ends)
    return strength, low, high


def epsilon(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Measured:
    """The root of epsilon squared on ranks, its interval and Kruskal and Wallis' p-value; `a` are
    classes, `b` ordered. Of two classes it is about the correlation of ranks.

    Epsilon squared is the share of the variance of ranks between classes, less what chance brings:
    (H - k + 1) / (n - k). Source: Kelley (1935); Tomczak and Tomczak (2014).
    """
    from scipy.stats import kruskal

    groups = [b[a == name] for name in np.unique(a)]
    statistic, p = kruskal(*groups)
    return *_rooted(float(statistic), len(groups) - 1, len(b) - len(groups)), float(p)


def cramers_v(a: np.ndarray, b: np.ndarray, seed: int = 0) -> Measured:
    """Cramér's V corrected for bias, its interval and p-value; both are classes.

    By chi-square, or where expected counts are small by tables drawn with the same totals.
    Source: Bergsma, A bias-correction for Cramér's V and Tschuprow's T (2013).
    """
    from scipy.stats import MonteCarloMethod, chi2_contingency

    table = pd.crosstab(a, b).to_numpy()
    statistic, p, freedom, expected = chi2_contingency(table, correction=False)
    if (expected < SMALL_EXPECTED).mean() > MOST_SMALL or expected.min() < 1:
        drawn = MonteCarloMethod(n_resamples=TABLES_DRAWN, rng=np.random.default_rng(seed))
        p = chi2_contingency(table, correction=False, method=drawn).pvalue
    cases = table.sum()
    sides = min(side - (side - 1) ** 2 / (cases - 1) - 1 for side in table.shape)
    # so that the freedom taken off is Bergsma's (k - 1)(r - 1)/(n - 1)
    scaled = statistic * (cases - 1) / cases
    return *_rooted(scaled, freedom, sides * (cases - 1)), float(p)


# By whether each of the two is ordered.
MEASURES = {(True, True): spearman, (False, True): epsilon, (False, False): cramers_v}


def _coded(column: pd.Series) -> tuple[pd.Series, bool]:
    """A column as numbers, empty where nothing is known, and whether their order has a meaning."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.astype(float), True
    classes = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
    ordered = bool(classes.cat.ordered)
    no_class = column.isna() | column.isin([UNKNOWN, OTHER] if ordered else [UNKNOWN])
    return classes.cat.codes.astype(float).where(~no_class), ordered


def associations(attributes: pd.DataFrame, outcomes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How strongly each attribute goes with each outcome, by the measure that fits the two types,
    the strongest first.

    Both keyed by customer_id. Numbers and ordered categories are compared by rank. Columns: a, b
    (names), measure (spearman, epsilon, cramers_v), strength (-1 to 1 for spearman, else 0 to 1;
    all are of the size of a correlation), low, high (95 %, approximate), customers (with both
    known, on a sample above SAMPLE), p, q (Benjamini-Hochberg over all pairs), notable (q under
    ALARM, and not negligible). Empty where fewer than FEWEST customers or one class are known.
    """
    more = attributes[attributes.columns.difference(outcomes.columns, sort=False)]
    whole = outcomes.join(more).sort_index()
    sample = whole.sample(min(len(whole), SAMPLE), random_state=seed)
    coded = {name: _coded(column) for name, column in sample.items()}
    pairs = {frozenset(pair): pair for pair in product(attributes, outcomes) if len({*pair}) > 1}
    rows = []
    for a, b in pairs.values():
        first, second = sorted((coded[a], coded[b]), key=lambda of: of[1])  # classes come first
        measure = MEASURES[first[1], second[1]]
        both = pd.concat([first[0], second[0]], axis=1).dropna().to_numpy()
        enough = len(both) >= FEWEST and all(len(np.unique(column)) > 1 for column in both.T)
        found = measure(both[:, 0], both[:, 1], seed) if enough else (np.nan,) * 4
        rows.append((a.removeprefix(PREFIX), b, measure.__name__, len(both), *found))
    columns = ["a", "b", "measure", "customers", "strength", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    q, size = adjusted(table.p), table.strength.astype(float).abs()
    table = table.assign(q=q, notable=(q < ALARM) & (size > NEGLIGIBLE))
    return table.loc[size.sort_values(ascending=False, kind="stable").index].reset_index(drop=True)


def outcomes(people: pd.DataFrame, segmented: pd.DataFrame) -> pd.DataFrame:
    """What attributes are compared with, keyed by customer_id. Columns: revenue (value window),
    stage (in order).
    """
    stages = segmented.set_index("customer_id").stage.astype(pd.CategoricalDtype(STAGES))
    revenue = people.set_index("customer_id").window_revenue
    return pd.DataFrame({"revenue": revenue, "stage": stages.cat.remove_unused_categories()})


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
    if name:
        return name
    revenue = customers.set_index("customer_id")[["window_revenue"]]
    links = associations(attributes, revenue, seed).dropna(subset="strength")
    return next(iter([*links.a, *names]), "")


def verdict(links: pd.DataFrame) -> tuple[str, dict[str, object]]:
    """A sentence on `associations` of known strength, and its values."""
    if links.empty:
        return N_(
            "There are no profiles to compare customers by, no column of them groups, or they tell"
            " of fewer than {fewest:int} customers."
        ), {"fewest": FEWEST}
    counts: dict[str, object] = {"pairs": len(links), "notable": int(links.notable.sum())}
    if not counts["notable"]:
        return N_(
            "Nothing in the profiles tells good customers from others beyond chance; comparisons"
            " made: {pairs:int}."
        ), counts
    return N_(
        "Comparisons that show a link beyond chance: {notable:int} of {pairs:int}; the strongest is"
        " {a:field} with {b:field} ({strength:number} on a scale from 0, none, to 1, perfect)."
    ), counts | links.loc[links.notable.idxmax(), ["a", "b", "strength"]].to_dict()
