"""Write the table of detectors in docs/benchmarks.md: each recipe, how good and how fast.

python benchmarks/digit_detectors.py runs    # trains first what has no weights under runs/

Times are those of ``predict`` on single scenes, all detectors in turn, scene by scene; searching
for proposals is part of them. The numbers stay in benchmarks/results/digit_detectors.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from turns import seconds
from write_tables import PAGE, ROOT, write

from fastcv import recipes
from fastcv._files import replacing
from fastcv.data import DrawnDigits
from fastcv.models import load_model

RESULTS = ROOT / "benchmarks" / "results" / "digit_detectors.json"
TITLES = {  # as the lecture tells of them
    "digits_rcnn": "R-CNN",
    "digits_fast_rcnn": "Fast R-CNN",
    "digits_detector": "Faster R-CNN",
    "digits_yolov1": "YOLO v1",
    "digits_ssd": "SSD",
    "digits_retinanet": "RetinaNet",
    "digits_detr": "DETR",
    "digits_cornernet": "CornerNet",
    "digits_centernet_triplet": "CenterNet, triplets",
    "digits_centernet": "CenterNet, points",
}
SCENES = 50  # that are timed


def weights_of(name: str, runs: Path) -> Path:
    """What ships, or what the recipe left in ``runs``, trained now if need be."""
    recipe = recipes.get(name)
    if recipe.ships is not None:
        return recipe.ships
    weights = runs / name / f"{name}.safetensors"
    if not weights.exists():
        recipe.train(weights.parent, device="cpu")
    return weights


@torch.inference_mode()
def measure(runs: Path) -> dict[str, Any]:
    """Rows by recipe, and how they came about."""
    rows: dict[str, dict[str, float]] = {}
    models = {}
    for name in TITLES:
        weights = weights_of(name, runs)
        models[name] = load_model(weights)
        metrics = recipes.get(name).evaluate(weights, device="cpu")
        parameters = sum(p.numel() for p in models[name].parameters())
        rows[name] = {"AP": metrics["AP"], "AP50": metrics["AP50"], "parameters": parameters}
        print(f"{name:26} AP {metrics['AP']:.3f}, AP50 {metrics['AP50']:.3f}", flush=True)
    scenes = DrawnDigits("test", length=SCENES)
    times: dict[str, list[float]] = {name: [] for name in TITLES}
    for image, _ in (scenes[0], *(scenes[i] for i in range(SCENES))):  # the first also warms up
        for name, model in models.items():
            times[name].append(seconds(lambda: model.predict(image)))  # noqa: B023  # runs now
    for name, all_times in times.items():
        rows[name]["ms"] = statistics.median(all_times[1:]) * 1e3
    about = {"threads": torch.get_num_threads(), "torch": torch.__version__, "scenes": SCENES}
    return {**about, "detectors": rows}


def table(results: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| detector | recipe | AP | AP50 | ms an image | parameters |",
        "|---|---|---|---|---|---|",
    ]
    for name, title in TITLES.items():
        row = results["detectors"][name]
        lines.append(
            f"| {title} | `{name}` | {row['AP']:.3f} | {row['AP50']:.3f} | {row['ms']:.3g} | "
            f"{row['parameters'] / 1e6:.2f} M |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", type=Path, help="the folder of the recipes' runs")
    results = measure(parser.parse_args().runs)
    with replacing(RESULTS) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n")
    write(PAGE, "detector table", table(results))


if __name__ == "__main__":
    main()
