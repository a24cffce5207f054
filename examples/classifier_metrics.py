"""A small classifier of digits: which it takes for which, and whether it can be trusted.

python examples/classifier_metrics.py --out docs/images
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from fastcv.draw import draw_confusion, draw_reliability
from fastcv.learn import fit
from fastcv.metrics import evaluate_classifier
from fastcv.recipes.learn._small import classifier_of_scans, scanned_digits, small_classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path())
    folder = parser.parse_args().out
    torch.manual_seed(0)
    data, test = scanned_digits("train"), scanned_digits("test")
    model = classifier_of_scans(width=4)
    schedule = small_classifier(model, "cpu", lr=1e-2, batch_size=32)
    with tempfile.TemporaryDirectory() as run:
        fit(model, data, epochs=4, out=run, devices="cpu", progress=False, **schedule)
    metrics = evaluate_classifier(model, test)
    draw_confusion(metrics["confusion"], test.classes, folder / "confusion.png")
    draw_reliability(metrics, folder / "reliability.png")
    print(f"accuracy {metrics['acc@1']:.3f}; confusion.png and reliability.png are in {folder}")


if __name__ == "__main__":
    main()
