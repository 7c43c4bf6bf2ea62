"""The organisations: each with its own database, and its own overrides of the configuration."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from email_scheduler.config.setting_types import Section, name_like, refusal
from email_scheduler.errors import ConfigurationError

_ACCEPTED_URL = "a database URL, such as sqlite:///data/sample.db or postgresql+psycopg://user@host/name"
_DATABASE_URL = re.compile(r"(sqlite(\+pysqlite)?|postgresql\+psycopg)://\S*")
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
            ConfigurationError: The environment variable that should hold it is missing or holds no such URL.
        """
        return self.database or self._url_of("database_env", str(self.database_env))

    def replica_url(self) -> str | None:
        """Return the URL of the copy that plans are made from; None: they are made from the database itself.

        Raises:
            ConfigurationError: As ``database_url``.
        """
        if self.replica is not None or self.replica_env is None:
            return self.replica
        return self._url_of("replica_env", self.replica_env)

    def _url_of(self, option: str, variable: str) -> str:
        key = f"{self.file}: organizations.{self.name}.{option}: environment variable {variable}"
        url = os.environ.get(variable)
        if not url:
            raise ConfigurationError(f"{key} is not set: accepted is {_ACCEPTED_URL}")
        if not _DATABASE_URL.fullmatch(url):
            raise ConfigurationError(f"{key}: value (not shown): accepted is {_ACCEPTED_URL}")
        return url


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
