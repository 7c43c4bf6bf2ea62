"""What may be said of a campaign instance, in ``campaigns.yaml`` and through the campaign service."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, field_serializer, model_validator

from email_scheduler.config.audiences import Audience
from email_scheduler.config.values import (
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
from email_scheduler.planning.registry.email_types import FOLLOW_UP_EMAILS

_INSTANCE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
FOLLOW_UP_KINDS = tuple(each.kind for each in FOLLOW_UP_EMAILS.values())
_MOST_LEVELS = 10
_MOST_WEIGHT = 1_000_000
_FEWEST_VARIANTS = 2

CampaignInstanceName = Annotated[
    str, name_like(_INSTANCE_NAME, "a name of at most 63 lower-case letters, digits and underscores")
]
FollowUpKind = Annotated[str, one_of_words(*FOLLOW_UP_KINDS)]


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
