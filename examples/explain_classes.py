"""Pictures that a network finds most like a class, climbed from several starts.

python examples/explain_classes.py --out docs/images/explain_classes.png

First column: plain ascent, which the network is as sure of and a person sees nothing in. The others
are blurred and rolled on the way, at three sizes.
"""

from __future__ import annotations

import argparse

from imagenet_photographs import mobilenet

from fastcv import explain
from fastcv.results import Gallery

CLASSES = ("flamingo", "goldfish", "Egyptian cat")
STARTS = ("black", "grey", "white", "noise")
SIZE = 160  # pixels
NATURAL = {"steps": 28, "lr": 0.08, "tv": 0.001, "blur": 1.0, "jitter": 8, "octaves": 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/explain_classes.png")
    out = parser.parse_args().out
    model, pictures, captions = mobilenet(), [], []
    for name in CLASSES:
        plain = explain.visualise_class(model, name, start="grey", size=SIZE, steps=20, lr=0.02)
        found = explain.visualise_class(model, name, start=STARTS, size=SIZE, **NATURAL)
        for one, kind in ((plain, "plain, "), (found, "")):
            pictures += one.pictures
            captions += [
                f"{name}, {kind}{start}: {score:.0f}"
                for start, score in zip(one.captions, one.scores[:, -1].tolist(), strict=True)
            ]
    Gallery(pictures, captions, columns=1 + len(STARTS)).draw().save(out)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
