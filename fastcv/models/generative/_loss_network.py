"""The network that perceptual losses see with, out of a file."""

from __future__ import annotations

import os
from pathlib import Path

from fastcv.models._weights import load_state_dict, read_state_dict
from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.backbones.vgg import VGGTrunk


def loss_network(
    weights: str | os.PathLike[str] | None = None, *, average_pool: bool = False
) -> LossNetwork:
    """VGG-16 as a ``LossNetwork``.

    Args:
        weights: torchvision's file of VGG-16, or any with its ``features``; None: random weights,
            always the same ones.
        average_pool: as of ``LossNetwork``.

    Raises:
        ValueError: it is no such file.
        FileNotFoundError: it is not there.
    """
    if weights is None:
        return LossNetwork(average_pool=average_pool)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"loss_weights: there is no file {path}")
    state = read_state_dict(path)
    trunk = VGGTrunk(16)
    of_trunk = {key: state[key] for key in state if key.startswith("features.")}
    load_state_dict(trunk, of_trunk, f"loss_weights: {path} does not fit VGG-16")
    return LossNetwork(trunk, average_pool=average_pool)
