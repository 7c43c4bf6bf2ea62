"""What may be said of a campaign instance, in ``campaigns.yaml`` and through the campaign service.

Also its audience: a part of the contacts, and what their emails are about (section 8 of the planning rules).
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from email_scheduler.config.setting_types import (
    FIRST_YEAR,
    LAST_YEAR,
    STATE_CODES,
    DaysEitherWay,
    Flag,
    IsoDate,
    Priority,
    Section,
    Text,
    list_of,
    name_like,
    one_of_words,
    refusal,
    whole_number,
)
from email_scheduler.registry import FOLLOW_UP_EMAILS

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
_INSTANCE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
FOLLOW_UP_KINDS = tuple(each.kind for each in FOLLOW_UP_EMAILS.values())
_MOST_LEVELS = 10
_MOST_WEIGHT = 1_000_000
_FEWEST_VARIANTS = 2
CampaignInstanceName = Annotated[
    str, name_like(_INSTANCE_NAME, "a name of at most 63 lower-case letters, digits and underscores")
]
FollowUpKind = Annotated[str, one_of_words(*FOLLOW_UP_KINDS)]


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


def _free(value: object, level: int = 0) -> Any:
    """Return a value as JSON can hold it; what YAML and JSON both know is accepted."""
    accepted = f"texts, numbers, true, false, null, lists and mappings, at most {_MOST_LEVELS} levels deep"
    if level > _MOST_LEVELS:
        raise refusal(accepted)
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal() | float():
            return float(value)
        case Mapping():
            return {str(key): _free(item, level + 1) for key, item in value.items()}
        case list() | tuple():
            return [_free(item, level + 1) for item in value]
        case _:
            raise refusal(accepted)


class Variant(Section):
    """One of the forms that an instance's email goes out in (A/B)."""

    name: CampaignInstanceName = Field(description="what rows and reports call it")
    weight: Annotated[int, whole_number(1, _MOST_WEIGHT)] = Field(
        description="its share of the contacts, in proportion to the weights of the others"
    )
    email_template: Text = Field(description="its email")
    sms_template: Text | None = Field(
        default=None, description="its text message; `null`: as without variants"
    )


def _several_of_different_names(variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
    if len(variants) < _FEWEST_VARIANTS or len({each.name for each in variants}) < len(variants):
        raise refusal("a list of two or more variants, each with a name of its own")
    return variants


Variants = Annotated[tuple[Variant, ...], list_of("variants"), AfterValidator(_several_of_different_names)]


class InstanceMetadata(Section):
    """What is different for an instance; a key that is None is not there."""

    trigger_date: IsoDate | None = Field(
        default=None,
        description="what the emails are about, for contacts that have no date of their own; `null`:"
        " `active_start_date` + `days_before_event`",
    )
    respect_exclusion_windows: Flag | None = Field(
        default=None, description="instead of what the type says; `null`: as the type says"
    )
    enable_followups: Flag | None = Field(default=None, description="likewise")
    days_before_event: DaysEitherWay | None = Field(default=None, description="likewise")
    priority: Priority | None = Field(default=None, description="likewise")
    followup_templates: dict[FollowUpKind, Text] | None = Field(
        default=None, description="templates of its follow-ups"
    )
    followup_sms_templates: dict[FollowUpKind, Text] | None = Field(
        default=None, description="the text messages of its follow-ups"
    )
    audience: Audience | None = Field(
        default=None,
        description="the contacts that it is for without their being listed, instead of what"
        " `target_all_contacts` says",
    )
    variants: Variants | None = Field(
        default=None, description="the contacts are split among them, with `features.enable_ab_testing`"
    )
    extra: Annotated[dict[str, Any], AfterValidator(_free)] | None = Field(
        default=None, description="anything, for people; planning does not look at it"
    )

    @field_serializer("variants")
    def _variants_as_written(self, variants: tuple[Variant, ...] | None) -> list[dict[str, Any]] | None:
        # a key that is not there is not stored as null: what is stored is compared with what is given
        return None if variants is None else [each.model_dump(exclude_none=True) for each in variants]


class CampaignInstance(Section):
    """One campaign of a type; see ``campaign_instances`` of the planning rules, section 2."""

    email_template: Text = Field(description="its email")
    sms_template: Text | None = Field(
        default=None,
        description="its text message; `null`: the one of `email_templates.sms` under `campaign_<type>`, if"
        " there is one",
    )
    active_start_date: IsoDate | None = Field(default=None, description="no email before it")
    active_end_date: IsoDate | None = Field(
        default=None, description="no email after it; not before `active_start_date`"
    )
    active: Flag = Field(default=True, description="`false`: nothing of it is planned or due")
    metadata: InstanceMetadata = Field(default_factory=InstanceMetadata)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        begin, end = self.active_start_date, self.active_end_date
        if begin is not None and end is not None and end < begin:
            raise refusal("an active_end_date that is not before active_start_date")
        return self
