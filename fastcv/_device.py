"""Which device a name means, for the command line and for recipes."""

from __future__ import annotations

import torch


def find_device(name: str) -> torch.device:
    """The device of that name; for ``"auto"`` the GPU where there is one.

    Args:
        name: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.

    Raises:
        ValueError: no such kind, or it is not there.

    Example:
        >>> from fastcv._device import find_device
        >>> find_device("cpu")
        device(type='cpu')
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise ValueError(f"device must be cpu, cuda or cuda:N, got {name!r}")
    if kind == "cuda" and int(number or 0) >= gpus:
        here = f"has {gpus} of them" if gpus else "has none that torch can use (`fastcv doctor`)"
        raise ValueError(f"device {name}: this machine {here}")
    return torch.device(name)
