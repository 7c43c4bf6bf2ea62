"""What the proof reads out of the organisation's tables: texts as codes, dates as days."""

import json
import re
from datetime import date
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.compliance.days import Days, Flags, Ids, number_of
from email_scheduler.planning.frames import NO_DATE

T = TypeVar("T", bound=np.generic)

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

BIRTHDAY = 0
EFFECTIVE_DATE = 1
AEP = 2
POST_WINDOW = 3
CAMPAIGN = 4
FOLLOW_UP = 5
FOREIGN = 6

CAMPAIGN_PREFIX = "campaign_"
_FOLLOW_UP_PREFIX = "followup_"
_KINDS = {
    "birthday": BIRTHDAY,
    "effective_date": EFFECTIVE_DATE,
    "aep": AEP,
    "post_window": POST_WINDOW,
    "followup_1_cold": FOLLOW_UP,
    "followup_2_clicked_no_hq": FOLLOW_UP,
    "followup_3_hq_no_yes": FOLLOW_UP,
    "followup_4_hq_with_yes": FOLLOW_UP,
}

Codes = npt.NDArray[np.integer]


def kind_of_planned(email_type: str) -> int:
    """Return the kind of an email type of the planning rules, ``FOREIGN`` for any other."""
    if email_type.startswith(CAMPAIGN_PREFIX):
        return CAMPAIGN
    return _KINDS.get(email_type, FOREIGN)


def kind_of_sent(email_type: str) -> int:
    """Return the kind of a sender's row: any type ``followup_…`` counts as a follow-up (section 10)."""
    return FOLLOW_UP if email_type.startswith(_FOLLOW_UP_PREFIX) else kind_of_planned(email_type)


def codes_of(column: pd.Series) -> tuple[Codes, list[str]]:
    """Return a text column as codes into its distinct texts, -1 where a text is missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy(), [str(text) for text in column.cat.categories]
    codes, texts = pd.factorize(column)
    return codes, [str(text) for text in texts]


def per_text(
    coded: tuple[Codes, list[str]], values: list[int] | list[bool], missing: int | bool, dtype: type[T]
) -> npt.NDArray[T]:
    """Return the value of each row's text, ``missing`` where there is no text."""
    return np.array([*values, missing], dtype=dtype)[coded[0]]


def day_of_timestamp(text: str) -> int:
    """Return the day that the first ten characters of ``text`` name, ``NO_DATE`` where they name none."""
    head = text[:10]
    if not _ISO_DATE.fullmatch(head):
        return NO_DATE
    try:
        return number_of(date.fromisoformat(head))
    except ValueError:
        return NO_DATE


def day_of_date(text: str) -> int:
    """Return the day that ``text`` names, with white space around it and a time after it or without."""
    text = text.strip()
    return NO_DATE if text[10:11].strip("T ") else day_of_timestamp(text)


def days_of_timestamps(column: pd.Series) -> Days:
    """Return a column of timestamps as days; ``NO_DATE`` where one is missing or unreadable."""
    codes: Codes = np.arange(len(column))
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, column = column.cat.codes.to_numpy(), column.cat.categories.to_series()
    # dates repeat, times do not
    head_codes, heads = codes_of(column.str.slice(0, 10))
    days = per_text((head_codes, heads), [day_of_timestamp(text) for text in heads], NO_DATE, np.int32)
    return np.append(days, np.int32(NO_DATE))[codes]


def days_of_dates(column: pd.Series) -> Days:
    """Return a column of dates as days; ``NO_DATE`` where one is missing or unreadable."""
    coded = codes_of(column)
    return per_text(coded, [day_of_date(text) for text in coded[1]], NO_DATE, np.int32)


def is_blank(column: pd.Series) -> Flags:
    """Return where a text is missing or holds nothing but white space."""
    coded = codes_of(column)
    return per_text(coded, [not text.strip() for text in coded[1]], True, np.bool_)


def object_of_json(text: object) -> dict[str, object]:
    """Return the object that a JSON text holds; an empty one where the text is missing or is no object."""
    if not isinstance(text, str):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class ContactPositions:
    """Finds contacts by their id."""

    def __init__(self, contacts: pd.DataFrame) -> None:
        ids = contacts["contact_id"].to_numpy()
        self.ids: Ids = ids
        self._order = None if (np.diff(ids) > 0).all() else np.argsort(ids)
        self._sorted = ids if self._order is None else ids[self._order]
        self._dense = self._dense_table()

    def _dense_table(self) -> npt.NDArray[np.int32] | None:
        """Return the position of every id from 0 to the highest, where that table is not too large."""
        count = len(self.ids)
        if not count or self._sorted[0] < 0 or self._sorted[-1] > 8 * count + 1_000_000:
            return None
        table = np.full(int(self._sorted[-1]) + 1, -1, dtype=np.int32)
        table[self.ids] = np.arange(count, dtype=np.int32)
        return table

    def of(self, ids: Ids) -> npt.NDArray[np.int32]:
        """Return the position of each id in ``contacts``, -1 where there is no such contact."""
        if not len(self.ids):
            return np.full(len(ids), -1, dtype=np.int32)
        if self._dense is not None:
            inside = (ids >= 0) & (ids < len(self._dense))
            return np.where(inside, self._dense[np.where(inside, ids, 0)], np.int32(-1))
        at = np.searchsorted(self._sorted, ids)
        at[at == len(self._sorted)] = 0
        positions = at if self._order is None else self._order[at]
        return np.where(self._sorted[at] == ids, positions, -1).astype(np.int32)
