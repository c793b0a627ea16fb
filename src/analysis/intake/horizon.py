"""How far ahead `init` lets a company predict: as its customers pause."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ibis import _

from analysis.engine import connect
from analysis.errors import InputError
from analysis.intake import readers
from analysis.intake.columns import ASSUMED, Entry
from analysis.intake.dataset import Dataset
from analysis.intake.parsing import read_moment
from analysis.intake.value_formats import ASK, YEARS
from analysis.report.text import say

HORIZONS = (28, 56, 91, 182, 365)  # days
PAUSES = 2  # that a horizon lasts: who orders as usual then orders within it
IN_LOG = 6  # times that it fits in the log: history, lessons, and dates that choose and measure
MISTYPED = 0.001  # of order days at either end, which do not make a log longer
FEW = 30  # customers who ordered again; the pauses of fewer say nothing


def horizon_entry(orders: Sequence[Any]) -> Entry:
    """The horizon for files of orders (company.Found): by the usual pause and the length of the
    log; a quarter where they cannot be told.
    """
    days = [order_days(one) for one in orders]
    pause, length = usual_pause(pd.concat(days) if days else pd.DataFrame())
    if pause is None:
        quarter = Dataset.model_fields["horizon_days"].default
        return Entry("horizon_days", quarter, say("assumed, a quarter"), source=ASSUMED)
    found = fitting(pause, length)
    if found * IN_LOG > length:
        remark = say("assumed, the shortest: the log has only {length:int} days", length=length)
    elif found < PAUSES * pause:
        remark = say(
            "assumed, the longest that fits {n:int} times in the log ({length:int} days); a usual"
            " pause between orders has {pause:int} days",
            n=IN_LOG, length=length, pause=pause,
        )  # fmt: skip
    else:
        remark = say(
            "assumed, at least {n:int} usual pauses between orders ({pause:int} days each)",
            n=PAUSES, pause=pause,
        )  # fmt: skip
    return Entry("horizon_days", found, remark, source=ASSUMED)


def fitting(pause: float, length: float) -> int:
    """The shortest of HORIZONS with room for PAUSES pauses, of those that fit IN_LOG times in the
    log; the longest of these where none has room.
    """
    possible = [days for days in HORIZONS if days * IN_LOG <= length] or [HORIZONS[0]]
    return next((days for days in possible if days >= PAUSES * pause), possible[-1])


def usual_pause(days: pd.DataFrame) -> tuple[float | None, int]:
    """The median over customers of their median pause between order days (None: of too few), and
    the days of the log. Columns of `days`: customer_id, day.
    """
    if days.empty:
        return None, 0
    days = days.drop_duplicates().sort_values(["customer_id", "day"])
    first = days.day.quantile(MISTYPED, "lower")
    length = (days.day.quantile(1 - MISTYPED, "higher") - first).days + 1
    pauses = days.groupby("customer_id").day.diff().dt.days
    each = pauses.groupby(days.customer_id).median().dropna()
    return (float(each.median()) if len(each) >= FEW else None), length


def order_days(one: Any) -> pd.DataFrame:
    """Who ordered when, of all rows of files; none where it is not settled who or when. Columns:
    customer_id, day.
    """
    columns = {name: one.what.meanings.get(name) for name in ("customer_id", "date")}
    forms = {entry.key: entry.value for entry in one.what.date_format}
    nothing = pd.DataFrame({"customer_id": pd.Series(dtype="str"), "day": pd.NaT})
    if not all(columns.values()) or any(e.question or e.value == ASK for e in one.what.date_format):
        return nothing
    file = one.file.model_copy(update={"columns": columns, "date_format": forms})
    engine, found = connect(), [nothing]
    for piece in (piece for path in one.paths for piece in readers.pieces_of(path, file)):
        try:
            engine.con.register("rows", readers.stream(piece, "transactions", Path(piece.name)))
            texts = engine.table("rows")
            day = read_moment(texts.date, file.format_of("date"), "UTC").date()
            dated = texts.select("customer_id", day=day).drop_null().distinct()
            some = dated.filter(_.day.year().between(YEARS[0], YEARS[-1])).to_pandas()
        except InputError:
            return nothing  # told when the records are read
        found.append(some.astype({"day": "datetime64[s]"}))
    return pd.concat(found)
