"""Conditions that are typed are those that audiences are written with."""

import math

import pytest

from email_scheduler.campaigns.selections import names_state, read_condition
from email_scheduler.config.campaign_settings import Audience
from email_scheduler.errors import UsageError

COLUMNS = ("carrier", "effective_date", "id", "premium", "review", "review_month", "state", "zip_code")


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("state=tx, FL", ["TX", "FL"]),
        ("STATE!=TX", {"not": "TX"}),
        ("state={not: [TX, FL]}", {"not": ["TX", "FL"]}),
        ("carrier = Acme Mutual", "Acme Mutual"),
        ("carrier=", None),
        ("carrier=Acme,", ["Acme", None]),
        ('carrier=["Smith, Jones", null]', ["Smith, Jones", None]),
        ("carrier!=[Acme, Other]", {"not": ["Acme", "Other"]}),
        ("premium=100,99.5", [100, 99.5]),
        ("zip_code=01234", "01234"),
        ("carrier=+1", "+1"),
        ("premium>=100", {"min": 100}),
        ("premium<=-0.5", {"max": -0.5}),
        ("premium={min: 100, max: 250}", {"min": 100, "max": 250}),
        ("id>8", {"min": math.nextafter(8, 9)}),
        ("effective_date=2019-06-01", "2019-06-01"),
        ("effective_date>=2019-06-01", {"min": "2019-06-01"}),
        ("effective_date>2019-12-31", {"min": "2020-01-01"}),
        ("effective_date<2019-01-01", {"max": "2018-12-31"}),
        ("review<2019-01-01", {"max": "2018-12-31"}),
        ("effective_month=11,03", [11, 3]),
        ("effective_month!=11", {"not": 11}),
        ("effective_year>=2020", {"min": 2020}),
        ("effective_month={max: 3}", {"max": 3}),
        ("review_month=x", "x"),
    ],
)
def test_a_condition_is_typed_or_written(typed: str, written: object) -> None:
    name, condition = read_condition(typed, COLUMNS)
    assert condition == Audience.model_validate({"where": {name: written}}).where[name]


@pytest.mark.parametrize(
    "typed",
    [
        "state=Texas",
        "state={min: TX}",
        "state>TX",
        "colour=red",
        "effective_month=0",
        "effective_month=[13]",
        "effective_month>1,2",
        "effective_date>5",
        "effective_date>9999-12-31",
        "premium>1,2",
        "premium>",
        "premium>=[1]x",
        "premium={min: 2, max: 1}",
        "premium={}",
        "carrier=[]",
        "carrier!={min: 1}",
    ],
)
def test_what_is_no_condition_is_refused_as_it_was_typed(typed: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_condition(typed, COLUMNS)
    assert str(refused.value).startswith(f"condition {typed!r}: ")


def test_a_condition_on_the_state_is_told_from_others() -> None:
    assert names_state(["carrier=state", " State = TX"])
    assert not names_state(["carrier=state", "estate=1"])
