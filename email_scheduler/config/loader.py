"""Reads the configuration: from a file, a directory of files, or a document; and compares two documents."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from email_scheduler.config.organizations import Organization, OrganizationsFile, shared_databases
from email_scheduler.config.problems import FileOfKey, Key, Problem, problems_of, refuse
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.config.setting_types import WithoutEffect
from email_scheduler.config.yaml_files import read_mapping
from email_scheduler.errors import ConfigurationError
from email_scheduler.files import CONFIGURATION_SUFFIXES

logger = logging.getLogger(__name__)
ORGANIZATIONS_FILE = "organizations.yaml"
_NOT_OF_THE_SCHEDULER = {"organizations", "dagster"}
# sections whose entries may stand in several files of a directory, and how many names lead to an entry
SPREAD_SECTIONS: Final[Mapping[str, int]] = {"campaign_types": 1, "campaign_instances": 2}
# sections that are taken as written: what they do not name is not there, whatever the defaults are
_TAKEN_AS_WRITTEN = {"state_rules", "campaign_types"}
# mappings whose entries replace each other as a whole
_REPLACED_WHOLE = {"birthday_windows", "effective_date_windows"}
NOT_THERE: Final = "(not there)"


__all__ = [
    "SPREAD_SECTIONS",
    "Organization",
    "files_of_keys",
    "ineffective_keys",
    "load_config",
    "load_organizations",
    "organization_config",
    "scheduler_files",
]


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> SchedulerConfig:
    """Return the configuration that the file, or the ``*.yaml`` files of the directory, hold.

    In a directory, ``organizations.yaml`` and ``dagster.yaml`` are not read, and a top-level key may stand in
    one file only. Campaign types and instances may be spread over several, each name in one of them. Keys
    that are in the files without having an effect are named in one warning.

    Args:
        path: File or directory; None: the defaults.
        overrides: Keys of the configuration whose values replace those of the files, key by key. Lists, and
            a state's windows, are replaced as a whole.

    Raises:
        ConfigurationError: Something is not accepted; one line for each problem, with file, key, value and
            what is accepted.
    """
    return _load(path, overrides or {}, "overrides", ())


def organization_config(path: Path | None, organization: Organization) -> SchedulerConfig:
    """Return the configuration of one organisation: that of ``path`` with the organisation's overrides.

    Raises:
        ConfigurationError: As for ``load_config``; what is wrong with an override names the file of the
            organisations.
    """
    key = ("organizations", organization.name, "overrides")
    return _load(path, organization.overrides, organization.file, key)


def load_organizations(path: Path) -> dict[str, Organization]:
    """Return the organisations by name, in the order of the file.

    Args:
        path: The file, or the directory that holds it as ``organizations.yaml``.

    Raises:
        ConfigurationError: Something is not accepted; one line for each problem.
    """
    file = path / ORGANIZATIONS_FILE if path.is_dir() else path
    raw, problems = read_mapping(file)
    try:
        entries = OrganizationsFile.model_validate(raw).organizations
    except ValidationError as error:
        problems += problems_of(error, OrganizationsFile, raw, lambda key: (str(file), key))
        entries = {}
    refuse(problems)
    found = {name: Organization(name, str(file), **dict(entry)) for name, entry in entries.items()}
    refuse(list(shared_databases(found.values())))
    return found


def files_of_keys(path: Path) -> dict[tuple[str, ...], Path]:
    """Return the file that holds each top-level key that is written, and each entry of ``SPREAD_SECTIONS``.

    A section that is spread over several files is where it stands first.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    return {tuple(map(str, key)): Path(file) for key, file in _read(path).files.items()}


def scheduler_files(path: Path) -> list[Path]:
    """Return the files of a configuration, in the order in which they are read.

    Raises:
        ConfigurationError: There is none.
    """
    return _files(path)


def ineffective_keys(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of a configuration, as written, that are accepted and change nothing.

    The value of each says what counts instead; it is empty where nothing does.
    """
    return dict(_ineffective(raw, SchedulerConfig, ""))


def _ineffective(raw: Mapping[str, Any], model: type[BaseModel], prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in raw.items():
        field = model.model_fields.get(key)
        if field is None:
            continue
        marks = [mark for mark in field.metadata if isinstance(mark, WithoutEffect)]
        section = field.annotation
        if marks:
            found.append((f"{prefix}{key}", marks[0].why))
        elif isinstance(value, Mapping) and isinstance(section, type) and issubclass(section, BaseModel):
            found += _ineffective(value, section, f"{prefix}{key}.")
    return found


@dataclass(frozen=True)
class _Written:
    """What the files hold: the keys, and the file of each top-level key and of each entry of a spread one."""

    raw: dict[str, Any]
    files: dict[Key, str]
    problems: list[Problem]

    def file_of(self, key: Key) -> str | None:
        """Return the file that holds a key; None if it is not written."""
        parts = (key[:length] for length in range(len(key), 0, -1))
        return next((self.files[part] for part in parts if part in self.files), None)

    def add(self, file: str, key: Key, value: Any, into: dict[str, Any], levels: int) -> None:
        """Take what a file says of a key into the mapping around it.

        Args:
            file: The file.
            key: The path of the key.
            value: What the file says.
            into: What files say so far of the mapping around the key.
            levels: How many levels below the key may be spread over several files.
        """
        name = str(key[-1])
        if levels and isinstance(value, Mapping) and isinstance(into.setdefault(name, {}), dict):
            self.files.setdefault(key, file)
            for inner, entry in value.items():
                self.add(file, (*key, inner), entry, into[name], levels - 1)
        elif name in into:
            text = f"stands in {self.file_of(key)} too: accepted is one of the two files"
            self.problems.append(Problem(file, key, text))
        else:
            into[name] = value
            self.files[key] = file


def _load(
    path: Path | None, overrides: Mapping[str, Any], overrides_file: str, prefix: Key
) -> SchedulerConfig:
    written = _read(path) if path is not None else _Written({}, {}, [])

    def file_of(key: Key) -> tuple[str, Key]:
        return written.file_of(key) or str(path), key

    def file_of_override(key: Key) -> tuple[str, Key]:
        return (overrides_file, (*prefix, *key)) if _holds(overrides, key) else file_of(key)

    config = _validated(written.raw, written.problems, file_of)
    if overrides:
        raw = _merged(written.raw, overrides, SchedulerConfig().model_dump())
        config = _validated(raw, [], file_of_override)
    source = overrides_file if path is None else str(path)
    _warn(source, {**ineffective_keys(written.raw), **ineffective_keys(overrides)})
    return config


def _validated(raw: dict[str, Any], problems: list[Problem], file_of: FileOfKey) -> SchedulerConfig:
    try:
        config = SchedulerConfig.model_validate(raw)
    except ValidationError as error:
        refuse(problems + problems_of(error, SchedulerConfig, raw, file_of))
        raise
    refuse(problems)
    return config


def _read(path: Path) -> _Written:
    written = _Written({}, {}, [])
    for file in _files(path):
        raw, problems = read_mapping(file)
        written.problems.extend(problems)
        for key, value in raw.items():
            written.add(str(file), (key,), value, written.raw, SPREAD_SECTIONS.get(key, 0))
    return written


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        found = sorted(
            file
            for file in path.iterdir()
            if file.suffix in CONFIGURATION_SUFFIXES and not file.name.startswith(".")
        )
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    if not found:
        raise ConfigurationError(
            f"{path}: holds no file *.yaml: accepted is a YAML file or a directory of them"
        )
    return [file for file in found if file.stem not in _NOT_OF_THE_SCHEDULER]


def _merged(
    base: Mapping[str, Any], overrides: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay overrides over what is written; a section that is not written has the defaults below them."""
    merged = dict(base)
    for key, value in overrides.items():
        below = base[key] if key in base else defaults.get(key)
        if not isinstance(value, Mapping) or not isinstance(below, Mapping):
            merged[key] = value
        elif key in _REPLACED_WHOLE:
            merged[key] = {**below, **value}
        else:
            defaults_below = {} if key in _TAKEN_AS_WRITTEN else defaults.get(key, {})
            merged[key] = _merged(below, value, defaults_below)
    return merged


def _holds(overrides: Mapping[str, Any], key: Key) -> bool:
    """Say whether the value at this key comes from the overrides."""
    value: Any = overrides
    for part in key:
        if not isinstance(value, Mapping):
            return True
        if part not in value:
            return False
        value = value[part]
    return bool(key)


def _warn(source: str, keys: Mapping[str, str]) -> None:
    if keys:
        names = [f"{key} ({why})" if why else key for key, why in keys.items()]
        logger.warning("%s: these keys are accepted and have no effect here: %s", source, ", ".join(names))


@dataclass(frozen=True)
class KeyDifference:
    """One key that two configurations say differently.

    Attributes:
        key: Its path.
        before, after: What the one and the other say, as in a document; ``NOT_THERE`` where one is silent.
    """

    key: tuple[str, ...]
    before: Any
    after: Any

    @property
    def path(self) -> str:
        """The path as people write it."""
        return ".".join(self.key)


def config_of(document: Any, source: str) -> SchedulerConfig:
    """Return the configuration that ``SchedulerConfig.document`` has made a document of.

    Keys that came since have their built-in values.

    Args:
        document: The document, as it was read.
        source: What it is called in errors.

    Raises:
        ConfigurationError: It is no such document, or something in it is not accepted any more.
    """
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"{source}: it is no configuration; accepted is a mapping of keys")
    raw = _with_numbers(document, SchedulerConfig().model_dump())
    try:
        return SchedulerConfig.model_validate(raw)
    except ValidationError as error:
        refuse(problems_of(error, SchedulerConfig, raw, lambda key: (source, key)))
        raise


def differences(before: Any, after: Any, key: tuple[str, ...] = ()) -> Iterator[KeyDifference]:
    """Return the keys that two documents say differently, in the order of their paths; lists as a whole."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted(before.keys() | after.keys()):
            yield from differences(before.get(name, NOT_THERE), after.get(name, NOT_THERE), (*key, name))
    elif before != after:
        yield KeyDifference(key, before, after)


def _with_numbers(value: Any, default: Any) -> Any:
    """Turn the texts of exact numbers back into numbers, by what the built-in values are."""
    if isinstance(value, Mapping) and isinstance(default, Mapping):
        return {key: _with_numbers(item, default.get(key)) for key, item in value.items()}
    return Decimal(value) if isinstance(default, Decimal) and isinstance(value, str) else value
