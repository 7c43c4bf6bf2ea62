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
_NAMES: Final = {
    "AL": "Alabama", "AK": "Alaska", "AS": "American Samoa", "AZ": "Arizona", "AR": "Arkansas",
    "CA": "California", "CO": "Colorado", "CT": "Connecticut", "DE": "Delaware", "DC": "District of Columbia",
    "FL": "Florida", "GA": "Georgia", "GU": "Guam", "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois",
    "IN": "Indiana", "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine",
    "MD": "Maryland", "MA": "Massachusetts", "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi",
    "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada", "NH": "New Hampshire",
    "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota",
    "MP": "Northern Mariana Islands", "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania",
    "PR": "Puerto Rico", "RI": "Rhode Island", "SC": "South Carolina", "SD": "South Dakota",
    "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VI": "Virgin Islands",
    "VA": "Virginia", "WA": "Washington", "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming",
}
# fmt: on
# The position in STATES of what may stand for a state, in capital letters: its two letters, or its name.
STATES_AS_WRITTEN: Final = {state: code for code, state in enumerate(STATES)} | {
    name.upper(): STATES.index(state) for state, name in _NAMES.items()
}
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
