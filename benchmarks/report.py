"""Print the table of ratios of a benchmark run, and keep the run under benchmarks/results/.

python benchmarks/report.py build/bench.json

A file holds what was measured on one machine on one day: a run of some benchmarks takes the place
of their earlier rows, and leaves the others.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def main(source: Path) -> None:
    run = json.loads(source.read_text())
    rows = [b["extra_info"] for b in run["benchmarks"] if "ratio" in b["extra_info"]]
    print(
        f"{'op':22} {'work':44} {'t':>1} {'peer':>12} {'peer ms':>10} {'ours ms':>10} "
        f"{'ratio':>8} {'target':>7} {'MiB':>7}"
    )
    for r in rows:
        target = "" if r["target"] is None else f"x{r['target']:g}"
        short = " " if r["target"] is None or r["ratio"] >= r["target"] else "-"
        print(
            f"{r['op']:22} {r['work']:44} {r['threads']:>1} {r['peer']:>12} "
            f"{r['peer_median_ms']:>10.3f} {r['ours_median_ms']:>10.3f} x{r['ratio']:>7.2f} "
            f"{target:>7}{short} {r['extra_memory_mib'] or 0:>6.1f}"
        )
    cpu = run["machine_info"]["cpu"]
    name = re.sub(r"[^a-z0-9]+", "-", f"{machine_name(cpu)} {cpu['count']}c".lower()).strip("-")
    target_file = RESULTS / f"{name}-{run['datetime'][:10]}.json"
    RESULTS.mkdir(exist_ok=True)
    if target_file.exists():
        run["benchmarks"] = merged(json.loads(target_file.read_text()), run)
    temporary = target_file.with_suffix(".tmp")
    temporary.write_text(json.dumps(run, indent=4))
    temporary.replace(target_file)
    print(f"written to {target_file}")


def machine_name(cpu: dict) -> str:
    """Generations of a processor can share a brand, and differ in all that is measured."""
    numbers = [f"{key} {cpu[key]}" for key in ("family", "model") if key in cpu]
    return ", ".join([cpu["brand_raw"], *numbers])


def merged(old: dict, new: dict) -> list[dict]:
    """The benchmarks of both, in the old one's order; of one that both have, the new."""
    fresh = {b["fullname"]: b for b in new["benchmarks"]}
    kept = [fresh.pop(b["fullname"], b) for b in old["benchmarks"]]
    return kept + list(fresh.values())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
