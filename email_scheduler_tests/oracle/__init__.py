"""The oracle: a slow, literal reading of the planning rules, one contact and one day at a time.

It shares no code with the planner but the contracts of frames and configuration. Each function names the
section that it reads.
"""

from email_scheduler_tests.oracle.plan import contact_issues, make_oracle_plan, plan_rows, target_statuses
from email_scheduler_tests.oracle.rows import OracleRow
from email_scheduler_tests.oracle.words import mix, stable_hash

__all__ = [
    "OracleRow",
    "contact_issues",
    "make_oracle_plan",
    "mix",
    "plan_rows",
    "stable_hash",
    "target_statuses",
]
