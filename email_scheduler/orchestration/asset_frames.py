"""Which frames each asset passes on, what planning makes of them again, and deleting old ones."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from upath import UPath

from email_scheduler.config import SchedulerConfig
from email_scheduler.planning import CAMPAIGN_CHANGES, Frame, Plan, PlanInputs, frames

if TYPE_CHECKING:
    from email_scheduler.database import SeenChanges

Frames = dict[str, pd.DataFrame]
CONTACTS: Final = "contacts"
CAMPAIGNS: Final = "campaigns"
EMAIL_HISTORY: Final = "email_history"
ENGAGEMENT: Final = "engagement"
EXCLUSION_WINDOWS: Final = "exclusion_windows"
ANNIVERSARY_SCHEDULES: Final = "anniversary_schedules"
CAMPAIGN_SCHEDULES: Final = "campaign_schedules"
FOLLOW_UPS: Final = "follow_ups"
BALANCED_SCHEDULES: Final = "balanced_schedules"
EMAIL_SCHEDULES: Final = "email_schedules"
# Frame name to contract, by asset; the first frame is the one that the asset is named for. The published
# table has no frames: it is in the organisation's database.
ASSET_FRAMES: Final[Mapping[str, Mapping[str, Frame]]] = {
    CONTACTS: {
        "valid_contacts": frames.CONTACTS,
        "contact_issues": frames.CONTACT_ISSUES,
        "contacts_table": frames.CONTACTS_TABLE,
        "suppressions_table": frames.SUPPRESSIONS_TABLE,
        "suppressed_addresses": frames.SUPPRESSED_ADDRESSES_TABLE,
        "contact_changes": frames.CONTACT_CHANGES,
        "reading": frames.READING,
        "contact_attributes": frames.CONTACT_ATTRIBUTES,
    },
    CAMPAIGNS: {
        "campaign_instances": frames.CAMPAIGN_INSTANCES_TABLE,
        "campaign_types": frames.CAMPAIGN_TYPES_TABLE,
        "contact_campaigns": frames.CONTACT_CAMPAIGNS_TABLE,
        "campaign_changes": CAMPAIGN_CHANGES,
    },
    EMAIL_HISTORY: {"email_history": frames.HISTORY_TABLE},
    ENGAGEMENT: {"clicks": frames.CLICKS_TABLE, "answers": frames.ANSWERS_TABLE},
    EXCLUSION_WINDOWS: {"exclusion_stretches": frames.EXCLUSION_STRETCHES},
    ANNIVERSARY_SCHEDULES: {"schedules": frames.SCHEDULES},
    CAMPAIGN_SCHEDULES: {"schedules": frames.SCHEDULES, "contact_issues": frames.CONTACT_ISSUES},
    FOLLOW_UPS: {"follow_ups": frames.FOLLOW_UPS, "contact_issues": frames.CONTACT_ISSUES},
    BALANCED_SCHEDULES: {
        "email_schedules": frames.EMAIL_SCHEDULES,
        "contact_issues": frames.CONTACT_ISSUES,
        "target_statuses": frames.TARGET_STATUSES,
        "capacity_shortfall": frames.CAPACITY_SHORTFALL,
        "fixed_volume": frames.FIXED_VOLUME,
        "foreign_rows": frames.FOREIGN_ROWS,
        "plan_figures": frames.PLAN_FIGURES,
    },
}

_ISO_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def input_values(
    inputs: PlanInputs, changes: "SeenChanges", contacts: pd.DataFrame, issues: pd.DataFrame
) -> dict[str, Frames]:
    """Return the values of the four input assets.

    Args:
        inputs: The organisation's tables, read at one moment.
        changes: Read at the same moment.
        contacts: ``CONTACTS``: the valid ones among them.
        issues: ``CONTACT_ISSUES``.
    """
    return {
        CONTACTS: {
            "valid_contacts": contacts,
            "contact_issues": issues,
            "contacts_table": inputs.contacts,
            "suppressions_table": inputs.suppressions,
            "suppressed_addresses": inputs.suppressed_addresses,
            "contact_changes": changes.contacts,
            "reading": frames.READING.build(
                {"checkpoint_id": np.array([changes.checkpoint_id or 0], np.int64)}
            ),
            "contact_attributes": inputs.contact_attributes,
        },
        CAMPAIGNS: {
            "campaign_instances": inputs.campaign_instances,
            "campaign_types": inputs.campaign_types,
            "contact_campaigns": inputs.contact_campaigns,
            "campaign_changes": changes.campaigns,
        },
        EMAIL_HISTORY: {"email_history": inputs.history},
        ENGAGEMENT: {"clicks": inputs.clicks, "answers": inputs.answers},
    }


def plan_inputs(
    as_of: date, contacts: Frames, campaigns: Frames, email_history: Frames, engagement: Frames | None = None
) -> PlanInputs:
    """Return the tables that the input assets hold; without ``engagement`` nobody clicked or answered."""
    behaviour = engagement or {"clicks": frames.CLICKS_TABLE.empty(), "answers": frames.ANSWERS_TABLE.empty()}
    return PlanInputs(
        as_of=as_of,
        contacts=contacts["contacts_table"],
        suppressions=contacts["suppressions_table"],
        campaign_types=campaigns["campaign_types"],
        campaign_instances=campaigns["campaign_instances"],
        contact_campaigns=campaigns["contact_campaigns"],
        history=email_history["email_history"],
        clicks=behaviour["clicks"],
        answers=behaviour["answers"],
        contact_attributes=contacts["contact_attributes"],
        suppressed_addresses=contacts["suppressed_addresses"],
    )


def plan_frames(plan: Plan, config: SchedulerConfig) -> Frames:
    """Return a plan as frames; the valid contacts are those of the asset ``contacts``."""
    types = list(plan.foreign_rows)
    return {
        "email_schedules": plan.schedules,
        "contact_issues": plan.issues,
        "target_statuses": plan.target_statuses,
        "capacity_shortfall": plan.capacity_shortfall,
        "fixed_volume": frames.FIXED_VOLUME.build(
            {
                "send_date": plan.fixed.index.to_numpy().astype(np.int32),
                "emails": plan.fixed.to_numpy().astype(np.int32),
            }
        ),
        "foreign_rows": frames.FOREIGN_ROWS.build(
            {
                "email_type": pd.Categorical(types, categories=pd.Index(types, dtype="str")),
                "rows": np.array(list(plan.foreign_rows.values()), np.int32),
            }
        ),
        "plan_figures": frames.PLAN_FIGURES.build(
            {
                "contact_count": np.array([plan.contact_count], np.int32),
                "daily_cap": np.array([plan.daily_cap], np.int32),
                "daily_limit": np.array([plan.daily_limit], np.int32),
                "rules_hash": pd.Series([config.rules_hash()], dtype="str"),
            }
        ),
    }


def plan_of(as_of: date, contacts: Frames, balanced_schedules: Frames) -> Plan:
    """Return the plan that the assets ``contacts`` and ``balanced_schedules`` hold."""
    figures, fixed = balanced_schedules["plan_figures"].iloc[0], balanced_schedules["fixed_volume"]
    foreign = balanced_schedules["foreign_rows"]
    return Plan(
        as_of=as_of,
        schedules=balanced_schedules["email_schedules"],
        contacts=contacts["valid_contacts"],
        issues=balanced_schedules["contact_issues"],
        target_statuses=balanced_schedules["target_statuses"],
        contact_count=int(figures["contact_count"]),
        daily_cap=int(figures["daily_cap"]),
        daily_limit=int(figures["daily_limit"]),
        fixed=pd.Series(fixed["emails"].to_numpy(), index=fixed["send_date"].to_numpy()),
        capacity_shortfall=balanced_schedules["capacity_shortfall"],
        foreign_rows=dict(zip(foreign["email_type"].astype("str"), map(int, foreign["rows"]), strict=True)),
    )


def delete_old_partitions(storage_url: str, first_kept_date: date) -> int:
    """Delete the frames of all dates before one, and return how many days of assets that were.

    Nothing is touched but ``<asset>/<date>`` of assets that the project has.

    Args:
        storage_url: Where frames are kept (``orchestration.storage_url``).
        first_kept_date: The first date whose frames stay.
    """
    deleted = 0
    for directory in _dates(UPath(storage_url)):
        if directory.name < first_kept_date.isoformat():
            directory.fs.rm(directory.path, recursive=True)
            deleted += 1
    return deleted


def _dates(root: UPath) -> Iterator[UPath]:
    for asset in ASSET_FRAMES:
        place = root / asset
        if place.is_dir():
            yield from [each for each in place.iterdir() if _ISO_DATE.fullmatch(each.name) and each.is_dir()]
