"""Campaign instances with the settings that count, and their variants (section 8 of the planning rules)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import ValidationError

from email_scheduler.config import MOST, MOST_DAYS, Audience, InstanceMetadata, Variant, problems_of, shown
from email_scheduler.errors import InputDataError
from email_scheduler.planning.columns import is_in_calendar, parse_dates, stable_hash_of_contacts
from email_scheduler.planning.frames import NO_DATE, NO_NUMBER, PlanInputs
from email_scheduler.planning.rules.exclusions import FOREVER
from email_scheduler.registry import CAMPAIGN_PREFIX

_KEY: Final = "variants"
_END: Final = 1 << 64
_TEMPLATE_KEYS: Final = ("followup_templates", "followup_sms_templates")


def read_variants(stored: Any) -> tuple[tuple[Variant, ...], str | None]:
    """Return what ``metadata.variants`` says, none where it is null; or else what of it is not accepted."""
    try:
        metadata = InstanceMetadata.model_validate({_KEY: stored})
    except ValidationError as error:
        first = problems_of(error, InstanceMetadata, {_KEY: stored}, lambda key: ("", key))[0]
        return (), str(first).removeprefix(": ")
    return metadata.variants or (), None


def variants_of_contacts(
    contact_ids: npt.NDArray[np.int64], email_type: str, instance_id: int, variants: Iterable[Variant]
) -> npt.NDArray[np.int64]:
    """Return the position in ``variants`` of each contact's variant; it depends on nothing else.

    Args:
        contact_ids: int64, one a row.
        email_type: The instance's.
        instance_id: The instance.
        variants: In the order in which its metadata lists them.
    """
    *ends, total = accumulate(variant.weight for variant in variants)
    # floor(hash * total / 2^64) < end where hash < end * 2^64 / total; rounded up, since a hash is whole
    limits = np.array([-(-end * _END // total) for end in ends], np.uint64)
    hashes = stable_hash_of_contacts("variant", contact_ids, email_type, instance_id)
    return limits.searchsorted(hashes, side="right")


def variant_metadata(name: str) -> str:
    """Return what ``metadata`` of a row says of its variant, as JSON text."""
    return json.dumps({"variant": name})


def variant_in(metadata: str) -> str | None:
    """Return the variant that the ``metadata`` of a campaign email names; None if it names none."""
    try:
        said = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    name = said.get("variant") if isinstance(said, dict) else None
    # JSON writes characters that no text of a database holds
    return name if isinstance(name, str) and name.isprintable() else None


@dataclass(frozen=True)
class CampaignInstance:
    """A campaign instance with the settings that count: its type's, unless its metadata overrides them.

    Attributes:
        default_trigger: The day of targets without one; ``NO_DATE`` if there is none.
        audience: The contacts that it is for without their being listed; None: as the type says.
        start, end: The instance's dates, inclusive; ``-FOREVER`` and ``FOREVER`` where it has none.
        is_active: Whether the instance and its type are active.
        variants: In the order of the list; none, or at least two. They count with ``enable_ab_testing`` only.
    """

    id: int
    email_type: str
    is_active: bool
    respects_windows: bool
    enables_follow_ups: bool
    days_before_event: int
    targets_all_contacts: bool
    priority: int
    default_trigger: int
    start: int
    end: int
    name: str | None
    email_template: str | None
    sms_template: str | None
    followup_templates: dict[str, str]
    followup_sms_templates: dict[str, str]
    audience: Audience | None = None
    variants: tuple[Variant, ...] = ()

    @property
    def is_yearly(self) -> bool:
        """Whether its implicit targets get an email each year, for an anniversary."""
        trigger = None if self.audience is None else self.audience.trigger
        return trigger is not None and trigger.anniversary_of is not None


def read_instances(types: pd.DataFrame, instances: pd.DataFrame) -> dict[int, CampaignInstance]:
    """Return the campaign instances by id, each with the settings that count.

    Raises:
        InputDataError: A date, the metadata, one of its overrides or a number of a type cannot be read or
            leads out of the calendar, or a type is unknown.
    """
    by_name = {row["name"]: row for row in _records(types)}
    read = {}
    for row in _records(instances):
        if row["campaign_type"] not in by_name:
            raise _refused(row, "campaign_type", row["campaign_type"], "the name of a row of campaign_types")
        read[int(row["id"])] = _read_instance(row, by_name[row["campaign_type"]])
    return read


def yearly_instances(inputs: PlanInputs) -> list[int]:
    """Return the campaign instances whose implicit targets get an email each year, for an anniversary."""
    instances = read_instances(inputs.campaign_types, inputs.campaign_instances).values()
    return [each.id for each in instances if each.is_yearly]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _read_instance(row: dict[str, Any], campaign_type: dict[str, Any]) -> CampaignInstance:
    metadata = _metadata(row)
    start, end = (_day(row, column) for column in ("active_start_date", "active_end_date"))
    days_before = _number(row, metadata, campaign_type, "days_before_event", MOST_DAYS)
    trigger = _day({**row, "metadata.trigger_date": metadata.get("trigger_date")}, "metadata.trigger_date")
    if trigger is None and start is not None:
        trigger = start + max(days_before, 0)
    start = -FOREVER if start is None else start
    if trigger is not None and not is_in_calendar(max(trigger - days_before, start)):
        raise InputDataError(
            f"{_name(row)}: its default trigger date is {days_before} days from a date that does not exist;"
            " accepted is one whose email goes out in the years 1 to 9999"
        )
    templates = {key: _templates(row, metadata, key) for key in _TEMPLATE_KEYS}
    variants, refusal = read_variants(metadata.get("variants"))
    if refusal is not None:
        raise InputDataError(f"{_name(row)}: metadata.{refusal}")
    return CampaignInstance(
        id=int(row["id"]),
        email_type=CAMPAIGN_PREFIX + row["campaign_type"],
        is_active=bool(row["active"] and campaign_type["active"]),
        respects_windows=_flag(row, metadata, campaign_type, "respect_exclusion_windows"),
        enables_follow_ups=_flag(row, metadata, campaign_type, "enable_followups"),
        days_before_event=days_before,
        targets_all_contacts=bool(campaign_type["target_all_contacts"]),
        priority=_number(row, metadata, campaign_type, "priority", MOST),
        default_trigger=NO_DATE if trigger is None else trigger,
        start=start,
        end=FOREVER if end is None else end,
        name=None if pd.isna(row["instance_name"]) else row["instance_name"],
        email_template=_text(row["email_template"]),
        sms_template=_text(row["sms_template"]),
        variants=variants,
        **templates,
        audience=_audience(row, metadata),
    )


def _audience(row: dict[str, Any], metadata: dict[str, Any]) -> Audience | None:
    written = metadata.get("audience")
    if written is None:
        return None
    try:
        return Audience.model_validate(written)
    except ValidationError as error:
        subject = f"campaign instance {row['id']}"
        problem, *_ = problems_of(
            error, Audience, written, lambda key: (subject, ("metadata", "audience", *key))
        )
        raise InputDataError(str(problem)) from error


def _metadata(row: dict[str, Any]) -> dict[str, Any]:
    text = _text(row["metadata"])
    if text is None:
        return {}
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        # not from the error: it holds the text, which nobody can tell the content of
        raise InputDataError(f"{_name(row)}: metadata is no JSON; accepted is a JSON object") from None
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise _refused(row, "metadata", metadata, "a JSON object")
    return metadata


def _flag(row: dict[str, Any], metadata: dict[str, Any], campaign_type: dict[str, Any], key: str) -> bool:
    value = metadata.get(key)
    if value is None:
        return bool(campaign_type[key])
    if not isinstance(value, bool):
        raise _refused(row, f"metadata.{key}", value, "true or false")
    return value


def _number(
    row: dict[str, Any], metadata: dict[str, Any], campaign_type: dict[str, Any], key: str, most: int
) -> int:
    accepted = f"a whole number from {-most} to {most}"
    value = metadata.get(key)
    if value is None:
        value = int(campaign_type[key])
        if not -most <= value <= most:
            found = "no whole number" if value == NO_NUMBER else value
            raise InputDataError(
                f"campaign type {shown(campaign_type['name'])}: {key} is {found}; accepted is {accepted}"
            )
        return value
    if type(value) is not int or not -most <= value <= most:
        raise _refused(row, f"metadata.{key}", value, accepted)
    return value


def _templates(row: dict[str, Any], metadata: dict[str, Any], key: str) -> dict[str, str]:
    value = metadata.get(key) or {}
    if not isinstance(value, dict):
        raise _refused(row, f"metadata.{key}", value, "an object of template names")
    for name, template in value.items():
        # JSON writes characters that no text of a database holds
        if template is not None and not (isinstance(template, str) and template.isprintable()):
            raise _refused(row, f"metadata.{key}.{shown(name)}", template, "the name of a template")
    return value


def _day(row: dict[str, Any], column: str) -> int | None:
    value = row[column]
    text = _text(value) if isinstance(value, str) or pd.api.types.is_scalar(value) else "no text"
    # JSON writes characters that no text holds
    readable = None if text is None else text.encode(errors="replace").decode()
    days, is_unreadable = parse_dates(pd.Series([readable], dtype="str"))
    if is_unreadable[0]:
        raise _refused(row, column, value, "a date YYYY-MM-DD or nothing")
    return None if days[0] == NO_DATE else int(days[0])


def _text(value: Any) -> str | None:
    return None if pd.isna(value) or not str(value).strip() else str(value)


def _refused(row: dict[str, Any], column: str, value: Any, accepted: str) -> InputDataError:
    # what is nested may be so deep that showing it fails
    found = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else shown(value)
    return InputDataError(f"{_name(row)}: {column} is {found}; accepted is {accepted}")


def _name(row: dict[str, Any]) -> str:
    return f"campaign instance {row['id']}"
