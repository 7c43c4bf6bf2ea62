"""Reading what an older program has planned from a CSV file."""

from array import array
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from email_scheduler.operations.csv_files.bad_lines import BadLines, BadLinesError
from email_scheduler.operations.csv_files.cells import CONTACT_ID
from email_scheduler.operations.csv_files.records import open_csv
from email_scheduler.operations.cutover.email_lines import read_emails
from email_scheduler.planning.frames import NO_NUMBER
from email_scheduler.planning.registry.email_types import STATUSES
from email_scheduler.storage.older_plan import OLDER_PLAN_TABLE

NO_ID: Final = "not given; plans are compared by it, accepted is a whole number"
_LABELS: Final = ("email_type", "scheduled_send_date", "status", "skip_reason")


def read_older_csv(path: Path) -> pd.DataFrame:
    """Return ``OLDER_PLAN_TABLE``: the lines with the statuses pre-scheduled and skipped, of all types.

    Raises:
        BadLinesError: Some lines cannot be read.
        UsageError: The file cannot be read.
    """
    bad_lines = BadLines()
    ids, numbers = array("q"), {part: array("i") for part in ("year", "month", "day")}
    codes = {name: array("i") for name in _LABELS}
    texts: dict[str, dict[str, int]] = {name: {} for name in _LABELS}
    with open_csv(path) as lines:
        for line in read_emails(lines, str(path), bad_lines):
            if line.status not in STATUSES:
                continue
            if line.contact_id is None:
                bad_lines.add(line.number, CONTACT_ID, NO_ID)
                continue
            ids.append(line.contact_id)
            parts = map(int, line.event_date.split("-")) if line.event_date else (NO_NUMBER,) * 3
            for column, number in zip(numbers.values(), parts, strict=True):
                column.append(number)
            values = (line.email_type, line.send_date, line.status, line.skip_reason)
            for name, text in zip(_LABELS, values, strict=True):
                known = texts[name]
                codes[name].append(-1 if text is None else known.setdefault(text, len(known)))
    if bad_lines:
        raise BadLinesError(str(path), bad_lines, "line", can_skip=False)
    labels = {
        name: pd.Categorical.from_codes(np.array(codes[name]), categories=pd.Index(texts[name], dtype="str"))
        for name in _LABELS
    }
    events = {f"event_{part}": np.array(column, np.int32) for part, column in numbers.items()}
    return OLDER_PLAN_TABLE.build({"contact_id": np.array(ids, np.int64), **labels, **events})
