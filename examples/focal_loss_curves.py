"""What gamma does: focal loss and its slope over the logit, as a picture.

python examples/focal_loss_curves.py --out docs/images/focal_loss.png
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

import fastcv.ops as ops

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="docs/images/focal_loss.png")
    out = parser.parse_args().out
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for gamma in GAMMAS:
        x = torch.linspace(-5, 5, 401, requires_grad=True)
        loss = ops.sigmoid_focal_loss(x, torch.ones(401), alpha=-1, gamma=gamma)
        (slope,) = torch.autograd.grad(loss.sum(), x)
        label = f"gamma = {gamma:g}" + (" (cross entropy)" if gamma == 0 else "")
        left.plot(x.detach().sigmoid(), loss.detach(), label=label)
        right.plot(x.detach(), -slope)
    left.set(xlabel="p, probability of what is right", ylabel="loss", ylim=(0, 4))
    left.legend(frameon=False)
    right.set(xlabel="logit of what is right", ylabel="-dloss/dlogit")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=110)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
