"""Twenty random runs of campaign.py; docs/reliability.md has the figures of hundreds."""

import os
from pathlib import Path

from campaign import run_campaign


def test_random_faults_change_no_result(tmp_path: Path) -> None:
    runs = int(os.environ.get("WEIGHTSCOPE_CAMPAIGN", "20"))
    result = run_campaign(tmp_path, runs, seed=int(os.environ.get("WEIGHTSCOPE_SEED", "1")), at_a_time=2)
    assert result["failures"] == []
    assert result["shared_memory_left"] == []
    assert result["recovered"] == runs
    assert sum(n for kind, n in result["faults"].items() if kind.endswith(", met")) > runs / 2
