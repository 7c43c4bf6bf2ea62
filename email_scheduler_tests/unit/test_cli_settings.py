"""Settings as they are typed on the command line."""

import pytest

from email_scheduler.cli.campaign_setting_commands import parse_settings
from email_scheduler.errors import UsageError


def test_values_are_read_as_in_the_configuration() -> None:
    typed = ["a=3", "b=true", "c=null", "d=2027-01-01", 'e="3"', "f=x=y", "g=", "h=-7", "i=007", "j=1.5"]
    assert parse_settings(typed) == {
        "a": 3,
        "b": True,
        "c": None,
        "d": "2027-01-01",
        "e": "3",
        "f": "x=y",
        "g": "",
        "h": -7,
        "i": "007",
        "j": "1.5",
    }


def test_lists_and_mappings_may_be_json() -> None:
    typed = ['metadata.variants=[{"name": "a", "weight": 1}]', 'b={"c": null}', 'd="[1]"', "e=[]"]
    assert parse_settings(typed) == {
        "metadata": {"variants": [{"name": "a", "weight": 1}]},
        "b": {"c": None},
        "d": "[1]",
        "e": [],
    }


def test_several_values_stand_in_square_brackets() -> None:
    typed = ["a=[TX, FL]", 'b=[1,null,"2"]', "c=[x]", "d=[x"]
    assert parse_settings(typed) == {"a": ["TX", "FL"], "b": [1, None, "2"], "c": ["x"], "d": "[x"}


def test_a_dot_leads_into_an_inner_mapping() -> None:
    typed = ["metadata.priority=2", "metadata.followup_templates.cold=x", "active=false"]
    assert parse_settings(typed) == {
        "metadata": {"priority": 2, "followup_templates": {"cold": "x"}},
        "active": False,
    }


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["priority"], "setting 'priority'; accepted is KEY=VALUE"),
        (["=3"], "accepted is KEY=VALUE"),
        (["a-b=3"], "accepted is KEY=VALUE"),
        (["a=1", "a=2"], "a stands twice"),
        (["a=1", "a.b=2"], "a stands further up"),
        (["a.b=1", "a=2"], "a stands twice"),
        (["a={x}"], "accepted in brackets is JSON"),
        (["a=[x, [y]]"], "accepted in brackets is JSON"),
    ],
)
def test_what_is_no_setting_is_refused(typed: list[str], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_settings(typed)
    assert told in str(refused.value)
