"""Each row of the tables that scripts/tables writes names a test that there is.

    .venv/bin/python tests/scripts/tables_test.py

Reads the list of ctest, of the release build with all tests.
"""

import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = re.compile(r"^<!-- ddro-train inspect (\w+) -->\n((?:\|.*\n)+)", re.M)
ROW = re.compile(r"\| `(\S+)` \|.*\| `(\S+)` \|")


def documented():
    """(list, what the row is of, its test)"""
    for document in sorted((ROOT / "docs").glob("*.md")):
        for name, lines in TABLE.findall(document.read_text(encoding="utf-8")):
            for line in lines.splitlines()[2:]:
                yield name, *ROW.fullmatch(line).groups()


class Tables(unittest.TestCase):
    def test_each_row_names_a_test_that_there_is(self):
        listed = subprocess.run(["ctest", "--preset", "release", "-C", "cases", "-N"], cwd=ROOT, check=True,
                                stdout=subprocess.PIPE, text=True).stdout
        tests = re.findall(r"^ *Test +#\d+: (.*)$", listed, re.M)
        rows = list(documented())
        self.assertEqual({name for name, _, _ in rows}, {"families", "formats", "layouts"})
        for name, of, test in rows:
            with self.subTest(list=name, row=of):
                self.assertTrue(any(re.search(test, each) for each in tests), f"{test} is no test of ctest")


if __name__ == "__main__":
    unittest.main()
