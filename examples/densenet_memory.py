"""What DenseNet keeps for the gradient, plain and memory-efficient, as a picture.

    python examples/densenet_memory.py --out docs/images/densenet_memory.png

Counted on the models: each tensor that the forward pass keeps for the backward pass.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

from fastcv.models.classification.densenet import DenseNet

LAYERS = (2, 4, 8, 12, 16, 24, 32)


def kept_mib(layers: int, memory_efficient: bool) -> float:
    """MiB that a block of so many layers keeps, of one image of 128 pixels."""
    torch.manual_seed(0)
    model = DenseNet((layers,), memory_efficient=memory_efficient, num_classes=10)
    kept: dict[int, torch.Tensor] = {}  # what shares its memory counts once

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model(torch.rand(1, 3, 128, 128))
        del logits
    return sum(t.untyped_storage().nbytes() for t in kept.values()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/densenet_memory.png")
    out = parser.parse_args().out
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for efficient, colour, label in ((False, "#ff4d6d", "plain"), (True, "#3a86ff", "efficient")):
        kept = [kept_mib(n, efficient) for n in LAYERS]
        axis.plot(LAYERS, kept, "o-", color=colour, label=label)
        axis.annotate(
            f"{kept[-1]:.0f} MiB", (LAYERS[-1], kept[-1]), (-48, 2), textcoords="offset points"
        )
    axis.set(xlabel="layers of a dense block", ylabel="kept for the gradient, MiB", ylim=(0, None))
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
