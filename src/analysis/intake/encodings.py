"""Which encoding a text file that is not UTF-8 may be in: by how usual its letters would be."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.intake import text_files
from analysis.report.text import N_

SURE = 0.9  # share of usual characters from which GB18030 is taken without a question
HANZI = "\u3400-\u9fff"
# Single characters inside Latin words: western text that was read as Chinese
STRAY = re.compile(f"(?<=[A-Za-z])[{HANZI}](?![{HANZI}])|(?<![{HANZI}])[{HANZI}](?=[A-Za-z])")
LATIN = "äöüßéèêëàâçñóíúáôîïûùøåæœãõìòÄÖÜÉÅØÇÑÈÀÁÓ€£°–’´"
MARKS = "\u3000-\u303f\uff01-\uff5e￥"  # of Chinese and Japanese


@dataclass(frozen=True)
class Encoding:
    """An encoding, what it is called, and the share of its characters that are usual in it."""

    words: str
    usual: Callable[[str], float]


def _in_rows(encoding: str, first: int, last: int, others: str = "") -> Callable[[str], float]:
    """Characters whose first byte lies where an encoding keeps those of daily use."""
    marks = re.compile(f"[{MARKS}{others}]")

    def usual(text: str) -> float:
        found = [c for c in text if not c.isascii()]
        daily = [
            bool(marks.match(c)) or first <= (c.encode(encoding, "ignore") or b"\0")[0] <= last
            for c in found
        ]
        return max(sum(daily) - len(STRAY.findall(text)), 0) / (len(found) or 1)

    return usual


def _latin(text: str) -> float:
    found = re.findall(r"(.?)([^\x00-\x7f])", text)
    daily = [c in LATIN and not (c.isupper() and before.islower()) for before, c in found]
    return sum(daily) / (len(found) or 1)


ENCODINGS = {
    "gb18030": Encoding(N_("Chinese, simplified"), _in_rows("gb2312", 0xB0, 0xD7)),
    "big5": Encoding(N_("Chinese, traditional"), _in_rows("big5", 0xA4, 0xC6)),
    "shift_jis": Encoding(N_("Japanese"), _in_rows("shift_jis", 0x88, 0x97, "\u3041-\u30ff")),
    "cp1252": Encoding(N_("Western European, of Windows"), _latin),
    "mac_roman": Encoding(N_("Western European, of a Mac"), _latin),
}


def is_chinese(begins: bytes) -> bool:
    """Whether a file's first bytes, read as GB18030, are Chinese of daily use."""
    return ENCODINGS["gb18030"].usual(begins.decode("gb18030", "ignore")) >= SURE


def possible(path: Path, begins: bytes) -> list[str]:
    """The encodings that a whole file can be read in, the most usual first."""
    fits = [name for name in ENCODINGS if not text_files.broken_line(path, name, 4_000)[0]]
    score = {name: ENCODINGS[name].usual(begins.decode(name, "ignore")) for name in fits}
    ranked = sorted(fits, key=lambda name: -score[name])
    return ranked[: max(2, sum(one > 0 for one in score.values()))]
