"""Whatever other programs have stored in any column of any table: every command comes to an end in words."""

import os

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from email_scheduler_tests.databases import replace_rows
from email_scheduler_tests.integration.every_command import CALLS, Organisation, tokens_of, written
from email_scheduler_tests.integration.spoilt_rows import spoilt

# of no organisation, or of all of them
NOT_TRIED = {"generate", "demo"}


def test_every_command_comes_to_an_end_whatever_is_stored(agency: Organisation) -> None:
    @settings(
        max_examples=int(os.environ.get("EMAIL_SCHEDULER_EXAMPLES", "3")),
        deadline=None,
        derandomize="EMAIL_SCHEDULER_EXAMPLES" not in os.environ,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        replace_rows(agency.database, spoilt(agency.before, seed), are_taken=False)
        failed = []
        for name in CALLS:
            if name not in NOT_TRIED:
                try:
                    agency.run(written(name, *tokens_of(name, agency.database)))
                except AssertionError as error:
                    failed.append(str(error)[:600])
        assert not failed, "\n".join(failed)

    check()
