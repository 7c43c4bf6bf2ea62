"""The organisations: each with its own database, and its own overrides of the configuration."""

import os
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import parse_qs, unquote

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from email_scheduler.config.database_urls import url_problem
from email_scheduler.config.problems import Problem
from email_scheduler.config.setting_types import Section, name_like, refusal
from email_scheduler.errors import ConfigurationError

_ACCEPTED_URL = "a database URL, such as sqlite:///data/sample.db or postgresql+psycopg://user@host/name"
_DATABASE_URL = re.compile(r"(sqlite(\+pysqlite)?|postgresql\+psycopg)://\S*")
_SQLITE_URL: Final = re.compile(r"sqlite(\+pysqlite)?:///(?P<file>[^?]+)(\?.*)?")
# as SQLAlchemy cuts it: a password may hold anything but an at sign
_POSTGRESQL_URL: Final = re.compile(
    r"postgresql\+psycopg://([^:/]*(:[^@]*)?@)?(\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?(:(?P<port>[^/?]*))?"
    r"(/(?P<name>[^?]*))?(\?(?P<query>.*))?"
)
_POSTGRESQL_PORT: Final = "5432"
_THIS_MACHINE: Final = "localhost"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def is_organization_name(text: str) -> bool:
    """Tell whether a text may be the name of an organisation, which is also a partition and a directory."""
    return bool(_NAME.fullmatch(text))


@dataclass(frozen=True)
class Organization:
    """One tenant.

    Attributes:
        name: Letters, digits, ``_`` and ``-``; also its partition.
        file: The file that describes it, for messages.
        database: The URL of its database, if the file holds it.
        database_env: The environment variable that holds the URL otherwise.
        replica: The URL of a copy of the database that plans are made from, if the file holds one.
        replica_env: The environment variable that holds that URL otherwise, if there is a copy.
        overrides: Keys of the scheduler configuration with this organisation's values, as written.
    """

    name: str
    file: str
    database: str | None = field(default=None, repr=False)
    database_env: str | None = None
    replica: str | None = field(default=None, repr=False)
    replica_env: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def database_url(self) -> str:
        """Return the URL of the organisation's database.

        Raises:
            ConfigurationError: It is no URL of a database, or the environment variable that should hold it is
                missing.
        """
        if self.database is not None:
            return self._accepted("database", self.database)
        return self._url_of("database_env", str(self.database_env))

    def replica_url(self) -> str | None:
        """Return the URL of the copy that plans are made from; None: they are made from the database itself.

        Raises:
            ConfigurationError: As ``database_url``.
        """
        if self.replica is not None:
            return self._accepted("replica", self.replica)
        return None if self.replica_env is None else self._url_of("replica_env", self.replica_env)

    def _url_of(self, option: str, variable: str) -> str:
        place = f"{option}: environment variable {variable}"
        url = os.environ.get(variable)
        if not url:
            raise ConfigurationError(
                f"{self.file}: organizations.{self.name}.{place} is not set: accepted is {_ACCEPTED_URL}"
            )
        return self._accepted(place, url)

    def _accepted(self, place: str, url: str) -> str:
        problem = url_problem(url)
        if problem is not None or not _DATABASE_URL.fullmatch(url):
            why = "" if problem is None else f" {problem}:"
            raise ConfigurationError(
                f"{self.file}: organizations.{self.name}.{place}: value (not shown):{why} accepted is"
                f" {_ACCEPTED_URL}"
            )
        return url


def shared_databases(organizations: Iterable[Organization]) -> Iterator[Problem]:
    """Yield a problem for each database that is one of two organisations, the copies of them included.

    What counts is what the URLs mean: the file, or the server and the database, whoever the user is and by
    whichever driver. A variable that is not set, or holds no URL, says nothing; host names are not looked up.
    """
    owners: dict[Hashable, tuple[str, str]] = {}
    for each in organizations:
        for option, url in _urls(each):
            for place, called in _places(url).items():
                name, other = owners.setdefault(place, (each.name, option))
                if name != each.name:
                    text = (
                        f"means the {called}, as organizations.{name}.{other} does: accepted is a database of"
                        " its own for each organisation"
                    )
                    yield Problem(each.file, ("organizations", each.name, option), text)


def _urls(organization: Organization) -> Iterator[tuple[str, str]]:
    for option in ("database", "replica"):
        url, variable = getattr(organization, option), getattr(organization, f"{option}_env")
        if url is not None:
            yield option, url
        elif variable is not None:
            yield f"{option}_env", os.environ.get(variable, "")


def _places(url: str) -> dict[Hashable, str]:
    """Return what a URL means, and what that is called; nothing if it does not say."""
    if url_problem(url) is not None:
        return {}
    if found := _SQLITE_URL.fullmatch(url):
        return _file(unquote(found["file"]))
    if found := _POSTGRESQL_URL.fullmatch(url):
        query = {name: ",".join(values) for name, values in parse_qs(found["query"] or "").items()}
        host = found["ipv6"] or found["host"]
        if host is None and "service" in query:
            host = f"service {query['service']}"
        hosts = query.get("hostaddr") or query.get("host") or host or os.environ.get("PGHOST") or ""
        ports = query.get("port") or found["port"] or os.environ.get("PGPORT") or _POSTGRESQL_PORT
        return _servers(
            hosts.split(","), ports.split(","), query.get("dbname") or unquote(found["name"] or "")
        )
    return {}


def _file(name: str) -> dict[Hashable, str]:
    if name == ":memory:" or name.startswith("file:"):
        return {}
    try:
        path = Path(name).expanduser().resolve()
    except (OSError, RuntimeError, ValueError):
        # whoever opens it says why
        return {}
    try:
        # looking at a file does not open it, which would take SQLite's locks away
        found = path.stat()
    except OSError:
        return {str(path): f"file {path}"}
    return {(found.st_dev, found.st_ino): f"file {path}"}


def _servers(hosts: list[str], ports: list[str], name: str) -> dict[Hashable, str]:
    ports = ports * len(hosts) if len(ports) == 1 else ports
    places: dict[Hashable, str] = {}
    for host, port in zip(map(_host, hosts), ports, strict=False):
        number = int(port) if port.isdecimal() else port or _POSTGRESQL_PORT
        places[host, str(number), name] = f"database {name} of the server {host}:{number}"
    return places


def _host(text: str) -> str:
    """Return a host by the name that it has here; the names and sockets of this machine are one."""
    name = unquote(text).strip().strip("[]").rstrip(".").lower()
    if name in {"", _THIS_MACHINE} or name.startswith(("/", "@")):
        return _THIS_MACHINE
    try:
        address = ip_address(name)
    except ValueError:
        return name
    address = getattr(address, "ipv4_mapped", None) or address
    return _THIS_MACHINE if address.is_loopback or address.is_unspecified else str(address)


def _database_url(value: object) -> str:
    if not isinstance(value, str) or not _DATABASE_URL.fullmatch(value):
        raise refusal(_ACCEPTED_URL, is_secret=True)
    return value


# Sections that count for all organisations, so that none has them among its overrides.
FOR_ALL: Final = frozenset({"orchestration", "alerts", "reporting"})


def _overrides(value: object) -> object:
    if isinstance(value, Mapping) and not FOR_ALL.isdisjoint(value):
        raise refusal(
            "keys that may differ between organisations: orchestration, alerts and reporting count for all of"
            " them"
        )
    return value


class OrganizationEntry(Section):
    """What the file says about one organisation."""

    database: Annotated[str, PlainValidator(_database_url)] | None = Field(
        default=None,
        repr=False,
        description="the organisation's database: `sqlite:///PATH`, with four slashes before an absolute"
        " path, or `postgresql+psycopg://USER@HOST/DATABASE`"
        " ([database.md](database.md#on-postgresql))",
    )
    database_env: Annotated[str, name_like(_VARIABLE, "the name of an environment variable")] | None = Field(
        default=None, description="the variable that holds the URL. Use it where the URL holds a password"
    )
    replica: Annotated[str, PlainValidator(_database_url)] | None = Field(
        default=None,
        repr=False,
        description="a copy of the database, such as a standby server, that plans are made from; the plan"
        " itself is compared with, and written to, the database. A copy may lag behind: what the"
        " sending system has taken since is found in the database and never planned again, but a"
        " corrected date counts only once the copy has it",
    )
    replica_env: Annotated[str, name_like(_VARIABLE, "the name of an environment variable")] | None = Field(
        default=None, description="the variable that holds the URL of the copy"
    )
    overrides: Annotated[dict[str, Any], BeforeValidator(_overrides)] = Field(
        default_factory=dict,
        description="this organisation's own values: any keys of this page, except the sections"
        " `orchestration`, `alerts` and `reporting`",
    )

    @model_validator(mode="after")
    def _says_where_the_database_is(self) -> Self:
        if (self.database is None) == (self.database_env is None):
            raise refusal("either database or database_env, one of the two", is_secret=True)
        if self.replica is not None and self.replica_env is not None:
            raise refusal("replica or replica_env, not both", is_secret=True)
        return self


class OrganizationsFile(Section):
    """The whole file."""

    organizations: dict[
        Annotated[
            str,
            name_like(
                _NAME, "a name of at most 63 lower-case letters, digits, '_' and '-', not beginning with '_'"
            ),
        ],
        OrganizationEntry,
    ] = Field(default_factory=dict, description="all organisations")
