"""Every configuration that a plan was published with, in ``config_versions``."""

import getpass
import json
from typing import Final

from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.storage.connection import Connection

CONFIG_TYPE: Final = "scheduler"


def record_config_version(connection: Connection, config: SchedulerConfig, now: str) -> int:
    """Return the id of the version that holds this configuration, within a transaction of the caller.

    The current version, the one without ``valid_to``, stays if its content is the same; otherwise it ends now
    and a new one begins. An older version with this content is not brought back, so that the versions tell
    what counted when.
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
        (CONFIG_TYPE, document, now, now, _user()),
    )
    return int(version_id)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        # a container's process may run under a number that has no name
        return None
