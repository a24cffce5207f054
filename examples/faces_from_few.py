"""Do landmarks help to find faces where there are few to learn from? RetinaFace with and without.

    python examples/faces_from_few.py --out runs/few               # all 18 runs: some 25 minutes
    python examples/faces_from_few.py --out runs/few --faces 100 --seeds 1

Each run trains the same network on the same faces for as many steps; once with their landmarks, and
once as faces whose landmarks are unknown (label -1), so that boxes alone teach. A run's metrics are
written to the folder when it ends, and those that are there are not run again: what was stopped
goes on with the next run.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv._files import replacing
from fastcv.data import DrawnFaces
from fastcv.learn import fit
from fastcv.metrics import evaluate_faces
from fastcv.models import create_model
from fastcv.models.landmarks.retinaface import UNMARKED
from fastcv.recipes.landmarks.faces_retinaface import PRIOR_SIZES, schedule

FACES, SEEDS = (50, 100, 400), 3
SHOWN = 2000  # pictures in a run's passes together, one face in each
TESTED = 200  # pictures
KINDS = ("boxes", "landmarks")


class Faces(Dataset[tuple[Tensor, dict[str, Any]]]):
    """So many pictures with a drawn face each; without landmarks where boxes alone shall teach."""

    def __init__(self, count: int, seed: int, kind: str) -> None:
        self.faces = DrawnFaces("train", length=count, seed=seed, max_faces=1, real=0)
        self.kind = kind

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        image, target = self.faces[index]
        if self.kind == "boxes":
            target["labels"] = torch.full_like(target["labels"], UNMARKED)
        return image, target


def run(count: int, seed: int, kind: str, folder: Path) -> dict[str, float]:
    """Trains, and measures on pictures whose photographs were in none of those that trained."""
    torch.manual_seed(seed)
    model = create_model("retinaface_mobilenet025", prior_sizes=PRIOR_SIZES)
    options = {**schedule(model, "cpu"), "batch_size": 8, "ema_decay": 0.98}
    data = Faces(count, seed, kind)
    epochs = SHOWN // count
    fit(model, data, epochs=epochs, out=folder, seed=seed, devices="cpu", **options)
    metrics = evaluate_faces(model, DrawnFaces("test", length=TESTED, real=0), batch_size=10)
    return {name: metrics[name] for name in ("AP", "AP50", "NME")}


def table(results: dict[tuple[int, str, int], dict[str, float]], counts: Sequence[int]) -> str:
    """For each number of faces the mean AP50 of both kinds, and by how much landmarks help."""
    lines = ["faces  seeds  boxes alone  with landmarks  difference"]
    for count in counts:
        seeds = sorted(s for n, kind, s in results if n == count and kind == "boxes")
        seeds = [s for s in seeds if (count, "landmarks", s) in results]
        if not seeds:
            continue
        alone, both = ([results[count, kind, seed]["AP50"] for seed in seeds] for kind in KINDS)
        gains = [b - a for a, b in zip(alone, both, strict=True)]
        means = [statistics.mean(values) for values in (alone, both, gains)]
        row = f"{count:5}  {len(seeds):5}  {means[0]:11.3f}  {means[1]:14.3f}  {means[2]:+.3f}"
        spread = f" +- {statistics.stdev(gains):.3f}" if len(gains) > 1 else ""
        lines.append(row + spread)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/faces_from_few"))
    parser.add_argument("--faces", type=int, nargs="+", default=FACES, metavar="N")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    args = parser.parse_args()
    results: dict[tuple[int, str, int], dict[str, float]] = {}
    for count in args.faces:
        for seed in range(args.seeds):
            for kind in KINDS:
                folder = args.out / f"{count}-{kind}-{seed}"
                written = folder / "metrics.json"
                if not written.is_file():
                    metrics = run(count, seed, kind, folder)
                    with replacing(written) as temporary:
                        temporary.write_text(json.dumps(metrics) + "\n", "utf-8")
                results[count, kind, seed] = json.loads(written.read_text("utf-8"))
                print(
                    f"{count} faces, {kind}, seed {seed}: {results[count, kind, seed]}", flush=True
                )
    print(table(results, args.faces))


if __name__ == "__main__":
    main()
