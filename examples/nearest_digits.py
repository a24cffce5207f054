"""The nearest neighbours of handwritten digits, and the templates a linear layer learns.

python examples/nearest_digits.py --out docs/images/nearest_digits.png
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

from fastcv.models.classification.linear import LinearClassifier
from fastcv.models.classification.nearest_neighbors import NearestNeighbors

TRAIN = 1300  # of 1797 digits; the rest are by other writers
SHOWN, NEIGHBORS = 4, 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/nearest_digits.png")
    out = parser.parse_args().out

    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(data.target)
    neighbors = NearestNeighbors(k=NEIGHBORS).remember(images[:TRAIN], labels[:TRAIN])

    torch.manual_seed(0)
    linear = LinearClassifier(64)
    optimizer = torch.optim.SGD(linear.parameters(), lr=0.5, momentum=0.9, weight_decay=1e-3)
    for _ in range(20):
        for batch in torch.randperm(TRAIN).split(50):
            optimizer.zero_grad()
            linear.loss(linear(images[batch]), labels[batch])["cross_entropy"].backward()
            optimizer.step()

    queries, truth = images[TRAIN:], labels[TRAIN:]
    with torch.no_grad():
        said = {name: m(queries).argmax(1) for name, m in (("k-NN", neighbors), ("linear", linear))}
    for name, answer in said.items():
        print(f"{name}: {(answer == truth).sum()} of {len(truth)} digits of other writers right")

    # Two that k-NN reads right, two that it does not.
    right = said["k-NN"] == truth
    shown = torch.cat([right.nonzero()[[3, 10], 0], (~right).nonzero()[[0, 1], 0]])
    found = neighbors.nearest(queries[shown])
    figure, axes = plt.subplots(SHOWN + 1, 1 + NEIGHBORS, figsize=(11, 6.3))
    for row, index, indices, distances in zip(axes, shown, *found, strict=False):
        row[0].imshow(queries[index, 0], cmap="gray")
        row[0].set_title(f"a {truth[index]}, read as {said['k-NN'][index]}", fontsize=9)
        for ax, i, distance in zip(row[1:], indices, distances, strict=True):
            ax.imshow(images[i, 0], cmap="gray")
            good = labels[i] == truth[index]
            ax.set_title(
                f"{labels[i]}, at {distance:.2f}",
                fontsize=9,
                color="tab:green" if good else "tab:red",
            )
    weights = linear.fc.weight.detach().view(10, 8, 8)
    for digit, ax in enumerate(axes[-1]):
        ax.imshow(weights[digit], cmap="RdBu", vmin=-weights.abs().max(), vmax=weights.abs().max())
        ax.set_title(f"linear: {digit}", fontsize=9)
    for ax in axes.flat:
        ax.set_xticks([])
        ax.set_yticks([])
    figure.tight_layout()
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
