"""Variants: who gets which one, what is accepted, and how they are compared."""

import hashlib
import json
from collections import Counter
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from email_scheduler.campaigns.achievements import variant_results, wilson_interval
from email_scheduler.config.campaign_settings import InstanceMetadata, Variant
from email_scheduler.config.schema import SchedulerConfig
from email_scheduler.errors import InputDataError
from email_scheduler.planning.plan import make_plan
from email_scheduler.planning.rules.campaign_instances import variant_in, variants_of_contacts
from email_scheduler_tests.builders import (
    Row,
    campaign_instance,
    campaign_type,
    contact,
    email_row,
    inputs,
    target,
)
from email_scheduler_tests.plans import emails

INT64 = st.integers(-(2**63), 2**63 - 1)
WEIGHTS = st.lists(st.integers(1, 1_000_000), min_size=2, max_size=6)
TYPE = "campaign_rate_increase"
A_AND_B = [
    {"name": "a", "weight": 1, "email_template": "email_a"},
    {"name": "b", "weight": 1, "email_template": "email_b", "sms_template": "sms_b"},
]


def variants(*weights: int) -> list[Variant]:
    return [Variant(name=f"v{at}", weight=one, email_template="t") for at, one in enumerate(weights)]


def chosen(ids: list[int] | range, instance: int, *weights: int) -> list[int]:
    """Return the position of each contact's variant."""
    return variants_of_contacts(np.array(ids, np.int64), TYPE, instance, variants(*weights)).tolist()


def by_hand(contact_id: int, instance: int, weights: list[int]) -> int:
    """Work the variant out digit by digit: sections 8 and 14, without the code of planner and oracle."""

    def mix(x: int) -> int:
        x = (x + 0x9E3779B97F4A7C15) & (2**64 - 1)
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return x ^ (x >> 31)

    salt = int(hashlib.sha256(f"variant|{TYPE}|{instance}".encode()).hexdigest()[:16], 16)
    number = mix(mix(contact_id % 2**64) ^ salt)
    end = 0
    for position, weight in enumerate(weights):
        end += weight
        # number / 2^64 < end / total
        if number * sum(weights) < end * 2**64:
            return position
    raise AssertionError


def test_the_contacts_of_the_example_have_the_variants_of_the_planning_rules() -> None:
    assert chosen([1, 5, 8], 7, 70, 20, 10) == [0, 1, 2]


@given(st.lists(INT64, min_size=1, max_size=20), st.integers(1, 2**40), WEIGHTS)
def test_variants_are_those_worked_out_by_hand(ids: list[int], instance: int, weights: list[int]) -> None:
    assert chosen(ids, instance, *weights) == [by_hand(one, instance, weights) for one in ids]


@pytest.mark.parametrize("weights", [(50, 50), (70, 20, 10)])
@pytest.mark.parametrize("instance", [1, 2, 3, 7, 2**33])
def test_shares_are_within_one_percent_of_the_weights_at_ten_thousand_contacts(
    weights: tuple[int, ...], instance: int
) -> None:
    counts = Counter(chosen(range(1, 10_001), instance, *weights))
    for position, weight in enumerate(weights):
        assert abs(counts[position] / 10_000 - weight / 100) < 0.01


def test_instances_split_their_contacts_in_ways_of_their_own() -> None:
    ids = range(1, 10_001)
    both = Counter(zip(chosen(ids, 1, 1, 1), chosen(ids, 2, 1, 1), strict=True))
    assert all(abs(count / 10_000 - 0.25) < 0.02 for count in both.values())
    assert len(both) == 4


@given(st.lists(INT64, min_size=2, max_size=30, unique=True), WEIGHTS, st.randoms())
def test_a_contact_has_the_same_variant_whoever_else_there_is(
    ids: list[int], weights: list[int], rng: object
) -> None:
    of_all = dict(zip(ids, chosen(ids, 3, *weights), strict=True))
    some = rng.sample(ids, len(ids) // 2)
    assert chosen(some, 3, *weights) == [of_all[one] for one in some]


def test_only_the_proportions_of_weights_count() -> None:
    assert chosen(range(1000), 1, 1, 1) == chosen(range(1000), 1, 50, 50)


def test_changing_weights_moves_only_whom_it_must() -> None:
    ids = range(10_000)
    moves = Counter(zip(chosen(ids, 1, 50, 50), chosen(ids, 1, 60, 40), strict=True))
    assert moves[0, 1] == 0
    assert abs(moves[1, 0] / 10_000 - 0.1) < 0.01


# -- plans -------------------------------------------------------------------------------------------------


def config(**features: bool) -> SchedulerConfig:
    document = {
        "features": {"enable_ab_testing": True, **features},
        "aep_config": {"default_dates": []},
        "load_balancing": {"daily_send_percentage_cap": 1},
        "email_templates": {"sms": {"campaign_rate_increase": "sms_of_type"}},
    }
    return SchedulerConfig.model_validate(document)


def told(
    as_of: str | date, contacts: list[Row], targets: list[Row], rules: SchedulerConfig, **tables: object
) -> dict[tuple[int, int], tuple[object, ...]]:
    """Plan, and return template, text message and metadata of each campaign row, by contact and instance."""
    variants_of = json.dumps({"variants": A_AND_B})
    instances = tables.pop(
        "campaign_instances",
        [campaign_instance(1, "rate_increase", metadata=variants_of, email_template="own")],
    )
    plan = make_plan(
        inputs(
            as_of,
            contacts,
            campaign_types=[campaign_type("rate_increase", days_before_event=14)],
            campaign_instances=instances,
            contact_campaigns=targets,
            **tables,
        ),
        rules,
    )
    return {
        (row.contact_id, row.campaign_instance_id): tuple(
            None if value != value else value
            for value in (row.email_template, row.sms_template, row.metadata)
        )
        for row in plan.schedules.itertuples()
    }


PEOPLE = [contact(number, phone_number="1") for number in range(1, 41)]


def aimed(trigger_date: str, instance: int = 1, first: int = 0) -> list[Row]:
    return [target(first + one["id"], one["id"], instance, trigger_date) for one in PEOPLE]


@given(
    st.dates(date(2026, 1, 1), date(2027, 11, 1)),
    st.dates(date(2027, 12, 1), date(2028, 12, 31)),
    st.sets(st.integers(0, 39), min_size=1),
)
@settings(max_examples=30, deadline=None)
def test_a_contact_has_the_same_variant_whatever_the_date_and_the_event(
    as_of: date, event: date, some: set[int]
) -> None:
    people = [PEOPLE[at] for at in sorted(some)]
    rows = told(as_of, people, aimed(event.isoformat()), config())
    expected = {(one["id"], 1): "ab"[by_hand(one["id"], 1, [1, 1])] for one in people}
    assert {key: json.loads(metadata)["variant"] for key, (_, _, metadata) in rows.items()} == expected


def test_a_row_has_the_templates_and_the_name_of_its_variant() -> None:
    rows = told("2026-11-23", PEOPLE, aimed("2027-02-01"), config(enable_sms=True))
    assert Counter(rows.values()).keys() == {
        ("email_a", "sms_of_type", '{"variant": "a"}'),
        ("email_b", "sms_b", '{"variant": "b"}'),
    }


def test_a_skipped_row_names_its_variant_too() -> None:
    rows = told("2026-11-23", PEOPLE, aimed("2026-11-20"), config())
    assert {metadata for _, _, metadata in rows.values()} == {'{"variant": "a"}', '{"variant": "b"}'}


def test_without_ab_testing_the_templates_are_those_of_the_instance() -> None:
    rows = told("2026-11-23", PEOPLE, aimed("2027-02-01"), config(enable_ab_testing=False, enable_sms=True))
    assert set(rows.values()) == {("own", "sms_of_type", None)}


def test_ab_testing_is_off_unless_it_is_switched_on() -> None:
    assert SchedulerConfig().features.enable_ab_testing is False


def test_two_instances_of_one_type_at_once_are_split_each_by_itself() -> None:
    metadata = json.dumps({"variants": A_AND_B})
    instances = [
        campaign_instance(1, "rate_increase", metadata=metadata),
        campaign_instance(2, "rate_increase", metadata=json.dumps({"variants": A_AND_B, "priority": 1})),
        campaign_instance(3, "rate_increase", email_template="third"),
    ]
    # everybody is a target of 1 and 2 on the same day; 3 has a day of its own
    targets = [*aimed("2027-02-01", 1), *aimed("2027-02-01", 2, 100), *aimed("2027-06-01", 3, 200)]
    organisation = inputs(
        "2026-11-23",
        PEOPLE,
        campaign_types=[campaign_type("rate_increase", days_before_event=14)],
        campaign_instances=instances,
        contact_campaigns=targets,
    )
    plan = make_plan(organisation, config())
    outcome = {(row.campaign_instance_id, row.skip_reason) for row in emails(plan, TYPE)}
    assert outcome == {(1, "campaign_conflict"), (2, None), (3, None)}
    said = {(row.contact_id, row.campaign_instance_id): row.metadata for row in plan.schedules.itertuples()}
    for one in PEOPLE:
        for instance in (1, 2):
            name = "ab"[by_hand(one["id"], instance, [1, 1])]
            assert json.loads(said[one["id"], instance]) == {"variant": name}
        assert said[one["id"], 3] != said[one["id"], 3]


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ('{"variant": "b"}', "b"),
        ('{"variant": "gone", "seen": true}', "gone"),
        ('{"variant": 1}', None),
        ("[]", None),
        ("b", None),
        (None, None),
    ],
)
def test_a_follow_up_names_the_variant_that_was_sent_whatever_the_contact_has_now(
    metadata: str | None, name: str | None
) -> None:
    sent = email_row(9, 1, TYPE, "2026-11-21", "2026-12-05", campaign_instance_id=1, metadata=metadata)
    [(_, _, why)] = told(
        "2026-11-22", PEOPLE[:1], [], config(enable_ab_testing=False), history=[sent]
    ).values()
    assert json.loads(why).get("variant") == name
    assert json.loads(why)["campaign_name"] == "rate_increase 1"


# -- what is accepted --------------------------------------------------------------------------------------

NAMES = "a list of two or more variants, each with a name of its own"


@pytest.mark.parametrize(
    ("stored", "key", "accepted"),
    [
        ("x", "variants: value 'x'", "a list of variants"),
        ([], "variants: value []", NAMES),
        (A_AND_B[:1], "variants: value [{", NAMES),
        ([A_AND_B[0], A_AND_B[0]], "variants: value [{", NAMES),
        ([A_AND_B[0], "b"], "variants (entry 2): value 'b'", "a mapping"),
        ([A_AND_B[0], {**A_AND_B[1], "weight": 0}], "variants (entry 2).weight: value 0", "1 to 1000000"),
        (
            [A_AND_B[0], {**A_AND_B[1], "weight": 0.5}],
            "variants (entry 2).weight: value 0.5",
            "a whole number",
        ),
        (
            [A_AND_B[0], {**A_AND_B[1], "weight": True}],
            "variants (entry 2).weight: value true",
            "a whole number",
        ),
        (
            [{**A_AND_B[0], "name": "A!"}, A_AND_B[1]],
            "variants (entry 1).name: value 'A!'",
            "a name of at most 63",
        ),
        (
            [{**A_AND_B[0], "email_template": " "}, A_AND_B[1]],
            "variants (entry 1).email_template",
            "not empty",
        ),
        ([{"name": "a", "weight": 1}, A_AND_B[1]], "variants (entry 1).email_template: missing", "a value"),
        (
            [{**A_AND_B[0], "share": 1}, A_AND_B[1]],
            "variants (entry 1).share: unknown key",
            "name, weight, email_template, sms_template",
        ),
    ],
)
@pytest.mark.parametrize("is_switched_on", [True, False])
def test_variants_that_cannot_be_read_stop_the_plan_and_are_named(
    stored: object, key: str, accepted: str, is_switched_on: bool
) -> None:
    instance = campaign_instance(5, "rate_increase", metadata=json.dumps({"variants": stored}))
    with pytest.raises(InputDataError) as refused:
        told("2026-11-23", [], [], config(enable_ab_testing=is_switched_on), campaign_instances=[instance])
    message = str(refused.value)
    assert message.startswith(f"campaign instance 5: metadata.{key}")
    assert accepted in message
    assert "\n" not in message
    with pytest.raises(ValidationError):
        InstanceMetadata.model_validate({"variants": stored})


def test_no_variants_are_no_variants() -> None:
    instance = campaign_instance(1, "rate_increase", metadata='{"variants": null}', email_template="own")
    rows = told("2026-11-23", PEOPLE[:1], aimed("2027-02-01")[:1], config(), campaign_instances=[instance])
    assert set(rows.values()) == {("own", None, None)}


@pytest.mark.parametrize("text", ["[" * 100_000, "nonsense", "3", ""])
def test_metadata_that_cannot_be_read_names_no_variant(text: str) -> None:
    assert variant_in(text) is None


# -- comparing ---------------------------------------------------------------------------------------------


# Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998),
# table I, method 3
@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_the_textbook(count: int, total: int, low: float, high: float) -> None:
    found = wilson_interval(count, total)
    assert [round(end, 4) for end in found] == [low, high]
    # what did not happen has the mirrored interval
    mirrored = wilson_interval(total - count, total)
    assert [round(1 - end, 4) for end in reversed(mirrored)] == [low, high]


@given(st.integers(1, 10**7).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_rate_lies_in_its_interval(one: tuple[int, int]) -> None:
    count, total = one
    low, high = wilson_interval(count, total)
    assert 0 <= low <= count / total <= high <= 1


def test_variants_are_compared_in_their_order_then_those_that_are_gone_then_emails_of_none() -> None:
    sent = {'{"variant": "b"}': 20, '{"variant":"b"}': 1, '{"variant": "old"}': 3, None: 2, "{}": 1}
    results = variant_results(
        A_AND_B, planned={'{"variant": "a"}': 5}, sent=sent, clicked={'{"variant": "b"}': 7}, answered={}
    )
    assert [(one.name, one.weight, one.planned, one.sent, one.clicked.count) for one in results] == [
        ("a", 1, 5, 0, 0),
        ("b", 1, 0, 21, 7),
        ("old", None, 0, 3, 0),
        (None, None, 0, 3, 0),
    ]
    assert results[0].clicked.share is None
    assert results[1].clicked.share == pytest.approx(1 / 3)


def test_an_instance_without_variants_has_nothing_to_compare() -> None:
    nothing: dict[str | None, int] = {}
    assert variant_results(None, planned={None: 3}, sent=nothing, clicked=nothing, answered=nothing) == []
