"""Two plans beside each other: which rows are about the same email, and what a pair comes to."""

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from email_scheduler.cutover.shadow_run import OLDER_PLAN, match_rows, outcomes
from email_scheduler.planning.frames import NO_DATE

Row = tuple[int, str, int | None, int]


def plan(*rows: Row, status: str = "pre-scheduled") -> pd.DataFrame:
    """Return rows of contact, type, event day and send day."""
    contacts, types, events, days = zip(*rows, strict=True) if rows else ((), (), (), ())
    return OLDER_PLAN.build(
        {
            "contact_id": pd.Series(contacts, dtype="int64"),
            "email_type": pd.Series(types, dtype="str").astype("category"),
            "event_date": pd.Series([NO_DATE if day is None else day for day in events], dtype="int32"),
            "scheduled_send_date": pd.Series(days, dtype="int32"),
            "status": pd.Series([status] * len(rows), dtype="str").astype("category"),
            "skip_reason": pd.Series([None] * len(rows), dtype="str").astype("category"),
        }
    )


def pairs(here: pd.DataFrame, there: pd.DataFrame) -> list[tuple[int, int]]:
    return sorted(zip(*(each.tolist() for each in match_rows(here, there)), strict=True))


def test_rows_of_one_event_belong_together_however_far_apart_they_go_out() -> None:
    here = plan((1, "birthday", 20_000, 19_986), (1, "birthday", 20_365, 20_351))
    there = plan((1, "birthday", 20_365, 19_986), (1, "birthday", 20_000, 20_351))
    assert pairs(here, there) == [(0, 1), (1, 0)]


def test_without_an_event_date_the_nearest_send_date_counts() -> None:
    here = plan((1, "birthday", 20_000, 19_986), (1, "birthday", 20_365, 20_351))
    assert pairs(here, plan((1, "birthday", None, 20_300))) == [(1, 0)]


def test_an_event_beyond_the_tolerance_of_its_type_is_another_one() -> None:
    assert pairs(plan((1, "birthday", 20_000, 19_986)), plan((1, "birthday", 20_182, 19_000))) == [(0, 0)]
    assert pairs(plan((1, "birthday", 20_000, 19_986)), plan((1, "birthday", 20_183, 20_169))) == []
    assert pairs(plan((1, "post_window", 20_000, 20_001)), plan((1, "post_window", 20_061, 20_062))) == []


def test_another_contact_and_another_type_never_match() -> None:
    here = plan((1, "birthday", 20_000, 19_986))
    assert pairs(here, plan((2, "birthday", 20_000, 19_986), (1, "aep", 20_000, 19_986))) == []


def test_follow_ups_match_whatever_their_kind() -> None:
    assert pairs(plan((1, "followup_1_cold", 9, 10)), plan((1, "followup_3_hq_no_yes", 9, 11))) == [(0, 0)]


def test_of_two_rows_about_one_event_the_one_with_the_nearer_day_is_taken() -> None:
    here = plan((1, "birthday", 20_000, 19_986))
    assert pairs(here, plan((1, "birthday", 20_000, 19_980), (1, "birthday", 20_000, 19_987))) == [(0, 1)]


def test_what_a_pair_comes_to() -> None:
    def outcome(
        here_day: int, there_day: int, here: str = "pre-scheduled", there: str = "pre-scheduled"
    ) -> str:
        rows = plan((1, "aep", 5, here_day), status=here), plan((1, "aep", 5, there_day), status=there)
        return str(outcomes(*rows)[0])

    assert outcome(10, 10) == "same"
    assert outcome(9, 10) == "earlier"
    assert outcome(11, 10) == "later"
    assert outcome(10, 10, here="skipped") == "skipped_here"
    assert outcome(10, 10, there="skipped") == "skipped_there"
    assert outcome(9, 10, here="skipped", there="skipped") == "same"


rows = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(["birthday", "aep", "followup_1_cold"]),
        st.one_of(st.none(), st.integers(20_000, 20_400)),
        st.integers(20_000, 20_400),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(rows, rows)
def test_each_row_is_in_one_pair_at_most_and_what_is_left_fits_nothing(
    ours: list[Row], theirs: list[Row]
) -> None:
    here, there = plan(*ours), plan(*theirs)
    found = pairs(here, there)
    left, right = [a for a, _ in found], [b for _, b in found]
    assert len(set(left)) == len(left)
    assert len(set(right)) == len(right)
    for a in set(range(len(ours))) - set(left):
        for b in set(range(len(theirs))) - set(right):
            assert not fits(ours[a], theirs[b]), (ours[a], theirs[b])


def fits(here: Row, there: Row) -> bool:
    if here[:2] != there[:2]:
        return False
    tolerance = 60 if here[1] == "followup_1_cold" else 182
    gaps = [abs(here[3] - there[3])]
    if here[2] is not None and there[2] is not None:
        gaps.append(abs(here[2] - there[2]))
    return min(gaps) <= tolerance
