"""What holds for all tests: results and outcomes must depend neither on the machine nor on how busy it is.

In CI (the environment variable CI is set) a run of everything fails where a group of tests that needs something extra
(a browser, an optional library) was skipped as a whole: green must mean tested.
"""

import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # small networks only wait for each other's threads
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC and shutil.disk_usage(MEMORY).free > 8 << 30:
    # Files are synced when written, and a disk is waited for each time: half of the time of some tests.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", f"{MEMORY}")
settings.register_profile("unrolled", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unrolled")

NEEDED_IN_CI = {
    "the page in a browser": "serve/test_page.py::",
    "LightGBM, XGBoost and CatBoost": "::test_the_boosting_libraries_",
    "dask": "::test_dask",
    "lm-evaluation-harness": "::test_lm_eval_",
    "the wheel in a fresh environment": "test_wheel.py::test_every_command_of",
}
"""What must have run, and a part of the names of its tests."""
passed: Counter[str] = Counter()


@pytest.fixture(scope="session", autouse=True)
def short_trials() -> None:
    """The trial before a training measures the speed of the machine, on which no test may depend."""
    build: Any = sys.modules.get("unrolled.learn.build")  # loaded by the tests that train, while they were collected
    if build is not None and os.environ.get("UNROLLED_README") != "full":
        build.TRIAL_SECONDS = 0.01


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed:
        passed.update(group for group, name in NEEDED_IN_CI.items() if name in report.nodeid)


def missing(config: pytest.Config) -> list[str]:
    """The groups of which a run of everything in CI has passed no test."""
    is_worker = hasattr(config, "workerinput")  # of pytest-xdist: sees only some of the tests
    is_everything = config.args == config.getini("testpaths") and not config.option.keyword
    if not os.environ.get("CI") or is_worker or not is_everything or config.option.markexpr != "not soak":
        return []
    return [group for group in NEEDED_IN_CI if not passed[group]]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and missing(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for group in missing(terminalreporter.config):
        terminalreporter.write_line(f"CI must run the tests of {group}, but none has passed", red=True)
