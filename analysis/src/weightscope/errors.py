"""Errors with the exit codes of the user contract."""

from __future__ import annotations

import sys
from collections.abc import Callable

USAGE = 2
INPUT = 4
OUTPUT = 5


class UnusableFileError(Exception):
    """An input file that cannot be used: one line, *problem (why) suggestion*."""


class MissingPackageError(Exception):
    """An optional package that a command needs: one line that names the extra to install."""


class RefusedError(Exception):
    """Runs that `weightscope check` refuses, or nobody there to ask: their names and its words."""


def run_command(work: Callable[[], None]) -> int:
    """Runs a command line's work and turns what goes wrong into one line on stderr and an exit code."""
    try:
        work()
    except UnusableFileError as error:
        print(f"weightscope: error: {error}", file=sys.stderr)
        return INPUT
    except (MissingPackageError, RefusedError) as error:
        print(f"weightscope: error: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"weightscope: error: {where}cannot write ({error.strerror or error})", file=sys.stderr)
        return OUTPUT
    return 0
