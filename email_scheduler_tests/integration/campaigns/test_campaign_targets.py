"""Targeting and withdrawing contacts: corrections, what was sent, what was withdrawn, bad lines."""

import csv
from datetime import date
from pathlib import Path

import pytest

from email_scheduler.campaigns.selections import TWO_DATES, AllContacts, ById, FromCsv, Where
from email_scheduler.database.csv_files import BadLinesError
from email_scheduler.database.line_import import (
    NOT_THE_SAME,
    SHARED_ADDRESS,
    UNKNOWN_ADDRESS,
    UNKNOWN_CONTACT,
)
from email_scheduler.errors import DatabaseError, UsageError
from email_scheduler.files import Output
from email_scheduler_tests.integration.campaigns.campaign_database import CampaignDatabase

MARCH = date(2027, 3, 1)
MAY = date(2027, 5, 1)


def sent(database: CampaignDatabase, contact_id: int, event: date = MARCH, status: str = "sent") -> None:
    """The sending system took the email of the instance 1 to a contact."""
    database.write(
        "INSERT INTO email_schedules (contact_id, email_type, status, scheduled_send_date,"
        " campaign_instance_id, event_year, event_month, event_day)"
        " VALUES (?, 'campaign_promo', ?, '2027-02-22', 1, ?, ?, ?)",
        contact_id,
        status,
        event.year,
        event.month,
        event.day,
    )


def listed(
    database: CampaignDatabase, contact_id: int, status: str = "pending", day: str | None = None
) -> None:
    database.quietly(
        "INSERT INTO contact_campaigns (contact_id, campaign_instance_id, status, trigger_date)"
        f" VALUES ({contact_id}, 1, '{status}', {'NULL' if day is None else repr(day)})"
    )


def file(tmp_path: Path, text: str) -> FromCsv:
    path = tmp_path / "targets.csv"
    path.write_text(text, encoding="utf-8")
    return FromCsv(path)


def test_contacts_become_targets_and_the_import_is_one_entry_of_the_log(database: CampaignDatabase) -> None:
    result = database.service().target("spring", ById([1, 2, 7]), trigger_date=MAY)
    assert result.counts == {"added": 3}
    assert database.targets() == [(i, "2027-05-01", "pending") for i in (1, 2, 7)]
    assert database.log() == [(1, "targets", None, '{"added": 3}')]
    assert database.rows("SELECT changed_by, requires_rescheduling FROM campaign_change_log") == [("anna", 1)]


def test_the_same_again_changes_nothing_and_is_not_on_record(database: CampaignDatabase) -> None:
    service = database.service()
    service.target("spring", ById([1, 2]), trigger_date=MAY)
    before = database.rows("SELECT * FROM contact_campaigns")
    assert service.target("spring", ById([1, 2]), trigger_date=MAY).counts == {"unchanged": 2, "added": 0}
    assert database.rows("SELECT * FROM contact_campaigns") == before
    assert len(database.log()) == 1


def test_another_trigger_date_is_a_correction_the_open_target_moves(database: CampaignDatabase) -> None:
    listed(database, 1, "scheduled", "2027-03-15")
    listed(database, 2)
    assert database.service().target("spring", ById([1, 2]), trigger_date=MAY).counts == {
        "moved": 2,
        "added": 0,
    }
    assert database.targets() == [(1, "2027-05-01", "pending"), (2, "2027-05-01", "pending")]
    assert database.log() == [(1, "targets", None, '{"moved": 2}')]


def test_a_blank_date_and_the_date_of_the_instance_are_the_same(database: CampaignDatabase) -> None:
    listed(database, 1)
    listed(database, 2, day="2027-03-01T00:00:00")
    service = database.service()
    assert service.target("spring", ById([1]), trigger_date=MARCH).counts == {"unchanged": 1, "added": 0}
    assert service.target("spring", ById([2])).counts == {"unchanged": 1, "added": 0}


@pytest.mark.parametrize("status", ["sent", "delivered", "processing", "scheduled", "failed", "unknown"])
def test_a_contact_whose_email_was_taken_is_reported_and_not_added(
    database: CampaignDatabase, status: str
) -> None:
    sent(database, 1, status=status)
    listed(database, 1, "scheduled")
    before = database.targets()
    result = database.service().target("spring", ById([2, 1]), trigger_date=MAY)
    assert result.counts == {"added": 1, "already_sent": 1}
    assert [(each.line, each.contact_id, each.outcome) for each in result.reported] == [
        (2, 1, "already_sent")
    ]
    assert [row for row in database.targets() if row[0] == 1] == before


def test_those_who_mean_it_can_write_again_to_a_contact_whose_email_was_sent(
    database: CampaignDatabase,
) -> None:
    sent(database, 1)
    listed(database, 1, "sent")
    service = database.service()
    assert service.target("spring", ById([1]), trigger_date=MAY, again=True).counts == {"added": 1}
    # the same date again would be the same email again
    assert service.target("spring", ById([1]), trigger_date=MARCH, again=True).counts == {
        "already_sent": 1,
        "added": 0,
    }
    assert database.targets() == [(1, None, "sent"), (1, "2027-05-01", "pending")]


def test_an_open_target_whose_email_was_taken_stays_where_it_is_beside_the_new_one(
    database: CampaignDatabase,
) -> None:
    sent(database, 1)
    listed(database, 1, "scheduled", "2027-03-01")
    result = database.service().target("spring", ById([1]), trigger_date=MAY, again=True)
    assert result.counts == {"added": 1}
    assert database.targets() == [(1, "2027-03-01", "scheduled"), (1, "2027-05-01", "pending")]


def test_an_email_of_a_campaign_for_everybody_counts_as_sent_without_a_row(
    database: CampaignDatabase,
) -> None:
    sent(database, 1)
    service = database.service()
    assert service.target("spring", ById([1]), trigger_date=MAY).counts == {"already_sent": 1, "added": 0}
    assert service.target("spring", ById([1]), trigger_date=MARCH, again=True).counts["added"] == 0
    assert service.target("spring", ById([1]), trigger_date=MAY, again=True).counts == {"added": 1}


def test_an_email_of_another_instance_or_a_follow_up_is_no_email_of_this_one(
    database: CampaignDatabase,
) -> None:
    database.write(
        "INSERT INTO email_schedules (contact_id, email_type, status, campaign_instance_id, initial_email_id)"
        " VALUES (1, 'campaign_promo', 'sent', 2, NULL), (1, 'followup_1_cold', 'sent', 1, 99),"
        " (1, 'campaign_promo', 'pre-scheduled', 1, NULL)"
    )
    assert database.service().target("spring", ById([1])).counts == {"added": 1}


def test_a_withdrawn_contact_stays_out_unless_it_is_meant(database: CampaignDatabase) -> None:
    listed(database, 1, "skipped")
    listed(database, 2, "skipped", "2027-03-01")
    service = database.service()
    result = service.target("spring", ById([1, 2]), trigger_date=MARCH)
    assert result.counts == {"already_withdrawn": 2, "added": 0}
    assert service.target("spring", ById([1]), trigger_date=MARCH, again=True).counts == {"added": 1}
    assert service.target("spring", ById([2]), trigger_date=MAY, again=True).counts == {"added": 1}
    assert database.targets() == [
        (1, None, "pending"),
        (2, "2027-03-01", "skipped"),
        (2, "2027-05-01", "pending"),
    ]


def test_a_contact_with_several_open_targets_is_reported(database: CampaignDatabase) -> None:
    listed(database, 1, day="2027-04-01")
    listed(database, 1, day="2027-06-01")
    service = database.service()
    assert service.target("spring", ById([1]), trigger_date=MAY).counts == {"several_targets": 1, "added": 0}
    assert service.target("spring", ById([1]), trigger_date=date(2027, 6, 1)).counts["unchanged"] == 1


@pytest.mark.parametrize("again", [False, True])
def test_an_open_target_does_not_move_to_a_date_that_was_withdrawn(
    database: CampaignDatabase, again: bool
) -> None:
    listed(database, 1, day="2027-04-01")
    listed(database, 1, "skipped", "2027-05-01")
    before = database.targets()
    result = database.service().target("spring", ById([1]), trigger_date=MAY, again=again)
    assert result.counts == {"several_targets": 1, "added": 0}
    assert database.targets() == before


def test_ids_that_nobody_has_are_told_and_nothing_is_imported(database: CampaignDatabase) -> None:
    with pytest.raises(BadLinesError) as refused:
        database.service().target("spring", ById([1, 99, 98]))
    assert list(refused.value.bad_lines) == [
        (2, "contact_id", UNKNOWN_CONTACT),
        (3, "contact_id", UNKNOWN_CONTACT),
    ]
    assert database.targets() == []
    assert database.log() == []


def test_a_csv_file_names_contacts_by_address_as_the_planner_compares_addresses(
    database: CampaignDatabase, tmp_path: Path
) -> None:
    text = "email,trigger_date,carrier\n TWO@example.org\t,2027-05-01,=Acme\nthree@EXAMPLE.org,,\n"
    assert database.service().target("spring", file(tmp_path, text)).counts == {"added": 2}
    assert database.targets() == [(2, "2027-05-01", "pending"), (3, None, "pending")]
    assert database.rows("SELECT metadata FROM contact_campaigns ORDER BY contact_id") == [
        ('{"carrier": "=Acme"}',),
        (None,),
    ]


def test_every_bad_line_of_a_file_is_told_with_its_reason(database: CampaignDatabase, tmp_path: Path) -> None:
    text = """contact_id,email,trigger_date
1,one@example.org,2027-05-01
99,,
,nobody@example.org,
,shared@example.org,
2,three@example.org,
x,,
3,,1 May
4,,
4,,2027-06-01
1,,2027-05-01
"""
    with pytest.raises(BadLinesError) as refused:
        database.service().target("spring", file(tmp_path, text))
    told = {line: (column, reason) for line, column, reason in refused.value.bad_lines}
    assert sorted(told) == [3, 4, 5, 6, 7, 8, 10]
    assert told[3] == ("contact_id", UNKNOWN_CONTACT)
    assert told[4] == ("email", UNKNOWN_ADDRESS)
    assert told[5] == ("email", SHARED_ADDRESS)
    assert told[6] == ("contact_id", NOT_THE_SAME)
    assert told[10] == ("trigger_date", TWO_DATES)
    assert "@" not in str(refused.value)
    assert database.targets() == []

    result = database.service().target("spring", file(tmp_path, text), skip_bad=True)
    assert result.counts == {"added": 2, "repeated": 1}
    assert result.bad_lines.count() == 7
    assert database.targets() == [(1, "2027-05-01", "pending"), (4, None, "pending")]


def test_a_line_without_a_date_is_bad_if_the_instance_has_none(
    database: CampaignDatabase, tmp_path: Path
) -> None:
    lines = file(tmp_path, "contact_id\n1\n")
    with pytest.raises(
        BadLinesError, match="line 2: trigger_date: no date, and the campaign instance has none"
    ):
        database.service().target("undated", lines)
    assert database.service().target("undated", lines, trigger_date=MAY).counts == {"added": 1}
    database.service().change_instance("undated", active_start_date="2027-01-01")
    assert database.service().target("undated", file(tmp_path, "contact_id\n2\n")).counts == {"added": 1}


def test_new_metadata_of_a_target_is_taken_and_calls_for_no_plan(
    database: CampaignDatabase, tmp_path: Path
) -> None:
    service = database.service()
    service.target("spring", file(tmp_path, "contact_id,plan\n1,G\n2,G\n"))
    again = file(tmp_path, "contact_id,plan\n1,N\n2,G\n3,\n")
    assert service.target("spring", again).counts == {"annotated": 1, "unchanged": 1, "added": 1}
    service.target("spring", file(tmp_path, "contact_id,plan\n1,F\n"))
    # a file that says nothing about it takes nothing away
    service.target("spring", file(tmp_path, "contact_id,trigger_date\n1,2027-06-01\n"))
    assert database.rows("SELECT metadata FROM contact_campaigns WHERE contact_id = 1") == [
        ('{"plan": "F"}',)
    ]
    assert database.rows("SELECT new_value, requires_rescheduling FROM campaign_change_log ORDER BY id") == [
        ('{"added": 2}', 1),
        ('{"added": 1, "annotated": 1}', 1),
        ('{"annotated": 1}', 0),
        ('{"moved": 1}', 1),
    ]


@pytest.mark.parametrize(
    ("conditions", "ids"),
    [
        (["state=TX"], [1, 2, 7, 8, 9, 10]),
        # the state is that of the ZIP: that of 6 is in New York
        (["state=ca,ny"], [3, 4, 5, 6]),
        (["state="], []),
        (["state!=TX"], [3, 4, 5, 6]),
        (["effective_month=11"], [1, 2, 6]),
        (["effective_month=11", "state=TX"], [1, 2]),
        (["effective_month=1,3"], [3, 7, 8, 9, 10]),
        (["effective_year<2020"], [1, 2, 3]),
        (["effective_date=2019-11-15"], [2]),
        (["effective_date>=2020-11-30", "effective_date<2021-01-01"], [6]),
        (["birth_year>=1951", "birth_month=2"], [7]),
        (["effective_month!=1,11"], [3]),
        (["id>8"], [9, 10]),
        (["zip_code=10001"], [5, 6]),
        (["email="], [6]),
        (["effective_date="], [4, 5]),
        (["zip_code>=75001", "id<4"], [1, 2, 3]),
        (["zip_code={min: 10001, max: 75000}"], [5, 6]),
        (["zip_code!=[75001, 90210]"], [5, 6]),
        (["birth_date=unknown"], [5]),
        (["effective_year>2019", "effective_year<=2020"], [6]),
    ],
)
def test_conditions_choose_contacts(
    database: CampaignDatabase, conditions: list[str], ids: list[int]
) -> None:
    database.service().target("spring", Where(conditions))
    assert [row[0] for row in database.targets()] == ids


def test_columns_that_an_agency_has_added_can_stand_in_conditions(database: CampaignDatabase) -> None:
    database.write("ALTER TABLE contacts ADD COLUMN Rate_Change_Date TEXT")
    database.write("UPDATE contacts SET rate_change_date = '2027-04-01' WHERE id IN (2, 3)")
    service = database.service()
    service.target("spring", Where(["rate_change_date>2027-01-01", "state=CA"]))
    assert [row[0] for row in database.targets()] == [3]
    service.target("spring", Where(["rate_change_month=4"]))
    assert [row[0] for row in database.targets()] == [2, 3]


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("state", "accepted is COLUMN=VALUE"),
        ("", "accepted is COLUMN=VALUE"),
        ("1=1", "accepted is COLUMN=VALUE"),
        ("colour=red", "contacts have no column colour; accepted is one of birth_date"),
        ("id=1 OR 1=1; --", None),
        ("zip_code=' OR '1'='1", None),
        ("state=' OR '1'='1", "accepted is the two letters of states"),
        ("state=Texas", "accepted is the two letters of states"),
        ("zip_code={least: 1}", "accepted is a value or a list of values"),
        ("zip_code=[75001", None),
        ("zip_code=[}]", "accepted in brackets is what audiences accept"),
        ("state>TX", "'TX' cannot be compared by >"),
        ("effective_month=13", "accepted is a month, a whole number from 1 to 12"),
        ("effective_month>1,2", "accepted is a month"),
        ("effective_date<2027-02-30", "cannot be compared"),
    ],
)
def test_no_condition_becomes_sql(database: CampaignDatabase, condition: str, told: str | None) -> None:
    service = database.service()
    if told is None:
        assert service.target("spring", Where([condition])).counts == {"added": 0}
    else:
        with pytest.raises(UsageError) as refused:
            service.target("spring", Where([condition]))
        assert told in str(refused.value)
    assert database.targets() == []


def test_who_asks_for_a_state_is_told_that_it_is_that_of_the_zip(database: CampaignDatabase) -> None:
    service = database.service()
    assert service.target("spring", Where(["zip_code=75001"])).notes == ()
    [note] = service.target("spring", Where([" STATE=TX"])).notes
    assert note.startswith("state is the state that the ZIP lies in")
    [note] = service.withdraw("spring", Where(["state!=TX"])).notes
    assert "the column state does not count" in note
    assert note in service.preview("spring", date(2026, 11, 24), selection=Where(["state=TX"])).notes


def test_everybody_can_be_a_target(database: CampaignDatabase) -> None:
    assert database.service().target("spring", AllContacts()).counts == {"added": 10}


def test_withdrawn_contacts_are_skipped_and_a_campaign_for_everybody_does_not_take_them_up(
    database: CampaignDatabase,
) -> None:
    listed(database, 1, "scheduled", "2027-05-01")
    listed(database, 1, "pending", "2027-06-01")
    listed(database, 3, "sent")
    sent(database, 7)
    result = database.service().withdraw("spring", ById([1, 2, 3, 7]))
    assert result.counts == {"withdrawn": 1, "kept_out": 1, "already_sent": 2}
    assert [each.contact_id for each in result.reported] == [3, 7]
    assert database.targets() == [
        (1, "2027-05-01", "skipped"),
        (1, "2027-06-01", "skipped"),
        (2, None, "skipped"),
        (3, None, "sent"),
    ]
    assert database.log() == [(1, "targets", None, '{"withdrawn": 2}')]
    assert database.service().withdraw("spring", ById([1, 2])).counts == {"already_withdrawn": 2}
    assert len(database.log()) == 1


def test_withdrawing_after_writing_again_leaves_what_was_sent(database: CampaignDatabase) -> None:
    sent(database, 1)
    listed(database, 1, "sent", "2027-03-01")
    database.service().target("spring", ById([1]), trigger_date=MAY, again=True)
    assert database.service().withdraw("spring", ById([1])).counts == {"withdrawn": 1}
    assert database.targets() == [(1, "2027-03-01", "sent"), (1, "2027-05-01", "skipped")]


def test_what_was_planned_for_a_withdrawn_contact_is_not_due_any_more(database: CampaignDatabase) -> None:
    database.write(
        "INSERT INTO email_schedules"
        " (id, contact_id, email_type, status, campaign_instance_id, initial_email_id) VALUES"
        " (1, 1, 'campaign_promo', 'pre-scheduled', 1, NULL),"
        " (2, 2, 'campaign_promo', 'pre-scheduled', 1, NULL),"
        " (3, 1, 'followup_1_cold', 'pre-scheduled', 1, 77),"
        " (4, 1, 'campaign_promo', 'pre-scheduled', 2, NULL),"
        " (5, 1, 'birthday', 'pre-scheduled', NULL, NULL)"
    )
    database.service().withdraw("spring", ById([1]))
    due = "SELECT id FROM due_emails ORDER BY id"
    assert database.rows(due) == [(2,), (3,), (4,), (5,)]
    database.service().target("spring", ById([1]), trigger_date=MAY, again=True)
    assert database.rows(due) == [(1,), (2,), (3,), (4,), (5,)]


def test_withdrawing_by_file_asks_for_no_dates_and_tells_bad_lines(
    database: CampaignDatabase, tmp_path: Path
) -> None:
    lines = file(tmp_path, "email\none@example.org\nnobody@example.org\n")
    with pytest.raises(BadLinesError, match="line 3: email: no contact has this address"):
        database.service().withdraw("undated", lines)
    assert database.service().withdraw("undated", lines, skip_bad=True).counts == {"kept_out": 1}


def test_the_targets_that_are_written_can_be_read_again(database: CampaignDatabase, tmp_path: Path) -> None:
    service = database.service()
    service.target("spring", file(tmp_path, "contact_id,trigger_date,note\n1,2027-05-01,=1+1\n2,,\n"))
    path = tmp_path / "written.csv"
    assert service.write_targets("spring", Output(path)) == 2
    with path.open(newline="", encoding="utf-8") as written:
        assert list(csv.reader(written)) == [
            ["contact_id", "trigger_date", "status", "metadata"],
            ["1", "2027-05-01", "pending", '{"note": "=1+1"}'],
            ["2", "", "pending", ""],
        ]
    assert service.target("undated", FromCsv(path), trigger_date=MAY).counts == {"added": 2}


def test_a_failure_in_the_middle_leaves_nothing_behind(
    database: CampaignDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DatabaseError("full")

    monkeypatch.setattr("email_scheduler.database.campaign_changes.record_changes", refuse)
    with pytest.raises(DatabaseError, match="full"):
        database.service().target("spring", ById([1]))
    assert database.targets() == []
    assert database.rows("SELECT * FROM change_context") == []
