"""Who is of another class than on an earlier day: by tier, stage of life, RFM segment, risk of
leaving and last answer.

Both days are seen by the records known on them and by the rules, limits and model of today, so that
a move is the customer's.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from analysis import customers
from analysis.models import churn_features, history
from analysis.report.text import N_, labelled, say
from analysis.schema import STAGES, UNKNOWN
from analysis.segments import registry, rfm
from analysis.segments.lifecycle import ACTIVE, limits
from analysis.segments.summaries import known_sum
from analysis.strategy import picture, playbook
from analysis.strategy.feedback import ANSWERS, recommends
from analysis.strategy.tiers import TIERS

CONCEPTS = churn_features.CONCEPTS  # whose words are said of a risk that rose
NOT_YET, GONE, SILENT = "not_yet_known", "no_longer_known", "no_answer"
WAYS = {1: "better", -1: "worse", 0: ""}
# Of each kind the classes in order, and how good each is; where none is better than another, there
# is no way up. Nobody's first order is a rise by itself, but who comes in above the lowest rises.
CLASSES: dict[str, Sequence[str]] = {
    "tier": TIERS,
    "stage": STAGES,
    "rfm_segment": list(rfm.rfm.classes),
    "risk_band": picture.RISKS,
    "recommends": ANSWERS,
}
RANKS: dict[str, dict[str, int]] = {
    "tier": dict.fromkeys([NOT_YET, *TIERS], 0) | {"strategic": 2, "important": 1},
    "stage": dict.fromkeys([NOT_YET, *STAGES], 0) | dict.fromkeys(ACTIVE, 1),
    "risk_band": {NOT_YET: 0, "high": 0, "medium": 1, "low": 2},
    "recommends": {"detractor": 0, "passive": 1, "promoter": 2},
}
WORDS = labelled(
    {
        NOT_YET: N_("Not there yet"),
        GONE: N_("No longer there"),
        SILENT: N_("No answer"),
        "net_better": N_("better, beyond chance"),
        "net_worse": N_("worse, beyond chance"),
        "net_chance": N_("even, within chance"),
        "net_unfull": N_("in part because the log did not yet fill the value window"),
    },
    str,
)
OF_WINDOW = ("tier", "risk_band")  # kinds that go by what a long time has brought
SURE = 0.05  # chance of so uneven a balance, where up is as likely as down, that is still believed


class Source(history.Source, Protocol):
    """A stage that reads the tables of those before it."""

    as_of: dt.date

    def read(self, table: str) -> pd.DataFrame: ...


def gather(source: Source, then: dt.date) -> pd.DataFrame:
    """Everybody known on an earlier day or today.

    Columns: customer_id; of each kind (of CLASSES) that is known on both days its class, as
    tier_before and tier_after; orders, revenue (of the value window) and rose_by (as in
    earlier_risk) likewise.
    """
    settings, now, records = source.settings, source.as_of, history.gather(source)
    matrix, segments, known, tiers, risk = map(
        source.read, ["matrix", "segments", "customers", "tier_history", "earlier_risk"]
    )
    days = customers.on_days(
        records.transactions, [then, now], settings.value_window_days, [settings.horizon_days]
    )
    past, learned = days[then], limits(days[now], settings.horizon_days)
    if records.profiles is not None:
        past = customers.with_prospects(past, records.profiles, then, surely=True)
    cuts = rfm.cut_points(known, segments, settings.rfm_scores) | settings.rfm_cuts
    segmented = registry.segment(
        past, registry.ALWAYS, settings, lifecycle={"learned": learned}, rfm={"cuts": cuts}
    )
    tiers = tiers[tiers.month_end <= pd.Timestamp(then)]
    risk = risk[risk.day == pd.Timestamp(then)]
    rules, language = playbook.of(settings).tiers, settings.language
    drawn = picture.draw(past, segmented, tiers, rules, language, churn=risk if len(risk) else None)
    before = _classes(drawn, segmented, past, recommends(records.feedback, then))
    before = before.join(risk.set_index("customer_id").rose_by)
    return side_by_side(
        before, _classes(matrix, segments, known, recommends(records.feedback, now))
    )


def _classes(
    matrix: pd.DataFrame, segments: pd.DataFrame, people: pd.DataFrame, answers: pd.Series
) -> pd.DataFrame:
    found = matrix.set_index("customer_id")[["tier", "stage", "risk_band", "revenue"]]
    return found.assign(
        rfm_segment=segments.set_index("customer_id").rfm_segment,
        recommends=answers.reindex(found.index).fillna(SILENT),
        orders=people.set_index("customer_id").window_orders,
    )


def side_by_side(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Two days' classes of each customer (index), as from `gather`."""
    both = before.add_suffix("_before").join(after.add_suffix("_after"), how="outer")
    for kind in CLASSES:
        pair = both[[f"{kind}_before", f"{kind}_after"]].astype(object)
        silent = pair.isin([UNKNOWN, SILENT, "none"]) | pair.isna()
        both[pair.columns] = pair.fillna(dict(zip(pair, (NOT_YET, GONE), strict=True)))
        if silent.all().any():
            both = both.drop(columns=pair.columns)
    return both.rename_axis("customer_id").reset_index()


def ways(kind: str, before: pd.Series, after: pd.Series) -> pd.Series:
    """1 where a customer is of a better class than before, -1 of a worse one, 0 of neither, or
    where one of them is not known.
    """
    ranks = RANKS.get(kind, {})
    # without a risk was who had not ordered; who has none now is not likelier to leave
    then = before.where(before != "none", NOT_YET).map(ranks).astype(float)
    return np.sign(after.map(ranks).astype(float) - then).fillna(0).astype(int)


def of_kind(both: pd.DataFrame, kind: str) -> pd.DataFrame:
    """`both` with before, after and way (as from `ways`) by one kind; no rows of an unknown one."""
    if f"{kind}_before" not in both:
        return both.head(0).assign(before="", after="", way=0)
    pair = {"before": both[f"{kind}_before"], "after": both[f"{kind}_after"]}
    return both.assign(**pair, way=ways(kind, *pair.values()))


def in_order(kind: str, names: set[str]) -> list[str]:
    """Classes of a kind in their order, a company's own behind."""
    first = [name for name in CLASSES.get(kind, ()) if name in names]
    return [*first, *sorted(names - {*first})]


def moves(both: pd.DataFrame) -> pd.DataFrame:
    """The table `moves`, kind by kind in the order of their classes: everybody counts once in
    each.
    """
    parts = []
    for kind in CLASSES:
        told = of_kind(both, kind)
        sums = told.groupby(["before", "after", "way"]).agg(
            customers=("customer_id", "size"),
            revenue_before=("revenue_before", known_sum),
            revenue_after=("revenue_after", known_sum),
        )
        order = in_order(kind, {*told.before, *told.after})
        found = sums.reset_index().assign(kind=kind)
        found["way"] = found.way.map(WAYS)
        parts.append(found.sort_values(["before", "after"], key=lambda c: c.map(order.index)))
    columns = ["kind", "before", "after", "way", "customers", "revenue_before", "revenue_after"]
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.astype(dict.fromkeys(columns[:4], "str") | dict.fromkeys(columns[5:], float))


def net(way: pd.Series) -> str:
    """Whether more went up than down or the other way round, beyond what chance does where both are
    as likely (sign test): who was high falls again, and who was low rises, without any reason.
    """
    up, down = int((way > 0).sum()), int((way < 0).sum())
    if not up + down or binomtest(up, up + down).pvalue >= SURE:
        return "net_chance"
    return "net_better" if up > down else "net_worse"


def fallen(both: pd.DataFrame) -> pd.DataFrame:
    """Who is of a worse class by any kind and brings less, the largest loss first.

    Columns: customer_id; loss (money of the value window); why: no_orders, fewer_orders or
    smaller_orders (whichever took more); of each kind the class, or both, before → after.
    """
    worse = [of_kind(both, kind).way.reindex(both.index, fill_value=0) < 0 for kind in CLASSES]
    down = both[np.any(worse, axis=0) & (both.revenue_before > both.revenue_after)]
    orders = down.orders_after / down.orders_before.where(down.orders_before > 0)
    value = (down.revenue_after / down.revenue_before) / orders
    tests = [down.orders_after == 0, (down.revenue_after <= 0) | ~(orders < value)]
    found = down[["customer_id"]].assign(
        loss=down.revenue_before - down.revenue_after,
        why=np.select(tests, ["no_orders", "smaller_orders"], "fewer_orders"),
    )
    for kind in (kind for kind in CLASSES if f"{kind}_before" in both):
        pair = down[[f"{kind}_before", f"{kind}_after"]].itertuples(index=False, name=None)
        found[kind] = [" → ".join(map(say.word, dict.fromkeys(each))) for each in pair]
    return found.sort_values(["loss", "customer_id"], ascending=[False, True], ignore_index=True)


def sentences(
    both: pd.DataFrame, then: dt.date, full: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is said of each kind, with its values. `full`: whether the log filled the value window
    then.
    """
    told = {
        "tier": _of_tiers,
        "stage": _of_stages,
        "risk_band": _of_risk,
        "recommends": _of_answers,
    }
    for kind, say_of in told.items():
        if len(some := of_kind(both, kind)):
            down = some[some.way < 0]
            verdict = net(some.way) if full or kind not in OF_WINDOW else "net_unfull"
            counts = {"up": sum(some.way > 0), "down": len(down), "net": verdict, "then": then}
            counts["worth"] = (
                say(
                    "who had brought {money:compact} in the value window",
                    money=down.revenue_before.sum(),
                )
                if both.revenue_after.notna().any()
                else say("whose money is not known")
            )
            text, values = say_of(some, down)
            yield text, counts | values


def _of_tiers(some: pd.DataFrame, down: pd.DataFrame) -> tuple[str, dict[str, Any]]:
    less = fallen(some).merge(down[["customer_id"]])
    if less.empty:
        return N_(
            "Since {then:date}, {up:int} customers moved up a tier and {down:int} moved down"
            " ({net:word})."
        ), {}
    return N_(
        "Since {then:date}, {up:int} customers moved up a tier and {down:int} moved down"
        " ({net:word}); of these, {less:int} bring {loss:compact} less in the value window, most"
        " often: {why:word} ({count:int})."
    ), {"less": len(less), "loss": less.loss.sum(), **_mode(less.why)}


def _of_stages(some: pd.DataFrame, down: pd.DataFrame) -> tuple[str, dict[str, Any]]:
    back = sum(some.before[some.way > 0].isin(["silent", "lost"]))
    return N_(
        "{first:int} customers became active with a first order and {back:int} after a long pause;"
        " {down:int} who were active, {worth:text}, are silent or lost now ({net:word})."
    ), {"first": sum(some.way > 0) - back, "back": back}


def _of_risk(some: pd.DataFrame, down: pd.DataFrame) -> tuple[str, dict[str, Any]]:
    if down.empty:
        return N_(
            "Nobody rose into a higher band of risk; {up:int} customers are in a lower one or new"
            " without a high risk ({net:word})."
        ), {}
    return N_(
        "{down:int} customers, {worth:text}, rose into a higher band of risk, most often:"
        " {why:word} ({count:int}); {up:int} are in a lower one or new without a high risk"
        " ({net:word})."
    ), _mode(down.rose_by_before)


def _of_answers(some: pd.DataFrame, down: pd.DataFrame) -> tuple[str, dict[str, Any]]:
    asked = some[some.before.isin(ANSWERS) & some.after.isin(ANSWERS)]
    lost = sum((down.before == ANSWERS[0]) & (down.after == ANSWERS[-1]))
    return N_(
        "Of {asked:int} who answered in the year to each day, {up:int} would recommend us more"
        " than then and {down:int} less ({net:word}); {lost:int} promoters became detractors."
    ), {"asked": len(asked), "lost": lost}


def _mode(why: pd.Series) -> dict[str, Any]:
    """The most frequent reason, and of how many it is."""
    most = why.mode()[0]
    return {"why": most, "count": sum(why == most)}
