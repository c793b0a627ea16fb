"""From order and CRM records to a reviewed picture of customers and a plan for each group.

>>> import analysis
>>> shop = analysis.open("shop")  # doctest: +SKIP
>>> shop.picture.groupby("tier").clv.sum()  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from pathlib import Path

    from analysis.run.opened import OpenedRun

__version__ = "0.1.0"


def open(dataset: "str | Path", run: "str | dt.date" = "") -> "OpenedRun":
    """A published run of a dataset (its name or its file): the newest, that of a day, or a trial.

    Its tables are frames: `shop.clv` or `shop["clv"]`; `shop.picture` has one row a customer.
    Raises InputError for what there is not.
    """
    from analysis.run.opened import OpenedRun  # which loads libraries for some seconds

    return OpenedRun(dataset, run)
