"""The commands that are recorded, in the order in which people would give them.

A line is a command of ``email-scheduler``, or begins with ``@`` and is done by the recorder: ``@day DATE``
(the clock), ``@send`` (what is due goes out; some contacts click, some of them answer), ``@older`` (from here
on in the database that the older program leaves behind).
"""

from datetime import date
from typing import Final

FIRST_DAY: Final = date(2026, 11, 23)

# Commands that are not recorded, and why.
WITHOUT_JSON: Final = {
    "init-db": "prints sentences; the commands after it need what it makes",
    "generate": "prints one sentence; its rows are those that everything here is made of",
    "demo": "runs Dagster for the organisation of its own directory, and prints tables",
}

SCRIPT: Final = """
init-db
generate --contacts 300 --seed 1 --as-of 2026-11-23
health --json
campaigns sync --by Jo --json
plan --dry-run --json
plan --by Jo --json
health --json
report --as-of 2026-11-23 --json
explain --contact 1 --json
explain --contact 2 --json
explain --contact 7 --json
explain --contact 21 --json
explain --contact 42 --json
explain --contact 99999 --json
simulate --from 2026-11-23 --days 12 --json

campaigns types --json
campaigns instances --json
campaigns types create plan_review days_before_event=21 priority=4 --by Jo --json
campaigns types change plan_review priority=6 --by Ann --json
campaigns types deactivate policy_update --by Ann --json
campaigns types activate policy_update --by Ann --json
campaigns preview --file instance.yaml --json
campaigns instances create plan_review/winter email_template=plan_review_v1 \
    active_start_date=2026-12-01 active_end_date=2027-02-28 metadata.audience.where.state=[TX,FL] \
    metadata.audience.trigger.anniversary_of=effective_date --by Jo --json
campaigns instances create policy_update/letters email_template=letter_v1 metadata.trigger_date=2026-12-21 \
    'metadata.variants=[{"name": "short", "weight": 1, "email_template": "letter_short"}, \
    {"name": "long", "weight": 3, "email_template": "letter_long"}]' --by Jo --json
campaigns instances change plan_review/winter active_end_date=2027-03-31 --by Ann --json
campaigns preview plan_review/winter --json
campaigns preview policy_update/letters --where effective_month=3,4,5,6 --json
campaigns target policy_update/letters --where effective_month=3,4,5,6 --by Jo --json
campaigns target policy_update/letters --ids 21,22,23,99999 --trigger-date 2026-12-24 --by Jo --json
campaigns target rate_increase/spring_2027 --csv targets.csv --by Jo --json
campaigns target rate_increase/spring_2027 --csv targets.csv --skip-bad --by Jo --json
campaigns withdraw policy_update/letters --ids 22,24 --by Ann --json
campaigns preview policy_update/letters --ids 30,31,32 --trigger-date 2027-01-15 --json
campaigns show policy_update/letters --json
plan --dry-run --json
hold --reason "a template is wrong" --by Jo --json
health --json
plan --by Jo --json
release --reason "the template is right" --by Ann --json
report --as-of 2026-11-23 --json
backup create --scope planner_tables --json
backup create --scope database --json
backup list --json

@rows first_plan
@send
@day 2026-11-24
health --json
plan --by Jo --json
campaigns show policy_update/letters --json
campaigns show rate_increase/spring_2027 --json
report --as-of 2026-11-23 --json
report --as-of 2026-11-24 --json
explain --contact 1 --json
explain --contact 1 --as-of 2026-11-23 --json
@rows next_day
@send
@day 2026-11-25
campaigns instances end policy_update/letters 2026-12-10 --by Jo --json
campaigns instances stop plan_review/winter --by Jo --json
plan --by Jo --json
campaigns instances start plan_review/winter --by Jo --json
campaigns changes --json
campaigns changes --instance policy_update/letters --limit 3 --json
backup verify latest --json
what-if --config other --json
what-if --config config --json
config history --json
plan --config other --by Ann --json
config history --json
config show 1 --json
config diff 1 2 --json
config diff 1 --no-plan --json
config rollback 2 --yes --by Jo --json
config history --json
explain --contact 3 --json
report --as-of 2026-11-25 --json
simulate --from 2026-11-25 --days 4 --click-rate 0.5 --answer-rate 0.5 --condition-rate 0.5 --seed 7 --json
backup restore latest --yes --by Jo --json
explain --contact 1 --json
release --reason "planned again" --by Jo --json
plan --by Jo --json
health --json
campaigns instances --json
campaigns sync --dry-run --config other --by Jo --json

@older
init-db
migrate-rate-increases --dry-run --by Jo --json
import-history --csv history.csv --dry-run --skip-bad --by Jo --json
import-history --csv history.csv --by Jo --json
import-history --csv history.csv --skip-bad --by Jo --json
migrate-rate-increases --by Jo --json
shadow --beside sqlite:///agency.db --as-of 2026-11-25 --json
plan --by Jo --json
explain --contact 4 --json
@rows plan_beside_the_older_program
states --json
contacts import --csv contacts.csv --json
contacts import --csv contacts.csv --skip-bad --add-columns --dry-run --by Jo --json
contacts import --csv contacts.csv --skip-bad --add-columns --by Jo --json
contacts rekey --csv ids.csv --reason "a new CRM" --by Jo --json
suppress --email nobody@example.com --reason "asked" --json
suppressions list --json
unsuppress --email NOBODY@example.com --json
"""
