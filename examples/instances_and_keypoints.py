"""A drawn scene's targets as results: boxes, masks, keypoints.

python examples/instances_and_keypoints.py --out docs/images/instances_and_keypoints.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from fastcv.classes import DIGIT_KEYPOINTS
from fastcv.data import DrawnDigits
from fastcv.draw import contact_sheet
from fastcv.results import Detections, Instances, Keypoints

SCENE = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/instances_and_keypoints.png")
    out = Path(parser.parse_args().out)
    data = DrawnDigits("test", size=(240, 320), digit_size=(40, 90))
    image, target = data[SCENE]
    points = target["keypoints"]
    known = {
        "boxes": target["boxes"],
        "scores": torch.ones(len(target["boxes"])),
        "labels": target["labels"],
        "classes": data.classes,
        "image_size": (240, 320),
    }
    results = [
        Detections(**known),
        Instances(**known, masks=target["masks"]),
        Keypoints(
            **known,
            keypoints=points,
            keypoint_scores=torch.ones(points.shape[:2]),
            schema=DIGIT_KEYPOINTS,
        ),
    ]
    contact_sheet([result.draw(image) for result in results], 3).save(out)


if __name__ == "__main__":
    main()
