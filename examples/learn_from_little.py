"""What transfer, distillation and self-training are worth: three seeds each, as bars.

python examples/learn_from_little.py --out docs/images/learn_from_little.png
python examples/learn_from_little.py --train runs    # measures anew first: some ten minutes
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from fastcv import recipes
from fastcv._extras import need
from fastcv._files import replacing

RESULTS = Path(__file__).with_suffix(".json")
SEEDS = (1, 2, 3)
TITLES = {
    "transfer": "digits 5 to 9 on photographs,\n10 labels a class",
    "distill": "10 digits a class,\na teacher's answers on them",
    "self_train": "60 digits with label,\n1237 without",
}


def measure(folder: Path) -> dict[str, dict[str, list[float]]]:
    """The accuracies of each recipe, by what was trained, a number for each seed."""
    found: dict[str, dict[str, list[float]]] = {}
    for name in TITLES:
        rows = [
            recipes.get(name).train(folder / f"{name}-{seed}", seed=seed, device="cpu")
            for seed in SEEDS
        ]
        found[name] = {key.removesuffix(" acc@1"): [row[key] for row in rows] for key in rows[0]}
    return found


def draw(results: dict[str, dict[str, list[float]]], path: Path) -> None:
    """Bars of the means; a dot for each seed."""
    Figure = need("matplotlib.figure", extra="viz").Figure
    figure = Figure(figsize=(11, 4.0), layout="constrained")
    panels = figure.subplots(1, len(results), width_ratios=[len(r) for r in results.values()])
    for axes, (name, bars) in zip(panels, results.items(), strict=True):
        means = [statistics.mean(values) for values in bars.values()]
        colours = ["tab:grey"] * len(bars)
        colours[-1] = "tab:blue"
        axes.bar(range(len(bars)), means, color=colours, width=0.7)
        for place, (mean, values) in enumerate(zip(means, bars.values(), strict=True)):
            axes.plot([place] * len(values), values, "o", color="black", markersize=3.5)
            spread = statistics.stdev(values)
            text = f"{mean:.3f}\n± {spread:.3f}"
            axes.text(place, max(values) + 0.01, text, ha="center", va="bottom", size=9)
        low = 0.0 if min(means) < 0.5 else 0.8
        note = f"\n(axis from {low})" if low else ""
        axes.set(title=f"{name}: {TITLES[name]}{note}", ylim=(low, 1.03))
        axes.title.set_size(9)
        axes.set_xticks(range(len(bars)), [label.replace(" ", "\n") for label in bars], size=9)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy on held-out images")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("learn_from_little.png"))
    parser.add_argument("--train", type=Path, metavar="FOLDER", help="measure anew, runs go here")
    args = parser.parse_args()
    if args.train is not None:
        with replacing(RESULTS) as temporary:
            temporary.write_text(json.dumps(measure(args.train), indent=1) + "\n", "utf-8")
    draw(json.loads(RESULTS.read_text("utf-8")), args.out)
    print(f"mean and each seed: {args.out}")


if __name__ == "__main__":
    main()
