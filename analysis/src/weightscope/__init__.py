"""Reads weightscope experiment files.

import weightscope
run = weightscope.open("runs/quickstart")
run.snapshots["std"].sel(component="q").plot.line(x="snapshot_step")
"""

from weightscope.equilibrium import adamw_course
from weightscope.errors import UnusableFileError
from weightscope.findings import Finding, examine
from weightscope.run import Run
from weightscope.run import open_run as open
from weightscope.tail_statistics import tail_statistics
from weightscope.updates import gradient_edges, norm_budget

__all__ = [
    "Finding",
    "Run",
    "UnusableFileError",
    "adamw_course",
    "examine",
    "gradient_edges",
    "norm_budget",
    "open",
    "tail_statistics",
]
