"""A wheel of the program's folder (cmake --install --component program).

    .venv/bin/python scripts/package.py FOLDER VERSION OUT_DIR

Adds the licences of what the program brings along to the folder, arranges its files as a wheel, and has auditwheel judge
it: which C library the files ask for becomes the wheel's platform tag, and a shared library that is neither in the wheel
nor LibTorch's nor of every system is refused.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = ["libtorch*.so", "libc10*.so", "libcudart.so.*", "libgomp.so.*"]  # what the program finds in torch's own packages
HEADERS_ONLY = ["libcli11-dev", "libcurl4-openssl-dev", "nlohmann-json3-dev"]  # compiled into the program


def tool(name, *arguments):
    """A program of the environment that runs this file."""
    folder = Path(sys.executable).parent
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"  # auditwheel calls patchelf
    return subprocess.run([folder / name, *arguments], check=True, env={**os.environ, "PATH": path})


def package_of(library):
    """The system package that a library's file is from."""
    found = subprocess.run(["dpkg", "--search", f"*/{library.name}"], capture_output=True, text=True)
    if found.returncode != 0:
        sys.exit(f"package.py: no system package holds {library.name}, so that its licence is not known")
    return found.stdout.split(":")[0]


def add_licences(folder):
    licences = folder / "licences"
    licences.mkdir()
    arrow = metadata.files("pyarrow")
    of_arrow = {file.name for file in arrow}
    system = {package_of(library) for library in (folder / "lib").iterdir() if library.name not in of_arrow}
    for package in sorted(system | set(HEADERS_ONLY)):
        shutil.copy(f"/usr/share/doc/{package}/copyright", licences / f"{package}.txt")
    for file in arrow:
        if "licenses" in file.parts:
            shutil.copy(file.locate(), licences / f"libarrow-{file.name}")


def torch_requirement():
    text = (ROOT / "third_party/requirements-build.txt").read_text(encoding="utf-8")
    return re.search(r"^torch==\S+", text, re.M)[0]


def description(version):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return f"""Metadata-Version: 2.4
Name: ddro-train
Version: {version}
Summary: Preference alignment of language models by direct density ratio optimization
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.10
Requires-Dist: {torch_requirement()}
Description-Content-Type: text/markdown

{readme}"""


WHEEL = """Wheel-Version: 1.0
Generator: scripts/package
Root-Is-Purelib: false
Tag: py3-none-linux_x86_64
"""


def arrange(folder, version, wheel):
    """The files of a wheel; their hashes are left to auditwheel."""
    name = f"ddro_train-{version}"
    shutil.copytree(folder / "lib/ddro_train", wheel / "ddro_train")
    for library in (wheel / "ddro_train/lib").iterdir():
        # The program's own search path serves them too; auditwheel looks at each file alone.
        tool("patchelf", "--force-rpath", "--set-rpath", "$ORIGIN", library)
    scripts = wheel / f"{name}.data/scripts"
    scripts.mkdir(parents=True)
    shutil.copy(folder / "bin/ddro-train", scripts)
    information = wheel / f"{name}.dist-info"
    (information / "licenses").mkdir(parents=True)
    shutil.copy(ROOT / "LICENSE", information / "licenses")
    (information / "METADATA").write_text(description(version), encoding="utf-8")
    (information / "WHEEL").write_text(WHEEL, encoding="utf-8")
    record = information / "RECORD"
    record.touch()
    record.write_text("".join(f"{path.relative_to(wheel)},,\n" for path in files_of(wheel)), encoding="utf-8")


def files_of(tree):
    return sorted(path for path in tree.rglob("*") if path.is_file())


def pack(tree, file):
    with zipfile.ZipFile(file, "w") as archive:  # auditwheel packs it again, compressed
        for path in files_of(tree):
            archive.write(path, path.relative_to(tree))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("version")
    parser.add_argument("out_dir", type=Path)
    arguments = parser.parse_args()
    add_licences(arguments.folder / "lib/ddro_train")
    with tempfile.TemporaryDirectory() as holder:
        tree = Path(holder) / "wheel"
        arrange(arguments.folder, arguments.version, tree)
        wheel = Path(holder) / f"ddro_train-{arguments.version}-py3-none-linux_x86_64.whl"
        pack(tree, wheel)
        excluded = [option for name in TORCH for option in ("--exclude", name)]
        tool("auditwheel", "repair", "--only-plat", *excluded, "--wheel-dir", arguments.out_dir, wheel)


if __name__ == "__main__":
    main()
