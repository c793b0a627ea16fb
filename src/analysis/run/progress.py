"""What a person sees while a run goes on: bars on a terminal, elsewhere a line for each stage."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from tqdm import tqdm

BAR = "{desc:<20.20} {percentage:3.0f} % {bar:24} {elapsed} {postfix}"
LONGEST_HEADING = 40


class Progress:
    """Lines and, where `live` (by default on a terminal), bars of the whole and of its parts.

    Of several threads each reports on a stage of its own.
    """

    def __init__(self, echo: Callable[[str], None] = print, live: bool | None = None) -> None:
        self.live = sys.stderr.isatty() and sys.stdout.isatty() if live is None else live
        self._echo, self._bars = echo, dict[str, Any]()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._bars):
            self._close(name)

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._bars:
            tqdm.write(text)
        else:
            self._echo(text)

    def begin(self, stages: Sequence[str]) -> None:
        """The whole, whose stages are to come."""
        self._close("reading")
        self._bar("the whole", len(stages))

    def reading(self, name: str, rows: int) -> None:
        """How many rows of a file were read until now."""
        if self.live:
            bar = self._bars.get("reading") or self._bar("reading", None)
            bar.set_description_str(f"reading {name}  {rows:,} rows")

    def cell(self, stage: str, heading: str, share: float) -> None:
        """A stage is in this section, with this share of its cells done."""
        if not self.live:
            return
        bar = self._bars.get(stage) or self._bar(stage, 1)
        whole = self._bars["the whole"]
        whole.update(share - bar.n)
        bar.set_postfix_str(heading[:LONGEST_HEADING], refresh=False)
        bar.update(share - bar.n)

    def done(self, stage: str, line: str) -> None:
        """A stage has its result."""
        if self.live:
            self._bars["the whole"].update(1 - self._close(stage))
        self.line(f"{stage:<20} {line}")

    def _bar(self, name: str, total: int | None) -> Any:
        if self.live:
            form = BAR if total else "{desc}"
            self._bars[name] = tqdm(
                desc=name, total=total, bar_format=form, leave=False, mininterval=0
            )
            return self._bars[name]
        return None

    def _close(self, name: str) -> float:
        bar = self._bars.pop(name, None)
        if bar is None:
            return 0.0
        bar.close()
        return float(bar.n)
