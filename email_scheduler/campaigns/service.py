"""The one service behind all ways of managing campaigns: command line, Python, sync."""

from contextlib import AbstractContextManager
from datetime import date
from typing import Any

from email_scheduler.campaigns import achievements, catalogue, targeting
from email_scheduler.campaigns.achievements import InstanceCounts, InstanceReport, LogRow
from email_scheduler.campaigns.catalogue import InstanceRow, TypeRow
from email_scheduler.campaigns.preview import CampaignPreview, NewInstance, preview_instance
from email_scheduler.campaigns.selections import TRIGGER_DATE, Selection
from email_scheduler.campaigns.sync import SyncResult, sync
from email_scheduler.campaigns.targeting import TargetResult
from email_scheduler.config import SchedulerConfig
from email_scheduler.database import (
    CONTACT_ID,
    Connection,
    LoggedChange,
    Session,
    changing,
    connected,
    current_user,
    require_current_schema,
    write_csv,
)
from email_scheduler.files import Output, private_output


class Campaigns:
    """The campaigns of one organisation. Every change is one transaction, which records it, too.

    Instances are named by their id, ``type/name``, or their name where no other has it.

    Args:
        url: The organisation's database, initialised.
        config: Its configuration; None: the built-in values.
        changed_by: Who changes; None: the operating system's user.

    Raises:
        DatabaseError: The database cannot be used.
    """

    def __init__(
        self, url: str, config: SchedulerConfig | None = None, *, changed_by: str | None = None
    ) -> None:
        self.url = url
        self.config = config or SchedulerConfig()
        self.changed_by = changed_by or current_user()
        require_current_schema(url, self.config)

    def types(self) -> list[TypeRow]:
        """Return all types by name."""
        with self._reading() as connection:
            return catalogue.list_types(connection)

    def create_type(self, name: str, **settings: Any) -> TypeRow:
        """Create a type; see ``CampaignType`` for the settings and their defaults.

        Raises:
            UsageError: Name or settings are not accepted, or there is one already.
        """
        with self._changing() as session:
            return catalogue.create_type(session, name, settings)

    def change_type(self, name: str, **settings: Any) -> list[LoggedChange]:
        """Change settings of a type; ``active=False`` switches it off at once. Return what changed.

        Raises:
            UsageError: There is no such type, or a setting is not accepted.
        """
        with self._changing() as session:
            return catalogue.change_type(session, name, settings)

    def instances(self) -> list[InstanceCounts]:
        """Return all instances by id, with their counts."""
        with self._reading() as connection:
            return achievements.count_instances(connection)

    def create_instance(self, campaign_type: str, instance_name: str, **settings: Any) -> InstanceRow:
        """Create an instance; see ``CampaignInstance`` for the settings and their defaults.

        Raises:
            UsageError: A name or a setting is not accepted, there is no such type, or the instance is there
                already.
        """
        with self._changing() as session:
            return catalogue.create_instance(session, campaign_type, instance_name, settings)

    def change_instance(self, instance: str, **settings: Any) -> list[LoggedChange]:
        """Change settings of an instance; of ``metadata`` the keys that are given. Return what changed.

        Raises:
            UsageError: There is no such instance, or a setting is not accepted.
        """
        with self._changing() as session:
            return catalogue.change_instance(session, instance, settings)

    def end_instance(self, instance: str, on: date) -> list[LoggedChange]:
        """Let an instance end on a date, its last day. Return what changed.

        Raises:
            UsageError: There is no such instance, or it begins later.
        """
        return self.change_instance(instance, active_end_date=on)

    def stop_instance(self, instance: str) -> list[LoggedChange]:
        """Stop an instance at once: from this moment on, none of its emails is due. Return what changed.

        Raises:
            UsageError: There is no such instance.
        """
        return self.change_instance(instance, active=False)

    def start_instance(self, instance: str) -> list[LoggedChange]:
        """Let an instance that was stopped go on. Return what changed.

        Raises:
            UsageError: There is no such instance.
        """
        return self.change_instance(instance, active=True)

    def target(
        self,
        instance: str,
        selection: Selection,
        *,
        trigger_date: date | None = None,
        again: bool = False,
        skip_bad: bool = False,
    ) -> TargetResult:
        """Make contacts targets of an instance; see ``targets.target``.

        Raises:
            BadLinesError: Some lines cannot be taken; nothing was changed.
            UsageError: The instance or the selection is not known.
        """
        with connected(self.url, self.config, is_bulky=True) as connection:
            return targeting.target(
                connection,
                instance,
                selection,
                self.changed_by,
                trigger_date=trigger_date,
                again=again,
                skip_bad=skip_bad,
            )

    def withdraw(self, instance: str, selection: Selection, *, skip_bad: bool = False) -> TargetResult:
        """Keep contacts out of an instance; see ``targets.withdraw``.

        Raises:
            BadLinesError: Some lines cannot be taken; nothing was changed.
            UsageError: The instance or the selection is not known.
        """
        with connected(self.url, self.config, is_bulky=True) as connection:
            return targeting.withdraw(connection, instance, selection, self.changed_by, skip_bad=skip_bad)

    def show(self, instance: str) -> InstanceReport:
        """Return what an instance has in store and what it has achieved.

        Raises:
            UsageError: There is no such instance.
        """
        with self._reading() as connection:
            return achievements.report_instance(connection, instance)

    def changes(self, *, limit: int = 50, instance: str | None = None) -> list[LogRow]:
        """Return the latest changes, the latest first.

        Raises:
            UsageError: There is no such instance.
        """
        with self._reading() as connection:
            return achievements.list_changes(connection, limit=limit, reference=instance)

    def write_targets(self, instance: str, output: Output) -> int:
        """Write the listed contacts of an instance to a CSV file; return how many.

        Raises:
            UsageError: There is no such instance, or the file cannot be written.
        """
        with self._reading() as connection:
            rows = achievements.target_rows(connection, instance)
            with private_output(output) as file:
                return write_csv(file, (CONTACT_ID, TRIGGER_DATE, "status", "metadata"), rows)

    def preview(
        self,
        instance: str | NewInstance,
        as_of: date,
        *,
        selection: Selection | None = None,
        trigger_date: date | None = None,
    ) -> CampaignPreview:
        """Return what an instance will do, and to which other emails; see ``preview.preview_instance``.

        Raises:
            BadLinesError: Some lines of the selection cannot be taken.
            UsageError: Instance or selection is not known, or a setting is not accepted.
        """
        return preview_instance(
            self.url, self.config, instance, as_of, selection=selection, trigger_date=trigger_date
        )

    def sync(self, *, dry_run: bool = False) -> SyncResult:
        """Bring types and instances to what the configuration says.

        Args:
            dry_run: Return what would change; change nothing.

        Raises:
            UsageError: Something of the configuration does not fit the database; nothing was changed.
        """
        with changing(self.url, self.config, self.changed_by, is_dry_run=dry_run) as session:
            return sync(session, self.config)

    def _reading(self) -> AbstractContextManager[Connection]:
        return connected(self.url, self.config)

    def _changing(self) -> AbstractContextManager[Session]:
        return changing(self.url, self.config, self.changed_by)
