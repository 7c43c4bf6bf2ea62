"""The kinds of values that a configuration key may hold, each with what it accepts in plain words.

Nothing is converted silently: the text ``"14"`` is no number, ``true`` is no 1, ``14.0`` is no whole number.
A value that is refused raises a ``PydanticCustomError`` of the type ``NOT_ACCEPTED`` (or
``HIDDEN_NOT_ACCEPTED``), whose message begins with "accepted is".
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, LiteralString, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, create_model
from pydantic_core import PydanticCustomError

NOT_ACCEPTED: Final = "not_accepted"
HIDDEN_NOT_ACCEPTED: Final = "hidden_not_accepted"
MOST = 1_000_000_000
MOST_DAYS = 3660
MOST_DECIMAL_PLACES = 12

FIRST_YEAR = 1900
LAST_YEAR = 2200

_STATE_CODES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND "
    "OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC AA AE AP AS FM GU MH MP PR PW VI"
)
STATE_CODES = frozenset(_STATE_CODES.split())
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DAY_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_SEND_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]")
_CAMPAIGN_TYPE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Section(BaseModel):
    """A mapping of the configuration: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


SectionKind = TypeVar("SectionKind", bound=Section)


def with_fields(
    kind: object, keys: Mapping[str, tuple[object, str]]
) -> Callable[[type[SectionKind]], type[SectionKind]]:
    """Return what adds keys to a section that are known as data only.

    Args:
        kind: What values each of them accepts.
        keys: By name, what counts where the configuration says nothing, and a description.
    """

    def extend(section: type[SectionKind]) -> type[SectionKind]:
        said = {"__doc__": section.__doc__, "__module__": section.__module__}
        fields = {name: (kind, Field(default, description=text)) for name, (default, text) in keys.items()}
        added: dict[str, Any] = {**said, **fields}
        return create_model(section.__name__, __base__=section, **added)

    return extend


@dataclass(frozen=True)
class WithoutEffect:
    """Marks a key that is accepted because users have it in their files, and that changes nothing here.

    Attributes:
        why: What counts instead, for the warning; empty where nothing does.
    """

    why: str = ""


def refusal(accepted: str, *, is_secret: bool = False) -> PydanticCustomError:
    """Return the error for a value that is not one of those that ``accepted`` describes.

    Args:
        accepted: What is accepted, in plain words.
        is_secret: The value may hold a password: no message shows it.
    """
    kind: LiteralString = HIDDEN_NOT_ACCEPTED if is_secret else NOT_ACCEPTED
    return PydanticCustomError(kind, "accepted is {accepted}", {"accepted": accepted})


def whole_number(minimum: int, maximum: int = MOST) -> PlainValidator:
    """Return the validator of whole numbers between the two, both inclusive."""
    accepted = (
        f"a whole number, {minimum} or more"
        if maximum == MOST
        else (f"a whole number from {minimum} to {maximum}")
    )

    def validate(value: object) -> int:
        if type(value) is not int or not minimum <= value <= maximum:
            raise refusal(accepted)
        return value

    return PlainValidator(validate)


def exact_number(minimum: int, maximum: int) -> PlainValidator:
    """Return the validator of decimal numbers between the two, both inclusive.

    A float stands for the decimal number that it is written as: 0.07 is seven hundredths exactly.
    """
    accepted = f"a number from {minimum} to {maximum} with at most {MOST_DECIMAL_PLACES} decimal places"

    def validate(value: object) -> Decimal:
        if type(value) is float:
            value = Decimal(repr(value))
        if type(value) is int and minimum <= value <= maximum:
            value = Decimal(value)
        if not isinstance(value, Decimal) or not value.is_finite() or not minimum <= value <= maximum:
            raise refusal(accepted)
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -MOST_DECIMAL_PLACES:
            raise refusal(accepted)
        return value

    return PlainValidator(validate)


def one_of(*names: str, why_not: Mapping[str, str] | None = None) -> PlainValidator:
    """Return the validator of these names, written in upper or lower case; the value is in upper case.

    Args:
        names: What is accepted, in upper case.
        why_not: Names that one could expect to be accepted, with the reason why they are not.
    """
    accepted = f"one of {', '.join(names)}"

    def validate(value: object) -> str:
        if not isinstance(value, str):
            raise refusal(accepted)
        reason = (why_not or {}).get(value.upper())
        if value.upper() not in names:
            raise refusal(f"{accepted} ({reason})" if reason else accepted)
        return value.upper()

    return PlainValidator(validate)


def one_of_words(*words: str) -> PlainValidator:
    """Return the validator of these words, as they are written."""

    def validate(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise refusal(f"one of {', '.join(words)}")
        return value

    return PlainValidator(validate)


def one_of_numbers(*numbers: int) -> PlainValidator:
    """Return the validator of these whole numbers."""

    def validate(value: object) -> int:
        if type(value) is not int or value not in numbers:
            raise refusal(f"one of {', '.join(map(str, numbers))}")
        return value

    return PlainValidator(validate)


def name_like(pattern: re.Pattern[str], accepted: str) -> PlainValidator:
    """Return the validator of texts that match ``pattern`` as a whole."""

    def validate(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise refusal(accepted)
        return value

    return PlainValidator(validate)


def list_of(what: str) -> BeforeValidator:
    """Return the validator that refuses anything but a list; its items are validated by their own kind."""

    def validate(value: object) -> object:
        if not isinstance(value, list | tuple | set | frozenset):
            raise refusal(f"a list of {what}")
        return value

    return BeforeValidator(validate)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise refusal("true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 1000 or not value.isprintable():
        raise refusal("a text of one line that is not empty")
    return value


def _iso_date(value: object) -> date:
    found = value
    if isinstance(found, str) and _ISO_DATE.fullmatch(found):
        try:
            found = date.fromisoformat(found)
        except ValueError:
            found = None
    if (
        not isinstance(found, date)
        or isinstance(found, datetime)
        or not FIRST_YEAR <= found.year <= LAST_YEAR
    ):
        raise refusal(f"a date YYYY-MM-DD that exists, in the years {FIRST_YEAR} to {LAST_YEAR}")
    return found


def _state_code(value: object) -> str:
    if not isinstance(value, str):
        raise refusal('the two letters of a state as text (put them in quotes), such as "CA"')
    if value not in STATE_CODES:
        raise refusal(
            "the two letters, in upper case, of a US state, DC, a territory (AS FM GU MH MP PR PW VI) "
            "or a military post (AA AE AP)"
        )
    return value


class StateWithSource(str):
    """The two letters of a state, equal to any other text of these letters.

    Attributes:
        source: Where the rule that names the state is written; None: nobody says.
    """

    source: str | None = None

    @classmethod
    def of(cls, letters: str, source: str | None) -> Self:
        """Return the state with its source."""
        state = cls(letters)
        state.source = source
        return state

    def written(self) -> str | dict[str, str]:
        """Return it as a file says it."""
        return str(self) if self.source is None else {"state": str(self), "source": self.source}


def _state_with_source(value: object) -> StateWithSource:
    if isinstance(value, StateWithSource):
        return value
    if not isinstance(value, Mapping):
        return StateWithSource(_state_code(value))
    if "state" not in value or not set(value) <= {"state", "source"}:
        raise refusal("the two letters of a state, or a mapping with the keys state and source")
    source = value.get("source")
    return StateWithSource.of(_state_code(value["state"]), None if source is None else _text(source))


def _named_once(value: object) -> object:
    if not isinstance(value, list | tuple | set | frozenset):
        raise refusal("a list of states")
    letters = [each.get("state") if isinstance(each, Mapping) else each for each in value]
    for each in value:
        if isinstance(each, Mapping) and letters.count(each.get("state")) > 1:
            raise refusal(f"a list in which a state with a source stands once ({each.get('state')} does not)")
    return value


def _weekday(value: object) -> str:
    if not isinstance(value, str) or value not in WEEKDAYS:
        raise refusal(f"one of {', '.join(WEEKDAYS)}")
    return value


def _log_format(value: object) -> str:
    accepted = 'a %-style logging format, such as "%(asctime)s - %(levelname)s - %(message)s"'
    if not isinstance(value, str) or not value:
        raise refusal(accepted)
    record = logging.LogRecord("name", logging.INFO, "path", 1, "message", None, None)
    try:
        logging.Formatter(value).format(record)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise refusal(accepted) from error
    return value


def _file_path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise refusal("the path of a file")
    return Path(value)


_DIRECTORY: Final = "the path of a directory"


def _directory_path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise refusal(_DIRECTORY)
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise refusal(f"{_DIRECTORY}; nobody has the home directory that it begins with") from None


Flag = Annotated[bool, PlainValidator(_flag)]
Text = Annotated[str, PlainValidator(_text)]
IsoDate = Annotated[date, PlainValidator(_iso_date)]
SendTime = Annotated[str, name_like(_SEND_TIME, 'a time of day in quotes, HH:MM:SS, such as "08:30:00"')]
DayTime = Annotated[str, name_like(_DAY_TIME, 'a time of day in quotes, HH:MM, such as "05:00"')]
StateCode = Annotated[str, PlainValidator(_state_code)]
States = Annotated[frozenset[StateCode], list_of("states")]
StatesWithSources = Annotated[
    frozenset[Annotated[StateWithSource, PlainValidator(_state_with_source)]], BeforeValidator(_named_once)
]
Weekday = Annotated[str, PlainValidator(_weekday)]
Year = Annotated[int, whole_number(FIRST_YEAR, LAST_YEAR)]
Count = Annotated[int, whole_number(0)]
PositiveCount = Annotated[int, whole_number(1)]
Days = Annotated[int, whole_number(0, MOST_DAYS)]
PositiveDays = Annotated[int, whole_number(1, MOST_DAYS)]
DaysEitherWay = Annotated[int, whole_number(-MOST_DAYS, MOST_DAYS)]
Age = Annotated[int, whole_number(0, 150)]
DaysBefore = Annotated[int, whole_number(-365, 365)]
Share = Annotated[Decimal, exact_number(0, 1)]
Priority = Annotated[int, whole_number(1, 100)]
CampaignTypeName = Annotated[
    str, name_like(_CAMPAIGN_TYPE_NAME, "a name of at most 63 lower-case letters, digits and underscores")
]
LogLevel = Annotated[str, one_of(*_LOG_LEVELS)]
LogFormat = Annotated[str, PlainValidator(_log_format)]
FilePath = Annotated[Path, PlainValidator(_file_path)]
DirectoryPath = Annotated[Path, PlainValidator(_directory_path)]
