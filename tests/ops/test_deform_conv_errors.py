"""What deform_conv2d refuses, and what it says."""

import pytest
import torch

from fastcv.ops import deform_conv2d

GOOD = {
    "input": (2, 6, 5, 5), "offset": (2, 36, 5, 5), "weight": (4, 3, 3, 3), "bias": (4,),
    "mask": (2, 18, 5, 5),
}  # fmt: skip


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"input": (6, 5, 5)}, "input must have 4 dimensions"),
        ({"weight": (4, 4, 3, 3)}, "input's channels must be a multiple of weight's, got 6 and 4"),
        ({"weight": (3, 3, 3, 3)}, "weight must have a multiple of 2 output channels"),
        ({"weight": (4, 3, 0, 3)}, "a kernel of at least a tap"),
        ({"offset": (2, 35, 5, 5)}, r"offset must have a multiple of .* = 18 channels, got 35"),
        ({"offset": (2, 0, 5, 5)}, r"offset must have a multiple of .* = 18 channels, got 0"),
        ({"offset": (2, 72, 5, 5)}, "multiple of the offset groups, got 6 and 4"),
        ({"offset": (2, 36, 5, 4)}, r"offset must have shape \[2, 36, 5, 5\]"),
        ({"offset": (1, 36, 5, 5)}, r"offset must have shape \[2, 36, 5, 5\]"),
        ({"mask": (2, 9, 5, 5)}, r"mask must have shape \[2, 18, 5, 5\]"),
        ({"bias": (3,)}, r"bias must have shape \[4\], got \[3\]"),
        ({"stride": 0}, "stride must be two numbers from 1 on"),
        ({"padding": -1}, "padding must be two numbers from 0 on"),
        ({"dilation": (1, 0)}, "dilation must be two numbers from 1 on"),
        ({"dilation": 4}, "the kernel must not be larger than the padded input, got 9 pixels"),
        ({"padding": 2**30}, r"below 2\^31 pixels high"),
    ],
)
def test_refuses(device, changed, message):
    tensors = {k: torch.zeros(v, device=device) for k, v in (GOOD | changed).items() if k in GOOD}
    options = {"padding": 1} | {k: v for k, v in changed.items() if k not in GOOD}
    with pytest.raises(RuntimeError, match=f"deform_conv2d: .*{message}"):
        deform_conv2d(**tensors, **options)


def test_refuses_other_dtypes(device):
    tensors = {k: torch.zeros(v, device=device) for k, v in GOOD.items()}
    with pytest.raises(RuntimeError, match="mask must have the dtype of input, Float, got Half"):
        deform_conv2d(**tensors | {"mask": tensors["mask"].half()}, padding=1)
    with pytest.raises(RuntimeError, match=r"input must be float64, float32.*got Int"):
        deform_conv2d(**tensors | {"input": tensors["input"].int()}, padding=1)


def test_refuses_what_is_no_pair(device):
    tensors = {k: torch.zeros(v, device=device) for k, v in GOOD.items()}
    with pytest.raises(ValueError, match=r"stride must be an int or \(height, width\)"):
        deform_conv2d(**tensors, stride=(1, 1, 1))


def test_backward_refuses(device):
    x, offset, weight = (torch.zeros(GOOD[k], device=device) for k in ("input", "offset", "weight"))
    arguments = (x, offset, weight, None, [1, 1], [1, 1], [1, 1], True, True, True)
    with pytest.raises(RuntimeError, match=r"grad must have shape \[2, 4, 5, 5\]"):
        torch.ops.fastcv._deform_conv2d_backward(torch.zeros(2, 4, 5, 4, device=device), *arguments)
