"""What losses ask of their arguments before they look at shapes."""

from __future__ import annotations

from torch import Tensor


def check_tensor(name: str, value: object) -> None:
    """Refuses what is no tensor, such as a list or an array.

    Args:
        name: of the argument, for the sentence.
        value: what was given.

    Raises:
        TypeError: it is no tensor.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")


def check_two_tensors(name: str, value: object, what: str) -> None:
    """Refuses what is no pair of tensors.

    Args:
        name: of the argument, for the sentence.
        value: what was given.
        what: what it must be, for the sentence.

    Raises:
        TypeError: it is no tuple or list of two tensors.
    """
    parts = value if isinstance(value, (tuple, list)) else ()
    if len(parts) == 2 and all(isinstance(part, Tensor) for part in parts):
        return
    got = type(value).__name__
    if isinstance(value, (tuple, list)):
        got += f" of {', '.join(type(part).__name__ for part in parts[:3]) or 'nothing'}"
    raise TypeError(f"{name} must be {what}, got {got}")
