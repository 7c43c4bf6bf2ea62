"""A small organisation's database for the tests of campaigns: ten contacts, a type and an instance."""

from email_scheduler.campaigns.service import Campaigns
from email_scheduler_tests.databases import Database

CONTENT = """
    INSERT INTO contacts (id, email, zip_code, state, effective_date, birth_date) VALUES
        (1, 'one@example.org', '75001', 'TX', '2019-11-01', '1950-03-10'),
        (2, ' Two@Example.org ', '75001', 'tx ', '2019-11-15T00:00:00', '1951-12-24'),
        (3, 'three@example.org', '90210', 'CA', '2018-03-01', '1949-01-01'),
        (4, 'shared@example.org', '90210', 'CA', NULL, NULL),
        (5, 'SHARED@example.org', '10001', 'NY', '', 'unknown'),
        (6, NULL, '10001', NULL, '2020-11-30', NULL),
        (7, 'seven@example.org', '75001', 'TX', '2021-01-01', '1952-02-29'),
        (8, 'eight@example.org', '75001', 'TX', '2021-01-01', NULL),
        (9, 'nine@example.org', '75001', 'TX', '2021-01-01', NULL),
        (10, 'ten@example.org', '75001', 'TX', '2021-01-01', NULL);
    INSERT INTO change_context (changed_by) VALUES ('the tests');
    INSERT INTO campaign_types (name, days_before_event, priority) VALUES ('promo', 7, 5);
    INSERT INTO campaign_instances (id, campaign_type, instance_name, email_template, metadata)
        VALUES (1, 'promo', 'spring', 'promo_v1', '{"trigger_date": "2027-03-01"}'),
               (2, 'promo', 'undated', 'promo_v1', NULL);
    DELETE FROM change_context;
"""


class CampaignDatabase:
    """A database and what tests ask it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.url = database.url

    def rows(self, sql: str, *parameters: object) -> list[tuple]:
        return self.database.query(sql, parameters)

    def write(self, sql: str, *parameters: object) -> None:
        self.database.write(sql, parameters)

    def quietly(self, script: str) -> None:
        """Write without a trace in the change log."""
        self.database.run(
            "BEGIN; INSERT INTO change_context (changed_by) VALUES ('the tests');"
            f"{script}; DELETE FROM change_context; COMMIT;"
        )

    def log(self) -> list[tuple]:
        """Return what was recorded: instance, field, old, new."""
        return self.rows(
            "SELECT campaign_instance_id, field_changed, old_value, new_value FROM campaign_change_log"
            " ORDER BY id"
        )

    def targets(self, instance: int = 1) -> list[tuple]:
        """Return contact, trigger date and status of the listed contacts."""
        return self.rows(
            "SELECT contact_id, trigger_date, status FROM contact_campaigns WHERE campaign_instance_id = ?"
            " ORDER BY contact_id, coalesce(trigger_date, '')",
            instance,
        )

    def service(self) -> Campaigns:
        return Campaigns(self.url, changed_by="anna")
