"""One scene, twelve methods; and over 200 scenes, how far each can be trusted.

    python examples/explain_digits.py --out docs/images

Writes ``explain_digits.png`` and ``explain_faithfulness.png``, and prints the table of the latter.
The network is the small CAM that ``examples/digit_maps.py`` draws, and was only told which digit is
where on a photograph; each method is asked for the true one. The scenes are held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from digit_maps import trained
from torch import Tensor

from fastcv import explain
from fastcv.models import Model
from fastcv.recipes.explain._scenes import SIDE, OneDigitScenes
from fastcv.results import Attribution

SCENES = 200
SHOWN = 3  # which of them is drawn
STEPS = 8  # of deletion and insertion
IN_COLOURS = ("deconvnet", "guided backpropagation", "guided Grad-CAM")


def maps_of(model: Model, images: Tensor, targets: list[int]) -> dict[str, Attribution]:
    """The twelve, by name."""
    window = {"window": 8, "stride": 4}
    return {
        "activation": explain.activations(model, images),
        "occlusion, grey": explain.occlusion(model, images, targets, **window),
        "occlusion, blurred": explain.occlusion(model, images, targets, fill="blur", **window),
        "saliency": explain.saliency(model, images, targets),
        "saliency, signed": explain.saliency(model, images, targets, mode="signed", channels="sum"),
        "SmoothGrad": explain.saliency(model, images, targets, samples=12),
        "SmoothGrad, squared": explain.saliency(model, images, targets, samples=12, mode="square"),
        "deconvnet": explain.deconvnet(model, images, targets),
        "guided backpropagation": explain.guided_backprop(model, images, targets),
        "CAM": explain.cam(model, images, targets),
        "Grad-CAM": explain.grad_cam(model, images, targets),
        "guided Grad-CAM": explain.guided_grad_cam(model, images, targets),
    }


def draw_one_scene(maps: dict[str, Attribution], scenes: OneDigitScenes, out: Path) -> None:
    figure, axes = plt.subplots(2, 7, figsize=(13, 4.1), layout="constrained")
    x1, y1, x2, y2 = (scenes.boxes[SHOWN] - 0.5).tolist()
    axes[0, 0].imshow(scenes.images[SHOWN].permute(1, 2, 0))
    axes[0, 0].set_title(f"a {scenes.labels[SHOWN]}", fontsize=10)
    axes[1, 0].set_visible(False)
    for axis, (name, found) in zip(axes[:, 1:].flat, maps.items(), strict=True):
        how = "pixels" if name in IN_COLOURS else "heat"
        # Drawn larger: brought to the scene's own pixels, in which the box is.
        extent = (-0.5, SIDE - 0.5, SIDE - 0.5, -0.5)
        axis.imshow(found[SHOWN].draw(how=how, names=False), extent=extent)
        axis.set_title(name, fontsize=10)
    for axis in axes.flat:
        axis.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color="lime"))
        axis.set_axis_off()
    figure.savefig(out, dpi=90)
    plt.close(figure)


def draw_faithfulness(rows: dict[str, explain.Faithfulness], out: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.2), layout="constrained", sharey=True)
    names = list(rows)[::-1]
    for axis, (measure, better) in zip(
        axes,
        (("deletion", "lower"), ("insertion", "higher"), ("pointing", "higher")),
        strict=True,
    ):
        values = [getattr(rows[name], measure) for name in names]
        colours = ["grey" if name == "random numbers" else "tab:blue" for name in names]
        bars = axis.barh(names, values, color=colours)
        axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
        axis.set(title=f"{measure} ({better} is better)", xlim=(0, 1.15))
    figure.savefig(out, dpi=90)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder")
    out = parser.parse_args().out
    scenes, model = OneDigitScenes("test", SCENES), trained("cam")
    images, targets = model.prepare(list(scenes.images)), scenes.labels.tolist()
    maps = maps_of(model, images, targets)
    draw_one_scene(maps, scenes, out / "explain_digits.png")
    torch.manual_seed(0)
    floor = {"random numbers": torch.rand(len(scenes), SIDE, SIDE)}
    boxes = list(scenes.boxes[:, None])
    rows = explain.faithfulness(
        model, images, {**maps, **floor}, targets, boxes=boxes, steps=STEPS, batch_size=STEPS + 1
    )
    for name, row in rows.items():
        print(f"{name:24} {row.deletion:.3f} {row.insertion:.3f} {row.pointing:.3f}")
    draw_faithfulness(rows, out / "explain_faithfulness.png")
    print(f"wrote {out}/explain_digits.png and explain_faithfulness.png, of {len(scenes)} scenes")


if __name__ == "__main__":
    main()
