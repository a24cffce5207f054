"""Two objects in one picture, a map for each: which methods tell them apart.

python examples/explain_two_objects.py --out docs/images/explain_two_objects.png
"""

from __future__ import annotations

import argparse

import torch
from imagenet_photographs import mobilenet, normalised, square

from fastcv import explain
from fastcv.results import Gallery

SIDE = 160  # of each photograph
CLASSES = {"chelsea": "Egyptian cat", "coffee": "espresso"}
IN_COLOURS = ("guided_backprop", "guided_grad_cam")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/explain_two_objects.png")
    out = parser.parse_args().out
    model = mobilenet()
    both = torch.cat([square(name, SIDE) for name in CLASSES], dim=2)
    # The same picture twice, to be asked for each class.
    images, targets = normalised(model, both[None]).repeat(2, 1, 1, 1), list(CLASSES.values())
    maps = {
        "occlusion": explain.occlusion(model, images, targets, window=40, stride=20),
        "guided_backprop": explain.guided_backprop(model, images, targets),
        "grad_cam": explain.grad_cam(model, images, targets),
        "guided_grad_cam": explain.guided_grad_cam(model, images, targets),
    }
    pictures = [
        found[i].draw(how="pixels" if name in IN_COLOURS else "heat", names=False)
        for i in range(2)
        for name, found in maps.items()
    ]
    captions = [f"{name}: {target}" for target in targets for name in maps]
    Gallery(pictures, captions, columns=4).draw().save(out)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
