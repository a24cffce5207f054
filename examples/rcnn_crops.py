"""What R-CNN's network sees: proposals, and each of them warped with its context, as a picture.

python examples/rcnn_crops.py --out docs/images/rcnn_crops.png
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage.data
import torch
from matplotlib.patches import Rectangle

import fastcv
from fastcv.models.detection.rcnn import RCNN
from fastcv.ops import box_iou, selective_search

# Drawn by hand, (x1, y1, x2, y2): of the proposals, those nearest to these are shown.
WANTED = {
    "cup": (172, 17, 408, 305),
    "saucer": (76, 88, 480, 396),
    "spoon": (322, 232, 405, 330),
    "handle": (195, 225, 270, 320),
    "coffee": (205, 50, 385, 200),
    "table": (0, 0, 600, 400),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/rcnn_crops.png")
    out = parser.parse_args().out
    photograph = skimage.data.coffee()
    image = torch.from_numpy(photograph.copy()).permute(2, 0, 1).float() / 255
    proposals = selective_search(image)[:2000]
    nearest = box_iou(torch.tensor(list(WANTED.values())).float(), proposals).argmax(1)
    boxes = proposals[nearest]
    model = fastcv.create_model("rcnn_alexnet")
    assert isinstance(model, RCNN)
    crops = model.warp((image - model.mean) / model.std, boxes) * model.std + model.mean

    figure = plt.figure(figsize=(12, 4.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1))
    axis = left.subplots()
    axis.imshow(photograph)
    colors = plt.cm.tab10.colors
    for (x1, y1, x2, y2), color in zip(boxes.tolist(), colors, strict=False):
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=2))
    axis.set_title(f"six of {len(proposals)} proposals", fontsize=10)
    axis.set_axis_off()
    inner = model.crop_size - 2 * model.context
    for axis, crop, name, color in zip(
        right.subplots(2, 3).flatten(), crops, WANTED, colors, strict=False
    ):
        axis.imshow(crop.permute(1, 2, 0).clamp(0, 1))
        corner = (model.context, model.context)
        axis.add_patch(Rectangle(corner, inner, inner, fill=False, ec=color, lw=1.5))
        axis.set_title(name, fontsize=10)
        axis.set_axis_off()
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
