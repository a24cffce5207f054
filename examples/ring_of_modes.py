"""A ring of eight normal distributions: how many of them does a generator find?

    python examples/ring_of_modes.py --out docs/images/ring_of_modes.png

The same two small networks are trained as a minimax GAN and as a Wasserstein GAN with a gradient
penalty. A mode is found where at least one sample in a hundred lies within three deviations.
"""

from __future__ import annotations

import argparse
import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from fastcv.nn.losses.adversarial import (
    AdversarialLoss,
    Minimax,
    NonSaturating,
    Wasserstein,
    gradient_penalty,
)

MODES, DEVIATION = 8, 0.05
ANGLES = torch.arange(MODES) * (2 * math.pi / MODES)
CENTRES = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)
BATCH = 128


def draw_data(n: int) -> Tensor:
    return CENTRES[torch.randint(MODES, (n,))] + DEVIATION * torch.randn(n, 2)


def network(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs)
    )


def trained(
    loss: AdversarialLoss, steps: int, critic_steps: int = 1, penalty: float = 0.0
) -> Tensor:
    """2000 samples of a generator."""
    torch.manual_seed(0)
    generator, critic = network(2, 2), network(2, 1)
    adam = [
        torch.optim.Adam(m.parameters(), lr=1e-3, betas=(0.5, 0.9)) for m in (critic, generator)
    ]
    for _ in range(steps):
        for _ in range(critic_steps):
            real, fake = draw_data(BATCH), generator(torch.randn(BATCH, 2)).detach()
            terms = loss.discriminator(critic(real), critic(fake))
            if penalty:
                terms["penalty"] = penalty * gradient_penalty(critic, real, fake)
            adam[0].zero_grad()
            sum(terms.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
            adam[0].step()
        adam[1].zero_grad()
        loss.generator(critic(generator(torch.randn(BATCH, 2)))).backward()  # type: ignore[no-untyped-call]
        adam[1].step()
    return generator(torch.randn(2000, 2)).detach()


def found(samples: Tensor) -> tuple[int, float]:
    """How many modes have a hundredth of the samples, and which share of them lies in any."""
    distance, nearest = torch.cdist(samples, CENTRES).min(dim=1)
    inside = distance < 3 * DEVIATION
    counts = torch.bincount(nearest[inside], minlength=MODES)
    return int((counts >= len(samples) / 100).sum()), float(inside.float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/ring_of_modes.png")
    out = parser.parse_args().out
    torch.manual_seed(1)
    panels = {
        "data": draw_data(2000),
        "minimax": trained(Minimax(), 1500),
        "non-saturating": trained(NonSaturating(), 1500),
        "WGAN-GP, 5 critic steps": trained(Wasserstein(), 800, 5, penalty=1.0),
    }
    figure, axes = plt.subplots(1, 4, figsize=(11, 3.1), layout="constrained")
    for ax, (title, samples) in zip(axes, panels.items(), strict=True):
        modes, inside = found(samples)
        ax.scatter(*samples.T, s=2, alpha=0.3)
        ax.scatter(*CENTRES.T, s=60, facecolors="none", edgecolors="tab:red")
        ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), xticks=[], yticks=[], aspect="equal")
        ax.set_title(f"{title}: {modes} of {MODES} modes", fontsize=10)
        print(f"{title}: {modes} modes, {inside:.2f} of the samples in one")
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
