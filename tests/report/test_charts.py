import re
import xml.etree.ElementTree as ET
from functools import cache

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import PathPatch

from analysis.models import churn_features
from analysis.report import charts
from analysis.report.charts import base
from analysis.report.text import say
from analysis.segments import registry

SVG = "{http://www.w3.org/2000/svg}"
WEEKS = pd.date_range("2026-01-04", periods=3, freq="7D")
ENDS = pd.date_range("2026-01-31", periods=3, freq="ME")
TIERS = ["strategic", "important", "ordinary"]
TRACKED = pd.DataFrame({"week": WEEKS, "actual": [3, 2, 4], "expected": [2.5, 2.4, 2.3]})
BY_REPEATS = {"repeats": [0, 1, 2], "actual": [9.0, 4.0, 2.0]}
DECILES = pd.DataFrame(
    {
        "decile": [1, 2],
        "predicted": [0.8, 0.3],
        "actual": [0.7, 0.4],
        "low": [0.5, 0.2],
        "high": [0.9, 0.6],
    }
)
WAITS = pd.DataFrame(
    {
        "group": ["first"] * 3 + ["fifth_on"] * 2,
        "days": [0, 4, 30, 0, 9],
        "not_yet": [1, 0.6, 0.5, 1, 0],
    }
).assign(low=[1, 0.5, 0.4, 1, np.nan], high=[1, 0.7, 0.6, 1, np.nan])
EARNED = pd.DataFrame(
    {"contacted": [0, 4, 9], "profit": [0, 120.0, -30], "expected": [0, 90.0, 10]}
)
# Each chart with the smallest frame that its docstring asks for.
CHARTS = {
    "outcomes": (
        pd.DataFrame(
            {
                "source": ["订单", "订单", "客户"],
                "outcome": ["kept", "rejected", "kept"],
                "rows": [9, 1, 5],
            }
        ),
        {},
    ),
    "completeness": (
        pd.DataFrame(
            {
                "table": "customers",
                "column": ["city", "phone"],
                "rows": [4, 4],
                "filled": [0.5, 0.75],
            }
        ),
        {},
    ),
    "daily_lines": (
        pd.DataFrame({"day": WEEKS, "lines": [9, 0, 40], "oddity": ["", "silent_day", "jump"]}),
        {},
    ),
    "staleness": (pd.DataFrame({"older_than_days": [30, 365], "share": [0.5, 0.1]}), {}),
    "segment_sizes": (
        pd.DataFrame(
            {"customers": [3, 1], "revenue_share": [0.9, 0.1]}, index=["champions", "lost"]
        ),
        {},
    ),
    "rfm_grid": (pd.DataFrame([[1, 0], [2, 3]], index=[5, 4], columns=[1, 2]), {}),
    "pareto": (pd.DataFrame({"customers": [0, 0.5, 1], "value": [0, 0.8, 1]}), {}),
    "stage_sizes": (pd.Series({"new": 3, "lost": 0}), {}),
    "stage_moves": (pd.DataFrame([[0.5, 0.5]], index=["new"], columns=["repeat", "lost"]), {}),
    "habits": (
        pd.DataFrame(
            {
                "segmentation": ["basket", "regularity"],
                "group": ["large_orders", "irregular"],
                "share": 0.5,
            }
        ),
        {},
    ),
    "associations": (
        pd.DataFrame(
            {
                "a": "region",
                "b": ["revenue", "stage"],
                "strength": [0.3, -0.1],
                "notable": [True, False],
            }
        ).assign(low=[0.2, -0.2], high=[0.4, 0.1]),
        {},
    ),
    "value_by_class": (
        pd.DataFrame(
            {
                "group": ["客户", "unknown"],
                "customers": 9,
                "revenue": 90.0,
                "revenue_each": 10.0,
                "low": 5.0,
            }
        ).assign(high=[20.0, np.nan], differs=[True, False]),
        {},
    ),
    "risk_by_class": (pd.DataFrame([[0.5, 0.5]], index=["客户"], columns=["high", "low"]), {}),
    "interest_sizes": (
        pd.DataFrame(
            {"customers": [3, 2], "revenue_share": [0.4, 0.6]}, index=["客户", "no_interest"]
        ),
        {},
    ),
    "open_needs": (pd.DataFrame({"buyers": [3], "prospects": [1]}, index=["客户"]), {}),
    "cluster_features": (
        pd.DataFrame(
            [[1.0, -1.0]], index=["often+much_money"], columns=["frequency", "order_value"]
        ),
        {
            "medians": pd.DataFrame(
                [[9.0, 5.0]], index=["often+much_money"], columns=["frequency", "order_value"]
            ),
        },
    ),
    "repeat_frequency": (pd.DataFrame(BY_REPEATS | {"model": [8.0, 5.0, 2.0]}), {}),
    "revenue_to_come": (
        pd.DataFrame({"quarter": WEEKS, "revenue_today": 9.0, "revenue_new": 5.0}),
        {},
    ),
    "calendar_rate": (pd.DataFrame({"week": WEEKS, "rate": 1.0}), {"origin": WEEKS[1]}),
    "tracking_weekly": (TRACKED, {"origin": WEEKS[1]}),
    "tracking_cumulative": (TRACKED, {"origin": WEEKS[1]}),
    "conditional_expectation": (pd.DataFrame(BY_REPEATS | {"expected": [8.0, 5.0, 2.0]}), {}),
    "frequency_recency": (
        pd.DataFrame([[0.1, 0.2], [0.3, 0.9]], index=[0, 5], columns=[0, 90]),
        {},
    ),
    "calibration": (DECILES, {}),
    "leavers_by_decile": (DECILES, {"base": 0.5}),
    "risk_spread": (pd.Series([0.1, 0.5, 0.9]), {}),
    "survival_curves": (WAITS, {"horizon_days": 5}),
    "churn_drivers": (pd.Series({"silence": 1.25, "complaints": 0.5}), {}),
    "profit_curve": (EARNED, {}),
    "value_by_standing": (
        pd.DataFrame({"clv": [90.0, 10.0]}, index=["many_repeats", "one_time"]),
        {},
    ),
    "campaign_effects": (
        pd.DataFrame(
            {
                "campaign_id": ["客户", "8"],
                "proof": ["random", "observational"],
                "orders_effect": [0.2, -0.1],
            }
        ).assign(orders_low=[0.1, -0.3], orders_high=[0.3, 0.1]),
        {},
    ),
    "hit_rates": (
        pd.DataFrame({"model": ["proposed", "most_bought"], "hit": 0.5, "low": 0.4, "high": 0.6}),
        {},
    ),
    "action_gain": (pd.Series({"welcome": 12.5, "let_go": -3.0}), {}),
    "margins_needed": (pd.Series({"welcome": 0.3, "let_go": 1.5}), {}),
    "loyalty_levels": (
        pd.DataFrame({"level": ["bronze", "客户"], "customers": [9, 1], "cost": [10.0, 90.0]}),
        {},
    ),
    "care_load": (
        pd.DataFrame(
            {
                "week": WEEKS[[0, 0, 1]],
                "what": ["follow_up", "birthday", "refresh"],
                "tasks": [4, 1, 2],
            }
        ),
        {},
    ),
    "budget_curve": (
        pd.DataFrame({"budget": [0.0, 5, 20], "profit": [0.0, 15, 30]}),
        {
            "plans": pd.DataFrame(
                {"factor": [0.5, 1, 2], "budget": [5.0, 10, 20], "profit": [14.0, 20, 30]}
            )
        },
    ),
    "nps_over_time": (
        pd.DataFrame(
            {"period_end": ENDS, "score": [20.0, np.nan, 30.0], "low": -5.0, "high": 45.0}
        ),
        {},
    ),
    "satisfaction_by_tier": (
        pd.DataFrame(
            {
                "kind": ["csat", "csat", "nps"],
                "tier": ["strategic", "ordinary", "ordinary"],
                "answers": [9, 0, 12],
            }
        ).assign(score=[80.0, np.nan, -10.0], low=[60.0, np.nan, -40.0], high=[90.0, np.nan, 20.0]),
        {},
    ),
    "owner_retention": (
        pd.DataFrame(
            {
                "owner": ["客户", "without_owner"],
                "measured": [40, 3],
                "ratio": [1.5, 0.0],
                "low": [1.2, 0.0],
            }
        ).assign(high=[1.9, 4.0], shrunk=[1.3, 1.0], beyond_chance=[True, False]),
        {},
    ),
    "flow": (
        pd.DataFrame(
            [
                ("strategic", "strategic", "", 9),
                ("strategic", "ordinary", "worse", 3),
                ("important", "strategic", "better", 2),
                ("ordinary", "strategic", "better", 1),
            ],
            columns=["before", "after", "way", "customers"],
        ),
        {"days": (ENDS[0], ENDS[2])},
    ),
    "revenue_by_month": (pd.DataFrame({"month_end": ENDS, "value": [1.0, 2, 3]}), {}),
    "revenue_courses": (
        pd.DataFrame({"course": ["course_new", "course_stopped"], "change": [5.0, -3.0]}),
        {},
    ),
    "cohorts": (
        pd.DataFrame({"cohort": ENDS, "age": [1, 2, 1], "active_share": [0.2, 0.1, 0.4]}),
        {},
    ),
    "cohort_revenue": (
        pd.DataFrame({"cohort": ENDS, "age": [0, 1, 0], "revenue_each": [20.0, 30.0, 15.0]}),
        {},
    ),
}
NASTY = [
    "A $5 & B $10",
    r"$\frac$",
    "$x$ $",
    "<script>alert(1)</script>",
    "</text><script>",
    "\"quoted\" & 'single'",
    "客户",
]


@pytest.fixture(autouse=True, scope="module")
def words():
    """With the words of segmentations, as a stage knows them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(say, "labels", say.labels | registry.labels())
        yield


def axes_of(name, frame=None, **options):
    given, needed = CHARTS[name]
    return getattr(charts, name)(given if frame is None else frame, **(needed | options))


def draw(name, frame=None, **options):
    return charts.svg(axes_of(name, frame, **options))


@cache
def drawn(name):
    """As draw, for tests that can share a picture."""
    return draw(name)


@pytest.fixture(scope="module")
def in_brackets():
    """Every chart in a made-up language that says every message in brackets: its frame as it was
    before, its title, two pictures of every eighth and one of the others.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(say, "translated", lambda text, *_: f"⟦{text}⟧" if text else "")
        found = {}
        for number, (name, (frame, _)) in enumerate(CHARTS.items()):
            before, ax = frame.copy(deep=True), axes_of(name)
            pictures = [charts.svg(ax), *([] if number % 8 else [draw(name)])]
            found[name] = (before, ax.get_title(loc="left"), pictures)
    return found


def texts(svg):
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter(f"{SVG}text")]


def test_every_public_chart_is_drawn_here():
    assert set(charts.__all__) - {"svg"} == set(CHARTS)


def test_each_chart_is_one_svg_whose_bytes_depend_on_its_frame_only(in_brackets):
    for name, (before, title, (svg, *again)) in in_brackets.items():
        assert CHARTS[name][0].equals(before), name
        assert set(again) <= {svg}, name  # one draws as all do
        root = ET.fromstring(svg)
        assert root.tag == f"{SVG}svg" and "viewBox" in root.attrib, name
        assert not {"width", "height"} & set(root.attrib), name
        assert not re.search("metadata|date>|<script", svg), name
        elsewhere = r"""(?:href|src)\s*=\s*["'](?!#|data:image/png;base64,)|url\((?!#)|@import"""
        assert not re.search(elsewhere, svg), name
        assert title and title not in texts(svg), name  # which stands above, as text of the page


def test_a_chart_of_nothing_stays_empty():
    ax = charts.stage_moves(pd.DataFrame())
    assert not ax.has_data() and ax.get_title(loc="left")


def test_chart_is_the_same_whatever_the_style_outside():
    svg = draw("action_gain")
    with matplotlib.rc_context(
        {"font.size": 30, "svg.fonttype": "path", "svg.hashsalt": None, "axes.grid": False}
    ):
        assert draw("action_gain") == svg


@pytest.mark.filterwarnings(
    "ignore:Glyph"
)  # the reader's browser has the glyphs that this machine lacks
@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("action_gain", pd.Series(1.0, NASTY)),
        ("stage_sizes", pd.Series(1.0, NASTY)),
        ("segment_sizes", pd.DataFrame({"customers": 1, "revenue_share": 0.1}, NASTY)),
        ("stage_moves", pd.DataFrame(1, NASTY, ["A"])),
        ("flow", pd.DataFrame({"before": NASTY, "after": "new", "way": "", "customers": 1})),
        ("rfm_grid", pd.DataFrame(1, NASTY, NASTY)),
    ],
)
def test_labels_of_the_data_are_escaped_and_read_as_they_are(name, frame):
    svg = draw(name, frame=frame)
    assert set(NASTY) <= set(texts(svg))
    assert "<script" not in svg


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("label", ["a\x01b", "a\x0bb", "a\ufffeb"])
def test_control_characters_do_not_break_the_picture(label):
    ET.fromstring(draw("action_gain", frame=pd.Series([1.0], index=[label])))


def test_charts_say_nothing_that_another_language_cannot_translate(in_brackets):
    for name, (_, _, (svg, *_)) in in_brackets.items():
        said = " ".join(texts(svg))
        rest = re.sub(r"⟦.*?⟧|1.2K", "", said)  # K is how Babel shortens thousands
        assert not re.search("[A-Za-z]", rest), (name, said)


# What the pictures show
def test_cells_show_their_counts():
    assert {"1", "0", "2", "3"} <= set(texts(drawn("rfm_grid")))


def test_cells_of_nothing_but_zeros_or_unknowns_are_drawn():
    for value in (0, float("nan")):
        svg = draw("rfm_grid", frame=pd.DataFrame([[value]], index=[5], columns=[1]))
        assert ("–" if np.isnan(value) else "0") in texts(svg)


def test_a_companys_long_names_are_cut_where_they_end():
    assert base.own("x" * 30) == "x" * 21 + "…"
    assert base.own("客户" * 8) == "客户" * 5 + "…"
    assert base.own("Region") == "Region"


def test_bars_show_their_number_and_a_dash_for_an_unknown_one():
    shown = texts(
        draw(
            "action_gain",
            frame=pd.Series({"welcome": 12.5, "let_go": -3.0, "remind": float("nan")}),
        )
    )
    assert {"$12.50", "-$3", "–"} <= set(shown)


def test_the_last_number_of_repeats_means_or_more():
    assert "2+" in texts(drawn("repeat_frequency"))


def test_where_the_models_data_end_is_marked_only_if_given():
    mark = say.word("model_ends")
    assert mark in texts(draw("tracking_weekly"))
    assert mark not in texts(draw("tracking_weekly", origin=None))


def test_cumulative_tracking_adds_up():
    actual, expected = (line.get_ydata() for line in axes_of("tracking_cumulative").lines[:2])
    assert actual.tolist() == [3, 5, 9]
    assert expected.tolist() == pytest.approx([2.5, 4.9, 7.2])


def test_bands_of_who_moved_are_as_wide_as_there_are_customers():
    ax = axes_of("flow")
    bars = {
        x: [-bar.get_height() for bar in ax.patches if getattr(bar, "get_x", int)() == x - 0.015]
        for x in (0, 1)
    }
    widths = [path.vertices[0, 1] - path.vertices[-1, 1] for path in bands(ax)]
    unit = sum(widths) / 6  # of who moved; nine stayed
    assert widths == pytest.approx([3 * unit, 2 * unit, unit])
    assert bars[0] == pytest.approx([3 * unit, 2 * unit, unit])
    assert bars[1] == pytest.approx([3 * unit, 3 * unit])  # came into strategic, into ordinary
    told = texts(draw("flow"))
    assert told.count("3 of 12") == 2 and "1 of 1" in told and "3 of 3" in told
    for band in bands(ax):  # each begins and ends within the bars
        assert band.vertices[:, 1].min() > -1e-9 and band.vertices[:, 1].max() < 1 + 1e-9


def bands(ax):
    return [patch.get_path() for patch in ax.patches if isinstance(patch, PathPatch)]


def test_labels_of_small_classes_do_not_lie_upon_each_other():
    frame = pd.DataFrame({"before": list("abcdefgh"), "after": "z", "way": "", "customers": 1})
    frame.loc[0, "customers"] = 5000
    ax = charts.flow(frame)
    places = sorted(text.get_position()[1] for text in ax.texts if text.get_ha() == "right")
    shown = ax.figure.get_figheight() / np.ptp(ax.get_ylim())
    assert len(places) == 8 and min(np.diff(places)) * shown > 2 * 9 / 72


def test_a_picture_for_phones_is_not_blown_up_elsewhere():
    assert 'style="max-width:28rem"' in draw("flow")
    assert "max-width" not in draw("revenue_by_month")


def test_intervals_of_the_calibration_reach_from_low_to_high():
    [bars] = axes_of("calibration").containers
    ends = [segment[:, 1].tolist() for segment in bars.lines[2][0].get_segments()]
    assert ends == [pytest.approx([0.5, 0.9]), pytest.approx([0.2, 0.6])]


def test_curves_of_waits_step_down_to_three_horizons_or_their_own_end():
    """The first falls on day 4 and is shown to day 15; the second falls on day 9, where it ends; a
    dotted line stands at 5.
    """
    ax = axes_of("survival_curves")
    first, fifth, horizon = ax.lines
    assert first.get_xdata().tolist() == list(range(16))
    assert first.get_ydata().tolist() == [1.0] * 4 + [0.6] * 12
    assert fifth.get_ydata().tolist() == [1.0] * 9 + [0]
    assert (horizon.get_xdata()[0], horizon.get_linestyle()) == (5, ":")
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 3
    assert ax.get_xlim() == (0, 15)


@pytest.mark.parametrize("horizon_days", [0, 31])
def test_curves_of_waits_without_a_horizon_or_shorter_than_it_show_all_days(horizon_days):
    ax = axes_of("survival_curves", horizon_days=horizon_days)
    assert len(ax.lines) == 2
    assert ax.get_xlim() == (0, 30)


def test_long_curves_of_waits_are_drawn_in_few_steps_at_their_right_height():
    days = np.arange(4_001)
    frame = pd.DataFrame({"group": "first", "days": days, "not_yet": 1 - days / 5_000}).assign(
        low=0.1, high=1.0
    )
    ax = charts.survival_curves(frame, horizon_days=1_000)
    x, y = ax.lines[0].get_data()
    assert len(x) <= base.MOST_STEPS + 1
    assert y == pytest.approx(1 - x / 5_000)


@pytest.mark.filterwarnings("error")
def test_curves_of_waits_that_began_today_are_drawn():
    draw("survival_curves", frame=WAITS[WAITS.days == 0])


def test_drivers_are_said_by_concept_with_their_effects():
    shown = texts(drawn("churn_drivers"))
    drivers = {churn_features.CONCEPTS[name].label for name in ("silence", "complaints")}
    assert drivers | {"1.25", "0.50"} <= set(shown)


def test_the_list_that_earned_most_is_marked_on_the_curve_of_what_came():
    came, said, zero, best = axes_of("profit_curve").lines
    assert came.get_xydata().tolist() == [[0, 0], [4, 120], [9, -30]]
    assert said.get_xydata().tolist() == [[0, 0], [4, 90], [9, 10]]
    assert zero.get_ydata() == [0, 0]
    assert best.get_xydata().tolist() == [[4, 120]]
    assert {"counted", "expected"} <= set(texts(drawn("profit_curve")))


def test_where_no_call_paid_the_mark_stands_at_nobody():
    frame = pd.DataFrame({"contacted": [0, 1], "profit": [0, -5.0], "expected": [0, -4.0]})
    ax = charts.profit_curve(frame)
    assert ax.lines[-1].get_xydata().tolist() == [[0, 0]]
