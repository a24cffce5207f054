"""What a ReLU loses of a flat spiral, by how many channels it is spread over, as a picture.

    python examples/linear_bottlenecks.py --out docs/images/linear_bottlenecks.png

The spiral's two coordinates become n channels by a random matrix, a ReLU clips them, and the
matrix's pseudo-inverse brings them back. MobileNetV2's blocks clip where they are wide and leave
their narrow ends linear (figure 1 of its paper).
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

CHANNELS = (2, 3, 5, 15, 30)
DRAWS = 200  # of the random matrix, for the mean error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/linear_bottlenecks.png")
    out = parser.parse_args().out

    torch.manual_seed(0)
    angle = torch.linspace(0, 5 * torch.pi, 800)
    spiral = (angle / angle.max() * torch.stack([angle.cos(), angle.sin()])).T

    def clipped(channels: int) -> torch.Tensor:
        matrix = torch.randn(channels, 2)
        return (spiral @ matrix.T).relu() @ matrix.pinverse().T

    figure, axes = plt.subplots(1, 1 + len(CHANNELS), figsize=(2.1 * (1 + len(CHANNELS)), 2.5))
    axes[0].scatter(*spiral.T, c=angle, s=3, cmap="viridis")
    axes[0].set_title("two channels, no ReLU", fontsize=9)
    for ax, channels in zip(axes[1:], CHANNELS, strict=True):
        ax.scatter(*clipped(channels).T, c=angle, s=3, cmap="viridis")
        lost = torch.stack([lost_share(spiral, clipped(channels)) for _ in range(DRAWS)])
        ax.set_title(f"ReLU on {channels} channels", fontsize=9)
        ax.set_xlabel(f"{lost.mean():.0%} of the shape lost", fontsize=9)
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_aspect("equal", adjustable="datalim")
    figure.tight_layout()
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


def lost_share(spiral: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """The part of the spiral's variance that no linear map of ``back`` can give again."""
    columns = torch.cat([back, torch.ones(len(back), 1)], dim=1)
    fitted = columns @ columns.pinverse() @ spiral
    return (spiral - fitted).square().sum() / (spiral - spiral.mean(0)).square().sum()


if __name__ == "__main__":
    main()
