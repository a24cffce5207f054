"""A trained detector on scenes it never saw: what it found, as text and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fastcv import ops
from fastcv._files import replacing
from fastcv.data import DrawnDigits
from fastcv.draw import contact_sheet
from fastcv.results import Detections

SCENES = (5, 12, 18, 21, 33, 40)
COLUMNS = 3
ENLARGED = 2  # digits of 20 pixels are hard to look at
MIN_SCORE = 0.7


def show_scenes(model: Any, out: Path) -> None:
    """Find digits on six held-out scenes, print what was found and write ``digits.png``."""
    images, targets = held_out()
    found = model.predict(images, score_threshold=MIN_SCORE)
    print_found(found, targets)
    save_picture(images, found, out)


def held_out() -> tuple[list[Tensor], list[dict[str, Any]]]:
    """The scenes' images and targets."""
    scenes = DrawnDigits("test")
    images, targets = zip(*(scenes[i] for i in SCENES), strict=True)
    return list(images), list(targets)


def print_found(found: list[Detections], targets: list[dict[str, Any]]) -> None:
    """How many digits of each scene were found, and of all."""
    right = true = extra = 0
    for number, detections, target in zip(SCENES, found, targets, strict=True):
        hits = matches(detections, target)
        digits = " ".join(DrawnDigits.classes[label] for label in sorted(target["labels"].tolist()))
        print(
            f"scene {number:2}: {hits} of {len(target['labels'])} digits found ({digits}), "
            f"{len(detections) - hits} wrong"
        )
        right, true = right + hits, true + len(target["labels"])
        extra += len(detections) - hits
    print(f"together: {right} of {true} found, {extra} wrong\n")


def matches(found: Detections, target: dict[str, Any]) -> int:
    """How many true boxes are found: the right label, IoU of at least 0.5, each box used once."""
    iou = ops.box_iou(target["boxes"], found.boxes)
    iou[target["labels"][:, None] != found.labels] = 0
    hits = 0
    while iou.numel() and iou.max() >= 0.5:
        row, column = divmod(int(iou.argmax()), iou.shape[1])
        iou[row], iou[:, column] = 0, 0
        hits += 1
    return hits


def save_picture(images: list[Tensor], found: list[Detections], out: Path) -> None:
    """``digits.png`` in ``out``: the scenes with their boxes."""
    picture = out / "digits.png"
    with replacing(picture) as temporary:
        draw_scenes(images, found).save(temporary)
    print(f"picture: {picture}")


def draw_scenes(images: list[Tensor], found: list[Detections]) -> Image.Image:
    """The scenes with their boxes, in rows."""
    tiles = []
    for image, detections in zip(images, found, strict=True):
        large = F.interpolate(image[None], scale_factor=ENLARGED, mode="bicubic")[0]
        height, width = large.shape[-2:]
        enlarged = Detections(
            detections.boxes * ENLARGED,
            detections.scores,
            detections.labels,
            detections.classes,
            (height, width),
        )
        tiles.append(enlarged.draw(large.clamp(0, 1)))
    return contact_sheet(tiles, COLUMNS)
