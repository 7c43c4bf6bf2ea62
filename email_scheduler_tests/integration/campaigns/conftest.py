"""The database that the tests of campaigns begin with, of each kind."""

import pytest

from email_scheduler_tests.databases import Database
from email_scheduler_tests.integration.campaigns.campaign_database import CONTENT, CampaignDatabase


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> CampaignDatabase:
    """Contacts 1 to 10, of which 4 and 5 share an address and 6 has none; the instances 1 and 2 of a type."""
    empty: Database = request.getfixturevalue(f"{request.param}_database")
    empty.run(CONTENT)
    return CampaignDatabase(empty)
