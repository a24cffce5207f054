"""How EfficientNet grows: the paper's rule, and what was published of it, as a picture.

    python examples/efficientnet_scaling.py --out docs/images/efficientnet_scaling.png

Parameters and multiplications are counted on the models themselves, which are built and run
without numbers.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch.utils.flop_counter import FlopCounterMode

import fastcv
from fastcv.models.classification.efficientnet import SCALINGS

PHIS = range(8)


def millions_and_billions(name: str, **config: float) -> tuple[float, float]:
    """Millions of parameters, and billions of multiplications at the model's own resolution."""
    with torch.device("meta"):
        model = fastcv.create_model(name, **config).eval()
        image = torch.empty(1, 3, *[model.preprocessing["crop"]] * 2)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(image)
    parameters = sum(p.numel() for p in model.parameters())
    return parameters / 1e6, counter.get_total_flops() / 2e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/efficientnet_scaling.png")
    out = parser.parse_args().out
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")

    rule = [millions_and_billions("efficientnet", phi=phi) for phi in PHIS]
    axes[0].plot(PHIS, [b for _, b in rule], "-", color="#3a86ff", label="built by the rule")
    b0 = rule[0][1]
    axes[0].plot(PHIS, [b0 * 2**phi for phi in PHIS], ":", color="#888", label="B0 times 2 ** phi")
    axes[0].set(xlabel="phi", ylabel="billions of multiplications", yscale="log")
    axes[0].legend(frameon=False)

    axes[1].plot(*zip(*rule, strict=True), "-", color="#3a86ff", label="built by the rule")
    for i, scaling in enumerate(SCALINGS):
        at = millions_and_billions(f"efficientnet_b{i}")
        label = "published" if i == 0 else None
        axes[1].plot(*at, "o", color="#ff4d6d", label=label)
        note = f"B{i}, {scaling.resolution} px"
        axes[1].annotate(note, at, (7, -9), textcoords="offset points", fontsize=8)
    axes[1].set(xlabel="millions of parameters", ylabel="billions of multiplications")
    axes[1].set(xscale="log", yscale="log", xlim=(4.5, 130))
    axes[1].legend(frameon=False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
