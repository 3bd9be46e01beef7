"""Adds up JUnit results: programs from CTest, single tests from the pytest runs below them. Exit 1 on any failure."""

import sys
from pathlib import Path
from xml.etree import ElementTree

passed = failed = skipped = 0
for path in sorted(Path(sys.argv[1]).glob("*.xml")):
    for case in ElementTree.parse(path).iter("testcase"):
        # A pytest run is one CTest entry and a file of its own: where that exists its tests count, the entry does not.
        if path.name.startswith("ctest") and path.with_name(case.get("name", "").replace("/", "-") + ".xml").exists():
            continue
        if case.find("skipped") is not None:
            skipped += 1
        elif (
            case.find("failure") is not None
            or case.find("error") is not None
            or case.get("status") in ("fail", "notrun")
        ):
            failed += 1
        else:
            passed += 1
print(f"weightscope: {passed} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
