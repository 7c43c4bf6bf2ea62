"""stable_hash against the oracle's, one number at a time."""

import numpy as np
import pandas as pd

from email_scheduler.planning.columns.packing import mix, stable_hash
from email_scheduler_tests import oracle


def test_contact_ids_of_any_sign_and_size_hash_as_unsigned_numbers() -> None:
    ids = [-(2**63), -1, 0, 1, 2**31, 2**40, 2**63 - 1]
    hashes = stable_hash(
        "order",
        np.array(ids, np.int64),
        pd.Categorical(["aep"] * len(ids)),
        np.full(len(ids), 2026, np.int32),
    )
    assert hashes.tolist() == [oracle.stable_hash("order", one, "aep", 2026) for one in ids]


def test_each_row_hashes_with_its_own_type_and_year() -> None:
    types = ["birthday", "campaign_ä", "aep", "birthday", "aep"]
    years = [2026, 2031, 2027, 2027, 2026]
    # a category that no row has must not shift the others
    column = pd.Categorical(types, categories=["post_window", "aep", "birthday", "campaign_ä"])
    hashes = stable_hash("catch_up", np.arange(5, dtype=np.int64), column, np.array(years, np.int32))
    assert hashes.tolist() == [
        oracle.stable_hash("catch_up", number, types[number], years[number]) for number in range(5)
    ]


def test_hashing_leaves_the_ids_as_they_are() -> None:
    values = np.array([5, 6], np.uint64)
    mix(values)
    assert values.tolist() == [5, 6]


def test_no_rows_have_no_hashes() -> None:
    nobody = pd.Categorical([], categories=["aep"])
    assert stable_hash("order", np.empty(0, np.int64), nobody, np.empty(0, np.int32)).tolist() == []
