"""Charts: a frame in, matplotlib axes out. Each is styled and worded where it is defined."""

from analysis.report.charts.base import svg
from analysis.report.charts.campaigns import campaign_effects
from analysis.report.charts.churn import (
    calibration,
    churn_drivers,
    leavers_by_decile,
    profit_curve,
    risk_spread,
    survival_curves,
)
from analysis.report.charts.customer_care import (
    care_load,
    loyalty_levels,
    nps_over_time,
    owner_retention,
    satisfaction_by_tier,
)
from analysis.report.charts.data_quality import completeness, daily_lines, outcomes, staleness
from analysis.report.charts.lifetime_value import (
    conditional_expectation,
    frequency_recency,
    repeat_frequency,
    tracking_cumulative,
    tracking_weekly,
    value_by_standing,
)
from analysis.report.charts.movement import migration, tier_history
from analysis.report.charts.segments import (
    associations,
    class_grid,
    cluster_features,
    cluster_quality,
    habits,
    interest_sizes,
    open_needs,
    pareto,
    rfm_grid,
    segment_sizes,
    stage_by_class,
    stage_moves,
    stage_sizes,
    value_by_class,
)
from analysis.report.charts.strategy import (
    action_gain,
    budget_curve,
    hit_rates,
    matrix,
    risk_by_class,
)

__all__ = [
    "action_gain",
    "associations",
    "budget_curve",
    "calibration",
    "campaign_effects",
    "care_load",
    "churn_drivers",
    "class_grid",
    "cluster_features",
    "cluster_quality",
    "completeness",
    "conditional_expectation",
    "daily_lines",
    "frequency_recency",
    "habits",
    "hit_rates",
    "interest_sizes",
    "leavers_by_decile",
    "loyalty_levels",
    "matrix",
    "migration",
    "nps_over_time",
    "open_needs",
    "outcomes",
    "owner_retention",
    "pareto",
    "profit_curve",
    "repeat_frequency",
    "rfm_grid",
    "risk_by_class",
    "risk_spread",
    "satisfaction_by_tier",
    "segment_sizes",
    "stage_by_class",
    "stage_moves",
    "stage_sizes",
    "staleness",
    "survival_curves",
    "svg",
    "tier_history",
    "tracking_cumulative",
    "tracking_weekly",
    "value_by_class",
    "value_by_standing",
]
