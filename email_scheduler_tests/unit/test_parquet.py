"""Frames as Parquet: equal frames are equal bytes, and come back as they were."""

from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from email_scheduler.errors import InputDataError
from email_scheduler.orchestration.asset_frames import ASSET_FRAMES
from email_scheduler.orchestration.io_managers import read_frame, write_frame
from email_scheduler.planning.frames import (
    EMAIL_SCHEDULES,
    HISTORY_TABLE,
    NO_DATE,
    NO_NUMBER,
    TARGET_STATUSES,
    Frame,
)
from email_scheduler_tests.builders import email_row, table

LABELS = Frame("labels", {"contact_id": "id", "label": "label", "text": "text", "day": "date"})


def written(frame: pd.DataFrame, contract: Frame) -> bytes:
    file = BytesIO()
    write_frame(frame, contract, file)
    return file.getvalue()


def read_again(frame: pd.DataFrame, contract: Frame) -> pd.DataFrame:
    return read_frame(BytesIO(written(frame, contract)), contract)


def labels_frame(values: list[str | None], categories: list[str]) -> pd.DataFrame:
    return LABELS.build(
        {
            "contact_id": np.arange(len(values), dtype=np.int64),
            "label": pd.Categorical(values, categories=pd.Index(categories, dtype="str")),
            "text": pd.Series(["é", None, "", "x"] * len(values), dtype="str")[: len(values)],
            "day": np.array([0, NO_DATE, -25_000, 20_000] * len(values), np.int32)[: len(values)],
        }
    )


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (["b", "a", None, "b"], ["a", "b"]),
        (["b", "a", None, "b"], ["b", "a"]),
        (["b"], ["z", "b", "unused"]),
        ([None, None], []),
        ([], []),
        ([], ["a", "b"]),
    ],
)
def test_labels_come_back_with_their_categories_in_order(
    values: list[str | None], categories: list[str]
) -> None:
    frame = labels_frame(values, categories)
    pd.testing.assert_frame_equal(read_again(frame, LABELS), frame)


@pytest.mark.parametrize(
    "contract", [frame for frames in ASSET_FRAMES.values() for frame in frames.values()], ids=lambda f: f.name
)
def test_every_frame_comes_back_when_it_has_no_rows(contract: Frame) -> None:
    pd.testing.assert_frame_equal(read_again(contract.empty(), contract), contract.empty())


def test_what_is_missing_comes_back_as_missing() -> None:
    frame = table(HISTORY_TABLE, [email_row(1, 2, "aep", None, priority=None), email_row(3, 4, "aep", "x")])
    again = read_again(frame, HISTORY_TABLE)
    pd.testing.assert_frame_equal(again, frame)
    assert again["priority"].tolist() == [NO_NUMBER, 5]


def test_dates_are_dates_and_null_where_there_is_none() -> None:
    frame = labels_frame(["a", "a"], ["a"])
    stored = pq.read_table(BytesIO(written(frame, LABELS)))
    assert str(stored.schema.field("day").type) == "date32[day]"
    assert [str(day) for day in stored["day"].to_pylist()] == ["1970-01-01", "None"]


def test_a_frame_that_was_read_is_written_as_the_same_bytes() -> None:
    frame = labels_frame(["b", None, "a", "b"], ["b", "a", "unused"])
    first = written(frame, LABELS)
    assert written(read_frame(BytesIO(first), LABELS), LABELS) == first


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_file_is_refused_by_the_name_of_its_frame(keep: int) -> None:
    data = written(labels_frame(["a"], ["a"]), LABELS)
    with pytest.raises(InputDataError, match="frame labels: no readable Parquet"):
        read_frame(BytesIO(data[:keep]), LABELS)


def test_no_flipped_bit_gives_another_frame() -> None:
    """The footer, which page checksums do not cover, holds the number of rows and the categories."""
    frame = labels_frame(["b", "a", None, "b"], ["b", "a", "unused"])
    data = written(frame, LABELS)
    refused = 0
    for position in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        try:
            found = read_frame(BytesIO(damaged), LABELS)
        except InputDataError:
            refused += 1
        else:
            pd.testing.assert_frame_equal(found, frame)
    assert refused > len(data) // 6


def test_a_file_of_the_time_before_there_was_a_checksum_is_read() -> None:
    frame = labels_frame(["b", "a"], ["b", "a"])
    older = BytesIO()
    pq.write_table(pq.read_table(BytesIO(written(frame, LABELS))).replace_schema_metadata(None), older)
    pd.testing.assert_frame_equal(read_frame(older, LABELS), frame)


def test_a_file_that_another_program_wrote_is_refused() -> None:
    other = BytesIO()
    pd.read_parquet(BytesIO(written(labels_frame(["b", "a"], ["b", "a"]), LABELS))).to_parquet(other)
    with pytest.raises(InputDataError, match="frame labels"):
        read_frame(other, LABELS)


def test_the_file_of_another_frame_is_refused() -> None:
    data = written(TARGET_STATUSES.empty(), TARGET_STATUSES)
    with pytest.raises(InputDataError, match="frame email schedules: holds id int64, status"):
        read_frame(BytesIO(data), EMAIL_SCHEDULES)


def test_a_frame_that_does_not_keep_its_contract_is_not_written() -> None:
    with pytest.raises(InputDataError, match="frame labels: columns"):
        written(TARGET_STATUSES.empty(), LABELS)
