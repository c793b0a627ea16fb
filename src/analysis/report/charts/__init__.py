"""Charts: a frame in, matplotlib axes out. Each is styled and worded where it is defined."""

from analysis.report.charts import (  # noqa: F401, their charts are in CHARTS then
    churn,
    customer_care,
    data_quality,
    lifetime_value,
    segments,
    steering,
    strategy,
)
from analysis.report.charts.base import CHARTS, svg

__all__ = ["svg", *CHARTS]
globals().update(CHARTS)
