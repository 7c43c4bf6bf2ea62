"""What every planning rule looks at, put together once for a plan or for a part of its contacts."""

from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config import SchedulerConfig
from email_scheduler.errors import UsageError
from email_scheduler.planning.categories import email_type_dtype
from email_scheduler.planning.columns import Days, Flags, SortedIds, chunks, to_day
from email_scheduler.planning.frames import HISTORY_TABLE
from email_scheduler.planning.rules.campaign_instances import CampaignInstance, read_instances
from email_scheduler.planning.rules.exclusions import SEARCH_DAYS, ExclusionWindows, OpenDays, Rows
from email_scheduler.planning.rules.history import SenderEvents, read_history
from email_scheduler.registry import YEARLY_TYPES


@dataclass(frozen=True)
class PlanningBasis:
    """What the rules before balancing depend on, for all contacts of an organisation or for any subset.

    Attributes:
        as_of: The date that the plan is made for.
        config: The organisation's configuration.
        contacts: ``CONTACTS``: the valid contacts to plan for.
        history: ``HISTORY`` of the organisation; rows of other contacts do no harm.
        instances: All campaign instances of the organisation, by id.
        email_types: The category of the planner's email types.
        whole: What this one is a part of; None if it is no part.
        first: The position in the whole of the first contact.
    """

    as_of: date
    config: SchedulerConfig
    contacts: pd.DataFrame
    history: pd.DataFrame
    instances: dict[int, CampaignInstance]
    email_types: pd.CategoricalDtype
    whole: "PlanningBasis | None" = None
    first: int = 0

    @classmethod
    def of(
        cls,
        as_of: date,
        config: SchedulerConfig,
        contacts: pd.DataFrame,
        campaign_types: pd.DataFrame,
        campaign_instances: pd.DataFrame,
        history: pd.DataFrame | None = None,
    ) -> "PlanningBasis":
        """Read the tables that the rules share; without ``history`` (``HISTORY_TABLE``) there is none.

        Raises:
            InputDataError: A campaign instance cannot be read.
        """
        return cls(
            as_of,
            config,
            contacts,
            read_history(HISTORY_TABLE.empty() if history is None else history),
            read_instances(campaign_types, campaign_instances),
            email_type_dtype(campaign_types["name"]),
        )

    @cached_property
    def windows(self) -> ExclusionWindows:
        """The exclusion windows of the contacts."""
        return ExclusionWindows(self.contacts, self.config.state_rules)

    @cached_property
    def open_days(self) -> OpenDays:
        """The days on which emails may go out."""
        return OpenDays(self.config.send_calendar)

    @property
    def today(self) -> int:
        """The day number of the as-of date."""
        return to_day(self.as_of)

    @cached_property
    def parts(self) -> list["PlanningBasis"]:
        """The same for a part of the contacts each; what the rules before balancing are asked of."""
        # worked out here, once, and not by each part
        _ = self.senders
        return [
            replace(self, contacts=self.contacts.iloc[part], whole=self, first=part.start)
            for part in chunks(len(self.contacts))
        ]

    def rows_by_part(self, contact_ids: npt.NDArray[np.int64]) -> list[Rows]:
        """Return for each of the parts which rows are about its contacts, given the contact of each row."""
        ends = [part.first + len(part.contacts) for part in self.parts]
        # small numbers are sorted by counting them
        part_of_contact = np.repeat(np.arange(len(ends), dtype=np.uint16), np.diff(ends, prepend=0))
        part_of_row = part_of_contact[self.positions(contact_ids)]
        ends_of_rows = np.bincount(part_of_row, minlength=len(ends)).cumsum()
        return np.split(np.argsort(part_of_row, kind="stable"), ends_of_rows[:-1])

    @cached_property
    def senders(self) -> SenderEvents:
        """What the sender's rows answer."""
        if self.whole is not None:
            return self.whole.senders.of_contacts(self.first, self.first + len(self.contacts))
        contact = self.positions(self.history["contact_id"].to_numpy())
        return SenderEvents.read(self.history, contact, self.config.aep_config.default_dates)

    def positions(self, contact_ids: npt.NDArray[np.int64]) -> Rows:
        """Return the positions of these contacts, -1 for those that are not among ``contacts``."""
        return self._index.positions(contact_ids)

    @cached_property
    def _index(self) -> SortedIds:
        return SortedIds(self.contacts["contact_id"].to_numpy())

    def is_live(self, ideal: Days) -> Flags:
        """Tell which ideal dates are not before ``go_live_date``: the others were somebody else's emails."""
        go_live = self.config.go_live_date
        return np.ones(len(ideal), np.bool_) if go_live is None else ideal >= to_day(go_live)


def refuse_beyond_calendar(as_of: date, config: SchedulerConfig, days: int = 0) -> None:
    """Refuse a date from which planning would look at days outside of the years 1 to 9999 (section 18).

    Args:
        as_of: The date that the plan is made for.
        config: The organisation's configuration: its windows and other lengths of time.
        days: For how many days after it plans are made too.

    Raises:
        UsageError: It, or the last of these days, is too near to an end of the calendar.
    """
    reach = _days_looked_at(config)
    first, last = date.min.toordinal() + reach, date.max.toordinal() - reach
    if not first <= as_of.toordinal() <= last - days:
        what = f"{as_of} and {days:,} days after it" if days else f"{as_of}"
        raise UsageError(
            f"the date to plan for: {what}; accepted are dates from {date.fromordinal(first)} to"
            f" {date.fromordinal(last)}: windows, ideal dates and deadlines of this configuration reach up to"
            f" {reach:,} days from it, and have to lie in the years 1 to 9999"
        )


def _days_looked_at(config: SchedulerConfig) -> int:
    """Return how far from the as-of date planning looks at most, in days: all lengths after each other."""
    timing, balancing = config.timing_constants, config.load_balancing
    by_state = (config.state_rules.birthday_windows, config.state_rules.effective_date_windows)
    windows = chain.from_iterable(chain.from_iterable(each.values() for each in by_state))
    ends = [abs(end) for each in windows for end in (each.first_offset_days, each.last_offset_days)]
    days_before: list[int] = [abs(getattr(timing, each.setting)) for each in YEARLY_TYPES.values()]
    # the occurrence before and after, and the search for the end of the window around it
    return (
        3 * SEARCH_DAYS
        + max(ends, default=0)
        + max(days_before)
        + config.aep_config.send_period_days
        + timing.post_window_grace_days
        + timing.campaign_catch_up_days
        + timing.followup_lookback_days
        + timing.followup_days_after
        + balancing.catch_up_spread_days
        + balancing.ed_smoothing_window_days
        + balancing.period_days
    )
