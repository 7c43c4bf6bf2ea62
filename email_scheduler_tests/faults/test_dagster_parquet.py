"""Damaged Parquet files, full disks, killed writers: a clear failure or a whole value, never another plan."""

import random
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from email_scheduler.clock import today
from email_scheduler.errors import InputDataError
from email_scheduler.orchestration.asset_frames import ASSET_FRAMES
from email_scheduler.orchestration.io_managers import read_frame
from email_scheduler.planning.frames import Frame
from email_scheduler_tests.dagster_project import REPOSITORY, Project, project
from email_scheduler_tests.faults.report import record, repetitions
from email_scheduler_tests.integration.dagster_organizations import (
    ORGANIZATIONS,
    failure_messages,
    run_job,
    table_rows,
)

NORTH, _ = ORGANIZATIONS
SEED = 7
# Upstream assets, and the step behind each.
DAMAGED = {
    "contacts": "anniversary_schedules",
    "campaigns": "campaign_schedules",
    "email_history": "follow_ups",
    "balanced_schedules": "email_schedules",
}
DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "garbage": lambda file: file.write_bytes(random.Random(SEED).randbytes(file.stat().st_size)),
    "written by another program": lambda file: pd.read_parquet(file).to_parquet(file),
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with project(tmp_path_factory.mktemp("parquet")) as made:
        result = run(made)
        assert result.success, failure_messages(result)
        yield made


def run(made: Project, *assets: str) -> dg.ExecuteInProcessResult:
    return run_job(made.definitions, made.instance, NORTH, today(), *assets)


def files_of(made: Project, asset: str) -> dict[str, Path]:
    folder = made.directory / "frames" / asset / today().isoformat() / NORTH
    return {name: folder / f"{name}.parquet" for name in ASSET_FRAMES[asset]}


def contracts_of(made: Project, asset: str) -> list[tuple[Path, Frame]]:
    return [(path, ASSET_FRAMES[asset][name]) for name, path in files_of(made, asset).items()]


def tried_again(result: dg.ExecuteInProcessResult) -> int:
    return sum(event.event_type_value == "STEP_UP_FOR_RETRY" for event in result.all_events)


def test_a_damaged_file_is_named_and_nothing_is_published_until_it_is_made_anew(planned: Project) -> None:
    before = table_rows(planned.url(NORTH))
    cases = [(asset, damage) for damage in DAMAGES for asset in DAMAGED]
    # the first of each kind, and each asset once at the least
    cases = cases[:: repetitions(1, len(DAMAGED) + 1)]
    for asset, damage in cases:
        file = next(iter(files_of(planned, asset).values()))
        whole = file.read_bytes()
        DAMAGES[damage](file)
        result = run(planned, DAMAGED[asset])
        message = failure_messages(result)
        file.write_bytes(whole)
        assert not result.success
        assert f"asset {asset}, partition {today()}|{NORTH} is damaged: " in message
        assert f"{file.name}: frame" in message
        assert "materialise it again" in message
        assert not tried_again(result)
    assert table_rows(planned.url(NORTH)) == before
    assert run(planned, *DAMAGED.values()).success
    record(
        "a Parquet file of an upstream asset is truncated, garbage, or written by another program",
        "a failure that names asset, partition and file and says to materialise it again; not tried again;"
        " nothing is published",
        f"{len(cases)} files of {len(DAMAGED)} assets, each read by the step behind it",
        f"{len(cases)} refused at once, the table unchanged; materialised again: planned",
    )


def test_no_flipped_bit_or_cut_of_a_file_gives_another_frame_or_a_traceback(planned: Project) -> None:
    choose = random.Random(SEED)
    each = repetitions(400, 25)
    seen: Counter[str] = Counter()
    for asset, contracts in ASSET_FRAMES.items():
        for name, file in files_of(planned, asset).items():
            contract, whole = contracts[name], file.read_bytes()
            expected = read_frame(BytesIO(whole), contract)
            for _ in range(each):
                data = bytearray(whole)
                if choose.random() < 0.2:
                    del data[choose.randrange(len(data)) :]
                else:
                    # half of them in the footer, which no page checksum protects
                    first = choose.choice([0, max(0, len(data) - 3000)])
                    data[choose.randrange(first, len(data))] ^= 1 << choose.randrange(8)
                try:
                    found = read_frame(BytesIO(bytes(data)), contract)
                except InputDataError:
                    seen["refused"] += 1
                else:
                    pd.testing.assert_frame_equal(found, expected)
                    seen["without effect"] += 1
    assert seen["refused"] > seen["without effect"]
    record(
        "a Parquet file with a flipped bit, or cut off anywhere",
        "it is refused with a clear error or read as it was; never another frame, never a traceback",
        f"{sum(seen.values()):,} damaged copies of the files of a run, half of them in the footer",
        f"{seen['refused']:,} refused, {seen['without effect']:,} without effect on what is read, none read"
        " as something else",
    )


def test_a_disk_that_fills_up_ends_the_run_clearly_and_leaves_what_was_there(planned: Project) -> None:
    """The limit of the size of a file stands for the disk; beyond it, writing fails as on a full disk."""
    rows = table_rows(planned.url(NORTH))
    files = {path: contract for asset in ASSET_FRAMES for path, contract in contracts_of(planned, asset)}
    # the largest file does not fit; then the second largest does not either, and so on
    by_size = sorted(files, key=lambda path: path.stat().st_size, reverse=True)[: repetitions(8, 1)]
    for file in by_size:
        before = file.read_bytes()
        worker = limited_run(planned, len(before) // 2)
        assert worker.returncode == 1, worker.stderr
        said = " ".join(worker.stdout.split())
        assert "cannot be written: File too large" in said
        assert f"partition {today()}|{NORTH}" in said
        assert "launch the partition again. Nothing was published" in said
        assert "retries 0" in said
        assert file.read_bytes() == before
        for path, contract in files.items():
            with path.open("rb") as opened:
                read_frame(opened, contract)
        assert not list((planned.directory / "frames").rglob("*.unfinished"))
        assert table_rows(planned.url(NORTH)) == rows
    result = run(planned)
    assert result.success, failure_messages(result)
    assert planned.differences(NORTH, today())[0] == 0
    record(
        "the disk is full while Parquet is written (`RLIMIT_FSIZE`)",
        "a failure that says what could not be written and what to do; not tried again; no partial file left;"
        " the values and the plan of before stay; the next run is whole",
        f"{len(by_size)} runs of `plan_emails` in processes of their own, with room for less and less",
        f"{len(by_size)} of {len(by_size)} failed so, every file whole, every row unchanged; the run"
        " afterwards gave the plan made afresh",
    )


def limited_run(made: Project, limit: int) -> "subprocess.CompletedProcess[str]":
    code = textwrap.dedent(
        f"""
        import resource, signal, sys
        from datetime import date
        from pathlib import Path
        import dagster as dg
        from email_scheduler.definitions import build_definitions
        from email_scheduler_tests.integration.dagster_organizations import failure_messages, run_job
        from email_scheduler.orchestration.io_managers import FramesIOManager
        # not a signal, but an error
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        write = FramesIOManager.write
        def write_on_a_full_disk(*arguments, **named):
            resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
            try:
                write(*arguments, **named)
            finally:
                # SQLite's own files are another disk's
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        FramesIOManager.write = write_on_a_full_disk
        definitions = build_definitions(Path({str(made.config)!r}))
        with dg.DagsterInstance.ephemeral() as instance:
            result = run_job(definitions, instance, {NORTH!r}, date.fromisoformat({today().isoformat()!r}))
        print(failure_messages(result))
        print("retries", sum(e.event_type_value == "STEP_UP_FOR_RETRY" for e in result.all_events))
        sys.exit(not result.success)
        """
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )


def test_a_writer_that_is_killed_while_it_replaces_a_value_leaves_none_and_never_a_mixture(
    planned: Project,
) -> None:
    code = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from upath import UPath
        from email_scheduler.orchestration import io_managers
        folder, moment, names = UPath(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
        for name in names:
            (Path(folder.path) / f".{name}.parquet.unfinished").write_bytes(b"new")
        calls = 0
        def count(real):
            def call(*arguments, **options):
                global calls
                if calls == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                calls += 1
                return real(*arguments, **options)
            return call
        Path.unlink, Path.replace = count(Path.unlink), count(Path.replace)
        io_managers._finish(folder, names)
        """
    )
    files = files_of(planned, "contacts")
    whole = {path: path.read_bytes() for path in files.values()}
    folder = next(iter(whole)).parent
    calls = 2 * len(whole)
    moments = range(calls + 1) if repetitions(1, 0) else (len(whole) + 1, calls)
    for moment in moments:
        subprocess.run(
            [sys.executable, "-c", code, str(folder), str(moment), *files],
            cwd=REPOSITORY,
            timeout=60,
            check=False,
        )
        found = {path.read_bytes() for path in whole if path.exists()}
        is_whole = all(path.exists() for path in whole)
        assert len({data == b"new" for data in found}) <= 1
        assert is_whole == (moment in {0, calls})
        for path, data in whole.items():
            path.write_bytes(data)
    for left in folder.glob("*.unfinished"):
        left.unlink()
    record(
        "a run worker is killed while it replaces the files of a value",
        "the value is the old one, the new one, or not there; never a mixture",
        f"killed before each of the {calls} steps of replacing a value of {len(whole)} files",
        f"{len(moments)} times: never a mixture",
    )
