"""Black or white: what the mean, the median and a discriminator make of a pixel that may be either.

    python examples/black_or_white.py --out docs/images/black_or_white.png

Of a hundred pictures of one pixel 70 are white (1) and 30 black (0). A generator gets random
numbers and is to make such pictures. By squares it learns the mean, 0.7, a grey that no picture
has. By absolute values it learns the median, 1: sharp, and wrong in 30 of 100. Against a
discriminator it makes black and white ones, as often as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from fastcv.nn.losses.adversarial import NonSaturating

WHITE = 0.7
STEPS, BATCH = 3000, 256


def draw_pixels(n: int) -> Tensor:
    return (torch.rand(n, 1) < WHITE).float()


def network(inputs: int, *last: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1), *last)


def by_error(error: Callable[[Tensor], Tensor]) -> Tensor:
    """1000 pixels of a generator that learned by errors."""
    torch.manual_seed(0)
    generator = network(4, nn.Sigmoid())
    optimizer = torch.optim.Adam(generator.parameters(), lr=3e-3)
    for _ in range(STEPS // 3):
        optimizer.zero_grad()
        error(generator(torch.randn(BATCH, 4)) - draw_pixels(BATCH)).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return generator(torch.randn(1000, 4)).detach()


def by_discriminator() -> Tensor:
    """1000 pixels of a generator that learned against a discriminator."""
    torch.manual_seed(0)
    loss = NonSaturating()
    generator, critic = network(4, nn.Sigmoid()), network(1)
    adam = [
        torch.optim.Adam(m.parameters(), lr=2e-3, betas=(0.5, 0.9)) for m in (critic, generator)
    ]
    for _ in range(STEPS):
        made = generator(torch.randn(BATCH, 4))
        terms = loss.discriminator(critic(draw_pixels(BATCH)), critic(made.detach()))
        adam[0].zero_grad()
        sum(terms.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
        adam[0].step()
        adam[1].zero_grad()
        loss.generator(critic(made)).backward()  # type: ignore[no-untyped-call]
        adam[1].step()
    return generator(torch.randn(1000, 4)).detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/black_or_white.png")
    out = parser.parse_args().out
    torch.manual_seed(1)
    panels = {
        "data": draw_pixels(1000),
        "MSE: the mean": by_error(torch.square),
        "MAE: the median": by_error(torch.abs),
        "GAN": by_discriminator(),
    }
    figure, axes = plt.subplots(2, 4, figsize=(9, 4), layout="constrained", height_ratios=(2, 1))
    for (top, bottom), (title, pixels) in zip(axes.T, panels.items(), strict=True):
        top.imshow(pixels[:100].view(10, 10), cmap="gray", vmin=0, vmax=1)
        top.set_xticks([])
        top.set_yticks([])
        white = float((pixels > 0.5).float().mean())
        sharp = float(((pixels < 0.1) | (pixels > 0.9)).float().mean())
        told = f"{100 * white:.0f} % white" if sharp > 0.5 else f"{float(pixels.mean()):.2f}"
        top.set_title(f"{title}\n{told}", fontsize=10)
        bottom.hist(pixels[:, 0], bins=20, range=(0, 1), color="tab:blue")
        bottom.set_yticks([])
        print(f"{title}: mean {float(pixels.mean()):.2f}, white {white:.2f}, sharp {sharp:.2f}")
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
