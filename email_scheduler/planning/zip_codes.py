"""Which state a ZIP lies in: the ``zipcodes`` package, turned once into an array."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import zipcodes

# The states, territories and military regions that ZIPs lie in.
# fmt: off
STATES: Final = (
    "AA", "AE", "AK", "AL", "AP", "AR", "AS", "AZ", "CA", "CO", "CT", "DC",
    "DE", "FL", "FM", "GA", "GU", "HI", "IA", "ID", "IL", "IN", "KS", "KY",
    "LA", "MA", "MD", "ME", "MH", "MI", "MN", "MO", "MP", "MS", "MT", "NC",
    "ND", "NE", "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "PR",
    "PW", "RI", "SC", "SD", "TN", "TX", "UT", "VA", "VI", "VT", "WA", "WI",
    "WV", "WY",
)
# fmt: on
STATE_DTYPE: Final = pd.CategoricalDtype(pd.Index(STATES, dtype="str"))


@cache
def state_codes_by_zip() -> npt.NDArray[np.int8]:
    """Return the position in ``STATES`` for each ZIP from 00000 to 99999, -1 where no such ZIP exists."""
    codes = np.full(100_000, -1, np.int8)
    for code, state in enumerate(STATES):
        # state by state, since all entries at once take 140 MB that are not given back
        entries: list[dict[str, str]] = zipcodes.filter_by(state=state)  # type: ignore[no-untyped-call]
        codes[[int(entry["zip_code"]) for entry in entries]] = code
    return codes
