"""stable_hash: a number for each occurrence that never changes (section 14 of the planning rules)."""

from hashlib import sha256
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Hashes = npt.NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


def mix(values: Hashes) -> Hashes:
    """Return the splitmix64 finaliser of each value, modulo 2^64."""
    mixed = values + _GOLDEN
    mixed ^= mixed >> np.uint64(30)
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    mixed ^= mixed >> np.uint64(31)
    return mixed


def stable_hash(
    purpose: str,
    contact_ids: npt.NDArray[np.int64],
    email_types: pd.Categorical,
    event_years: npt.NDArray[np.int32],
) -> Hashes:
    """Return ``stable_hash(purpose, contact, type, event year)`` of each row.

    Args:
        purpose: ``catch_up``, ``smooth`` or ``order``.
        contact_ids: int64, one a row.
        email_types: The type of each row.
        event_years: int32, the calendar year of each row's event date.
    """
    if len(contact_ids) == 0:
        return np.empty(0, np.uint64)
    first_year = int(event_years.min())
    year_count = int(event_years.max()) - first_year + 1
    # the type's code and the year in one number, so that a salt is worked out once for each pair
    pairs = email_types.codes.astype(np.int64) * year_count + (event_years - first_year)
    present = np.flatnonzero(np.bincount(pairs, minlength=len(email_types.categories) * year_count))
    salts = np.zeros(len(email_types.categories) * year_count, np.uint64)
    for pair in present:
        code, year = divmod(int(pair), year_count)
        salts[pair] = _salt(purpose, email_types.categories[code], first_year + year)
    return mix(mix(contact_ids.view(np.uint64)) ^ salts[pairs])


def stable_hash_of_contacts(
    purpose: str, contact_ids: npt.NDArray[np.int64], email_type: str, number: int
) -> Hashes:
    """Return ``stable_hash(purpose, contact, email_type, number)`` of each contact."""
    return mix(mix(contact_ids.view(np.uint64)) ^ np.uint64(_salt(purpose, email_type, number)))


def _salt(purpose: str, email_type: str, number: int) -> int:
    return int.from_bytes(sha256(f"{purpose}|{email_type}|{number}".encode()).digest()[:8], "big")
