"""Landmarks as heatmaps: Gaussian and Cauchy bumps, and lines through them.

python examples/landmark_heatmaps.py --out docs/images/landmark_heatmaps.png
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import torch

from fastcv.nn.landmarks import decode, encode

SIGMA = 2.0
POINT = torch.tensor([11.3, 7.6])  # between cells
SIZE = (16, 24)
BUMPS = {  # name: kind, scaled, colour
    "Gaussian": ("gaussian", True, "tab:blue"),
    "Cauchy": ("cauchy", True, "tab:orange"),
    "Cauchy as taught": ("cauchy", False, "tab:red"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/landmark_heatmaps.png")
    figure, ((left, right), (line, window)) = plt.subplots(2, 2, figsize=(9, 6))
    for axis, name in ((left, "Gaussian"), (right, "Cauchy")):
        kind, scaled, _ = BUMPS[name]
        heatmap = encode(POINT, SIZE, SIGMA, kind, scaled)
        found, _ = decode(heatmap, kind)
        axis.imshow(heatmap, cmap="magma", vmin=0, vmax=1)
        axis.plot(*POINT, "w+", markersize=14)
        axis.plot(*found, "o", markerfacecolor="none", color="cyan")
        axis.set_title(f"{name}: + is the point, o what decode reads", fontsize=9)
    # A line of fine cells through the point.
    cells = torch.arange(0, 24, 0.1)
    for name, (kind, scaled, colour) in BUMPS.items():
        along = encode(POINT[0] * torch.tensor([10.0, 0]), (1, 240), 10 * SIGMA, kind, scaled)[0]
        values = along if scaled else along * 100  # in cells ten times as large
        line.plot(cells, values, color=colour, label=name)
    line.axhline(1, color="grey", linewidth=0.5)
    line.legend(fontsize=8)
    line.set_title("through the point, sigma 2: the highest value", fontsize=9)
    reach = 3 * SIGMA
    for name in ("Gaussian", "Cauchy"):
        kind, scaled, colour = BUMPS[name]
        along = encode(POINT[0] * torch.tensor([10.0, 0]), (1, 240), 10 * SIGMA, kind, scaled)[0]
        inside = (cells - POINT[0]).abs() <= reach
        window.plot(cells, along, color=colour, linestyle=":")
        window.plot(cells, along.where(inside, 0), color=colour, label=f"{name} in a window")
    window.set_ylim(0, 0.2)
    window.legend(fontsize=8)
    window.set_title("near zero: what a window of 6 sigma + 1 cuts off", fontsize=9)
    figure.tight_layout()
    figure.savefig(parser.parse_args().out, dpi=100)


if __name__ == "__main__":
    main()
