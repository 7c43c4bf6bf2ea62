"""The rules that the proof checks, and the violations that it found."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.planning.frames import NO_DATE, VIOLATIONS
from email_scheduler.proof.arithmetic import Days, Ids, Positions

RULES: dict[str, str] = {
    "unknown_contact": "Every row belongs to a valid contact.",
    "suppressed_contact": "Nobody who has unsubscribed, bounced or asked not to be contacted gets an email.",
    "shared_address": "Nobody gets an email at an address that too many contacts have.",
    "unknown_status": "A row of the plan is pre-scheduled or skipped.",
    "missing_skip_reason": "A skipped row says why.",
    "unexpected_skip_reason": "A pre-scheduled row has no skip reason.",
    "untrue_skip_reason": "The reason of a skipped row is true, and the first one that applies.",
    "duplicate_occurrence": "There is one row for each occurrence, and one follow-up for each contact.",
    "unknown_occurrence": "Every row is about something that its contact is to be written to about now.",
    "unaccounted_occurrence": "Every current occurrence of a valid contact is planned, skipped or handled.",
    "already_handled": "Nothing is planned again that the sending system has taken already.",
    "before_go_live": "Nothing is planned whose ideal date lies before the go-live date.",
    "wrong_ideal_date": "The ideal date of a row is that of its occurrence.",
    "before_as_of": "No email is planned for a day before the plan's own.",
    "before_ideal_date": "No email goes out earlier than smoothing and closed days allow.",
    "after_deadline": "No email goes out after its deadline.",
    "closed_day": "No email goes out on a closed day.",
    "excluded_day": "No email that exclusion windows bind goes out on an excluded day.",
    "excluded_ideal_date": "An email whose ideal date is excluded is skipped, not moved.",
    "across_window": "No excluded day lies between the day an email is meant for and the day it goes out.",
    "daily_volume": "What is planned never pushes a day over its limit.",
    "frequency": "No contact gets more emails in a period than the limit allows.",
    "campaign_conflict": "No contact gets two campaign emails on one date.",
    "wrong_variant": "A campaign email is of the variant that its contact has, and made from its templates.",
}


class Violations:
    """What in a plan breaks a rule, as it is found."""

    def __init__(self, schedules: pd.DataFrame) -> None:
        self._schedules = schedules
        self._parts: list[pd.DataFrame] = []

    def rows(
        self, rule: str, rows: Positions, details: Sequence[str] | npt.NDArray[np.object_] | str = ""
    ) -> None:
        """Note that these rows of the plan (by position) break ``rule``; an empty detail is none."""
        if not len(rows):
            return
        found = self._schedules.iloc[rows]
        self._add(
            rule,
            {
                "contact_id": found["contact_id"].to_numpy(),
                "email_type": found["email_type"].astype("str").to_numpy(),
                "campaign_instance_id": found["campaign_instance_id"].to_numpy(),
                "event_date": found["event_date"].to_numpy(),
                "initial_email_id": found["initial_email_id"].to_numpy(),
                "scheduled_send_date": found["scheduled_send_date"].to_numpy(),
                "detail": details,
            },
            len(rows),
        )

    def missing(
        self,
        contact_ids: Ids,
        email_type: str | Sequence[str] | npt.NDArray[np.object_],
        event_dates: Days | int,
        instances: Ids | int = 0,
        initials: Ids | int = 0,
    ) -> None:
        """Note that the plan has no row for these occurrences."""
        if len(contact_ids):
            found: dict[str, object] = {
                "contact_id": contact_ids,
                "email_type": email_type,
                "campaign_instance_id": instances,
                "event_date": event_dates,
                "initial_email_id": initials,
            }
            self._add("unaccounted_occurrence", found, len(contact_ids))

    def days(self, rule: str, days: Days, details: Sequence[str]) -> None:
        """Note that these days break ``rule``."""
        if len(days):
            self._add(rule, {"scheduled_send_date": days, "detail": details}, len(days))

    def _add(self, rule: str, columns: Mapping[str, object], count: int) -> None:
        nothing = {"contact_id": 0, "campaign_instance_id": 0, "initial_email_id": 0}
        no_date = {"event_date": NO_DATE, "scheduled_send_date": NO_DATE}
        values = {"rule": rule, "email_type": None, "detail": "", **nothing, **no_date, **columns}
        part = pd.DataFrame({name: values[name] for name in VIOLATIONS.columns}, index=range(count))
        texts = ["rule", "email_type", "detail"]
        self._parts.append(
            part.astype(
                dict.fromkeys(texts, "str")
                | dict.fromkeys(nothing, "int64")
                | dict.fromkeys(no_date, "int32")
            )
        )

    def add(self, other: "Violations") -> None:
        """Note what others have found."""
        self._parts += other._parts

    def frame(self) -> pd.DataFrame:
        """Return the violations (``VIOLATIONS``), in the order of ``RULES``, then by contact."""
        if not self._parts:
            return VIOLATIONS.empty()
        found = pd.concat(self._parts, ignore_index=True)
        found["rule"] = found["rule"].astype(pd.CategoricalDtype(list(RULES)))
        found["email_type"] = found["email_type"].astype("category")
        found["detail"] = found["detail"].where(found["detail"] != "").astype("category")
        return VIOLATIONS.check(found.sort_values(["rule", "contact_id"], kind="stable", ignore_index=True))
