"""Alarms end to end: each action on two ranks, and a run that goes on raises those of one that was never stopped."""

import json
from pathlib import Path

import h5py
import pytest
from compare import checkpoint, experiment_differences, forget, same_bits, state, status
from program import Program

EXPERIMENT = "experiment.h5"
# Heads that can be compared, and numbers at cadences that meet nowhere near the checkpoints.
SETTINGS = {
    "model__heads": 4,
    "train__steps": 48,
    "monitor__every": 4,
    "monitor__probe_every": 3,
    "monitor__probe_blocks": 2,
    "checkpoint__every": 22,
}
# Thresholds in the middle of what calm runs show, so that alarms come and go.
NERVOUS = (
    "[{rule: loss_spike, threshold: 1, window: 16}, {rule: std_jump, threshold: 1}, "
    "{rule: outlier_head, threshold: 1}, {rule: dead_head, threshold: 1}, {rule: update_ratio, low: 0.03}, "
    "{rule: entropy_collapse, threshold: 0.99}, {rule: attention_logit, threshold: 0.1}]"
)


def rows(run: Path) -> list[tuple]:
    with h5py.File(run / EXPERIMENT) as file:
        group = file["alarms"]
        return list(
            zip(group["step"][()].tolist(), group["rule"].asstr()[()], group["target"].asstr()[()], strict=True)
        )


def test_a_calm_run_has_no_alarms(program: Program, tiny: Path) -> None:
    quiet = program.train(tiny, "run", **SETTINGS)
    assert rows(program.folder / "run") == []
    assert "alarm" not in quiet.err
    assert "rule: loss_spike, threshold: " in (program.folder / "run/config.yaml").read_text()


def test_a_run_that_goes_on_raises_the_alarms_of_one_that_was_not_stopped(
    program: Program, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEIGHTSCOPE_FAULT_FROM", "rate:23")
    settings = {**SETTINGS, "monitor__alarms": NERVOUS}
    for run in ("whole", "parts"):
        program.trained(tiny, run, 2, **settings)
    for step in (48, 44):
        forget(program.folder / "parts", step)
    resumed = program.train(tiny, "parts", ranks=2, **settings)
    assert "differ" not in resumed.err
    found = rows(program.folder / "whole")
    assert {rule for _, rule, _ in found} == {word.split(",")[0] for word in NERVOUS.split("rule: ")[1:]}
    assert sum(step > 22 for step, _, _ in found) > 10
    assert experiment_differences(program.folder / "whole" / EXPERIMENT, program.folder / "parts" / EXPERIMENT) == []
    assert program.log("whole", "alarm") == program.log("parts", "alarm")
    with h5py.File(program.folder / "parts" / EXPERIMENT) as file:
        assert list(file["segments/start_step"]) == [0, 22]


def test_an_alarm_can_write_a_checkpoint(program: Program, tiny: Path) -> None:
    alarms = "[{rule: attention_logit, threshold: 0.1, action: checkpoint}]"
    program.train(tiny, "run", ranks=2, monitor__alarms=alarms, checkpoint__keep=20, **SETTINGS)
    steps = sorted({step for step, _, _ in rows(program.folder / "run")})
    assert len(set(steps) - {22, 44, 48}) > 0
    for step in steps:
        assert (checkpoint(program.folder / "run", step) / "manifest.json").exists()
    program.trained(tiny, "whole", 2, **SETTINGS)
    assert same_bits(state(program.folder / "whole", 48), state(program.folder / "run", 48)) == []


def test_an_alarm_can_stop_a_run_which_then_goes_on(program: Program, tiny: Path) -> None:
    recorded = "[{rule: attention_logit, threshold: 0.1}]"
    program.trained(tiny, "whole", 2, monitor__alarms=recorded, **SETTINGS)
    first = rows(program.folder / "whole")[0][0]
    assert 0 < first < 48
    stops = {**SETTINGS, "monitor__alarms": "[{rule: attention_logit, threshold: 0.1, action: stop}]"}
    stopped = program.train(tiny, "run", ranks=2, check=False, **stops)
    assert stopped.code == 7, stopped.err
    assert f"alarm after step {first}: attention_logit, layer " in stopped.err
    assert f"stopped by an alarm after step {first}, state saved" in stopped.err
    facts = json.loads(program("inspect", "run", "--format", "json").out)
    assert (facts["status"], facts["alarms"] > 0) == ("stopped", True)
    with h5py.File(program.folder / "run" / EXPERIMENT) as file:
        assert set(file["alarms/severity"].asstr()[()]) == {"error"}
    # What stopped it does not stop it again; the next alarm may.
    again = program.train(tiny, "run", ranks=2, check=False, **stops)
    assert f"after step {first}" not in again.err
    program.train(tiny, "run", ranks=2, monitor__alarms=recorded, **SETTINGS)
    assert same_bits(state(program.folder / "whole", 48), state(program.folder / "run", 48)) == []
    assert rows(program.folder / "whole") == rows(program.folder / "run")
    assert status(program.folder / "run") == "finished"


def test_an_alarm_at_the_last_step_is_told_by_the_exit_code(program: Program, tiny: Path) -> None:
    alarm = "{rule: attention_logit, threshold: 0.1%s}"
    settings = {**SETTINGS, "schedule__name": "constant"}
    program.train(tiny, "whole", ranks=2, monitor__alarms=f"[{alarm % ''}]", **settings)
    first = rows(program.folder / "whole")[0][0]
    settings |= {"train__steps": first, "monitor__alarms": f"[{alarm % ', action: stop'}]"}
    ended = program.train(tiny, "run", ranks=2, check=False, **settings)
    assert ended.code == 7, ended.err
    assert f"stopped by an alarm after step {first}, which was the last" in ended.err
    assert json.loads(program("inspect", "run", "--format", "json").out)["status"] == "finished"
    program.train(tiny, "run", ranks=2, **settings)


def test_a_learning_rate_gone_wrong_is_seen(program: Program, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTSCOPE_FAULT_FROM", "rate:30")
    warned = program.train(tiny, "run", ranks=2, **SETTINGS)
    found = rows(program.folder / "run")
    assert found
    assert all(step > 30 for step, _, _ in found)
    assert "warning: alarm after step " in warned.err


@pytest.mark.parametrize("rule", ["outlier_head", "dead_head"])
def test_a_head_gone_wrong_is_named(rule: str, program: Program, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if rule == "dead_head":
        monkeypatch.setenv("WEIGHTSCOPE_FAULT_FROM", "head:30")
    program.train(tiny, "run", fault="head:0:30:corrupt" if rule == "outlier_head" else "", **SETTINGS)
    found = [row for row in rows(program.folder / "run") if row[1] == rule]
    assert found == [(32, rule, f"layer 1, {part}, head 0") for part in "qkv"]
