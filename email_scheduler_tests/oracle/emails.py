"""One occurrence on its way through the plan."""

from dataclasses import dataclass
from datetime import date

from email_scheduler_tests.oracle.book import Instance
from email_scheduler_tests.oracle.contacts import Contact


@dataclass
class Email:
    """An email that sections 6 to 10 ask for; the sections after them fill in what becomes of it."""

    contact: Contact
    email_type: str
    event_date: date
    ideal_date: date
    deadline: date
    priority: int
    is_bound: bool
    causes_followups: bool
    instance: Instance | None = None
    is_implicit: bool = False

    base: date | None = None
    first: date | None = None
    last: date | None = None
    is_brought_forward: bool = False

    placed_on: date | None = None
    skip_reason: str | None = None
    skipped_at: date | None = None

    @property
    def instance_id(self) -> int:
        """Section 1: campaign instance or none (0)."""
        return 0 if self.instance is None else self.instance.id

    @property
    def is_campaign(self) -> bool:
        """Say whether this is an email of section 8."""
        return self.instance is not None

    def skip(self, reason: str, at: date | None = None) -> None:
        """Sections 6 to 9 and 11 date a skipped row at its ideal date, section 12 at the date it had."""
        self.skip_reason = reason
        self.skipped_at = self.ideal_date if at is None else at
        self.placed_on = None
