"""The sections ``health``, ``alerts`` and ``reporting``: what is healthy, who is told, what is shown."""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, model_validator

from email_scheduler.config.setting_types import (
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

WEB_ADDRESS: Final = "a URL that begins with https:// or http://"

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
    """What makes an organisation degraded or unhealthy (``email-scheduler health``)."""

    plan_age_hours: Limits = Field(
        default=_limits("26", "50"), description="hours since the last plan was published"
    )
    failed_plans: Limits = Field(default=_limits("1", "3"), description="runs that failed since then")
    untaken_emails: Limits = Field(
        default=_limits("1", "1000"),
        description="due emails that the sending system has not taken although their time is over",
    )
    untaken_after_hours: Hours = Field(
        default=4,
        description="hours after its send time until an email of today counts as not taken, and after the"
        " plan that brought it",
    )
    stuck_emails: Limits = Field(
        default=_limits("1", "100"),
        description="emails that the sending system has claimed and not brought to an end",
    )
    stuck_after_hours: Hours = Field(
        default=2, description="hours after which a row in `processing` counts as stuck"
    )
    error_share: Limits = Field(
        default=_limits("0.05", "0.20"),
        description="share of failed emails among those sent, delivered or failed in the last 24 hours",
    )
    error_share_least_emails: Annotated[int, whole_number(1)] = Field(
        default=20, description="with fewer outcomes than this in 24 hours, `error_share` does not count"
    )
    backlog_days: Limits = Field(
        default=_limits("7", "30"), description="late emails that are still planned, in days of the daily cap"
    )
    invalid_contact_share: Limits = Field(
        default=_limits("0.20", "0.50"), description="share of contacts that are not valid"
    )
    without_contact_share: Limits = Field(
        default=_limits("0.01", None),
        description="share of the suppressions that name no contact, and share of such rows of the sending"
        " system. Where contacts are deleted on purpose, raise it, or set it to `{degraded: null}`",
    )
    window_share: Limits = Field(
        default=_limits("0.90", None), description="share of the plan's emails that an exclusion window stops"
    )
    peak_to_cap: Limits = Field(
        default=_limits("1.3", None),
        description="the fullest of the 30 days ahead, as a multiple of the daily cap",
    )
    disk_used_share: Limits = Field(
        default=_limits("0.90", "0.97"),
        description="share of the disk that is in use: that of the database, and that of the frames",
    )
    wal_megabytes: Limits = Field(
        default=_limits("2048", None), description="size of SQLite's write-ahead log in megabytes"
    )

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


def is_web_address(text: str) -> bool:
    """Tell whether a text is the address of something on the web."""
    if not text.isascii() or not text.isprintable() or not re.fullmatch(r"https?://\S+", text):
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _web_address(value: object) -> str:
    if not isinstance(value, str) or not is_web_address(value):
        # such an address may hold a token, so that no message shows it
        raise refusal(WEB_ADDRESS, is_secret=True)
    return value


Address = Annotated[str, PlainValidator(_address)]
WebAddress = Annotated[str, PlainValidator(_web_address)]


class Reporting(Section):
    """The charts of each plan in Dagster, and its report page. It counts for all organisations alike."""

    enabled: Flag = Field(
        default=True,
        description="`false`: no charts are drawn and no pages are written. `email-scheduler report` works"
        " all the same",
    )
    directory: DirectoryPath = Field(
        default=Path("data/reports"),
        description="where pages are written: `<organisation>/<date>.html`, each its owner's alone",
    )
    url: WebAddress | None = Field(
        default=None,
        description="where a web server shows that directory: Dagster then links the page. `null`: it names"
        " the file. The file that comes with the program holds the address at which `make ui`"
        " shows the pages; [deployment.md](deployment.md#the-ui-behind-a-proxy-with-login) says"
        " how a server does",
    )
    retention_days: PositiveDays = Field(default=90, description="days that a page is kept")


class AlertEmail(Section):
    """The mail server that alerts go through, and whom they go to; without ``smtp_host`` none do."""

    smtp_host: Annotated[str, name_like(_HOST, "the name or address of a mail server")] | None = Field(
        default=None, description="the mail server. `null`: nothing is sent"
    )
    smtp_port: Annotated[int, whole_number(1, 65_535)] = Field(default=587, description="its port")
    starttls: Flag = Field(
        default=True, description="encrypt the connection. Without it there is no `username`"
    )
    username: Text | None = Field(default=None, description="whom to log in as")
    password_env: VariableName | None = Field(
        default=None,
        description="the variable that holds the password, of the process that runs the code location. Goes"
        " with `username`",
    )
    sender: Address | None = Field(
        default=None, description="whom the message is from. Goes with `smtp_host`"
    )
    recipients: Annotated[tuple[Address, ...], list_of("email addresses")] = Field(
        default=(), description="whom it goes to. Goes with `smtp_host`"
    )

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
    """Where alerts are posted as JSON; with neither of the two they are not."""

    url: WebAddress | None = Field(default=None, repr=False, description="where alerts are posted as JSON")
    url_env: VariableName | None = Field(
        default=None,
        description="the variable that holds the URL instead. Use it where the URL holds a token, since the"
        " configuration is also kept in `config_versions`",
    )

    @model_validator(mode="after")
    def _says_one_of_them(self) -> Self:
        if self.url is not None and self.url_env is not None:
            raise refusal("url or url_env, not both", is_secret=True)
        return self


class Alerts(Section):
    """Who is told about failed runs, failed checks, missed plans and unhealthy organisations.

    It counts for all organisations alike, so that none can override it.
    """

    plan_deadline: DayTime = Field(
        default="09:30",
        description="when the plan of the day has to be there, US Central time. It is also the freshness"
        " policy of `email_schedules`",
    )
    include_warnings: Flag = Field(
        default=True, description="`false`: a failed check that is a warning is not told"
    )
    ui_url: WebAddress | None = Field(
        default=None,
        description="where Dagster's UI is, such as `https://planner.example.com`: alerts then have a link to"
        " the run",
    )
    email: AlertEmail = AlertEmail()
    webhook: AlertWebhook = AlertWebhook()
