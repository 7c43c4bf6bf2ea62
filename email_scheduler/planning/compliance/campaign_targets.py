"""The targets of campaigns, and their rows (section 8)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.audiences import Audiences
from email_scheduler.planning.compliance.campaign_book import CampaignBook, InstancePositions
from email_scheduler.planning.compliance.columns import (
    CAMPAIGN,
    ContactPositions,
    codes_of,
    days_of_dates,
    is_blank,
    per_text,
)
from email_scheduler.planning.compliance.days import (
    FOREVER,
    LONG_AGO,
    Days,
    Flags,
    Ids,
    is_among,
    is_date,
    number_of,
    pack,
    unpack,
)
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.compliance.senders import SenderRows
from email_scheduler.planning.frames import NO_DATE

# An anniversary is answered by a row that is about a day that is not further away.
_MOST_DAYS_OF_THE_SAME_YEAR = 182


@dataclass(frozen=True)
class _Emails:
    """Campaign emails: whose, of which instance (-1: of none that fits), about which trigger date."""

    who: npt.NDArray[np.int32]
    instance: InstancePositions
    event: Days


@dataclass(frozen=True)
class Targets:
    """The targets that the database lists, in the order of their contacts, and those that it does not list.

    Attributes:
        explicit: Those of planned instances that are still open and have a trigger date.
        listed_who, listed_at: Contact and instance of all of them: for whom no instance for all is.
        implicit: Of each planned instance that is for all or for an audience, the trigger date of each
            contact that it is for; ``NO_DATE`` of the others.
    """

    explicit: _Emails
    listed_who: npt.NDArray[np.int32]
    listed_at: InstancePositions
    implicit: dict[int, Days]

    def of_contacts(self, contacts: slice) -> "Targets":
        """Return those of these contacts, which are counted from the first of them."""
        ends = np.array([contacts.start, contacts.stop], np.int32)
        chosen, listed = (slice(*who.searchsorted(ends)) for who in (self.explicit.who, self.listed_who))
        return Targets(
            _Emails(
                self.explicit.who[chosen] - ends[0],
                self.explicit.instance[chosen],
                self.explicit.event[chosen],
            ),
            self.listed_who[listed] - ends[0],
            self.listed_at[listed],
            {at: events[contacts] for at, events in self.implicit.items()},
        )


def read_targets(
    book: CampaignBook, audiences: Audiences, contact_campaigns: pd.DataFrame, positions: ContactPositions
) -> Targets:
    """Return the targets of valid contacts in ``contact_campaigns`` (``CONTACT_CAMPAIGNS_TABLE``)."""
    who = positions.of(contact_campaigns["contact_id"].to_numpy())
    order = np.argsort(who, kind="stable")
    contact_campaigns, who = contact_campaigns.take(order), who[order]
    at = book.find(contact_campaigns["campaign_instance_id"].to_numpy())
    explicit = _explicit_targets(book, contact_campaigns, at, who)
    implicit = {
        at: audiences.triggers(at) for at in np.flatnonzero(book.is_planned & book.is_for_all).tolist()
    }
    return Targets(explicit, who[who >= 0], at[who >= 0], implicit)


def check_campaigns(
    as_of: int,
    book: CampaignBook,
    targets: Targets,
    senders: SenderRows,
    rows: PlanRows,
    contact_ids: Ids,
    config: SchedulerConfig,
    report: Report,
) -> None:
    """Settle the campaign rows; report those that no target asks for, and targets without a row."""
    of_kind = rows.of_kind(CAMPAIGN)
    at = book.find_typed(rows.instance[of_kind], rows.type_codes[of_kind], rows.type_names)
    rows.is_bound[of_kind] = np.append(book.is_bound, True)[at]
    rows.ends[of_kind] = np.append(book.ends, FOREVER)[at]
    at[rows.initial[of_kind] != 0] = -1
    planned = _Emails(rows.who[of_kind], at, rows.event[of_kind])
    # a row without any date answers an email to a contact that is not listed all the same
    answers = senders.answering(CAMPAIGN)
    sent_at = book.find_typed(answers.instance, answers.type_codes, answers.type_names)
    sent = _Emails(answers.who, sent_at, answers.event)

    check = _Check(as_of, book, rows, of_kind, planned, sent, contact_ids, config, report)
    check.explicit(targets.explicit)
    for instance, events in targets.implicit.items():
        check.implicit(instance, events, targets.listed_who[targets.listed_at == instance])
    report.rows("unknown_occurrence", of_kind[~rows.is_known[of_kind]])


def _explicit_targets(
    book: CampaignBook, contact_campaigns: pd.DataFrame, at: InstancePositions, who: npt.NDArray[np.int32]
) -> _Emails:
    """Return the targets that the database lists, of planned instances and with a trigger date."""
    statuses = codes_of(contact_campaigns["status"])
    is_open = per_text(statuses, [name in {"pending", "scheduled"} for name in statuses[1]], False, np.bool_)
    chosen = is_open & (who >= 0) & np.append(book.is_planned, False)[at]
    trigger = contact_campaigns["trigger_date"]
    own_trigger, has_none = days_of_dates(trigger)[chosen], is_blank(trigger)[chosen]
    default = np.append(book.default_trigger, np.int32(NO_DATE))[at[chosen]]
    event = np.where(has_none, default, own_trigger)
    # an email whose day does not exist is none
    ideal, _ = book.dates(at[chosen], event, 0, implicit=False)
    dated = (event != NO_DATE) & is_date(ideal)
    return _Emails(who[chosen][dated], at[chosen][dated], event[dated])


class _Check:
    """Compares the campaign rows of a plan with the targets."""

    def __init__(
        self,
        as_of: int,
        book: CampaignBook,
        rows: PlanRows,
        of_kind: npt.NDArray[np.intp],
        planned: _Emails,
        sent: _Emails,
        contact_ids: Ids,
        config: SchedulerConfig,
        report: Report,
    ) -> None:
        self._as_of = as_of
        self._book = book
        self._rows = rows
        self._of_kind = of_kind
        self._planned = planned
        self._sent = sent
        self._contact_ids = contact_ids
        self._go_live = number_of(config.go_live_date) if config.go_live_date else LONG_AGO
        self._report = report

    def explicit(self, targets: _Emails) -> None:
        """Check the targets that the database lists; two that come to the same date are one."""
        appointments = np.unique(pack(targets.instance, targets.event))
        keys, planned, sent = (_keys(emails, appointments) for emails in (targets, self._planned, self._sent))
        keys = np.unique(keys)
        is_handled = is_among(keys, np.sort(sent))
        found = is_among(planned, keys)
        self._settle(found, is_among(planned, keys[is_handled]), implicit=False)
        lacking = keys[~is_handled & ~is_among(keys, np.sort(planned))]
        who, appointment = unpack(lacking)
        at, event = unpack(appointments[appointment])
        self._miss(who, at.astype(np.intp), event, implicit=False)

    def implicit(self, instance: int, event: Days, listed: npt.NDArray[np.int32]) -> None:
        """Check the contacts that an instance is for without their being listed, with their trigger dates."""
        is_target = event != NO_DATE
        is_target[listed] = False
        sent_who, sent_event = (
            each[self._sent.instance == instance] for each in (self._sent.who, self._sent.event)
        )
        answers = np.ones(len(sent_who), dtype=bool)
        if self._book.is_yearly[instance]:
            answers = np.abs(sent_event.astype(np.int64) - event[sent_who]) <= _MOST_DAYS_OF_THE_SAME_YEAR
        is_handled = np.zeros(len(self._contact_ids), dtype=bool)
        is_handled[sent_who[answers]] = True
        planned = self._planned
        found = (
            (planned.instance == instance) & is_target[planned.who] & (planned.event == event[planned.who])
        )
        self._settle(found, found & is_handled[planned.who], implicit=True)
        is_target &= ~is_handled
        is_target[planned.who[found]] = False
        who = np.flatnonzero(is_target)
        self._miss(who, np.full(len(who), instance), event[who], implicit=True)

    def _settle(self, found: Flags, is_handled: Flags, *, implicit: bool) -> None:
        at, event = self._planned.instance[found], self._planned.event[found]
        ideal, deadline = self._book.dates(at, event, self._as_of, implicit=implicit)
        self._rows.settle(self._of_kind[found], ideal, deadline)
        self._report.rows("already_handled", self._of_kind[is_handled])

    def _miss(
        self,
        who: npt.NDArray[np.intp] | npt.NDArray[np.int32],
        at: InstancePositions,
        event: Days,
        *,
        implicit: bool,
    ) -> None:
        ideal, _ = self._book.dates(at, event, self._as_of, implicit=implicit)
        due = ideal >= self._go_live
        names = np.array(self._book.email_types, dtype=object)[at[due]]
        self._report.missing(self._contact_ids[who[due]], names, event[due], self._book.ids[at[due]])


def _keys(emails: _Emails, appointments: Ids) -> Ids:
    """Return one number for each contact and appointment (instance and trigger date); -1 for any other."""
    wanted = pack(emails.instance, emails.event)
    if not len(appointments):
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.searchsorted(appointments, wanted)
    place[place == len(appointments)] = 0
    return np.where(appointments[place] == wanted, pack(emails.who, place), -1)
