"""Workbooks of XlsxWriter, whose cells are written a frame at a time.

Its `write`, a cell at a time, takes three times as long: seconds of the default run.
"""

import datetime as dt
import itertools
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from numbers import Number
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.utility import xl_col_to_name
from xlsxwriter.worksheet import Worksheet

from analysis.report.text import printable

SHEET_ROWS, SHEET_NAME, CELL_TEXT = 1_048_576, 31, 32_767  # the most that a spreadsheet takes
DAY_ZERO = dt.date(1899, 12, 30)
ESCAPED = re.compile(r"_(x[0-9a-fA-F]{4}_)")  # a spreadsheet would read it as a character


class FrameSheet(Worksheet):
    """A sheet of a frame's rows below their headings."""

    def show(self, frame: pd.DataFrame, styles: list[str], day: str) -> None:
        """Write a frame; `styles` are the attributes of its columns' cells, `day` that of dates."""
        self.frame, self.styles, self.day = frame, styles, day
        self._check_dimensions(len(frame), frame.shape[1] - 1)
        self._check_dimensions(0, 0)

    def _write_sheet_data(self) -> None:
        places = [xl_col_to_name(place) for place in range(self.frame.shape[1])]
        columns = [
            map(self._cell, self.frame[name].astype(object), itertools.repeat(style))
            for name, style in zip(self.frame, self.styles, strict=True)
        ]
        headings = tuple(self._cell(name, "") for name in self.frame)
        self._xml_start_tag("sheetData")
        rows = itertools.chain([headings], zip(*columns, strict=True))
        for number, row in enumerate(rows, start=1):
            cells = zip(places, row, strict=True)
            written = "".join(f'<c r="{place}{number}"{cell}</c>' for place, cell in cells if cell)
            self.fh.write(f'<row r="{number}">{written}</row>')
        self._xml_end_tag("sheetData")

    def _cell(self, value: Any, style: str) -> str:
        """What follows a cell's place; nothing for what is unknown or no finite number."""
        if isinstance(value, str):  # as most are
            return style + _text(value)
        if type(value) is float:
            return f"{style}><v>{value:.16G}</v>" if math.isfinite(value) else ""
        if value is None or value is pd.NaT or value is pd.NA:
            return ""
        if isinstance(value, bool | np.bool_):
            return f'{style} t="b"><v>{int(value)}</v>'
        if isinstance(value, Number):
            return f"{style}><v>{value:.16G}</v>" if math.isfinite(value) else ""  # type: ignore[arg-type]
        if isinstance(value, dt.date):  # a moment is one too
            days = dt.date(value.year, value.month, value.day) - DAY_ZERO
            return f"{self.day}><v>{days.days}</v>"
        return style + _text(str(value))


@lru_cache(10_000)  # a column repeats a few
def _text(value: str) -> str:
    text = value.replace("\r\n", "\n").replace("\r", "\n")[:CELL_TEXT]
    text = escape(ESCAPED.sub(r"_x005F_\1", text), quote=False)
    return f' t="inlineStr"><is><t xml:space="preserve">{text}</t></is>'


def write_xlsx(
    frame: pd.DataFrame, path: Path | IO[bytes], sheet: str, formats: Mapping[str, str]
) -> None:
    """One sheet, or several where one cannot hold the rows; no formulas, links or error values.

    `formats` of columns are as a spreadsheet writes them: of ids "@", text, so that 007 stays 007
    when somebody edits it. The file's bytes depend on the frame only.
    """
    room = SHEET_ROWS - 1
    try:
        with Workbook(path, {"use_zip64": True}) as book:
            book.set_properties({"created": dt.datetime(2000, 1, 1)})
            known = {
                form: f' s="{book.add_format({"num_format": form})._get_xf_index()}"'
                for form in ("yyyy-mm-dd", *formats.values())
            }
            day = known["yyyy-mm-dd"]
            styles = [known.get(formats.get(column, ""), "") for column in frame]
            for number, first in enumerate(range(0, max(len(frame), 1), room), start=1):
                page = book.add_worksheet(_sheet_name(sheet, number), FrameSheet)
                page.show(frame.iloc[first : first + room], styles, day)
    except FileCreateError as error:  # a full disk is one, whoever writes
        raise error.args[0] from None


def _sheet_name(name: str, number: int) -> str:
    """A name that every spreadsheet takes, numbered from the second sheet on."""
    end = f" {number}" if number > 1 else ""
    return (re.sub(r"[\[\]:*?/\\']", "_", printable(name)) or "list")[: SHEET_NAME - len(end)] + end
