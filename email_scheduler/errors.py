"""Every error that this package raises on purpose.

::

    EmailSchedulerError
    ├── UsageError                 the caller can mend it: arguments, configuration, database (exit code 2)
    │   ├── ConfigurationError     a configuration file or key
    │   └── DatabaseError          a database that cannot be opened, is not initialised, or is too new
    ├── DeliveryError              an alert could not be handed over; it is tried again (exit code 1)
    └── PlanningError              the plan was not made or not published (exit code 1)
        ├── InputDataError         a table holds something that no plan can be made from
        ├── ComplianceError        the proof found violations; nothing was published
        ├── LossError              the plan loses too much and waits for a person (exit code 3)
        ├── StalePlanError         a newer plan has been published already
        ├── BackupError            a backup that cannot be made, is damaged, or cannot be restored
        └── PlannerLockedError     another planner holds the database, or took it over

A message names the thing, the value found and what is accepted. It never holds a name, an address or a
birth date of a contact.
"""


class EmailSchedulerError(Exception):
    """The root of the tree."""


class UsageError(EmailSchedulerError):
    """Something that the caller gave cannot be used."""


class ConfigurationError(UsageError):
    """A configuration file holds something that is not accepted."""


class DatabaseError(UsageError):
    """A database cannot be opened, is not initialised, or has an unknown schema version."""


class DeliveryError(EmailSchedulerError):
    """An alert could not be handed to a mail server or a webhook."""


class PlanningError(EmailSchedulerError):
    """The plan was not made or not published."""


class InputDataError(PlanningError):
    """A table of the organisation holds something that no plan can be made from."""


class ComplianceError(PlanningError):
    """The proof found violations in a plan, so that nothing was published."""


class LossError(PlanningError):
    """Too much would be lost, by a plan or by a load of contacts: a person is to decide (exit code 3)."""


class StalePlanError(PlanningError):
    """The plan is older than the one that was published last."""


class BackupError(PlanningError):
    """A backup cannot be made, is damaged, or cannot be restored."""


class BackupUnavailableError(BackupError):
    """The program that makes backups of this kind of database is not installed."""


class PlannerLockedError(PlanningError):
    """Another planner holds the database, or has taken it over in the meantime."""
