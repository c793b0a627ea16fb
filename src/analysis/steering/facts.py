"""What happened in each month of the calendar, customer by customer: what key figures, causes and
cohorts are made of.
"""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import ibis
import pandas as pd
from ibis import _
from ibis.expr.types import Table

from analysis import customers
from analysis.intake.dataset import Dataset
from analysis.models import history
from analysis.models.history import Records
from analysis.report.privacy import shown_staff
from analysis.segments import registry
from analysis.strategy.feedback import last_answers
from analysis.strategy.owners import looking_after
from analysis.strategy.retention import NOBODY

UNSEEN = 6  # months of a log, before which its first customers may have ordered
OF_PROFILES = ("region", "industry", "owner")
FEW_LINES = 30  # of a source in all
CLOSED_DAYS = 6  # at the beginning of a month, on which a shop may have sold nothing


@dataclass(frozen=True)
class Span:
    """Whole months of the calendar: the last day of the last of them, and how many."""

    end: pd.Timestamp
    months: int

    @property
    def start(self) -> pd.Timestamp:
        """The day before the first one."""
        return month_end(self.end, -self.months)

    def ago(self, months: int) -> "Span":
        """As many months, so much earlier."""
        return Span(month_end(self.end, -months), self.months)

    @property
    def before(self) -> "Span":
        """As many months just before."""
        return self.ago(self.months)


def month_end(day: pd.Timestamp, months: int) -> pd.Timestamp:
    """The end of the month so many months after that of a day."""
    return day + pd.offsets.MonthEnd(0) + pd.offsets.MonthEnd(months)


class Facts:
    """A company's months; those that are not over by `as_of` are left out. `tiers` is the table
    tier_history, `record` the table of that name, `plans` the table cycle of all cycles. Customers
    are numbers, places in `ids`, which is faster than their names.
    """

    def __init__(
        self,
        records: Records,
        tiers: pd.DataFrame,
        as_of: dt.date,
        settings: Dataset,
        record: pd.DataFrame | None = None,
        plans: pd.DataFrame | None = None,
    ) -> None:
        self.records, self.settings, self.as_of = records, settings, as_of
        self.record, self.plans = record, plans
        self._tiers = tiers[tiers.full_window]
        this_month = pd.Timestamp(as_of) + pd.offsets.MonthEnd(0)
        self.last = month_end(this_month, 0 if this_month.date() == as_of else -1)
        self._during: dict[Span, pd.DataFrame] = {}
        self._standing: dict[pd.Timestamp, pd.DataFrame] = {}

    @cached_property
    def oldest(self) -> pd.Timestamp:
        """The first day of the log."""
        return pd.Timestamp(self.records.transactions.day.min().execute())

    def covers(self, span: Span) -> bool:
        """Whether the log has all days of the months."""
        begun = span.start + pd.Timedelta(days=1 + CLOSED_DAYS)
        return span.end <= self.last and self.oldest <= begun

    def spans(self, months: int, most: int) -> list[Span]:
        """Spans of so many months at up to `most` ends of months, the latest first, as far as the
        log goes back.
        """
        every = (Span(month_end(self.last, -n), months) for n in range(most))
        return [span for span in every if self.covers(span)]

    @cached_property
    def ids(self) -> pd.Index:
        """Everybody of whom there is a record."""
        r = self.records
        known = (
            log
            for log in (r.transactions, r.profiles, r.feedback, r.interactions)
            if log is not None
        )
        every = ibis.union(*(log.select("customer_id").distinct() for log in known))
        return pd.Index(every.distinct().order_by("customer_id").to_pandas().customer_id)

    def _read(self, rows: Table, *days: str) -> pd.DataFrame:
        """Rows with `customer`, the number, in place of customer_id, and these columns as days."""
        frame = rows.to_pandas()
        dated = {name: pd.to_datetime(frame[name]).astype("datetime64[s]") for name in days}
        numbers = self.ids.get_indexer(frame.pop("customer_id"))
        return frame.assign(customer=numbers, **dated).sort_values(["customer", *days])

    @cached_property
    def by_month(self) -> pd.DataFrame:
        """Columns: customer, month_end, orders, revenue (net money, empty without amounts), and
        profit where costs are known.
        """
        days = customers.order_days(self.records.transactions, self.last.date())
        sums = {"orders": days.bought.count(), "revenue": days.net.sum().cast("float64")}
        if "profit" in days.columns:
            sums["profit"] = days.profit.sum().cast("float64")
        months = days.group_by("customer_id", month_end=days.day.truncate("M")).agg(**sums)
        found = self._read(months, "month_end")
        return found.assign(month_end=found.month_end + pd.offsets.MonthEnd(0))

    def during(self, span: Span) -> pd.DataFrame:
        """The sums of `by_month` over a span, by customer, of who had a line in it."""
        if span not in self._during:
            ends = self.by_month.month_end
            mine = self.by_month[(ends > span.start) & (ends <= span.end)]
            sums = mine.drop(columns="month_end").groupby("customer")
            self._during[span] = sums.sum(min_count=1)
        return self._during[span]

    @cached_property
    def life(self) -> pd.DataFrame:
        """By customer who has ordered: first (day of the first order), second_after (days until the
        second one; empty without).
        """
        pauses = customers.pauses(self.records.transactions, self.last.date())
        first = pauses.filter(_.number == 1).select(
            "customer_id", first=_.start, second_after=ibis.ifelse(_.ended, _.days, None)
        )
        found = self._read(first, "first").set_index("customer")
        return found.astype({"second_after": float})

    @cached_property
    def closed(self) -> bool:
        """Whether these customers are a closed group, of a log that could tell."""
        first = self.life["first"]
        return self.covers(Span(self.last, 6)) and customers.is_closed(first, self.last)

    def standing(self, end: pd.Timestamp) -> pd.DataFrame:
        """The rows of tier_history at the end of a month, by customer; none where the history does
        not reach back so far, or the log over less than the value window.
        """
        if end not in self._standing:
            then = self._tiers[self._tiers.month_end == end]
            self._standing[end] = then.set_index(self.ids.get_indexer(then.customer_id))
        return self._standing[end]

    def tier(self, end: pd.Timestamp) -> pd.Series:
        """The tier of each customer at the end of a month."""
        return self.standing(end).tier

    def segment(self, end: pd.Timestamp) -> pd.Series:
        """The RFM segment of each customer at the end of a month, by the records known then; none
        where the log reaches back over less than the value window.
        """
        if self.standing(end).empty:
            return pd.Series(dtype="str")
        settings = self.settings
        people = customers.at(self.records.transactions, end.date(), settings.value_window_days)
        found = registry.segment(people, registry.ALWAYS, settings)
        return found.set_index(self.ids.get_indexer(found.customer_id)).rfm_segment.astype("str")

    @cached_property
    def _answers(self) -> pd.DataFrame:
        """The last answer in each month: customer, kind, period (0 the last month), score."""
        months = (self.last.year - self.oldest.year) * 12 + self.last.month - self.oldest.month + 1
        ends = [month_end(self.last, -n).date() for n in range(months + 1)]
        said = last_answers(self.records.feedback, ends)
        said["customer"] = self.ids.get_indexer(said.customer_id)
        return said.sort_values(["customer", "kind", "period"])

    def scores(self, kind: str, span: Span) -> pd.Series:
        """The last answer of each customer in a span."""
        if self.records.feedback is None:
            return pd.Series(dtype=float)
        said = self._answers[self._answers.kind == kind]
        mine = said[(said.day > span.start) & (said.day <= span.end)]
        return mine.drop_duplicates("customer").set_index("customer").score

    @cached_property
    def complaints(self) -> pd.DataFrame:
        """Complaints and tickets: customer, day, closed (empty while open)."""
        if self.records.feedback is None:
            dated = dict.fromkeys(["day", "closed"], "datetime64[s]")
            return pd.DataFrame(columns=["customer", *dated]).astype(dated)
        found = history.complaints(self.records.feedback, self.last.date())
        return self._read(found.select("customer_id", "day", "closed"), "day", "closed")

    @cached_property
    def contacts(self) -> pd.DataFrame:
        """Days with a contact by staff: customer, day."""
        if self.records.interactions is None:
            return pd.DataFrame(columns=["customer", "day"]).astype({"day": "datetime64[s]"})
        found = history.staff_contacts(self.records.interactions, self.last.date())
        return self._read(found.select("customer_id", "day").distinct(), "day")

    @cached_property
    def prospects(self) -> pd.Series:
        """The day of the first contact, by customer, of who had not ordered before."""
        profiles = self.records.profiles
        if profiles is None or "first_contact" not in profiles.columns:
            return pd.Series(dtype="datetime64[s]")
        told = self._read(profiles.select("customer_id", "first_contact"), "first_contact")
        contact = told.set_index("customer").first_contact.dropna()
        first = self.life["first"].reindex(contact.index)
        return contact[~(first < contact)]

    @cached_property
    def consent(self) -> pd.Series:
        """Whether each customer with a profile may be contacted; empty where that is unknown."""
        profiles = self.records.profile_columns("consent")
        if "consent" not in profiles:
            return pd.Series(dtype=bool)
        agreed = history.may_contact(profiles, profiles.customer_id)
        return agreed.set_axis(self.ids.get_indexer(profiles.customer_id))

    @cached_property
    def lines(self) -> pd.DataFrame:
        """Lines of the records by day (index), of each log and of each of its channels (columns), 0
        where there are none; not of channels that hardly ever had any.
        """
        logs = {"transactions": self.records.transactions}
        logs |= {"interactions": self.records.interactions, "feedback": self.records.feedback}
        found = {}
        for name, log in logs.items():
            if log is None:
                continue
            by = ["day", "channel"] if "channel" in log.columns else ["day"]
            counts = log.filter(_.day <= self.as_of).group_by(by).agg(lines=_.count()).to_pandas()
            counts["day"] = pd.to_datetime(counts.day)
            found[name] = counts.groupby("day").lines.sum()
            if "channel" in counts:
                found |= {
                    f"{name}, {c}": of.set_index("day").lines for c, of in counts.groupby("channel")
                }
        many = {name: lines for name, lines in found.items() if lines.sum() >= FEW_LINES}
        days = pd.date_range(self.oldest, self.as_of)
        return pd.DataFrame(many, days).fillna(0)

    @cached_property
    def mixes(self) -> dict[str, pd.DataFrame]:
        """What models read, by month (index) and class (columns), as counts: order_value and pause
        (days) in classes that begin at powers of two; lines by channel and by category.
        """
        log, day = self.records.transactions, self.last.date()
        paid = customers.order_days(log, day).filter(_.sales > 0)
        ended = customers.pauses(log, day).filter(_.ended)
        ended = ended.mutate(day=_.start + _.days.as_interval("D"))
        kinds = {
            "order_value": paid.mutate(of=_.sales.cast("float64").log2().floor()),
            "pause": ended.mutate(of=_.days.log2().floor()),
        }
        lines = customers.sales(log, day)
        kinds |= {n: lines.mutate(of=_[n]) for n in ("channel", "category") if n in lines.columns}
        found = {}
        for name, rows in kinds.items():
            counts = rows.group_by(month=_.day.truncate("M"), of=_.of).agg(n=_.count()).to_pandas()
            wide = counts.dropna().pivot(index="month", columns="of", values="n").fillna(0)
            found[name] = wide.set_axis(pd.to_datetime(wide.index) + pd.offsets.MonthEnd(0))
        return found

    @cached_property
    def groups(self) -> pd.DataFrame:
        """OF_PROFILES by customer, as far as profiles know them; owners as reports show them."""
        people = self.records.profile_columns(*OF_PROFILES)
        numbers = self.ids.get_indexer(people.pop("customer_id"))
        shown = {
            name: people[name].map(shown_staff if name == "owner" else str, na_action="ignore")
            for name in people
        }
        return pd.DataFrame(shown).set_axis(numbers)

    @cached_property
    def owners(self) -> pd.Series:
        """Who looks after each customer who is somebody's, as owners.looking_after names them."""
        named = looking_after(self.records, pd.Series(self.ids)).reset_index(drop=True)
        return named[named != NOBODY]

    @cached_property
    def touched(self) -> pd.DataFrame:
        """The last day of each month with an order or a contact by staff: customer, day."""
        log, end = self.records.transactions, self.last.date()
        days = customers.sales(log, end).select("customer_id", "day")
        if self.records.interactions is not None:
            met = history.staff_contacts(self.records.interactions, end)
            days = days.union(met.select("customer_id", "day"))
        last = days.group_by("customer_id", month=days.day.truncate("M")).agg(day=_.day.max())
        return self._read(last.drop("month"), "day")
