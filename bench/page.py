"""Puts text from standard input between `<!-- NAME -->` and `<!-- /NAME -->` of a Markdown page."""

import argparse
import re
import sys
from pathlib import Path


def replaced(page: str, name: str, text: str) -> str:
    """The page with new text between the markers. ValueError when it has no such markers, or several."""
    pattern = re.compile(f"(<!-- {re.escape(name)} -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
    result, found = pattern.subn(lambda m: f"{m[1]}{text.strip()}\n{m[2]}", page)
    if found != 1:
        raise ValueError(f"the page has {found} pairs of markers named {name}, not one")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("name")
    arguments = parser.parse_args()
    text = sys.stdin.read()
    if not text.strip():
        sys.exit("page.py: nothing to put in; the page is as it was")
    arguments.page.write_text(replaced(arguments.page.read_text(), arguments.name, text))


if __name__ == "__main__":
    main()
