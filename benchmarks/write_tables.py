"""Write the tables of docs/benchmarks.md, and README's eight rows of them.

python benchmarks/write_tables.py    # from the newest files in benchmarks/results/
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from report import machine_name

from fastcv._files import replacing

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"

# What README shows, by op, work and peer: what people choose by.
CHOSEN = (
    ("nms", "RPN-like, n=5000", "torchvision"),
    ("roi_align", "forward, NCHW", "torchvision"),
    ("deform_conv2d", "forward, NCHW, mask", "torchvision"),
    ("sigmoid_focal_loss", "forward and backward, 200k anchors x 80", "torchvision"),
    ("inference", "resnet50, 16 x 224 px", "torchvision"),
    ("Faster R-CNN", "R50-FPN, 800 px, 100 found", "torchvision"),
)
CHOSEN_ON_A_GPU = (
    ("nms", "n=10000", "torchvision"),
    ("roi_align", "forward, float32, NCHW", "torchvision"),
)


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
    columns = [(isa, threads) for isa in runs for threads in (1, 2)]
    heads = [f"{isa}, {threads} thread{'s' * (threads > 1)}" for isa, threads in columns]
    lines = [
        f"| op | work | against | {' | '.join(heads)} |",
        "|---" * (3 + len(columns)) + "|",
    ]
    for (op, work, peer), by_column in comparisons(runs).items():
        ratios = [cell(by_column.get(column)) for column in columns]
        lines.append(f"| `{op}` | {work} | {peer} | {' | '.join(ratios)} |")
    lines.append("")
    lines.append(
        "Both were called in turn in one process. "
        + " ".join(f"{isa}: {about_machine(run)}." for isa, run in runs.items())
    )
    return "\n".join(lines)


def comparisons(runs: dict[str, dict]) -> dict[tuple[str, str, str], dict[tuple[str, int], dict]]:
    """What was measured, by (op, work, peer), then by (instruction set, threads)."""
    found: dict[tuple[str, str, str], dict[tuple[str, int], dict]] = {}
    for isa, run in runs.items():
        for benchmark in run["benchmarks"]:
            row = benchmark["extra_info"]
            if "ratio" in row and row["op"] != "identity":
                where = (isa, row["threads"])
                found.setdefault((row["op"], row["work"], row["peer"]), {})[where] = row
    return found


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
        "Both were called in turn, on inputs that no cache holds. Times are the GPU's alone, "
        "replayed from CUDA graphs, but for ops that wait for the GPU once (NMS, CRF) and for HOG. "
        f"The floor: what a copy ({floors['gb_per_s']:g} GB/s) or torch's product of matrices "
        f"({rates}) needs for the least bytes and operations. "
        f"{about['gpu']}, driver {about['driver']}, torch {about['torch']}, "
        f"torchvision {about['torchvision']}, {run['day']}."
    )
    return "\n".join(lines)


def chosen_rows(runs: dict[str, dict], on_a_gpu: dict) -> str:
    """Markdown: README's rows, those of a CPU on two threads and its widest instruction set."""
    lines = ["| op or model | work | against | where | ratio |", "|---|---|---|---|---|"]
    on_cpus = comparisons(runs)
    for key in CHOSEN:
        by_column = on_cpus.get(key, {})
        isa = next((i for i in ("AVX-512", "AVX2", "portable") if (i, 2) in by_column), "")
        lines.append(chosen_row(key, f"CPU, {isa}", by_column.get((isa, 2))))
    rows = on_a_gpu["parts"]["bench"]["rows"]
    by_key = {(r["op"], r["work"], r["peer"]): r for r in rows if "ratio" in r}
    name = on_a_gpu["machine"]["gpu"].removeprefix("NVIDIA ").split()[0]
    return "\n".join([*lines, *(chosen_row(k, name, by_key.get(k)) for k in CHOSEN_ON_A_GPU)])


def chosen_row(key: tuple[str, str, str], where: str, row: dict | None) -> str:
    op, work, peer = key
    if row is None:
        sys.exit(f"README shows {op} ({work}) against {peer}, and no result has it")
    return f"| `{op}` | {work} | {peer} | {where} | {cell(row)} |"


def cell(row: dict | None) -> str:
    if row is None:
        return ""
    if row["target"] is None:  # the peer does something else, for scale
        return f"{duration(row['ours_median_ms'])}; the other: {duration(row['peer_median_ms'])}"
    return f"**{row['ratio']:.3g}** ({duration(row['ours_median_ms'])})"


def duration(ms: float) -> str:
    return f"{ms:.3g} ms" if ms < 999.5 else f"{ms / 1000:.3g} s"


def put_into(text: str, name: str, new: str) -> str:
    """What stands between the comments ``<!-- name -->`` and ``<!-- end of name -->`` anew."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{new}\n{end}{rest.split(end)[1]}"


def write(path: Path, name: str, new: str) -> None:
    """The same in a file."""
    with replacing(path) as temporary:
        temporary.write_text(put_into(path.read_text(), name, new))


if __name__ == "__main__":
    runs = measured(RESULTS)
    write(PAGE, "cpu table", table(runs))
    on_a_gpu = newest_on_a_gpu(RESULTS)
    if on_a_gpu is not None:
        write(PAGE, "gpu table", gpu_table(on_a_gpu))
        write(README, "chosen rows", chosen_rows(runs, on_a_gpu))
