"""Crash points of the files of a run: every fourth here, and a part of train; crash_points.py does all, in minutes."""

import os
from pathlib import Path

from crash_points import enumerate_all


def test_no_crash_at_any_file_operation_loses_anything(tmp_path: Path) -> None:
    tried, failures = enumerate_all("life", tmp_path, every=4, processes=2)
    assert failures == []
    assert tried > 400


def test_the_program_recovers_from_crashes_all_over_its_run(tmp_path: Path) -> None:
    tried, failures = enumerate_all(
        "train", tmp_path, every=int(os.environ.get("WEIGHTSCOPE_EVERY", "60")), processes=2
    )
    assert failures == []
    assert tried > 10
