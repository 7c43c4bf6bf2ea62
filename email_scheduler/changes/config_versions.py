"""Versions of the configuration: what they are, how they differ, and bringing an older one back."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from email_scheduler.clock import TIME_ZONE
from email_scheduler.config import (
    FOR_ALL,
    NOT_THERE,
    ORGANIZATIONS_FILE,
    SPREAD_SECTIONS,
    KeyDifference,
    Organization,
    SchedulerConfig,
    config_of,
    differences,
    files_of_keys,
    load_config,
    load_organizations,
    organization_config,
    plain,
    scheduler_files,
    with_value,
)
from email_scheduler.database import (
    ConfigVersion,
    connect,
    database_errors,
    display_url,
    read_config_versions,
    record_config_version,
    timestamp,
    utc_now,
)
from email_scheduler.errors import ConfigurationError, UsageError

_WHERE_SECTIONS_GO = "scheduler.yaml"


@dataclass(frozen=True)
class Rollback:
    """What bringing a version back writes.

    Attributes:
        config: The configuration of the version.
        texts: The new text of each file that changes.
        changes: What changes, key by key, from what the files say now.
        left_alone: Keys that count for all organisations and that one alone cannot bring back.
    """

    config: SchedulerConfig
    texts: dict[Path, str]
    changes: list[KeyDifference]
    left_alone: list[KeyDifference]


def find_version(url: str, config: SchedulerConfig, number: int) -> ConfigVersion:
    """Return a version by its number.

    Raises:
        UsageError: There is none of this number.
    """
    versions = read_config_versions(url, config)
    for version in versions:
        if version.id == number:
            return version
    known = ", ".join(str(each.id) for each in versions[:10]) or "none so far: a plan records the first one"
    raise UsageError(
        f"database {display_url(url)}: no version {number} of the configuration; there are {known}"
    )


def config_of_version(version: ConfigVersion) -> SchedulerConfig:
    """Return the configuration that a version holds.

    Raises:
        ConfigurationError: This program does not accept it any more.
    """
    return config_of(version.document, f"version {version.id}")


def prepare_rollback(
    version: ConfigVersion, path: Path | None, organization: Organization | None
) -> Rollback:
    """Return what has to be written so that a version counts again; nothing is written.

    For one organisation its overrides change, in ``organizations.yaml``: the other files count for others,
    too. Without one the files of the configuration change: a key is written where its section is.

    Args:
        version: The version.
        path: The configuration: a file, or a directory of files.
        organization: The organisation; None: the database was named, and no overrides count.

    Raises:
        UsageError: There are no files, or overrides cannot bring the version back.
        ConfigurationError: The files, or the version, are not accepted.
    """
    if path is None:
        raise UsageError("there is no configuration to write to: --config PATH names it")
    wanted = config_of_version(version)
    present = load_config(path) if organization is None else organization_config(path, organization)
    changes = list(differences(present.document(), wanted.document()))
    left_alone = [each for each in changes if organization is not None and each.key[0] in FOR_ALL]
    changes = [each for each in changes if each not in left_alone]
    if not changes:
        return Rollback(wanted, {}, [], left_alone)
    if organization is None:
        texts = _texts_of_sections(path, wanted, changes)
    else:
        texts = _text_of_overrides(path, organization, wanted, changes)
    _prove(path, organization, texts, wanted)
    return Rollback(wanted, texts, changes, left_alone)


def roll_back(
    url: str, config: SchedulerConfig, rollback: Rollback, *, rolled_back_by: str, now: datetime | None = None
) -> list[Path]:
    """Write the files of a rollback, keep what they held, and record the version.

    Returns:
        The copies of the files as they were, beside them.

    Raises:
        ConfigurationError: A file cannot be written.
        DatabaseError: The version cannot be recorded; the files are written.
    """
    stamp = (now or datetime.now(TIME_ZONE)).strftime("%Y%m%d-%H%M%S")
    copies = []
    for file, text in rollback.texts.items():
        # not a name that is read as a configuration
        copy, part = (file.with_name(f"{file.name}.{end}") for end in (f"before-{stamp}", "part"))
        try:
            shutil.copy2(file, copy)
            part.write_text(text, encoding="utf-8")
            shutil.copymode(file, part)
            part.replace(file)
        except OSError as error:
            raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error
        copies.append(copy)
    with database_errors(url), connect(url, config) as connection, connection.transaction():
        record_config_version(connection, rollback.config, timestamp(utc_now()), rolled_back_by)
    return copies


def _texts_of_sections(path: Path, wanted: SchedulerConfig, changes: list[KeyDifference]) -> dict[Path, str]:
    """Return the new text of each file: key by key, and whole sections where keys come or go."""
    written, files = files_of_keys(path), scheduler_files(path)
    default = next((file for file in files if file.name == _WHERE_SECTIONS_GO), files[0])
    values = wanted.model_dump()
    whole = {
        each.key[0]
        for each in changes
        if each.key[:1] not in written or NOT_THERE in (each.before, each.after)
    }
    keys = {each.key[:1] if each.key[0] in whole else each.key for each in changes}
    texts: dict[Path, str] = {}
    for key in sorted(keys):
        value = _value_at(values, key)
        if key[0] == "campaign_instances":
            value = _without_blanks(value)
        for file, share in _shares(written, key, value, default).items():
            text = texts.get(file) or file.read_text(encoding="utf-8-sig")
            texts[file] = with_value(text, key, share)
    return texts


def _shares(
    written: Mapping[tuple[str, ...], Path], key: tuple[str, ...], value: Any, default: Path
) -> dict[Path, Any]:
    """Return what each file is to say of a key: what no file says yet goes where the section begins."""
    first = written.get(key[:1], default)
    levels = SPREAD_SECTIONS.get(key[0], 0)
    if len(key) > levels:
        return {written.get(key[: levels + 1], first): value}
    shares: dict[Path, Any] = {file: {} for place, file in written.items() if place[: len(key)] == key}
    shares.setdefault(first, {})
    for name in _entries(value, levels + 1 - len(key)):
        _put(shares[written.get((*key, *name), first)], name, _value_at(value, name))
    return shares


def _entries(value: Any, levels: int) -> list[tuple[str, ...]]:
    """Return the paths of what stands so many levels down in a mapping, or ends before."""
    if not isinstance(value, Mapping):
        return [()]
    if levels == 1:
        return [(name,) for name in value]
    return [(name, *path) for name, inner in value.items() for path in _entries(inner, levels - 1)]


def _text_of_overrides(
    path: Path, organization: Organization, wanted: SchedulerConfig, changes: list[KeyDifference]
) -> dict[Path, str]:
    # what is overridden now and has to be different may simply be what the files say
    overrides = _without(organization.overrides, [each.key for each in changes])
    bare = organization_config(path, _with_overrides(organization, overrides))
    values = wanted.model_dump()
    for each in differences(bare.document(), wanted.document()):
        # what the version does not have, no override takes away: that is found out when it is proved
        if each.key[0] not in FOR_ALL and each.after != NOT_THERE:
            _put(overrides, each.key, _value_at(values, each.key))
    file = Path(organization.file)
    key = ("organizations", organization.name, "overrides")
    return {file: with_value(file.read_text(encoding="utf-8-sig"), key, overrides)}


def _prove(
    path: Path, organization: Organization | None, texts: Mapping[Path, str], wanted: SchedulerConfig
) -> None:
    """Read the new files as they will be; raise a ``UsageError`` unless they say what the version says."""
    with TemporaryDirectory(prefix="email-scheduler-") as place:
        trial = Path(place)
        files = scheduler_files(path)
        for file in files:
            (trial / file.name).write_text(
                texts.get(file) or file.read_text(encoding="utf-8-sig"), encoding="utf-8"
            )
        source = trial if path.is_dir() else trial / path.name
        if organization is None:
            found = load_config(source)
        else:
            (trial / ORGANIZATIONS_FILE).write_text(texts[Path(organization.file)], encoding="utf-8")
            found = organization_config(
                source, load_organizations(trial / ORGANIZATIONS_FILE)[organization.name]
            )
    kept = [
        each
        for each in differences(found.document(), wanted.document())
        if organization is None or each.key[0] not in FOR_ALL
    ]
    if kept:
        names = ", ".join(each.path for each in kept)
        raise UsageError(
            f"the overrides of an organisation cannot take back what the other files say: {names}; change"
            " those files by hand, or bring the version back for all with --database and --config"
        )


def _with_overrides(organization: Organization, overrides: Mapping[str, Any]) -> Organization:
    return Organization(organization.name, organization.file, database="sqlite:///none", overrides=overrides)


def _without(values: Mapping[str, Any], keys: list[tuple[str, ...]]) -> dict[str, Any]:
    """Return a mapping without some keys; mappings that become empty go, too."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if (name,) in keys:
            continue
        inner = [key[1:] for key in keys if key[0] == name and len(key) > 1]
        kept = _without(value, inner) if isinstance(value, Mapping) and inner else value
        # a list or a number in the place of which the version has keys
        if inner and not isinstance(value, Mapping):
            continue
        if kept != {} or value == {}:
            result[name] = kept
    return result


def _put(values: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    for part in key[:-1]:
        if not isinstance(values.get(part), dict):
            values[part] = {}
        values = values[part]
    values[key[-1]] = plain(value)


def _value_at(values: Any, key: tuple[str, ...]) -> Any:
    for part in key:
        if not isinstance(values, Mapping) or part not in values:
            return None
        values = values[part]
    return values


def _without_blanks(value: Any) -> Any:
    """Leave keys without a value out: what a campaign does not say stays as the database has it."""
    if isinstance(value, Mapping):
        return {key: _without_blanks(item) for key, item in value.items() if item is not None}
    return value
