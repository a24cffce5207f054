"""What an image costs with R-CNN, Fast R-CNN and Faster R-CNN, as a table.

    python examples/rcnn_family.py

All three have VGG-16 with random weights: the time does not depend on them. R-CNN and Fast R-CNN
get the same proposals of selective search; Faster R-CNN makes 300 of its own. R-CNN sees each
proposal alone, so a few are timed and the rest counted. Times are those of one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import skimage.data
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.classes import class_names
from fastcv.models.detection.rcnn import RCNN
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.ops import selective_search

MAP_NUMBERS = 512 * 7 * 7


def rcnn_vgg16() -> RCNN:
    """R-CNN with the network of the other two."""
    classifier = nn.Sequential(
        nn.Linear(MAP_NUMBERS, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()
    )
    features = VGGTrunk(16).features
    return RCNN(features, classifier, MAP_NUMBERS, 4096, class_names("voc"), crop_size=224)


def seconds(call: Callable[[], Any]) -> float:
    """Of this process on its core: other programs do not count."""
    start = time.process_time()
    call()
    return time.process_time() - start


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--proposals", type=int, default=2000)
    parser.add_argument("--timed", type=int, default=32, help="crops that R-CNN is timed on")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pixels = torch.from_numpy(skimage.data.astronaut().copy()).permute(2, 0, 1)[None].float()
    image = F.interpolate(pixels / 255, (375, 500), mode="bilinear")[0]
    proposals = selective_search(image)[: arguments.proposals]
    search = seconds(lambda: selective_search(image))
    count = len(proposals)

    def rcnn(model: RCNN) -> float:
        some = [proposals[: arguments.timed]]
        model([image], [proposals[:2]])
        return seconds(lambda: model([image], some)) * count / len(some[0])

    rows = []
    for name, model in (
        ("R-CNN, AlexNet", fastcv.create_model("rcnn_alexnet")),
        ("R-CNN", rcnn_vgg16()),
    ):
        rows.append((name, str(count), search, rcnn(model.eval())))
    fast = fastcv.create_model("fast_rcnn_vgg16").eval()
    rows.append(("Fast R-CNN", str(count), search, seconds(lambda: fast([image], [proposals]))))
    faster = fastcv.create_model("fasterrcnn_vgg16").eval()
    rows.append(("Faster R-CNN", "300 of its own", 0.0, seconds(lambda: faster([image]))))

    slowest = rows[1][2] + rows[1][3]
    print(
        "| detector | proposals | search, s | network, s | together, s | times as fast as R-CNN |"
    )
    print("|---|---|---|---|---|---|")
    for name, number, first, then in rows:
        both = first + then
        print(
            f"| {name} | {number} | {first:.2f} | {then:.1f} | {both:.1f} | {slowest / both:.1f} |"
        )


if __name__ == "__main__":
    main()
