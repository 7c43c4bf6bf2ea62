"""The array of states is what the zipcodes package says."""

import numpy as np
import zipcodes

from email_scheduler.planning.zip_codes import STATES, state_codes_by_zip


def test_every_zip_of_the_package_has_its_state_and_no_other_zip_has_one() -> None:
    expected = {int(entry["zip_code"]): entry["state"] for entry in zipcodes.list_all()}
    codes = state_codes_by_zip()
    found = {int(number): STATES[codes[number]] for number in np.flatnonzero(codes >= 0)}
    assert found == expected
