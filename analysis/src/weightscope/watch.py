"""weightscope-watch FILE_OR_DIR: a live page about a run that is going on; --text: the same in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from weightscope.command_line import ONE_RUN, parser
from weightscope.errors import run_command

_EXAMPLES = """examples:
  weightscope-watch runs/quickstart                        # prints the address of a page that follows the run
  weightscope-watch runs/quickstart --port 8400            # on another machine: ssh -L 8400:127.0.0.1:8400 MACHINE
  weightscope-watch runs/quickstart --text                 # one line per new snapshot, until the run ends
  weightscope-watch runs/quickstart --text -o live.html    # the report, written again at each new snapshot

The page is served on 127.0.0.1 alone, needs no network and takes no locks; it may be started before the run is.
Everyone with an account on this machine can open it.
"""


def _parser() -> argparse.ArgumentParser:
    made = parser("weightscope-watch", "Follows a live run without locks, on a page or in the terminal.", _EXAMPLES)
    made.add_argument("run", metavar="FILE_OR_DIR", help=ONE_RUN)
    made.add_argument("--port", type=int, default=0, help="port of the page (default: a free one)")
    made.add_argument("--text", action="store_true", help="one line per new snapshot instead of a page")
    made.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="how often to look (default 2)")
    made.add_argument("-o", "--output", metavar="FILE", help="with --text: write the report at each new snapshot")
    made.add_argument("--once", action="store_true", help="with --text: print what is there and end")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    made = _parser()
    options = made.parse_args(arguments)
    if not options.text and (options.output or options.once):
        made.error("--output and --once belong to --text")
    if not 0 < options.every <= 86400 or not 0 <= options.port < 65536:
        made.error("--every must be above 0 and at most a day, and --port at most 65535")

    def work() -> None:
        # Each needs much that the other does not.
        if options.text:
            from weightscope.watch_text import follow

            follow(options.run, options.every, options.once, options.output)
        else:
            from weightscope.live.server import serve

            serve(options.run, options.port, options.every)

    try:
        return run_command(work)
    except KeyboardInterrupt:
        return 0  # the usual way to stop watching


if __name__ == "__main__":
    raise SystemExit(main())
