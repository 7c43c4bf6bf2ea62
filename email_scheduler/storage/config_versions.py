"""Every configuration that a plan was published with, or that was brought back, in ``config_versions``."""

import getpass
import json
from dataclasses import dataclass
from typing import Any, Final

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.storage.connection import Connection, Row
from email_scheduler.storage.engine import connect
from email_scheduler.storage.faults import database_errors

CONFIG_TYPE: Final = "scheduler"

_VERSIONS_SQL: Final = (
    "SELECT id, config_data, CAST(valid_from AS TEXT), CAST(valid_to AS TEXT), created_by"
    " FROM config_versions WHERE config_type = ?"
)


@dataclass(frozen=True)
class ConfigVersion:
    """One row of ``config_versions``.

    Attributes:
        id: Its number.
        document: The configuration, as ``SchedulerConfig.document`` returns it.
        valid_from, valid_to: When it counted, ISO 8601; the second is None while it does.
        created_by: Who planned with it first, or brought it back.
    """

    id: int
    document: dict[str, Any]
    valid_from: str
    valid_to: str | None
    created_by: str | None


def record_config_version(
    connection: Connection, config: SchedulerConfig, now: str, created_by: str | None = None
) -> int:
    """Return the id of the version that holds this configuration, within a transaction of the caller.

    The current version, the one without ``valid_to``, stays if its content is the same; otherwise it ends now
    and a new one begins. An older version with this content is not brought back, so that the versions tell
    what counted when.

    Args:
        connection: In a transaction.
        config: The configuration.
        now: When it counts from.
        created_by: Who is on record; None: the operating system's user.
    """
    document = json.dumps(config.document(), sort_keys=True, ensure_ascii=False)
    current = connection.execute(
        "SELECT id, config_data FROM config_versions WHERE config_type = ? AND valid_to IS NULL "
        "ORDER BY id DESC LIMIT 1",
        (CONFIG_TYPE,),
    )
    if current and current[0][1] == document:
        return int(current[0][0])
    connection.execute(
        "UPDATE config_versions SET valid_to = ? WHERE config_type = ? AND valid_to IS NULL",
        (now, CONFIG_TYPE),
    )
    ((version_id,),) = connection.execute(
        "INSERT INTO config_versions (config_type, config_data, valid_from, created_at, created_by) "
        "VALUES (?, ?, ?, ?, ?) RETURNING id",
        (CONFIG_TYPE, document, now, now, created_by or _user()),
    )
    return int(version_id)


def read_config_versions(url: str, config: SchedulerConfig) -> list[ConfigVersion]:
    """Return all versions, the latest first.

    Raises:
        DatabaseError: The database cannot be read.
    """
    with database_errors(url), connect(url, config) as connection:
        rows = connection.execute(f"{_VERSIONS_SQL} ORDER BY id DESC", (CONFIG_TYPE,))
    return [_version(row) for row in rows]


def read_config_version(connection: Connection, number: int) -> ConfigVersion | None:
    """Return one version, None if it is not kept, within the transaction of ``connection``."""
    rows = connection.execute(f"{_VERSIONS_SQL} AND id = ?", (CONFIG_TYPE, number))
    return _version(rows[0]) if rows else None


def _version(row: Row) -> ConfigVersion:
    number, document, valid_from, valid_to, created_by = row
    return ConfigVersion(int(number), json.loads(document), valid_from or "", valid_to, created_by)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        # a container's process may run under a number that has no name
        return None
