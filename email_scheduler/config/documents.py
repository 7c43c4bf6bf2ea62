"""Configurations as documents: reading one back, and what two of them say differently."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from email_scheduler.config.problems import problems_of, refuse
from email_scheduler.config.schema import SchedulerConfig

NOT_THERE: Final = "(not there)"


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


def config_of(document: Mapping[str, Any], source: str) -> SchedulerConfig:
    """Return the configuration that ``SchedulerConfig.document`` has made a document of.

    Keys that came since have their built-in values.

    Args:
        document: The document.
        source: What it is called in errors.

    Raises:
        ConfigurationError: Something in it is not accepted any more.
    """
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
