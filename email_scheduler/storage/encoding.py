"""Frames as Arrow tables that the driver can write: dates as text, 0 and ``NO_DATE`` as null."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from email_scheduler.planning.frames import EMAIL_SCHEDULES, LABEL, NO_DATE, NO_NUMBER

Positions = npt.NDArray[np.intp]


class ScheduleEncoder:
    """Turns rows of a plan into rows of ``email_schedules``.

    Texts travel as codes of dictionaries, which are made once for the whole plan.
    """

    def __init__(self, schedules: pd.DataFrame, run_id: str, now: str) -> None:
        self._schedules = schedules
        self._run_id = run_id
        self._now = now
        self._labels = {
            name: (schedules[name].cat.codes.to_numpy(), _texts(schedules[name].cat.categories))
            for name, kind in EMAIL_SCHEDULES.columns.items()
            if kind == LABEL
        }

    def new_rows(self, positions: Positions) -> pa.Table:
        """Return these rows of the plan as rows to append; the database numbers them."""
        columns = self._content(positions)
        columns["created_at"] = columns["updated_at"]
        return pa.table(columns)

    def changes(self, positions: Positions, row_ids: npt.NDArray[np.int64]) -> pa.Table:
        """Return these rows of the plan as new values of existing rows; the last column is their id."""
        return pa.table({**self._content(positions), "id": pa.array(row_ids)})

    def _content(self, positions: Positions) -> dict[str, Any]:
        event_date = dates(self._values("event_date", positions))
        return {
            "contact_id": pa.array(self._values("contact_id", positions)),
            "campaign_instance_id": ids(self._values("campaign_instance_id", positions)),
            "initial_email_id": ids(self._values("initial_email_id", positions)),
            "event_year": pc.year(event_date),
            "event_month": pc.month(event_date),
            "event_day": pc.day(event_date),
            "ideal_send_date": date_texts(self._values("ideal_send_date", positions)),
            "scheduled_send_date": date_texts(self._values("scheduled_send_date", positions)),
            "priority": numbers(self._values("priority", positions)),
            **{
                name: labels(codes[positions], dictionary)
                for name, (codes, dictionary) in self._labels.items()
            },
            "scheduler_run_id": constant(self._run_id, len(positions)),
            "updated_at": constant(self._now, len(positions)),
        }

    def _values(self, name: str, positions: Positions) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = self._schedules[name].to_numpy()[positions]
        return values


def label_column(values: pd.Series) -> pa.Array:
    """Return a label column as dictionary-encoded texts."""
    return labels(values.cat.codes.to_numpy(), _texts(values.cat.categories))


def labels(codes: npt.NDArray[np.integer], dictionary: pa.Array) -> pa.Array:
    """Return texts by their codes, null for -1."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), dictionary)


def constant(text: str, count: int) -> pa.Array:
    """Return the same text ``count`` times."""
    return labels(np.zeros(count, np.int32), pa.array([text]))


def ids(values: npt.NDArray[np.int64]) -> pa.Array:
    """Return ids, null for 0."""
    return pa.array(values, mask=values == 0)


def numbers(values: npt.NDArray[np.int32]) -> pa.Array:
    """Return numbers, null for ``NO_NUMBER``."""
    return pa.array(values, mask=values == NO_NUMBER)


def dates(days: npt.NDArray[np.int32]) -> pa.Array:
    """Return days as Arrow dates, null for ``NO_DATE``."""
    return pa.array(days.astype(np.int32), mask=days == NO_DATE).cast(pa.date32())


def date_texts(days: npt.NDArray[np.int32]) -> pa.Array:
    """Return days as ``YYYY-MM-DD``, null for ``NO_DATE``."""
    return dates(days).cast(pa.string())


def _texts(categories: pd.Index) -> pa.Array:
    texts = pa.array(categories, type=pa.string(), from_pandas=True)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
