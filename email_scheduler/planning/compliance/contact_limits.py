"""How many emails a contact gets (section 12)."""

import numpy as np
import numpy.typing as npt

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.compliance.columns import CAMPAIGN, FOLLOW_UP
from email_scheduler.planning.compliance.days import Flags, Ids, is_among, pack, repeats
from email_scheduler.planning.compliance.plan_rows import PlanRows
from email_scheduler.planning.compliance.report import Report
from email_scheduler.planning.compliance.senders import SenderRows

_Rows = npt.NDArray[np.intp]


class Frequency:
    """The emails of every contact that the limit counts: planned and live ones, without follow-ups."""

    def __init__(self, as_of: int, senders: SenderRows, rows: PlanRows, config: SchedulerConfig) -> None:
        self._most = config.load_balancing.max_emails_per_contact_per_period
        self._period_days = config.load_balancing.period_days
        self._rows = rows
        self._planned: _Rows = np.flatnonzero(rows.is_planned & (rows.who >= 0) & (rows.kind != FOLLOW_UP))
        # an email that is too old to share a period with a planned one does not matter
        is_recent = senders.send.astype(np.int64) > as_of - self._period_days
        live = senders.where(senders.is_live & (senders.who >= 0) & (senders.kind != FOLLOW_UP) & is_recent)
        planned_keys = pack(rows.who[self._planned], rows.send[self._planned])
        # one number for each email: contact, then day, then whether it is planned
        self._emails = np.sort(np.concatenate([planned_keys * 2 + 1, pack(live.who, live.send) * 2]))

    def check(self, report: Report) -> None:
        """Report the last planned email of every period that holds too many.

        Emails lie together in a period if the first and the last of them do; so it is enough to look at each
        email and the one that is as many places after it as the limit allows.
        """
        emails, most = self._emails, self._most
        if len(emails) <= most:
            return
        dates = emails >> 1
        # the days of one contact lie far from those of the next
        first = np.flatnonzero(dates[most:] - dates[: len(dates) - most] < self._period_days)
        if not len(first):
            return
        last_planned = np.maximum.accumulate(np.where(emails & 1, np.arange(len(emails)), -1))[first + most]
        too_many = np.unique(dates[last_planned[last_planned >= first]])
        planned = self._planned
        found = is_among(pack(self._rows.who[planned], self._rows.send[planned]), too_many)
        report.rows("frequency", planned[found], f"more than {most} emails in {self._period_days} days")

    def would_exceed(self, rows: _Rows) -> Flags:
        """Return which skipped rows could not have stood at their date beside the emails that do."""
        most = self._most
        who, day = self._rows.who[rows], self._rows.send[rows]
        exceeds = np.full(len(rows), most == 0)
        if not len(rows) or most == 0 or most > len(self._emails):
            return exceeds
        dates = self._emails >> 1
        own = pack(who, day)
        place = np.searchsorted(dates, own)
        for before in range(most + 1):
            start = place - before
            is_inside = (start >= 0) & (start + most <= len(dates))
            first = dates[np.where(is_inside, start, 0)]
            last = dates[np.where(is_inside, start + most - 1, 0)]
            width = np.maximum(last, own) - np.minimum(first, own)
            exceeds |= is_inside & (width < self._period_days)
        return exceeds


class CampaignDays:
    """The campaign emails of every contact."""

    def __init__(self, senders: SenderRows, rows: PlanRows) -> None:
        self._rows = rows
        campaigns = np.flatnonzero((rows.kind == CAMPAIGN) & (rows.who >= 0))
        self._planned: _Rows = campaigns[rows.is_planned[campaigns]]
        live = senders.where(senders.is_live & (senders.who >= 0) & (senders.kind == CAMPAIGN))
        self._planned_keys = pack(rows.who[self._planned], rows.send[self._planned])
        self._live_keys = np.sort(pack(live.who, live.send))
        self._ideal_keys = np.sort(pack(rows.who[campaigns], rows.ideal[campaigns]))

    def check(self, report: Report) -> None:
        """Report planned campaign emails on a date on which their contact has another one."""
        found = is_among(self._planned_keys, self._live_keys) | repeats(self._planned_keys)
        report.rows("campaign_conflict", self._planned[found])

    def would_conflict(self, rows: _Rows) -> Flags:
        """Return which skipped campaign rows another one of the contact stood in the way of."""
        own = pack(self._rows.who[rows], self._rows.send[rows])
        taken = is_among(own, self._live_keys) | is_among(own, np.sort(self._planned_keys))
        return taken | (self._others_with_ideal(pack(self._rows.who[rows], self._rows.ideal[rows])) > 1)

    def _others_with_ideal(self, keys: Ids) -> npt.NDArray[np.intp]:
        ends = np.searchsorted(self._ideal_keys, keys, side="right")
        return ends - np.searchsorted(self._ideal_keys, keys, side="left")
