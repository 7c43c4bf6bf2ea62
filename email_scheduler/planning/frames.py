"""Every frame that passes between rooms: its columns, their types, its key and its order.

A *date* column is ``int32``: days since 1970-01-01, ``NO_DATE`` where there is none. An *id* column is
``int64``, 0 where there is none; one of contacts ``NO_CONTACT``. A *text* column is pandas' ``str`` or a
category of it, with missing values; a *label* column is a category, a *hash* column ``uint64``. Frames named
``..._TABLE`` hold what the database holds, unread dates and all: what a text means is a planning rule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from email_scheduler.errors import InputDataError

# Contacts may have the id 0: what names no contact says so with an id that no contact has.
NO_CONTACT = int(np.iinfo(np.int64).min)
NO_DATE = int(np.iinfo(np.int32).min)
NO_NUMBER = int(np.iinfo(np.int32).min)

ID = "id"
DATE = "date"
NUMBER = "number"
FLAG = "flag"
TEXT = "text"
LABEL = "label"
HASH = "hash"

# To take a frame apart column by column takes longer than to join few rows.
_ROWS_WORTH_LETTING_GO = 1 << 17

_DTYPES = {ID: "int64", DATE: "int32", NUMBER: "int32", FLAG: "bool", HASH: "uint64"}


@dataclass(frozen=True)
class Frame:
    """The contract of one frame.

    Attributes:
        name: What the frame holds, for error messages.
        columns: Column name to kind (``ID``, ``DATE``, ``NUMBER``, ``FLAG``, ``TEXT``, ``LABEL``,
            ``HASH``), in order.
        key: Columns that identify a row; empty where rows may repeat.
        order: Columns by which the rows are sorted ascending; empty where any order is right.
        others: The kind of any further columns, whatever they are called; None: there are none.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    others: str | None = None

    def kinds(self, names: Iterable[str]) -> dict[str, str]:
        """Return the kind of each column, in order, of a frame that has columns of these names."""
        if self.others is None:
            return self.columns
        return self.columns | {name: self.others for name in names if name not in self.columns}

    def empty(self) -> pd.DataFrame:
        """Return the frame without rows."""
        return pd.DataFrame(dict.fromkeys(self.columns, ()), dtype="object").astype(
            {name: _empty_dtype(kind) for name, kind in self.columns.items()}
        )

    def build(self, columns: dict[str, object]) -> pd.DataFrame:
        """Return a frame of these columns, without copying them, checked against the contract."""
        return self.check(pd.DataFrame({name: columns[name] for name in self.kinds(columns)}, copy=False))

    def join(self, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Return the rows of all parts, one after the other; labels have the same categories in each.

        The parts are used up: where they are large, a column of theirs is let go of as soon as it is joined,
        so that there is never room needed for all columns twice.
        """
        columns: dict[str, object] = {}
        is_large = sum(map(len, parts)) >= _ROWS_WORTH_LETTING_GO
        for name, kind in self.columns.items():
            taken = [(part.pop(name) if is_large else part[name]).array for part in parts]
            if kind == LABEL:
                codes = np.concatenate([column.codes for column in taken])
                columns[name] = pd.Categorical.from_codes(codes, dtype=taken[0].dtype)
            else:
                columns[name] = np.concatenate([column.to_numpy() for column in taken])
            del taken
            if is_large:
                # what is let go of goes back to the operating system, not to a heap that nobody needs again
                pa.system_memory_pool().release_unused()
        return self.build(columns)

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``frame`` if its columns and types are those of the contract.

        Raises:
            InputDataError: A column is missing, unknown, or of another type.
        """
        kinds = self.kinds(frame.columns)
        if list(frame.columns) != list(kinds):
            raise InputDataError(
                f"frame {self.name}: columns {list(frame.columns)}; expected are {list(self.columns)}"
            )
        for (name, kind), dtype in zip(kinds.items(), frame.dtypes, strict=True):
            if not _is_kind(dtype, kind):
                raise InputDataError(f"frame {self.name}: column {name} is {dtype}; expected is a {kind}")
        return frame

    def check_key(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``frame`` if no two rows share the key.

        Raises:
            InputDataError: Two rows have the same key.
        """
        shared = frame.duplicated(list(self.key)) if self.key else None
        if shared is not None and shared.any():
            first = ", ".join(str(value) for value in frame.loc[shared, list(self.key)].iloc[0])
            raise InputDataError(
                f"frame {self.name}: two rows have the same {', '.join(self.key)}, such as {first};"
                " accepted is each once"
            )
        return frame


def _empty_dtype(kind: str) -> Any:
    if kind == LABEL:
        return pd.CategoricalDtype(pd.Index([], dtype="str"))
    return _DTYPES.get(kind, "str")


def _is_kind(dtype: object, kind: str) -> bool:
    if kind == LABEL:
        return isinstance(dtype, pd.CategoricalDtype)
    if kind == TEXT:
        return isinstance(dtype, pd.CategoricalDtype | pd.StringDtype)
    return bool(dtype == _DTYPES[kind])


# -- what a plan is made from: the organisation's tables as they were read -------------------------------

CONTACTS_TABLE = Frame(
    "contacts table",
    {
        "id": ID,
        "email": TEXT,
        "zip_code": TEXT,
        "state": TEXT,
        "birth_date": TEXT,
        "effective_date": TEXT,
        "phone_number": TEXT,
    },
    key=("id",),
)
# Columns of the table contacts that are not above, as far as an audience depends on them (section 8).
CONTACT_ATTRIBUTES = Frame("contact attributes", {"id": ID}, key=("id",), others=TEXT)
SUPPRESSIONS_TABLE = Frame(
    "contact_suppressions table", {"contact_id": ID, "suppressed_at": TEXT}, key=("contact_id",)
)
SUPPRESSED_ADDRESSES_TABLE = Frame(
    "suppressed_addresses table", {"address": TEXT, "suppressed_at": TEXT, "suppressed_until": TEXT}
)
CAMPAIGN_TYPES_TABLE = Frame(
    "campaign_types table",
    {
        "name": TEXT,
        "respect_exclusion_windows": FLAG,
        "enable_followups": FLAG,
        "days_before_event": NUMBER,
        "target_all_contacts": FLAG,
        "priority": NUMBER,
        "active": FLAG,
    },
    key=("name",),
)
CAMPAIGN_INSTANCES_TABLE = Frame(
    "campaign_instances table",
    {
        "id": ID,
        "campaign_type": TEXT,
        "instance_name": TEXT,
        "email_template": TEXT,
        "sms_template": TEXT,
        "active_start_date": TEXT,
        "active_end_date": TEXT,
        "metadata": TEXT,
        "active": FLAG,
    },
    key=("id",),
)
CONTACT_CAMPAIGNS_TABLE = Frame(
    "contact_campaigns table",
    {"id": ID, "contact_id": ID, "campaign_instance_id": ID, "trigger_date": TEXT, "status": TEXT},
    key=("id",),
)
# The sender's rows that can matter, and the pre-scheduled rows of types that are not the planner's.
# Of actual_send_datetime, the date is enough, with a Z behind it where the time is in UTC.
# event_year, event_month, event_day and priority: NO_NUMBER where the table holds none.
# metadata is JSON text; that of campaign emails is enough.
HISTORY_TABLE = Frame(
    "email_schedules table",
    {
        "id": ID,
        "contact_id": ID,
        "email_type": TEXT,
        "status": TEXT,
        "scheduled_send_date": TEXT,
        "actual_send_datetime": TEXT,
        "event_year": NUMBER,
        "event_month": NUMBER,
        "event_day": NUMBER,
        "campaign_instance_id": ID,
        "priority": NUMBER,
        "initial_email_id": ID,
        "metadata": TEXT,
    },
    key=("id",),
)


@dataclass(frozen=True)
class HistoryBorder:
    """Which of the sender's rows can matter to a plan (sections 1, 7, 10 to 12).

    A day number each; what counts of a row is the latest of its event date, its scheduled send date and its
    actual one. A row matters if that is the day or a later one.

    Attributes:
        rows: Of rows of any type but those below.
        campaigns: Of campaign emails.
        instances: Campaign instances of which all emails matter, whatever their dates.
        follow_ups: Of follow-ups.
        followed_up: Of initial emails: the follow-ups that name one matter, whatever their dates.
    """

    rows: int
    campaigns: int
    instances: frozenset[int]
    follow_ups: int
    followed_up: int

    def __or__(self, other: "HistoryBorder") -> "HistoryBorder":
        """Return the border of what matters to one plan or another."""
        return HistoryBorder(
            min(self.rows, other.rows),
            min(self.campaigns, other.campaigns),
            self.instances | other.instances,
            min(self.follow_ups, other.follow_ups),
            min(self.followed_up, other.followed_up),
        )


# tracking_clicks, and the clicks of email_tracking with the contact of their email
CLICKS_TABLE = Frame("clicks table", {"contact_id": ID, "email_schedule_id": ID, "clicked_at": TEXT})
# contact_events of the type eligibility_answered, and the health_question_response rows of email_tracking
ANSWERS_TABLE = Frame("answers table", {"id": ID, "contact_id": ID, "created_at": TEXT, "event_data": TEXT})


@dataclass(frozen=True)
class PlanInputs:
    """All that a plan depends on besides the configuration (section 1): a plan is a pure function of it.

    Each frame keeps the contract of the same name above (``contacts``: ``CONTACTS_TABLE``, and so on).
    """

    as_of: date
    contacts: pd.DataFrame
    suppressions: pd.DataFrame
    campaign_types: pd.DataFrame
    campaign_instances: pd.DataFrame
    contact_campaigns: pd.DataFrame
    history: pd.DataFrame
    clicks: pd.DataFrame
    answers: pd.DataFrame
    contact_attributes: pd.DataFrame
    suppressed_addresses: pd.DataFrame

    def __post_init__(self) -> None:
        CONTACTS_TABLE.check(self.contacts)
        SUPPRESSIONS_TABLE.check(self.suppressions)
        CAMPAIGN_TYPES_TABLE.check(self.campaign_types)
        CAMPAIGN_INSTANCES_TABLE.check(self.campaign_instances)
        CONTACT_CAMPAIGNS_TABLE.check(self.contact_campaigns)
        HISTORY_TABLE.check(self.history)
        CLICKS_TABLE.check(self.clicks)
        ANSWERS_TABLE.check(self.answers)
        CONTACT_ATTRIBUTES.check(self.contact_attributes)
        SUPPRESSED_ADDRESSES_TABLE.check(self.suppressed_addresses)

    @classmethod
    def of_contacts(cls, as_of: date, contacts: pd.DataFrame, suppressions: pd.DataFrame) -> "PlanInputs":
        """Return what is known of contacts that nothing else is known of."""
        return cls(
            as_of=as_of,
            contacts=contacts,
            suppressions=suppressions,
            campaign_types=CAMPAIGN_TYPES_TABLE.empty(),
            campaign_instances=CAMPAIGN_INSTANCES_TABLE.empty(),
            contact_campaigns=CONTACT_CAMPAIGNS_TABLE.empty(),
            history=HISTORY_TABLE.empty(),
            clicks=CLICKS_TABLE.empty(),
            answers=ANSWERS_TABLE.empty(),
            contact_attributes=CONTACT_ATTRIBUTES.empty(),
            suppressed_addresses=SUPPRESSED_ADDRESSES_TABLE.empty(),
        )


# -- what the planner works on ---------------------------------------------------------------------------

# The valid contacts. A date is NO_DATE where it is missing or unreadable; the flags say which are unreadable.
CONTACTS = Frame(
    "contacts",
    {
        "contact_id": ID,
        "state": LABEL,
        "birth_date": DATE,
        "effective_date": DATE,
        "is_birth_date_unreadable": FLAG,
        "is_effective_date_unreadable": FLAG,
        "has_phone": FLAG,
    },
    key=("contact_id",),
    order=("contact_id",),
)
# email_schedules as the rules see it: HISTORY_TABLE with its dates read. An event date that the table does
# not hold is the send date; is_senders tells the sender's rows from pre-scheduled rows of other programs.
# variant: what the metadata of a row names.
HISTORY = Frame(
    "email history",
    {
        "id": ID,
        "contact_id": ID,
        "email_type": LABEL,
        "status": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "send_date": DATE,
        "priority": NUMBER,
        "initial_email_id": ID,
        "is_senders": FLAG,
        "variant": LABEL,
    },
    key=("id",),
)
# When contacts are excluded: one row for each contact and longest stretch of excluded days, both ends
# inclusive; the reason is that of its first day.
EXCLUSION_STRETCHES = Frame(
    "exclusion stretches",
    {"contact_id": ID, "first_date": DATE, "last_date": DATE, "reason": LABEL},
    key=("contact_id", "first_date"),
    order=("contact_id", "first_date"),
)
# One email that is due to a contact (sections 6 to 8). skip_reason is missing where nothing stops it so far.
# deadline is the last date on which the email still makes sense, inclusive.
OCCURRENCES = Frame(
    "occurrences",
    {
        "contact_id": ID,
        "email_type": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "ideal_send_date": DATE,
        "deadline": DATE,
        "priority": NUMBER,
        "is_window_bound": FLAG,
        "expects_follow_up": FLAG,
        "skip_reason": LABEL,
    },
    key=("contact_id", "email_type", "campaign_instance_id", "event_date"),
)
# The same with its legal interval (section 9): base_date, first_date and last_date are NO_DATE where a
# skip_reason stops the email.
SCHEDULES = Frame(
    "schedules",
    {
        **OCCURRENCES.columns,
        "base_date": DATE,
        "first_date": DATE,
        "last_date": DATE,
        "is_brought_forward": FLAG,
    },
    key=OCCURRENCES.key,
)
# The same with the day on which it goes out, or for a skipped email the day that its row is dated at.
BALANCED_SCHEDULES = Frame(
    "balanced schedules", {**SCHEDULES.columns, "send_date": DATE}, key=OCCURRENCES.key
)
# What follows an email that was sent (section 10).
FOLLOW_UPS = Frame(
    "follow-ups",
    {
        "contact_id": ID,
        "email_type": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "initial_email_id": ID,
        "ideal_send_date": DATE,
        "send_date": DATE,
        "priority": NUMBER,
        "skip_reason": LABEL,
        "metadata": LABEL,
    },
    key=("initial_email_id",),
)
# What was wrong with a contact, one of its fields, or one of its campaign targets.
CONTACT_ISSUES = Frame("contact issues", {"contact_id": ID, "field": LABEL, "issue": LABEL})
# The plan: what email_schedules is to hold of the statuses pre-scheduled and skipped (section 13).
# skip_reason, adjustment, email_template, sms_template, metadata: missing where there is none.
# metadata is JSON text.
EMAIL_SCHEDULES = Frame(
    "email schedules",
    {
        "contact_id": ID,
        "email_type": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "initial_email_id": ID,
        "ideal_send_date": DATE,
        "scheduled_send_date": DATE,
        "status": LABEL,
        "skip_reason": LABEL,
        "adjustment": LABEL,
        "priority": NUMBER,
        "scheduled_send_time": LABEL,
        "email_template": LABEL,
        "sms_template": LABEL,
        "metadata": LABEL,
    },
    key=("contact_id", "email_type", "campaign_instance_id", "event_date", "initial_email_id"),
    order=("contact_id", "email_type", "campaign_instance_id", "event_date", "initial_email_id"),
)
# Emails that find no place, by type: how many, between which days they could have gone out, and about which
# cap (emails a day, and as a share of the valid contacts) would give them a place.
CAPACITY_SHORTFALL = Frame(
    "capacity shortfall",
    {
        "email_type": LABEL,
        "emails": NUMBER,
        "first_date": DATE,
        "last_date": DATE,
        "sufficient_cap": NUMBER,
        "sufficient_percentage_cap": TEXT,
    },
    key=("email_type",),
)
# Emails of a day that balancing cannot move.
FIXED_VOLUME = Frame(
    "fixed volume", {"send_date": DATE, "emails": NUMBER}, key=("send_date",), order=("send_date",)
)
# Pre-scheduled rows of types that are not planned here, by type.
FOREIGN_ROWS = Frame("foreign rows", {"email_type": LABEL, "rows": NUMBER}, key=("email_type",))
# One row: the numbers that a plan was made with, and the hash of what the
# configuration says of them.
PLAN_FIGURES = Frame(
    "plan figures",
    {"contact_count": NUMBER, "daily_cap": NUMBER, "daily_limit": NUMBER, "rules_hash": TEXT},
)
# What contact_campaigns.status is to become; only rows whose status changes.
TARGET_STATUSES = Frame("target statuses", {"id": ID, "status": LABEL}, key=("id",), order=("id",))
# Rows of a plan that break a rule; contact and occurrence as in EMAIL_SCHEDULES. A violation that no row
# shows (an occurrence that is missing, a day that is over its limit) has the columns that it can fill.
VIOLATIONS = Frame(
    "violations",
    {
        "rule": LABEL,
        "contact_id": ID,
        "email_type": LABEL,
        "campaign_instance_id": ID,
        "event_date": DATE,
        "initial_email_id": ID,
        "scheduled_send_date": DATE,
        "detail": LABEL,
    },
)
# The changes that a plan has to take into account (is_pending), and the last one of the log in any case.
# campaign_instance_id is 0 where the type itself was changed.
CAMPAIGN_CHANGES = Frame(
    "campaign changes",
    {
        "id": ID,
        "campaign_instance_id": ID,
        "campaign_type": LABEL,
        "field_changed": LABEL,
        "is_pending": FLAG,
    },
    key=("id",),
    order=("id",),
)
# Notes of contacts that were edited (section 16), as they were when the inputs of a plan were read.
# change_mark is another number with each change of a contact.
CONTACT_CHANGES = Frame("contact changes", {"contact_id": ID, "change_mark": ID}, key=("contact_id",))
# The keys of addresses that are not of ASCII characters only, or have a label xn-- (section 1).
CONTACT_ADDRESS_KEYS = Frame(
    "contact address keys", {"contact_id": ID, "email": TEXT, "address_key": TEXT}, key=("contact_id",)
)
# One row: the id of the record of the last plan that had been published when the inputs were read.
READING = Frame("reading", {"checkpoint_id": ID})
