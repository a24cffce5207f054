"""Two objects in one picture, a map for each: which methods tell them apart, and how faithfully.

    python examples/explain_two_objects.py --out docs/images

Writes ``explain_two_objects.png`` and ``explain_faithfulness.png``, and prints the table of the
latter: over pairs of photographs side by side, each asked for its own class.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from imagenet_photographs import mobilenet, normalised, square
from torch import Tensor

from fastcv import explain
from fastcv.models import Model
from fastcv.results import Attribution, Gallery

SIDE = 160  # of each photograph
MEASURED_SIDE = 112  # where thousands of changed copies are looked at
CLASSES = {"chelsea": "Egyptian cat", "coffee": "espresso", "rocket": "missile"}
PAIRS = (("chelsea", "coffee"), ("coffee", "rocket"), ("rocket", "chelsea"))
IN_COLOURS = ("guided_backprop", "guided_grad_cam")
STEPS = 8  # of deletion and insertion


def maps_of(model: Model, images: Tensor, targets: list[str]) -> dict[str, Attribution]:
    """Each method's maps."""
    window = images.shape[2] // 4
    return {
        "occlusion": explain.occlusion(model, images, targets, window=window, stride=window // 2),
        "saliency": explain.saliency(model, images, targets),
        "SmoothGrad": explain.saliency(model, images, targets, samples=8),
        "guided_backprop": explain.guided_backprop(model, images, targets),
        "CAM": explain.cam(model, images, targets),
        "grad_cam": explain.grad_cam(model, images, targets),
        "guided_grad_cam": explain.guided_grad_cam(model, images, targets),
    }


def side_by_side(pair: tuple[str, str], side: int) -> Tensor:
    return torch.cat([square(name, side) for name in pair], dim=2)


def draw_two_objects(model: Model, out: Path) -> None:
    """A row for each class: what each method says of one and the same picture."""
    pair = PAIRS[0]
    images = normalised(model, torch.stack([side_by_side(pair, SIDE)] * 2))
    targets = [CLASSES[name] for name in pair]
    found = maps_of(model, images, targets)
    names = ("occlusion", "guided_backprop", "grad_cam", "guided_grad_cam")
    pictures = [
        found[name][i].draw(how="pixels" if name in IN_COLOURS else "heat", names=False)
        for i in range(2)
        for name in names
    ]
    captions = [f"{name}: {target}" for target in targets for name in names]
    Gallery(pictures, captions, columns=4).draw().save(out)


def measure(model: Model) -> dict[str, explain.Faithfulness]:
    """Every pair, each of its two classes."""
    pictures, targets, boxes, side = [], [], [], MEASURED_SIDE
    for pair in PAIRS:
        for i, name in enumerate(pair):
            pictures.append(side_by_side(pair, side))
            targets.append(CLASSES[name])
            boxes.append(torch.tensor([[i * side, 0.0, (i + 1) * side, side]]))
    images = normalised(model, torch.stack(pictures))
    maps: dict[str, Attribution | Tensor] = dict(maps_of(model, images, targets))
    torch.manual_seed(0)
    maps["random"] = torch.rand(len(images), side, 2 * side)
    return explain.faithfulness(model, images, maps, targets, boxes=boxes, steps=STEPS)


def draw_faithfulness(rows: dict[str, explain.Faithfulness], out: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained", sharey=True)
    names = list(rows)[::-1]
    for axis, (measure, better) in zip(
        axes,
        (("deletion", "lower"), ("insertion", "higher"), ("pointing", "higher")),
        strict=True,
    ):
        values = [getattr(rows[name], measure) for name in names]
        colours = ["grey" if name == "random" else "tab:blue" for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
        axis.set(title=f"{measure} ({better} is better)", xlim=(0, 1.15))
    figure.savefig(out, dpi=90)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images")
    out = Path(parser.parse_args().out)
    model = mobilenet()
    draw_two_objects(model, out / "explain_two_objects.png")
    rows = measure(model)
    for name, row in rows.items():
        print(f"{name:16} {row.deletion:.3f} {row.insertion:.3f} {row.pointing:.2f}")
    draw_faithfulness(rows, out / "explain_faithfulness.png")
    print(f"wrote {out}/explain_two_objects.png and explain_faithfulness.png")


if __name__ == "__main__":
    main()
