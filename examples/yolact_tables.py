"""The tables of YOLACT's page: Fast NMS against exact NMS, and YOLACT against Mask R-CNN.

python examples/yolact_tables.py nms      AP and the time of NMS, with yolact_prototypes.safetensors
python examples/yolact_tables.py speed    ms an image on this CPU, interleaved, medians
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from yolact_prototypes import load

import fastcv
from fastcv.metrics import evaluate_instances
from fastcv.recipes.instance.digits_yolact import RECIPE

ROUNDS = 9


def milliseconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The median time of each, one after the other in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + ROUNDS):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(1000 * (time.perf_counter() - begin))
    return {name: statistics.median(of_one[1:]) for name, of_one in times.items()}


def nms() -> None:
    """On the recipe's test scenes."""
    model, scenes = load(), RECIPE.data["test"]()
    with torch.inference_mode():
        output = model([scenes[i][0] for i in range(16)])
        taken = milliseconds(
            {
                kind: lambda kind=kind: model.detect(output, nms=kind, score_threshold=0.05)
                for kind in ("fast", "exact")
            }
        )
    for kind, ms in taken.items():
        found = evaluate_instances(model, scenes, nms=kind)
        numbers = ", ".join(f"{name} {found[name]:.4f}" for name in ("AP", "AP50", "box_AP"))
        print(f"{kind}: {numbers}; detect {ms / 16:.2f} ms an image")


def speed() -> None:
    """Pictures of 550 x 550 pixels; each model as it comes, with random weights."""
    torch.manual_seed(0)
    image = torch.rand(3, 550, 550)
    names = ("yolact_resnet50", "maskrcnn_resnet50_fpn")
    models = {name: fastcv.create_model(name) for name in names}
    taken = milliseconds(
        {name: lambda model=model: model.predict(image) for name, model in models.items()}
    )
    for name, ms in taken.items():
        print(f"{name}: {ms:.0f} ms an image")
    yolact, mask_rcnn = taken.values()
    print(f"YOLACT is {mask_rcnn / yolact:.2f} times as fast, {torch.get_num_threads()} threads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", choices=("nms", "speed"))
    {"nms": nms, "speed": speed}[parser.parse_args().table]()


if __name__ == "__main__":
    main()
