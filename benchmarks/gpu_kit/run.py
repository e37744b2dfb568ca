"""Runs the kit's parts on the machine it was unpacked on, which needs no network: a Python that has torch 2.11.0.

    ./run [--rehearse] [--out DIR] [PART...]

Each part (parts.py lists them) is a process with a time limit of its own; what fails or takes too long stops no other.
After each, DIR/summary.json and DIR/summary.md are written again; DIR/PART.log has what it printed. --rehearse takes
small models, so that a machine without a GPU shows whether the kit works; parts that need a GPU are skipped by name
where there is none. Exit codes: 0 no part failed; 1 one did; 2 the kit cannot run here.
"""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parts import KIT, PARTS
from summary import to_markdown


def link_torch():
    """LibTorch and its CUDA libraries, where the program looks for them: beside its own folder."""
    found = importlib.util.find_spec("torch")
    if found is None:
        sys.exit(f"run: {sys.executable} has no torch; start this with a Python that has torch 2.11.0")
    packages = Path(found.origin).parents[1]
    for name in ("torch", "nvidia"):
        link = KIT / "program/lib" / name
        link.unlink(missing_ok=True)
        link.symlink_to(packages / name)


def scratch_folder():
    """In memory where that is possible: parts write models of gigabytes."""
    shared = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="gpu-kit-", dir=shared if os.access(shared, os.W_OK) else None)


def end(process):
    """The part and what it left running."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run_part(part, out, rehearse):
    """What the part found, how it ended and how long it took."""
    start = time.monotonic()
    with scratch_folder() as scratch, open(out / f"{part.name}.log", "wb") as log:
        result_file = Path(scratch) / "result.json"
        command = [sys.executable, KIT / "parts.py", part.name, scratch, result_file]
        if rehearse:
            command.append("--rehearse")
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            status = "ok" if process.wait(part.limit_s) == 0 else "failed"
        except subprocess.TimeoutExpired:
            status = "timed out"
        finally:
            end(process)
        result = json.loads(result_file.read_text()) if result_file.exists() else {}
    if "skipped" in result:
        status = "skipped"
    return {"part": part.name, "status": status, "seconds": round(time.monotonic() - start, 1), "limit_s": part.limit_s,
            "result": result}


def write_summary(entries, out):
    for name, text in (("summary.json", json.dumps(entries, indent=2)), ("summary.md", to_markdown(entries))):
        partial = out / f".{name}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(out / name)


def main():
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--rehearse", action="store_true", help="small models")
    arguments = parser.parse_args()
    for name in set(arguments.parts) - set(names):
        parser.error(f"there is no part {name}; expected one of {', '.join(names)}")
    link_torch()
    arguments.out.mkdir(parents=True, exist_ok=True)
    entries = []
    for part in PARTS:
        if arguments.parts and part.name not in arguments.parts:
            continue
        print(f"{part.name}: at most {part.limit_s} s ...", flush=True)
        entries.append(run_part(part, arguments.out, arguments.rehearse))
        write_summary(entries, arguments.out)
        print(f"{part.name}: {entries[-1]['status']} after {entries[-1]['seconds']} s", flush=True)
    print(f"summary: {arguments.out / 'summary.md'}")
    return 1 if any(entry["status"] in ("failed", "timed out") for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main())
