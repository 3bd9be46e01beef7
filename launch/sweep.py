#!/usr/bin/env python3
"""Runs a sweep on this machine, resumable (launch/sweep.py --help). On a cluster: slurm/submit.sh sweep FILE.yaml.

launch/sweep.py FILE.yaml [--at-a-time N] [--ranks N] [--dry-run]
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    try:
        from weightscope.sweep_run import main as run
    except ImportError:  # not started from the environment that launch/setup.sh made
        python = Path(os.environ.get("WEIGHTSCOPE_VENV", HERE.parent / ".venv")) / "bin" / "python"
        if not python.exists() or Path(sys.prefix) == python.parent.parent:
            print(f"sweep: {python} cannot import weightscope; run launch/setup.sh first", file=sys.stderr)
            return 2
        os.execv(python, [str(python), *sys.argv])
    return run([str(HERE / "run.sh")])


if __name__ == "__main__":
    sys.exit(main())
