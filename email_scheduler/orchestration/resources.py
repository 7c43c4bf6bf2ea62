"""What the assets need from outside: the organisations, their databases and their configuration."""

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from email_scheduler.config.loader import load_config, load_organizations, organization_config
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import ConfigurationError


@dataclass(frozen=True)
class OrganizationSettings:
    """How one organisation is planned for.

    Attributes:
        name: The organisation.
        url: Its database.
        replica: The copy of it that plans are made from; None: there is none.
        config: Its configuration, with its own overrides.
    """

    name: str
    url: str
    replica: str | None
    config: SchedulerConfig


class SchedulerResource(dg.ConfigurableResource[None]):
    """Reads the configuration anew for each step, so that an edited file counts from the next run on."""

    config_directory: str

    def shared_config(self) -> SchedulerConfig:
        """Return the configuration that counts for all organisations.

        Raises:
            ConfigurationError: It is not accepted.
        """
        return load_config(Path(self.config_directory))

    def organization(self, name: str) -> OrganizationSettings:
        """Return the settings of an organisation.

        Raises:
            ConfigurationError: The configuration is not accepted, or there is no such organisation.
        """
        directory = Path(self.config_directory)
        organizations = load_organizations(directory)
        if name not in organizations:
            known = ", ".join(organizations)
            raise ConfigurationError(
                f"{directory}/organizations.yaml: no organisation {name}; there are {known}"
            )
        found = organizations[name]
        config = organization_config(directory, found)
        return OrganizationSettings(name, found.database_url(), found.replica_url(), config)
