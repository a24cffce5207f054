"""RetinaFace's weights out of an ONNX file, where norms are part of the convolutions."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from fastcv._extras import need

EPS = 1e-5  # of the model's batch norms


def read_onnx(path: Path) -> dict[str, Tensor]:
    """The state dict of a file that torch's exporter wrote of yakhyo's network, by its keys.

    The exporter has folded each norm into the convolution before it. Here such a norm has a mean
    of 0, a variance of 1 and the convolution's bias: what the network computes is the same.

    Args:
        path: an ``.onnx``.

    Raises:
        ValueError: it is no ONNX file, or its convolutions do not say which layers they are.
        ImportError: onnx is missing.

    Source: the names of modules in the nodes' names, ``/ssh1/conv3X3/conv3X3.0/Conv``.
    """
    onnx = need("onnx", extra="export")
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf's own, of a module that onnx does not name
        raise ValueError(f"{path} is no ONNX file") from error
    arrays = {i.name: torch.tensor(onnx.numpy_helper.to_array(i)) for i in graph.initializer}
    # A layer that is called twice has its weights once.
    arrays |= {
        node.output[0]: arrays[node.input[0]]
        for node in graph.node
        if node.op_type == "Identity" and node.input[0] in arrays
    }
    state: dict[str, Tensor] = {}
    for node in graph.node:
        if node.op_type == "Conv" and not re.search(r"_\d+/Conv$", node.name):  # its first call
            state |= _layer(node.name, *(arrays.get(name) for name in node.input[1:3]))
    if not state:
        raise ValueError(f"{path} has no convolution that says which layer of RetinaFace it is")
    return state


def _layer(
    name: str, weight: Tensor | None = None, bias: Tensor | None = None
) -> dict[str, Tensor]:
    """A convolution's tensors, and those of the norm that was behind it."""
    found = re.fullmatch(r"/(\w+)/(?:.*/)?([\w.]+)\.(\d+)/Conv", name)
    if found is None or weight is None or bias is None:
        return {}
    layer, place = f"{found[1]}.{found[2]}", int(found[3])
    state = {f"{layer}.{place}.weight": weight}
    if found[1].endswith("_head"):
        return {**state, f"{layer}.{place}.bias": bias}
    norm = {
        "weight": torch.full_like(bias, (1 + EPS) ** 0.5),
        "bias": bias,
        "running_mean": torch.zeros_like(bias),
        "running_var": torch.ones_like(bias),
        "num_batches_tracked": torch.tensor(0),
    }
    return state | {f"{layer}.{place + 1}.{key}": value for key, value in norm.items()}
