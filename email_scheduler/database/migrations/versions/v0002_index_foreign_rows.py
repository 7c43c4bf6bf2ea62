"""Index the rows that other programs are about to send, so that finding them takes no look at all rows."""

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"

_TYPES = (
    "birthday",
    "effective_date",
    "aep",
    "post_window",
    "followup_1_cold",
    "followup_2_clicked_no_hq",
    "followup_3_hq_no_yes",
    "followup_4_hq_with_yes",
)
_IS_PLANNERS = "(substr(email_type, 1, 9) = 'campaign_' OR {})".format(
    " OR ".join(f"email_type = '{name}'" for name in _TYPES)
)


def upgrade() -> None:
    condition = text(f"status = 'pre-scheduled' AND NOT coalesce({_IS_PLANNERS}, FALSE)")
    op.create_index(
        "ix_email_schedules_foreign",
        "email_schedules",
        ["id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
