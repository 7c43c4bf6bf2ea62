"""What an organisation may set, and how it is read."""

from email_scheduler.config.loader import load_config, load_organizations, organization_config
from email_scheduler.config.organizations import Organization
from email_scheduler.config.schema import SchedulerConfig

__all__ = ["Organization", "SchedulerConfig", "load_config", "load_organizations", "organization_config"]
