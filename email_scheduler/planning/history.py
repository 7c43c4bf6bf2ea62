"""What the sending system has done so far, with its dates read (sections 1 and 2 of the planning rules)."""

import numpy as np
import pandas as pd

from email_scheduler.planning.dates import date_parts, event_days
from email_scheduler.planning.frames import HISTORY, HISTORY_TABLE, NO_DATE
from email_scheduler.planning.labels import is_label, labels
from email_scheduler.planning.registry.email_types import PRE_SCHEDULED, SKIPPED
from email_scheduler.planning.variants import variant_in


def read_history(table: pd.DataFrame) -> pd.DataFrame:
    """Return ``HISTORY``, one row for each row of ``HISTORY_TABLE``.

    The send date of a row is the date part of its actual send time if there is one, else its scheduled
    date. The event date of a row that holds none is its send date. A row without a status is the sender's.
    """
    HISTORY_TABLE.check(table)
    actual = date_parts(table["actual_send_datetime"])
    send_date = np.where(actual != NO_DATE, actual, date_parts(table["scheduled_send_date"])).astype(np.int32)
    event_date = event_days(*(table[f"event_{part}"].to_numpy() for part in ("year", "month", "day")))
    status = _labels(table["status"])
    return HISTORY.build(
        {
            "id": table["id"],
            "contact_id": table["contact_id"],
            "email_type": _labels(table["email_type"]),
            "status": status,
            "campaign_instance_id": table["campaign_instance_id"],
            "event_date": np.where(event_date != NO_DATE, event_date, send_date).astype(np.int32),
            "send_date": send_date,
            "priority": table["priority"],
            "initial_email_id": table["initial_email_id"],
            "is_senders": ~is_label(status, [PRE_SCHEDULED, SKIPPED]),
            "variant": _variants(_labels(table["metadata"])),
        }
    )


def has_type(history: pd.DataFrame, prefix: str) -> pd.Series:
    """Tell which rows of ``HISTORY`` are of a type that begins with ``prefix``."""
    types = history["email_type"].cat
    return pd.Series(
        np.append(types.categories.str.startswith(prefix).astype(np.bool_), False)[types.codes],
        index=history.index,
    )


def _variants(metadata: pd.Series) -> pd.Categorical:
    said = [variant_in(text) for text in metadata.cat.categories]
    names = sorted({name for name in said if name is not None})
    codes = [-1 if name is None else names.index(name) for name in said]
    return labels(np.array([*codes, -1], np.int32)[metadata.cat.codes.to_numpy()], names)


def _labels(texts: pd.Series) -> pd.Series:
    return texts if isinstance(texts.dtype, pd.CategoricalDtype) else texts.astype("category")
