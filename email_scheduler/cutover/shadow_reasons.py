"""Why an email is planned otherwise here than by an older program, as far as that can be told."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning import (
    ANY_DAY,
    NO_DATE,
    Plan,
    PlanInputs,
    common_codes,
    is_handled,
    is_label,
    is_planners_type,
    read_history,
    to_day,
)
from email_scheduler.registry import (
    CAMPAIGN_PREFIX,
    FOLLOW_UP_PREFIX,
    INVALIDATING_ISSUES,
    PRE_SCHEDULED,
    YEARLY_TYPES,
)

# Of emails that go out here.
IDEAL_DATE: Final = "ideal_date"
BEYOND_THEIR_LAST_DAY: Final = "beyond_their_last_day"
# Of emails that are only planned there; the first that applies.
UNKNOWN_CONTACT: Final = "unknown_contact"
UNKNOWN_TYPE: Final = "unknown_type"
DAY_PASSED: Final = "day_passed"
ALREADY_SENT: Final = "already_sent"
BEFORE_GO_LIVE: Final = "before_go_live"
PLANNED_TWICE: Final = "planned_twice"
NO_TARGET: Final = "no_target"
NO_FOLLOW_UP_DUE: Final = "no_follow_up_due"
NOT_CURRENT: Final = "not_current"
ONLY_THERE_REASONS: Final = (
    UNKNOWN_CONTACT,
    *INVALIDATING_ISSUES,
    UNKNOWN_TYPE,
    DAY_PASSED,
    ALREADY_SENT,
    BEFORE_GO_LIVE,
    PLANNED_TWICE,
    NO_TARGET,
    NO_FOLLOW_UP_DUE,
    NOT_CURRENT,
)

Flags = npt.NDArray[np.bool_]


def reasons_here(rows: pd.DataFrame) -> pd.Series:
    """Return the skip reason of rows of a plan (``EMAIL_SCHEDULES``), or why they go out when they do."""
    goes_out = is_label(rows["status"], [PRE_SCHEDULED])
    adjustment = rows["adjustment"].astype("object").fillna(IDEAL_DATE)
    return adjustment.where(goes_out, rows["skip_reason"].astype("object"))


@dataclass(frozen=True)
class OnlyThere:
    """Tells why emails that an older program has planned are not planned here.

    Attributes:
        inputs: What our plan was made from.
        plan: Our plan.
        config: The organisation's configuration.
    """

    inputs: PlanInputs
    plan: Plan
    config: SchedulerConfig

    def reasons(self, rows: pd.DataFrame, is_twice: Flags) -> pd.Categorical:
        """Return the first reason that applies to each row.

        Args:
            rows: ``OLDER_PLAN``: those that are not matched.
            is_twice: Whether there is another row of its contact and type, which is matched.
        """
        contact = rows["contact_id"].to_numpy()
        dates = rows["scheduled_send_date"].to_numpy()
        types = rows["email_type"]
        names = types.cat.categories
        conditions: dict[str, Flags] = {
            UNKNOWN_CONTACT: ~np.isin(contact, self.inputs.contacts["id"].to_numpy()),
            **{issue: np.isin(contact, self._with_issue(issue)) for issue in INVALIDATING_ISSUES},
            UNKNOWN_TYPE: ~_by_type(types, is_planners_type(names)),
            DAY_PASSED: dates < to_day(self.plan.as_of),
            ALREADY_SENT: self._is_answered(rows),
            BEFORE_GO_LIVE: self._is_before_go_live(rows),
            PLANNED_TWICE: is_twice,
            NO_TARGET: _by_type(types, names.str.startswith(CAMPAIGN_PREFIX)),
            NO_FOLLOW_UP_DUE: _by_type(types, names.str.startswith(FOLLOW_UP_PREFIX)),
            NOT_CURRENT: np.ones(len(rows), np.bool_),
        }
        codes = np.argmax(np.array([conditions[name] for name in ONLY_THERE_REASONS]), axis=0)
        return pd.Categorical.from_codes(codes, categories=pd.Index(ONLY_THERE_REASONS, dtype="str"))

    def _with_issue(self, issue: str) -> npt.NDArray[np.int64]:
        found = self.plan.issues
        ids: npt.NDArray[np.int64] = found["contact_id"].to_numpy()[is_label(found["issue"], [issue])]
        return ids

    def _is_before_go_live(self, rows: pd.DataFrame) -> Flags:
        """Tell which rows were somebody else's: by their ideal date where it is known, else by their own."""
        go_live, timing = self.config.go_live_date, self.config.timing_constants
        if go_live is None:
            return np.zeros(len(rows), np.bool_)
        ideal = rows["scheduled_send_date"].to_numpy().astype(np.int64)
        events = rows["event_date"].to_numpy().astype(np.int64)
        for email_type, yearly in YEARLY_TYPES.items():
            is_known = is_label(rows["email_type"], [email_type]) & (events != NO_DATE)
            ideal = np.where(is_known, events - getattr(timing, yearly.setting), ideal)
        is_before: Flags = ideal < to_day(go_live)
        return is_before

    def _is_answered(self, rows: pd.DataFrame) -> Flags:
        """Tell which rows are about something that the sending system has sent already.

        Of a campaign, whose instance the older program does not name, any email of its type counts.
        """
        history = read_history(self.inputs.history)
        types, types_of_history = common_codes(rows["email_type"], history["email_type"])
        events = rows["event_date"].to_numpy()
        occurrences = rows.assign(
            event_date=np.where(events == NO_DATE, rows["scheduled_send_date"], events).astype(np.int32),
            campaign_instance_id=types,
        )
        history = history.assign(campaign_instance_id=types_of_history)
        any_day = np.full(len(rows), ANY_DAY, np.int32)
        return is_handled(occurrences, history, self.config.aep_config.default_dates, any_day)


def _by_type(types: pd.Series, flags: npt.NDArray[np.bool_]) -> Flags:
    """Return what is said of each type for each row; rows without a type: no."""
    spread: Flags = np.append(np.asarray(flags, np.bool_), False)[types.cat.codes.to_numpy()]
    return spread
