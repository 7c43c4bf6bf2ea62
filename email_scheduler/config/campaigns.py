"""What may be said of a campaign instance, in ``campaigns.yaml`` and through the campaign service."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from email_scheduler.config.audiences import Audience
from email_scheduler.config.values import (
    DaysEitherWay,
    Flag,
    IsoDate,
    Priority,
    Section,
    Text,
    name_like,
    one_of_words,
    refusal,
)

_INSTANCE_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")
FOLLOW_UP_KINDS = ("cold", "clicked_no_hq", "hq_no_conditions", "hq_with_conditions")
_MOST_LEVELS = 10

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


class InstanceMetadata(Section):
    """What is different for an instance; a key that is None is not there.

    Attributes:
        trigger_date: The date that the emails are about, of contacts that have none of their own.
        respect_exclusion_windows: Instead of what the type says, like the three after it.
        followup_templates: Kind of follow-up to its email template.
        followup_sms_templates: Kind of follow-up to the template of its text message.
        audience: The contacts that it is for besides those that are listed; instead of what the type says.
        extra: Whatever people want to keep with the instance. Planning does not look at it.
    """

    trigger_date: IsoDate | None = None
    respect_exclusion_windows: Flag | None = None
    enable_followups: Flag | None = None
    days_before_event: DaysEitherWay | None = None
    priority: Priority | None = None
    followup_templates: dict[FollowUpKind, Text] | None = None
    followup_sms_templates: dict[FollowUpKind, Text] | None = None
    audience: Audience | None = None
    extra: Annotated[dict[str, Any], AfterValidator(_free)] | None = None


class CampaignInstance(Section):
    """One campaign of a type; see ``campaign_instances`` of the planning rules, section 2.

    Attributes:
        active_start_date, active_end_date: No email goes out before and after; None: no limit.
    """

    email_template: Text
    sms_template: Text | None = None
    active_start_date: IsoDate | None = None
    active_end_date: IsoDate | None = None
    active: Flag = True
    metadata: InstanceMetadata = Field(default_factory=InstanceMetadata)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        begin, end = self.active_start_date, self.active_end_date
        if begin is not None and end is not None and end < begin:
            raise refusal("an active_end_date that is not before active_start_date")
        return self
