"""Conditions on contacts, and audiences: some contacts, and what their emails are about (section 8)."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import (
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from email_scheduler.config.values import FIRST_YEAR, LAST_YEAR, STATE_CODES, IsoDate, Section, refusal

STATE: Final = "state"
_COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_ISO_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_GREATEST: Final = 10**15
_BOUNDS: Final = ("min", "max")
NOT: Final = "not"
_ACCEPTED: Final = (
    "a value or a list of values (texts of one line, dates, numbers up to 10^15; null for a blank cell),"
    " or min, max or both of them in order: numbers, or dates YYYY-MM-DD; or not, and such a value or list"
)

Value = str | int | float
# A list of values; the bounds of a range, min and max; or under not the values that are meant not. Dates are
# texts.
Condition = list[Value] | dict[str, Any]


def _column_name(value: object) -> str:
    if not isinstance(value, str) or not _COLUMN.fullmatch(value):
        raise refusal("the name of a column of contacts: letters, digits and underscores, at most 63")
    return value.lower()


def _value(value: object) -> Value:
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if value is None:
        return ""
    is_text = isinstance(value, str) and len(value) <= 1000 and (value.isprintable() or not value)
    is_number = type(value) in {int, float} and abs(value) <= _GREATEST  # type: ignore[arg-type]
    if not is_text and not is_number:
        raise refusal(_ACCEPTED)
    return value  # type: ignore[return-value]


def values_of(condition: Condition) -> list[Value]:
    """Return all values that a condition names."""
    if not isinstance(condition, dict):
        return condition
    return condition[NOT] if NOT in condition else list(condition.values())


def as_condition(value: object) -> Condition:
    """Return a condition as it is kept.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, Mapping):
        if set(value) == {NOT} and not isinstance(value[NOT], Mapping):
            return {NOT: as_condition(value[NOT])}
        return _range(value)
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise refusal(_ACCEPTED)
    return [_value(each) for each in values]


def _range(written: Mapping[Any, object]) -> dict[str, Value]:
    bounds = {name: _value(bound) for name, bound in written.items() if bound is not None}
    is_of_dates = all(map(is_date, bounds.values()))
    is_of_numbers = not any(isinstance(bound, str) for bound in bounds.values())
    if not bounds or not set(written) <= set(_BOUNDS) or not (is_of_dates or is_of_numbers):
        raise refusal(_ACCEPTED)
    if len(bounds) == len(_BOUNDS) and bounds["min"] > bounds["max"]:  # type: ignore[operator]
        raise refusal(_ACCEPTED)
    return bounds


def is_date(value: object) -> bool:
    """Tell whether a value is a date that may be a bound: ``YYYY-MM-DD`` in the years that are accepted."""
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        return False
    try:
        return FIRST_YEAR <= date.fromisoformat(value).year <= LAST_YEAR
    except ValueError:
        return False


ColumnName = Annotated[str, PlainValidator(_column_name)]
_WhereCondition = Annotated[Any, PlainValidator(as_condition)]


class _Written(Section):
    """A section that is kept as it was written: without the keys that say nothing."""

    @model_serializer(mode="wrap")
    def _without_nothing(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value}


class AudienceTrigger(_Written):
    """What the emails of an audience are about; one of the three."""

    date: IsoDate | None = Field(default=None, description="a date for all")
    column: ColumnName | None = Field(
        default=None, description="the date that a contact has in this column; not `state`"
    )
    anniversary_of: ColumnName | None = Field(
        default=None, description="the next anniversary of that date, each year; not `state`"
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(each is not None for each in (self.date, self.column, self.anniversary_of)) != 1:
            raise refusal("one of date, column and anniversary_of")
        return self

    @property
    def source(self) -> str | None:
        """The column that it is about; None: it is a fixed date."""
        return self.column or self.anniversary_of


class Audience(_Written):
    """The contacts that an instance is for without their being listed, worked out anew in every plan."""

    where: dict[ColumnName, _WhereCondition] = Field(
        default_factory=dict,
        description="who it is for: those that meet all conditions; without it, everybody. A name is that of"
        " a column of `contacts`, or `X_month` and `X_year` of a column `X_date`; conditions of"
        " `state` are the two letters, of a column that ends in `_date` dates, of a month or year"
        " whole numbers",
    )
    trigger: AudienceTrigger | None = Field(
        default=None,
        description="what the emails are about: one of the next three; `null`: the date of the instance",
    )

    @field_validator("where", mode="before")
    @classmethod
    def _names_each_once(cls, where: object) -> object:
        if isinstance(where, Mapping) and len({str(name).lower() for name in where}) < len(where):
            raise refusal("each column once, in capital or in small letters")
        return where

    @field_validator("where")
    @classmethod
    def _suits_its_columns(cls, where: dict[str, Condition]) -> dict[str, Condition]:
        for name, condition in where.items():
            if name == STATE:
                where[name] = of_states(condition)
            elif name.endswith("_date") and not all(
                each == "" or is_date(each) for each in values_of(condition)
            ):
                raise refusal(f"dates YYYY-MM-DD or null for {name}")
        return where

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.where and self.trigger is None:
            raise refusal("where, trigger, or both")
        if self.trigger is not None and self.trigger.source == STATE:
            raise refusal("the column of a date as trigger")
        return self

    @property
    def names(self) -> set[str]:
        """The names of all values of contacts that it depends on."""
        source = None if self.trigger is None else self.trigger.source
        return set(self.where) | ({source} if source else set())


def of_states(condition: Condition) -> Condition:
    """Return a condition on ``state`` with its states in capital letters.

    Raises:
        ValueError: It names something else than states.
    """
    states = [each.strip().upper() if isinstance(each, str) else each for each in values_of(condition)]
    is_range = isinstance(condition, dict) and NOT not in condition
    if is_range or not STATE_CODES.issuperset(states):
        raise refusal("the two letters of states, as texts, for state")
    return {NOT: states} if isinstance(condition, dict) else states
