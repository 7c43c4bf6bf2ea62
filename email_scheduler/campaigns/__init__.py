"""Campaigns in the operator's hands: types, instances, targets, what they achieve. See docs/campaigns.md.

Everything goes through ``Campaigns``::

    from email_scheduler.campaigns import ById, Campaigns

    campaigns = Campaigns("sqlite:///data/sample.db", changed_by="anna")
    campaigns.create_instance("rate_increase", "spring_2027", email_template="rate_increase_v3")
    campaigns.target("rate_increase/spring_2027", ById([17, 42]), trigger_date=date(2027, 3, 1))
"""

from email_scheduler.campaigns.achievements import InstanceCounts, InstanceReport, LogRow, Rate, VariantResult
from email_scheduler.campaigns.catalogue import (
    InstanceRow,
    TypeRow,
    as_date,
    as_stored,
    create_instance,
    create_type,
    date_text,
    days_later,
    find_type,
    list_instances,
    list_types,
    to_json,
)
from email_scheduler.campaigns.preview import CampaignPreview, NewInstance
from email_scheduler.campaigns.selections import (
    TARGETS,
    AllContacts,
    ById,
    FromCsv,
    Selection,
    TargetLine,
    Where,
    selection_source,
)
from email_scheduler.campaigns.service import Campaigns
from email_scheduler.campaigns.sync import SyncResult
from email_scheduler.campaigns.targeting import TargetResult, take_targets
from email_scheduler.database import BadLines, BadLinesError

__all__ = [
    "TARGETS",
    "AllContacts",
    "BadLines",
    "BadLinesError",
    "ById",
    "CampaignPreview",
    "Campaigns",
    "FromCsv",
    "InstanceCounts",
    "InstanceReport",
    "InstanceRow",
    "LogRow",
    "NewInstance",
    "Rate",
    "Selection",
    "SyncResult",
    "TargetLine",
    "TargetResult",
    "TypeRow",
    "VariantResult",
    "Where",
    "as_date",
    "as_stored",
    "create_instance",
    "create_type",
    "date_text",
    "days_later",
    "find_type",
    "list_instances",
    "list_types",
    "selection_source",
    "take_targets",
    "to_json",
]
