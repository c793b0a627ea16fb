"""When contracts end, as was known on a day.

The profiles have one end of each contract, as known today; who has renewed since a day in the past
had an earlier one then. What a past day may know is that a contract ends whole terms before: its
next end after the day is today's less as many terms as leave it after the day. That tells when a
customer was due, and nothing of what came of it.

The term is one for the company, since profiles do not say it. A contract that runs longer today has
several; of who left in the midst of a term the end that was due is reckoned from the first order.
What no profile can tell: terms that were changed between then and now, breaks between two contracts
of one customer, renewals long before their day, ends postponed or brought forward. Where most ends
are empty, or no usual term fits, nothing is reconstructed.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

MONTHS = (1, 3, 6, 12, 24, 36)  # of usual terms
MONTH_DAYS = 365.25 / 12
MOST = 0.9  # of customers whose end is told, and of contracts that one term must hold
ALIKE = 0.7  # mean cosine from which first orders tell terms: 1 in step, 0 by chance
FEW = 30  # contracts; fewer tell no term
NEAR = 1 / 8  # of a term; a first order may come so much later than the contract
UNSEEN_DAYS = 91  # of the log, in which the first order may not have been the first


class Contracts(NamedTuple):
    """The usual term (None: nothing can be told), and by customer_id a day at which a contract ends
    or would have (`end`), and its own term (`term_days`).
    """

    months: int | None
    people: pd.DataFrame

    def days_to_end(self, customer_ids: pd.Series, day: pd.Timestamp) -> pd.Series:
        """Days from `day` to the next end, 1 or more; empty where unknown. By row."""
        found = self.people.reindex(customer_ids).set_axis(customer_ids.index)
        days = (found.end - day).dt.days % found.term_days
        return days.where(days >= 0.5, found.term_days).round()

    def terms(self, days: pd.Series) -> pd.Series:
        """So many days in whole usual terms."""
        return (days / ((self.months or 1) * MONTH_DAYS)).round()


def contracts(people: pd.DataFrame, oldest: pd.Timestamp, newest: pd.Timestamp) -> Contracts:
    """Of profiles (contract_end, churned if known) with `first_order`, by customer_id; and the
    first and last day of the log.
    """
    end, gone = people.contract_end, people.get("churned", pd.Series(False, people.index))
    remaining, age = (end - newest).dt.days, (end - people.first_order).dt.days
    age = age.where(people.first_order > oldest + pd.Timedelta(days=UNSEEN_DAYS))
    runs, has_left = remaining > 0, gone.eq(True) | (end <= newest)
    told = end[~has_left].notna()
    months, in_step = None, False
    if told.sum() >= FEW and told.mean() >= MOST:
        months, in_step = usual_months(remaining[runs], age[runs].dropna())
    if months is None:
        return Contracts(None, pd.DataFrame({"end": end, "term_days": np.nan}))
    term = months * MONTH_DAYS
    # renewed a little early, or for several terms
    terms = np.ceil(remaining / term - 1 / 12).clip(lower=1)
    off = ((age / term + 0.5) % 1 - 0.5).abs() > NEAR
    end = end.mask(off & ~runs & in_step, people.first_order)
    own = np.maximum(terms * term, remaining)
    return Contracts(months, pd.DataFrame({"end": end, "term_days": own}))


def usual_months(remaining: pd.Series, age: pd.Series) -> tuple[int | None, bool]:
    """The term of contracts that run: the longest that most ends are whole terms of after the first
    order (then True); else the shortest in which most of them end.
    """
    fit = pd.Series({n: np.cos(2 * np.pi * age / (n * MONTH_DAYS)).mean() for n in MONTHS})
    if len(age) >= FEW and fit.max() >= ALIKE:
        return int(fit.index[fit >= MOST * fit.max()].max()), True
    enough = [n for n in MONTHS if (remaining <= n * MONTH_DAYS + 1).mean() >= MOST]
    return (enough[0] if enough else None), False
