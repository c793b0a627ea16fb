"""Contact details do not stand in reports: as customer ids, in customers' words or as staff."""

import hashlib
import hmac
import os
import re
from collections.abc import Iterable

# The environment variable; a plain hash of a telephone is reversed in an hour.
KEY = "CUSTOMER_MATRIX_KEY"
PHONE = re.compile(r"(\+|00)[\d\s().-]{8,18}|1[3-9]\d{9}|\(?0\d{1,4}\)?[\s-]?\d{3,4}[\s-]?\d{3,5}")
HIDDEN = "•••"


def shown_id(customer_id: object) -> str:
    """The id as a report may show it: of one that looks like a telephone or an e-mail a pseudonym,
    or, without a key in the environment, nothing.
    """
    text, key = str(customer_id), os.environ.get(KEY, "").encode()
    if "@" not in text and not PHONE.fullmatch(text.strip()):
        return text
    return HIDDEN + (hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:8] if key else "")


def file_stem(customer_id: object, secret: bytes) -> str:
    """What a file about a customer is called: safe in every file system, another for every id, and
    of an id that reports hide only the pseudonym.
    """
    text = str(customer_id)
    shown = re.sub("[^a-z0-9]+", "-", shown_id(text).lower()).strip("-")[:40]
    digest = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()[:16]
    return f"customer-{shown if shown == text else f'{shown}.{digest}'}"


# What cannot be seen, and what turns the direction of reading: a number with such letters in it
# would pass unnoticed.
UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_WORD = r"[^\s@＠<>()（）\[\],，;；:：。！？、\"“”]+"
EMAIL = re.compile(rf"{_WORD}(?:[@＠]|\s?[(（\[]\s?at\s?[)）\]]\s?){_WORD}", re.IGNORECASE)
# Six digits or more, however spaced: telephones, accounts, identity cards; days and order numbers
# go with them, to be safe.
NUMBER = re.compile(r"[+＋(（]*\d(?:[\s().（）/·–-]{0,3}\d){5,}")
SHORTEST_NAME = 2  # letters: a Chinese one; of parts of a name three, as many short ones are words


def masked(text: object, names: Iterable[object] = (), most: int = 200) -> str:
    """A customer's words as a report may show them, on one line and of at most `most` letters.

    Hidden are e-mail addresses, telephones, long numbers, and each of `names`, wholly or in parts:
    persons in the profile. Other names cannot be told from words and stay.
    """
    said = " ".join(UNSEEN.sub("", str(text)).split())
    whole = {" ".join(name.split()) for name in names if isinstance(name, str)}
    parts = {part for name in whole for part in name.split() if len(part) > SHORTEST_NAME}
    parts |= {name for name in whole if len(name) >= SHORTEST_NAME}
    for name in sorted(parts, key=len, reverse=True):
        alone = rf"(?<![A-Za-zÀ-ɏ]){re.escape(name)}(?![A-Za-zÀ-ɏ])"
        said = re.sub(alone, HIDDEN, said, flags=re.IGNORECASE)
    said = NUMBER.sub(HIDDEN, EMAIL.sub(HIDDEN, said))
    return said if len(said) <= most else f"{said[: most - 1].rstrip()}…"


def without_contacts(value: object) -> str:
    """A value of the company's own columns, masked where a telephone or an e-mail is in it."""
    text = str(value)
    return masked(text) if "@" in text or PHONE.search(text) else text


def shown_staff(owner: object) -> str:
    """Who looks after a customer: of an e-mail address the part before @, no telephone."""
    name = str(owner).strip().partition("@")[0].strip()
    return shown_id(name) if name else HIDDEN
