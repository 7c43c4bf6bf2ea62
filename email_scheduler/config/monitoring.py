"""The sections ``health``, ``alerts`` and ``reporting``: what is healthy, who is told, what is shown."""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, model_validator

from email_scheduler.config.values import (
    DayTime,
    DirectoryPath,
    Flag,
    PositiveDays,
    Section,
    Text,
    exact_number,
    list_of,
    name_like,
    refusal,
    whole_number,
)

_ADDRESS = re.compile(r"[^\s@<>,;\"]+@[^\s@<>,;\"]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

Measure = Annotated[Decimal, exact_number(0, 1_000_000_000)]
Hours = Annotated[int, whole_number(0, 24 * 366)]
VariableName = Annotated[str, name_like(_VARIABLE, "the name of an environment variable")]


class Limits(Section):
    """From which value on a figure is worth a warning, and from which one it is an incident.

    Attributes:
        degraded: At this value or above the organisation is degraded; None: never.
        unhealthy: At this value or above it is unhealthy; None: never.
    """

    degraded: Measure | None = None
    unhealthy: Measure | None = None

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        if self.degraded is not None and self.unhealthy is not None and self.degraded > self.unhealthy:
            raise refusal("degraded at most as large as unhealthy")
        return self


def _limits(degraded: str | None, unhealthy: str | None) -> Limits:
    return Limits(
        degraded=None if degraded is None else Decimal(degraded),
        unhealthy=None if unhealthy is None else Decimal(unhealthy),
    )


class Health(Section):
    """What makes an organisation degraded or unhealthy (``email-scheduler health``).

    Attributes:
        plan_age_hours: Hours since the last plan was published.
        failed_plans: Runs that failed since then.
        untaken_emails: Due emails that the sending system has not taken.
        untaken_after_hours: Hours after its send time until an email of today counts as not taken.
        stuck_emails: Emails that the sending system has claimed and not brought to an end.
        stuck_after_hours: Hours until an email in ``processing`` counts as stuck.
        error_share: Share of failed emails among those whose outcome was written in the last 24 hours.
        error_share_least_emails: With fewer outcomes than this the share says nothing.
        backlog_days: Late emails that are still planned, in days of the daily cap.
        invalid_contact_share: Share of contacts that are not valid.
        window_share: Share of the plan's emails that an exclusion window stops.
        peak_to_cap: The fullest day ahead, as a multiple of the daily cap.
        disk_used_share: Share of the disk of the database that is in use.
        wal_megabytes: Size of SQLite's write-ahead log.
    """

    plan_age_hours: Limits = _limits("26", "50")
    failed_plans: Limits = _limits("1", "3")
    untaken_emails: Limits = _limits("1", "1000")
    untaken_after_hours: Hours = 4
    stuck_emails: Limits = _limits("1", "100")
    stuck_after_hours: Hours = 2
    error_share: Limits = _limits("0.05", "0.20")
    error_share_least_emails: Annotated[int, whole_number(1)] = 20
    backlog_days: Limits = _limits("7", "30")
    invalid_contact_share: Limits = _limits("0.20", "0.50")
    window_share: Limits = _limits("0.90", None)
    peak_to_cap: Limits = _limits("1.3", None)
    disk_used_share: Limits = _limits("0.90", "0.97")
    wal_megabytes: Limits = _limits("2048", None)

    @model_validator(mode="before")
    @classmethod
    def _complete_limits(cls, data: object) -> object:
        """Give a limit that is left out the built-in value of its figure."""
        if not isinstance(data, Mapping):
            return data
        return {
            name: {**default.model_dump(), **value}
            if isinstance(value, Mapping) and isinstance(default := _default_of(cls, name), Limits)
            else value
            for name, value in data.items()
        }


def _default_of(model: type[Section], name: object) -> object:
    field = model.model_fields.get(str(name))
    return None if field is None else field.default


def _address(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or not _ADDRESS.fullmatch(value):
        raise refusal("an email address, such as planner@example.com", is_secret=True)
    return value


def _web_address(value: object) -> str:
    # such an address may hold a token, so that no message shows it
    accepted = "a URL that begins with https:// or http://"
    if not isinstance(value, str) or not value.isascii() or not re.fullmatch(r"https?://\S+", value):
        raise refusal(accepted, is_secret=True)
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        has_host = False
    if not has_host:
        raise refusal(accepted, is_secret=True)
    return value


Address = Annotated[str, PlainValidator(_address)]
WebAddress = Annotated[str, PlainValidator(_web_address)]


class Reporting(Section):
    """The charts of each plan in Dagster, and its report page. It counts for all organisations alike.

    Attributes:
        enabled: Charts are drawn and pages are written whenever Dagster publishes a plan.
        directory: Where pages are written: the organisation's name, and in it the date.
        url: Where a web server shows that directory, for links; None: metadata name the file.
        retention_days: Days that a page is kept.
    """

    enabled: Flag = True
    directory: DirectoryPath = Path("data/reports")
    url: WebAddress | None = None
    retention_days: PositiveDays = 90


class AlertEmail(Section):
    """The mail server that alerts go through, and whom they go to; without ``smtp_host`` none do.

    Attributes:
        smtp_host: The server.
        smtp_port: Its port.
        starttls: Encrypt the connection with STARTTLS.
        username: Whom to log in as; None: nobody.
        password_env: The environment variable that holds the password.
        sender: Whom the message is from.
        recipients: Whom it goes to.
    """

    smtp_host: Annotated[str, name_like(_HOST, "the name or address of a mail server")] | None = None
    smtp_port: Annotated[int, whole_number(1, 65_535)] = 587
    starttls: Flag = True
    username: Text | None = None
    password_env: VariableName | None = None
    sender: Address | None = None
    recipients: Annotated[tuple[Address, ...], list_of("email addresses")] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.smtp_host is not None and (self.sender is None or not self.recipients):
            raise refusal("sender and at least one of recipients beside smtp_host", is_secret=True)
        if (self.username is None) != (self.password_env is None):
            raise refusal("username and password_env, or neither of them", is_secret=True)
        if self.username is not None and not self.starttls:
            raise refusal("starttls: true beside username (no password in the clear)", is_secret=True)
        return self


class AlertWebhook(Section):
    """Where alerts are posted as JSON; with neither of the two they are not.

    Attributes:
        url: The address.
        url_env: The environment variable that holds the address otherwise, as where it holds a token.
    """

    url: WebAddress | None = Field(default=None, repr=False)
    url_env: VariableName | None = None

    @model_validator(mode="after")
    def _says_one_of_them(self) -> Self:
        if self.url is not None and self.url_env is not None:
            raise refusal("url or url_env, not both", is_secret=True)
        return self


class Alerts(Section):
    """Who is told about failed runs, failed checks, missed plans and unhealthy organisations.

    It counts for all organisations alike, so that none can override it.

    Attributes:
        plan_deadline: When the plan of the day has to be there, US Central, HH:MM.
        include_warnings: Tell about failed checks that are warnings, too.
        ui_url: Where Dagster's UI is, for links; None: no links.
    """

    plan_deadline: DayTime = "09:30"
    include_warnings: Flag = True
    ui_url: WebAddress | None = None
    email: AlertEmail = AlertEmail()
    webhook: AlertWebhook = AlertWebhook()
