"""Chance that stays the same: a lot for each customer, whoever else there is and in whatever order."""

import hashlib

import numpy as np
import pandas as pd


def lots(customer_ids: pd.Series, seed: int) -> np.ndarray:
    """A lot between 0 and 1 for each customer, which stays the same whoever else there is."""
    key = str(seed).encode()
    digests = (
        hashlib.blake2b(customer.encode(), digest_size=8, key=key).digest()
        for customer in customer_ids
    )
    return (
        np.fromiter((int.from_bytes(digest) for digest in digests), float, len(customer_ids))
        / 2**64
    )
