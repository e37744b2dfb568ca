"""What the parts found, for people."""

import json


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows])


def number(value, digits=4):
    return "" if value is None else f"{value:.{digits}g}"


def speed_section(result):
    """One row a measurement, then what the first one's step spent its time in."""
    rows = [[name, number(report["tokens_per_second"]), number(report["pairs_per_second"]), number(report["mfu"], 3),
             number(report["mfu_data_sheet"], 3), number(report["busy"], 3), number(report["peak_memory_bytes"] / 1e9)]
            for name, report in result.items()]
    name, first = next(iter(result.items()))
    total = sum(kernel["seconds"] for kernel in first["kernels"])
    kernels = [[f"{1e3 * kernel['seconds']:.2f}", f"{kernel['seconds'] / total:.3f}", kernel["calls"], kernel["name"][:100]]
               for kernel in first["kernels"]]
    return "\n\n".join([
        table(["work", "tokens/s", "pairs/s", "of the measured rate", "of the data sheet's", "busy", "peak, GB"], rows),
        f"One step of {name}, the {len(kernels)} longest kernels, shares of their sum:",
        table(["ms", "share", "calls", "kernel"], kernels)])


def section(entry):
    result = entry["result"]
    if entry["part"].startswith("speed"):
        body = speed_section(result)
    else:
        body = f"```json\n{json.dumps(result, indent=2)}\n```"
    return f"## {entry['part']}\n\n{body}"


def outcome(entry):
    reason = entry["result"].get("skipped")
    return f"skipped: {reason}" if reason else entry["status"]


def to_markdown(entries):
    rows = [[entry["part"], outcome(entry), entry["seconds"], entry["limit_s"]] for entry in entries]
    parts = ["# Results", table(["part", "outcome", "s", "limit, s"], rows)]
    parts += [section(entry) for entry in entries if entry["result"] and entry["status"] != "skipped"]
    return "\n\n".join(parts) + "\n"
