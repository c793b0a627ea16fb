"""Customer ids that are themselves contact details do not stand in reports: a pseudonym does."""

import hashlib
import hmac
import os
import re

KEY = "CUSTOMER_MATRIX_KEY"  # the environment variable; a plain hash of a telephone is reversed in an hour
PHONE = re.compile(r"(\+|00)[\d\s().-]{8,18}|1[3-9]\d{9}|\(?0\d{1,4}\)?[\s-]?\d{3,4}[\s-]?\d{3,5}")
HIDDEN = "•••"


def shown_id(customer_id: object) -> str:
    """The id as a report may show it: one that looks like a telephone or an e-mail becomes a keyed pseudonym.

    Without a key in the environment it is hidden.
    """
    text = str(customer_id)
    if "@" not in text and not PHONE.fullmatch(text.strip()):
        return text
    key = os.environ.get(KEY, "")
    return f"{HIDDEN}{hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:8]}" if key else HIDDEN
