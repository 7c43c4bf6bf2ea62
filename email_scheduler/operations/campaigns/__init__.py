"""Campaigns in the operator's hands: types, instances, targets, what they achieve. See docs/campaigns.md.

Everything goes through ``Campaigns``::

    from email_scheduler.operations.campaigns import ById, Campaigns

    campaigns = Campaigns("sqlite:///data/sample.db", changed_by="anna")
    campaigns.create_instance("rate_increase", "spring_2027", email_template="rate_increase_v3")
    campaigns.target("rate_increase/spring_2027", ById([17, 42]), trigger_date=date(2027, 3, 1))
"""

from email_scheduler.operations.campaigns.selections import AllContacts, ById, FromCsv, Selection, Where
from email_scheduler.operations.campaigns.service import Campaigns
from email_scheduler.operations.campaigns.targets import TargetResult
from email_scheduler.operations.csv_files.bad_lines import BadLines, BadLinesError

__all__ = [
    "AllContacts",
    "BadLines",
    "BadLinesError",
    "ById",
    "Campaigns",
    "FromCsv",
    "Selection",
    "TargetResult",
    "Where",
]
