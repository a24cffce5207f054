"""Where each method stands between understanding the model and analysing data, as a picture.

python examples/explain_axis.py --out docs/images/explain_axis.png
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Where from 0, the model alone, to 1, one picture's answer; and what the method is made of.
PLACES = (
    ("filters", 0.03, "weights"),
    ("class visualisation", 0.12, "gradients"),
    ("GAN dissection", 0.22, "activations"),
    ("top patches", 0.32, "activations"),
    ("t-SNE, neighbours", 0.44, "activations"),
    ("activations", 0.55, "activations"),
    ("deconvnet", 0.64, "gradients"),
    ("guided backpropagation", 0.71, "gradients"),
    ("saliency, SmoothGrad", 0.79, "gradients"),
    ("CAM, Grad-CAM, SCOUTER", 0.88, "activations"),
    ("occlusion", 0.96, "the output"),
)
COLOURS = {
    "weights": "tab:green",
    "activations": "tab:blue",
    "gradients": "tab:red",
    "the output": "tab:grey",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/explain_axis.png")
    out = parser.parse_args().out
    figure, axis = plt.subplots(figsize=(11, 3.6), layout="constrained")
    axis.annotate("", (1.03, 0), (-0.03, 0), arrowprops={"arrowstyle": "<->", "lw": 2})
    for i, (name, place, made_of) in enumerate(PLACES):
        height = (1, -1)[i % 2] * (1 + i // 2 % 2)
        axis.plot([place, place], [0, height * 0.9], color=COLOURS[made_of], lw=1)
        axis.plot(place, 0, "o", color=COLOURS[made_of])
        axis.text(place, height, name, ha="center", va="center", fontsize=10)
    for made_of, colour in COLOURS.items():
        axis.plot([], [], "o", color=colour, label=made_of)
    axis.legend(title="made of", loc="upper right", ncols=4, bbox_to_anchor=(1.0, 1.18))
    axis.text(-0.03, 2.7, "understanding the model:\nno picture, or all", ha="left", va="center")
    axis.text(1.03, -2.7, "analysing data:\none picture's answer", ha="right", va="center")
    axis.set(xlim=(-0.06, 1.06), ylim=(-3.1, 3.1))
    axis.set_axis_off()
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
