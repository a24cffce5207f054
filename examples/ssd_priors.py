"""SSD's prior boxes on a photograph, map by map: the grid, a cell's boxes, those that match.

python examples/ssd_priors.py --out docs/images/ssd_priors.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage
import torch
from matplotlib.patches import Rectangle

import fastcv
from fastcv.nn.detection.matching import MultiBoxMatcher
from fastcv.nn.detection.transform import resize_boxes
from fastcv.ops import box_iou

SIZE = 300
OBJECTS = torch.tensor([[160.0, 55, 275, 205], [15.0, 45, 445, 511], [388.0, 5, 478, 262]])
NAMES = ("face", "astronaut", "shuttle")
COLOURS = ("#ffd43b", "#00d0a0", "#ff6bd6")


def draw_box(ax: plt.Axes, box: torch.Tensor, colour: str, width: float, style: str = "-") -> None:
    x1, y1, x2, y2 = box.tolist()
    ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=width, ls=style))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/ssd_priors.png"))
    out = parser.parse_args().out

    with torch.device("meta"):
        model = fastcv.create_model("ssd300_vgg16")
    maps = [torch.zeros(1, 1, n, n) for n in (38, 19, 10, 5, 3, 1)]
    levels = model.anchor_generator((SIZE, SIZE), maps)
    objects = resize_boxes(OBJECTS, (512, 512), (SIZE, SIZE))
    # All maps together: each object claims the one prior that fits it best.
    matches = MultiBoxMatcher(0.5)(box_iou(objects, torch.cat(levels))).split(
        [len(level) for level in levels]
    )
    photograph = skimage.transform.resize(skimage.data.astronaut(), (SIZE, SIZE))

    figure, axes = plt.subplots(2, 3, figsize=(11, 8), layout="constrained")
    for ax, level, match, grid in zip(axes.flat, levels, matches, maps, strict=True):
        cells, per_cell = grid.shape[-1], len(level) // grid.shape[-1] ** 2
        ax.imshow(photograph, alpha=0.75)
        ax.set(xlim=(-20, SIZE + 20), ylim=(SIZE + 20, -20))
        ax.set_axis_off()
        centres = (level[::per_cell, :2] + level[::per_cell, 2:]) / 2
        ax.scatter(*centres.T, s=1 if cells > 20 else 6, color="white", linewidths=0)
        middle = (cells // 2 * cells + cells // 2) * per_cell
        for box in level[middle : middle + per_cell]:
            draw_box(ax, box, "white", 1.2, "--")
        for box, found in zip(level, match.tolist(), strict=True):
            if found >= 0:
                draw_box(ax, box, COLOURS[found], 1.2)
        counts = [int((match == i).sum()) for i in range(len(NAMES))]
        told = ", ".join(f"{n} for the {name}" for n, name in zip(counts, NAMES, strict=True) if n)
        ax.set_title(
            f"{cells} x {cells} cells, {per_cell} priors each: {len(level)}\n"
            f"matched: {told or 'none'}",
            fontsize=10,
        )
    handles = [Rectangle((0, 0), 1, 1, fill=False, ec=colour, lw=2) for colour in COLOURS]
    handles.append(Rectangle((0, 0), 1, 1, fill=False, ec="#888888", lw=1.5, ls="--"))
    labels = [*(f"matched with the {name}" for name in NAMES), "priors of the middle cell"]
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(out, dpi=100)
    print(f"{sum(map(len, levels))} priors, {int((torch.cat(matches) >= 0).sum())} matched: {out}")


if __name__ == "__main__":
    main()
