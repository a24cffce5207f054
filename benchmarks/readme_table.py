"""Write README's op tables, of CPUs and of a GPU, from the newest files in benchmarks/results/.

python benchmarks/readme_table.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from report import machine_name

ROOT = Path(__file__).parents[1]


def measured(folder: Path) -> dict[str, dict]:
    """By instruction set: what its newest run's machine measured, the newest of each benchmark."""
    runs = [json.loads(p.read_text()) for p in folder.glob("*.json")]
    runs = sorted((r for r in runs if "benchmarks" in r), key=lambda r: r["datetime"])
    if not runs:
        sys.exit(f"no results in {folder}: run `make bench` first")
    found = {}
    for newest in runs:  # a later one takes an earlier one's place
        about = newest["machine_info"]
        of_machine = [r for r in runs if machine(r) == machine(newest)]
        rows = {b["fullname"]: b for r in of_machine for b in r["benchmarks"]}
        days = sorted({r["datetime"][:10] for r in of_machine})
        days = [days[0], *days[1:][-1:]]
        found[instructions(about)] = {**newest, "benchmarks": list(rows.values()), "days": days}
    return found


def machine(run: dict) -> tuple[str, int, str]:
    cpu = run["machine_info"]["cpu"]
    return machine_name(cpu), cpu["count"], run["machine_info"]["torch"]


def instructions(about: dict) -> str:
    """The widest that our kernels have and the machine has."""
    flags = about["cpu"].get("flags", ())
    return "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "portable"


def table(runs: dict[str, dict]) -> str:
    """Markdown: a row for each comparison, machines and threads side by side."""
    cells: dict[tuple[str, str, str], dict[tuple[str, int], dict]] = {}
    for isa, run in runs.items():
        for benchmark in run["benchmarks"]:
            row = benchmark["extra_info"]
            if "ratio" in row and row["op"] != "identity":
                where = (isa, row["threads"])
                cells.setdefault((row["op"], row["work"], row["peer"]), {})[where] = row
    columns = [(isa, threads) for isa in runs for threads in (1, 2)]
    heads = [f"{isa}, {threads} thread{'s' * (threads > 1)}" for isa, threads in columns]
    lines = [
        f"| op | work | against | {' | '.join(heads)} |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for (op, work, peer), by_column in cells.items():
        ratios = [cell(by_column.get(column)) for column in columns]
        lines.append(f"| `{op}` | {work} | {peer} | {' | '.join(ratios)} |")
    lines.append("")
    lines.append(
        "Median time of the peer over ours, called in turn in one process; ours in brackets. "
        + " ".join(f"{isa}: {about_machine(run)}." for isa, run in runs.items())
    )
    return "\n".join(lines)


def about_machine(run: dict) -> str:
    about = run["machine_info"]
    return (
        f"{machine_name(about['cpu'])}, {about['cpu']['count']} cores, torch {about['torch']}, "
        f"torchvision {about['torchvision']}, {' to '.join(run['days'])}"
    )


def newest_on_a_gpu(folder: Path) -> dict | None:
    """The results of `make gpu` with the latest date in their name that have benchmarks."""
    runs = sorted(folder.glob("*.json"), key=lambda p: p.stem[-len("2026-01-01") :])
    for path in reversed(runs):
        run = json.loads(path.read_text())
        if run.get("parts", {}).get("bench", {}).get("rows"):
            return {**run, "day": path.stem[-len("2026-01-01") :]}
    return None


def gpu_table(run: dict) -> str:
    """Markdown: a row for each comparison on a GPU."""
    lines = ["| op | work | against | ratio | our time over the floor |", "|---|---|---|---|---|"]
    rows = run["parts"]["bench"]["rows"]
    for row in rows:
        if "ratio" not in row:
            continue
        floor = f"{row['of_floor']:.3g}" if "of_floor" in row else ""
        work = f"{row['work']} ({row['note']})" if "note" in row else row["work"]
        lines.append(f"| `{row['op']}` | {work} | {row['peer']} | {cell(row)} | {floor} |")
    about = run["machine"]
    (floors,) = (row for row in rows if row["op"] == "floor")
    rates = ", ".join(f"{k} {v:g} TFLOP/s" for k, v in floors["tflop_per_s"].items())
    lines.append("")
    lines.append(
        "Median time of the peer over ours, in turn, on inputs that no cache holds; ours in "
        "brackets. Times are the GPU's alone, replayed from CUDA graphs, but for ops that wait for "
        "the GPU once (NMS, CRF) and for HOG. The floor: what a copy "
        f"({floors['gb_per_s']:g} GB/s) or torch's product of matrices ({rates}) needs for the "
        "least bytes and operations. "
        f"{about['gpu']}, driver {about['driver']}, torch {about['torch']}, "
        f"torchvision {about['torchvision']}, {run['day']}."
    )
    return "\n".join(lines)


def cell(row: dict | None) -> str:
    if row is None:
        return ""
    if row["target"] is None:  # the peer does something else, for scale
        return f"{duration(row['ours_median_ms'])}; that: {duration(row['peer_median_ms'])}"
    return f"**x{row['ratio']:.3g}** ({duration(row['ours_median_ms'])})"


def duration(ms: float) -> str:
    return f"{ms:.3g} ms" if ms < 999.5 else f"{ms / 1000:.3g} s"


def put_into(text: str, name: str, new: str) -> str:
    """What stands between the comments ``<!-- name -->`` and ``<!-- end of name -->`` anew."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{new}\n{end}{rest.split(end)[1]}"


def write_readme(name: str, new: str) -> None:
    readme = ROOT / "README.md"
    temporary = readme.with_suffix(".tmp")
    temporary.write_text(put_into(readme.read_text(), name, new))
    temporary.replace(readme)


if __name__ == "__main__":
    results = ROOT / "benchmarks" / "results"
    write_readme("op table", table(measured(results)))
    on_a_gpu = newest_on_a_gpu(results)
    if on_a_gpu is not None:
        write_readme("gpu table", gpu_table(on_a_gpu))
