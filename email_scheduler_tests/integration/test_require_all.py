"""Where every test has to run, one that skips itself fails."""

import os
import subprocess
import sys
from pathlib import Path

from email_scheduler_tests.conftest import REQUIRE_ALL

ROOT = Path(__file__).parents[2]
TESTS = {
    "test_server.py": "import pytest\ndef test_it():\n    pytest.skip('no server')\n",
    "test_browser.py": "import pytest\npytest.skip('no browser', allow_module_level=True)\n",
    "test_expected.py": "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False\n",
}


def _run_tests(directory: Path, require_all: str) -> str:
    for name, text in TESTS.items():
        (directory / name).write_text(text)
    plugins = ["-p", "email_scheduler_tests.conftest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    environment = {**os.environ, REQUIRE_ALL: require_all, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", *plugins, "--continue-on-collection-errors", "."]
    run = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return run.stdout


def test_skipped_tests_fail_where_all_are_required(tmp_path: Path) -> None:
    output = _run_tests(tmp_path, "1")
    assert f"{REQUIRE_ALL}=1, but this was not run: Skipped: no server" in output
    assert f"{REQUIRE_ALL}=1, but this was not run: Skipped: no browser" in output
    assert "1 failed, 1 xfailed, 1 error" in output


def test_skipped_tests_are_skipped_elsewhere(tmp_path: Path) -> None:
    assert "2 skipped, 1 xfailed" in _run_tests(tmp_path, "")
