"""What the older program leaves behind, made by hand: its database, and the history that it has exported.

Fifteen contacts on 2026-11-23. The statements are those that SQLite and PostgreSQL share.
"""

from datetime import date
from pathlib import Path

AS_OF = date(2026, 11, 23)
GO_LIVE = date(2026, 11, 15)

TABLES = """
    CREATE TABLE contacts (
        id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT, email TEXT, zip_code TEXT, state TEXT,
        birth_date TEXT, effective_date TEXT, rate_increase_date TEXT
    );
    CREATE TABLE email_schedules (
        id INTEGER PRIMARY KEY, contact_id INTEGER NOT NULL, email_type TEXT NOT NULL,
        scheduled_send_date TEXT NOT NULL, scheduled_send_time TEXT DEFAULT '08:30:00',
        status TEXT DEFAULT 'pre-scheduled', skip_reason TEXT,
        event_year INTEGER, event_month INTEGER, event_day INTEGER,
        UNIQUE (contact_id, email_type, scheduled_send_date)
    );
"""
ROWS = """
    INSERT INTO contacts (id, first_name, email, zip_code, state, birth_date, effective_date) VALUES
        (1, 'Ada', 'one@example.org', '75001', 'TX', '1950-03-10', '2019-06-01'),
        (2, 'Ben', 'two@example.org', '90210', 'CA', '1948-02-10', '2018-03-01'),
        (3, 'Cleo', 'three@example.org', '89101', 'NV', '1950-05-20', NULL),
        (4, 'Dan', 'four@example.org', '63101', 'MO', '1950-05-20', '2018-07-01'),
        (5, 'Eve', 'five@example.org', '10001', 'NY', '1950-05-20', '2018-07-01'),
        (6, 'Finn', 'six@example.org', '75001', 'TX', '1952-12-15', '2020-12-20'),
        (7, 'Gus', 'seven@example.org', '75001', 'TX', '1951-12-05', NULL),
        (8, 'Hope', 'eight@example.org', '75001', 'TX', '1949-07-04', '2021-01-10'),
        (9, 'Ida', 'nine.example.org', '75001', 'TX', '1949-08-04', NULL),
        (10, 'Jon', 'ten@example.org', '75001', 'TX', NULL, '2020-12-16'),
        (11, 'Kay', 'eleven@example.org', '75001', 'TX', '1950-12-01', NULL),
        (12, 'Leo', 'twelve@example.org', '75001', 'TX', NULL, NULL),
        (13, 'Mia', 'thirteen@example.org', '75001', 'TX', '1955-02-01', NULL),
        (14, 'Ned', 'fourteen@example.org', '75001', 'TX', '1955-02-01', NULL),
        (15, 'Ora', 'fifteen@example.org', '75001', 'TX', '1950-11-28', NULL);
    INSERT INTO email_schedules
        (id, contact_id, email_type, scheduled_send_date, status, skip_reason,
         event_year, event_month, event_day)
    VALUES
        (101, 1, 'birthday', '2027-02-24', 'pre-scheduled', NULL, 2027, 3, 10),
        (102, 1, 'effective_date', '2027-05-01', 'pre-scheduled', NULL, 2027, 6, 1),
        (103, 1, 'aep', '2026-09-15', 'sent', NULL, 2026, 9, 15),
        (104, 1, 'aep', '2027-09-15', 'pre-scheduled', NULL, NULL, NULL, NULL),
        (105, 2, 'birthday', '2027-01-27', 'skipped', 'exclusion', 2027, 2, 10),
        (106, 2, 'effective_date', '2027-01-30', 'pre-scheduled', NULL, 2027, 3, 1),
        (107, 4, 'birthday', '2027-05-06', 'pre-scheduled', NULL, 2027, 5, 20),
        (108, 6, 'effective_date', '2026-11-20', 'sent', NULL, 2026, 12, 20),
        (109, 6, 'birthday', '2026-12-01', 'pre-scheduled', NULL, 2026, 12, 15),
        (110, 7, 'birthday', '2026-11-21', 'sent', NULL, 2026, 12, 5),
        (111, 8, 'birthday', '2027-06-20', 'skipped', 'limit', 2027, 7, 4),
        (112, 9, 'birthday', '2027-07-21', 'pre-scheduled', NULL, 2027, 8, 4),
        (113, 10, 'effective_date', '2026-11-25', 'pre-scheduled', NULL, 2026, 12, 16),
        (114, 11, 'birthday', '2026-11-24', 'pre-scheduled', NULL, 2026, 12, 1),
        (115, 12, 'rate_increase', '2026-12-01', 'pre-scheduled', NULL, 2026, 12, 15),
        (116, 13, 'rate_increase', '2026-10-01', 'sent', NULL, 2026, 10, 15),
        (117, 12, 'newsletter', '2026-12-24', 'pre-scheduled', NULL, NULL, NULL, NULL),
        (118, 99, 'birthday', '2026-12-24', 'pre-scheduled', NULL, 2027, 1, 7),
        (119, 3, 'birthday', '2026-11-02', 'pre-scheduled', NULL, NULL, NULL, NULL),
        (120, 13, 'birthday', '2027-01-18', 'pre-scheduled', NULL, 2027, 2, 1),
        (121, 13, 'birthday', '2027-01-19', 'pre-scheduled', NULL, 2027, 2, 1),
        (122, 15, 'birthday', '2026-11-25', 'pre-scheduled', NULL, 2026, 11, 28);
"""
OLDER_DATABASE = TABLES + ROWS

# What was sent before and is not in the database any more. The birthday of contact 11 went out early; the
# policy anniversary of contact 10 on the day before go-live.
HISTORY_CSV = """\
contact_id,email,email_type,scheduled_send_date,actual_send_datetime,status,event_date,email_template
1,,birthday,2026-02-24,2026-02-24T14:30:00Z,delivered,2026-03-10,birthday_2026
1,,effective_date,2026-05-02,,,2026-06-01,
,Eleven@example.org,birthday,2026-11-12,2026-11-12T08:31:00-06:00,sent,,birthday_2026
10,,effective_date,2026-11-14,2026-11-15T03:00:00Z,sent,2026-12-16,
14,,rate_increase,2026-09-20,,sent,2026-10-04,rates_2026
14,,followup_1_cold,2026-09-22,,sent,2026-10-04,
2,,post_window,2026-04-12,,failed,2026-04-11,
8,,birthday,2027-06-20,,pre-scheduled,2027-07-04,
"""


def write_history(directory: Path, text: str = HISTORY_CSV) -> Path:
    """Write the export, and return its path."""
    path = directory / "sent.csv"
    path.write_text(text, encoding="utf-8")
    return path
