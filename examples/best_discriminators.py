"""The best discriminator of each loss, learned on a line and as the papers prove it.

    python examples/best_discriminators.py --out docs/images/best_discriminators.png

Data are a mixture of two normal distributions, samples one of them. A small network learns to tell
them apart by each loss, and its output is drawn beside the closed form.
"""

from __future__ import annotations

import argparse
import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from fastcv.nn.losses.adversarial import AdversarialLoss, Hinge, LeastSquares, Minimax

STEPS, BATCH = 1500, 512
LINE = torch.linspace(-4, 4, 401)[:, None]


def density(x: Tensor, mean: float, deviation: float) -> Tensor:
    square = ((x - mean) / deviation).square()
    return torch.exp(-square / 2) / (deviation * math.sqrt(2 * math.pi))


def p(x: Tensor) -> Tensor:
    """The data's."""
    return 0.5 * density(x, -1.5, 0.5) + 0.5 * density(x, 1.5, 0.5)


def q(x: Tensor) -> Tensor:
    """The samples'."""
    return density(x, 0.5, 1.2)


def draw_data(n: int) -> Tensor:
    side = torch.randint(2, (n, 1)) * 3 - 1.5
    return side + 0.5 * torch.randn(n, 1)


def draw_samples(n: int) -> Tensor:
    return 0.5 + 1.2 * torch.randn(n, 1)


def learned(loss: AdversarialLoss) -> tuple[Tensor, float]:
    """The scores along the line, and the loss of the last steps."""
    torch.manual_seed(0)
    critic = nn.Sequential(
        nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    values = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        terms = loss.discriminator(critic(draw_data(BATCH)), critic(draw_samples(BATCH)))
        value = sum(terms.values(), torch.zeros(()))
        value.backward()  # type: ignore[no-untyped-call]  # torch's is
        optimizer.step()
        schedule.step()
        values.append(float(value.detach()))
    with torch.no_grad():
        return critic(LINE), sum(values[-200:]) / 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/best_discriminators.png")
    out = parser.parse_args().out
    data, samples = p(LINE), q(LINE)
    share = data / (data + samples)
    panels = {
        "minimax: D = p / (p + q)": (Minimax(), torch.sigmoid, share),
        "least squares: (bp + aq) / (p + q), b = 1, a = -1": (
            LeastSquares(-1, 1, 0), lambda score: score, 2 * share - 1
        ),
        "hinge: the sign of p - q": (Hinge(), lambda score: score, (data - samples).sign()),
    }  # fmt: skip
    figure, axes = plt.subplots(1, 4, figsize=(13, 2.9), layout="constrained")
    axes[0].fill_between(LINE[:, 0], data[:, 0], alpha=0.4, label="p, of data")
    axes[0].fill_between(LINE[:, 0], samples[:, 0], alpha=0.4, label="q, of samples")
    axes[0].legend(fontsize=8)
    axes[0].set_title("densities", fontsize=9)
    for ax, (title, (loss, shown, expected)) in zip(axes[1:], panels.items(), strict=True):
        scores, value = learned(loss)
        found = shown(scores)
        seen = (data + samples > 0.05)[:, 0]  # elsewhere there is nothing to learn from
        error = float((found - expected)[seen].abs().mean())
        ax.plot(LINE[:, 0], expected[:, 0], color="black", linewidth=3, alpha=0.3, label="proved")
        ax.plot(LINE[seen, 0], found[seen, 0], color="tab:red", linewidth=1, label="learned")
        ax.set_title(title, fontsize=9)
        ax.legend(fontsize=8)
        print(f"{title}: mean error {error:.3f}, loss {value:.3f}")
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
