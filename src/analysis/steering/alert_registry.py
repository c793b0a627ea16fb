"""What a rule of alerts is, and how a figure by month is held against the months before."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps

import numpy as np
import pandas as pd
from scipy.stats import binom
from scipy.stats import t as student

from analysis.report.text import N_
from analysis.steering.facts import Facts, Span, month_end

AGO = 2  # months that are held against those before
USUAL, LEAST_USUAL = 24, 10  # months before, at most and at least
WHOLE = ""  # the group of all
SMALLEST = 0.001  # of the usual figure: what a month differs by at least, where it never did

Rows = Callable[[Facts], pd.DataFrame]
Who = Callable[[Facts, str], pd.Index]
Figure = Callable[[Facts, Span], dict[str, float]]


def nobody(facts: Facts, group: str) -> pd.Index:
    """Of a rule that is of no customers."""
    return pd.Index([], dtype="int64")


ROWS = ["group", "now", "usual", "p"]  # what a rule gives


@dataclass(frozen=True)
class Rule:
    """`of` gives a row for each group that could be judged: group (WHOLE, or a name), now, usual, p
    (the chance of that where nothing has changed; empty: certain, and worth an alert). `who`: the
    customers that it is of. `told`: the figures in words. What it asks for, the playbook says.
    """

    label: str
    form: str
    of: Rows
    who: Who
    told: str


RULES: dict[str, Rule] = {}


def rule(
    label: str,
    form: str,
    who: Who = nobody,
    told: str = N_("{now:text}, usually {usual:text}"),
) -> Callable[[Rows], Rows]:
    """Enter a function into RULES, by its name."""

    def entered(of: Rows) -> Rows:
        RULES[of.__name__] = Rule(label, form, of, who, told)
        return of

    return entered


def by_month(
    label: str, form: str, bad: str, least: float, who: Who = nobody
) -> Callable[[Figure], Figure]:
    """Enter a function that gives a figure of a month by group. `bad`, `least` as in `tested`; of
    form int it is a count.
    """

    def entered(of: Figure) -> Figure:
        @wraps(of)
        def rows(facts: Facts) -> pd.DataFrame:
            return tested(months(facts, of), bad, least, counts=form == "int")

        rule(label, form, who)(rows)
        return of

    return entered


def months(facts: Facts, of: Figure) -> pd.DataFrame:
    """A figure by end of month (index) and group (columns)."""
    return pd.DataFrame(
        {span.end: of(facts, span) for span in facts.spans(1, USUAL + AGO)}
    ).T.sort_index()


def in_tier(tier: str = "") -> Who:
    """Those of a tier (or of that which the group is) before the last AGO months."""

    def found(facts: Facts, group: str) -> pd.Index:
        then = facts.tier(month_end(facts.last, -AGO))
        return then.index[then == (tier or group)]

    return found


def in_group(facts: Facts, group: str) -> pd.Index:
    """Those whose profile names the group."""
    return facts.groups.index[facts.groups.eq(group).any(axis=1)]


def lately(of: Callable[[Facts, Span], pd.Series]) -> Who:
    """Those whom something was true of in one of the last AGO months, by the group they are of."""

    def found(facts: Facts, group: str) -> pd.Index:
        named = pd.concat([of(facts, span) for span in facts.spans(1, AGO)])
        return named.index[named == group].unique()

    return found


def tested(figures: pd.DataFrame, bad: str, least: float, counts: bool = False) -> pd.DataFrame:
    """The ROWS of figures by month: the mean of the last AGO months and of those before, and the
    chance of a difference as bad as that (Student's t; of counts that which things that happen
    independently of one another have, if it is more: they may be too few for t); 1 where it is less
    than `least`, as a share of the usual. `bad`: lower, higher, or either.
    """
    rows = []
    for group in figures:
        known = figures[group].dropna()
        now, usual = known.iloc[-AGO:], known.iloc[:-AGO].iloc[-USUAL:]
        if len(usual) < LEAST_USUAL or known.index[-1] != figures.index[-1]:
            continue
        spread = max(float(usual.std()), SMALLEST * abs(float(usual.mean())), 1e-12)
        far = (now.mean() - usual.mean()) / (spread * np.sqrt(1 / len(now) + 1 / len(usual)))
        tail = {"lower": far, "higher": -far, "either": -abs(far)}[bad]
        p = float(student.cdf(tail, len(usual) - 1)) * (2 if bad == "either" else 1)
        p = max(p, _of_counts(now, usual, bad)) if counts else p
        p = p if abs(now.mean() - usual.mean()) >= least * abs(usual.mean()) else 1.0
        rows.append((str(group), float(now.mean()), float(usual.mean()), p))
    return pd.DataFrame(rows, columns=ROWS)


def _of_counts(now: pd.Series, usual: pd.Series, bad: str) -> float:
    """The chance that so few, or so many, of all events fell into the last months."""
    late, every = int(now.sum()), int(now.sum() + usual.sum())
    share = len(now) / (len(now) + len(usual))
    return float(
        binom.cdf(late, every, share) if bad == "lower" else binom.sf(late - 1, every, share)
    )
