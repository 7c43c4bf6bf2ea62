"""What every planning rule looks at, put together once for a plan or for a part of its contacts."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.planning.campaign_instances import CampaignInstance, read_instances
from email_scheduler.planning.dates import Days, Flags, to_day
from email_scheduler.planning.exclusions import ExclusionWindows, Rows
from email_scheduler.planning.frames import HISTORY_TABLE
from email_scheduler.planning.history import read_history
from email_scheduler.planning.send_calendar import OpenDays
from email_scheduler.planning.vocabulary import email_type_dtype


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
    """

    as_of: date
    config: SchedulerConfig
    contacts: pd.DataFrame
    history: pd.DataFrame
    instances: dict[int, CampaignInstance]
    email_types: pd.CategoricalDtype

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

    def rows_of(self, contact_ids: npt.NDArray[np.int64]) -> Rows:
        """Return the positions of these contacts, all of which are among ``contacts``."""
        return np.searchsorted(self.contacts["contact_id"].to_numpy(), contact_ids)

    def is_live(self, ideal: Days) -> Flags:
        """Tell which ideal dates are not before ``go_live_date``: the others were somebody else's emails."""
        go_live = self.config.go_live_date
        return np.ones(len(ideal), np.bool_) if go_live is None else ideal >= to_day(go_live)
