"""Passwords of the face identity transformer: bits, as text of 0 and 1."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

LENGTH = 16  # bits
SWAP = str.maketrans("01", "10")


def password_bits(text: str, length: int = LENGTH) -> str:
    """Bits of any text: the first of its SHA-256.

    16 bits are few: there are 65,536 passwords, and a program can try them all.

    Args:
        text: such as a sentence.
        length: how many bits, 1 to 256.

    Raises:
        ValueError: another length.

    Example:
        >>> from fastcv.models.generative.passwords import password_bits
        >>> password_bits("correct horse battery staple")
        '1100010010111011'
    """
    if not 1 <= length <= 256:
        raise ValueError(f"length must be 1 to 256 bits, got {length}")
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(f"{byte:08b}" for byte in digest)[:length]


def inverse_password(password: str) -> str:
    """The password that recovers: each 0 a 1, each 1 a 0.

    Example:
        >>> from fastcv.models.generative.passwords import inverse_password
        >>> inverse_password("0110")
        '1001'
    """
    return password.translate(SWAP)


def check_password(password: Any, length: int) -> Tensor:
    """A password's bits ``[1, length]`` of 0 and 1, float32.

    Raises:
        TypeError: it is no text.
        ValueError: none, another length, or other letters than 0 and 1.

    Example:
        >>> from fastcv.models.generative.passwords import check_password
        >>> check_password("0110", 4)
        tensor([[0., 1., 1., 0.]])
    """
    if password is None:
        raise ValueError(f"a password is needed: {length} bits such as {'01' * (length // 2)}")
    if not isinstance(password, str):
        raise TypeError(
            f"password must be text of {length} bits such as {'01' * (length // 2)!r}, got "
            f"{password!r}"
        )
    if len(password) != length or set(password) - {"0", "1"}:
        raise ValueError(
            f"password must be {length} bits of 0 and 1, got {password!r} of {len(password)}"
        )
    return torch.tensor([[float(bit) for bit in password]])


def draw_passwords(count: int, length: int, *, other_than: list[Tensor] | None = None) -> Tensor:
    """Random passwords ``[count, length]`` of 0 and 1, float32; the draws are torch's.

    Args:
        count: how many.
        length: of each.
        other_than: passwords of that shape that are not to come, row by row; a few.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.passwords import draw_passwords
        >>> first = draw_passwords(100, 1)
        >>> torch.equal(draw_passwords(100, 1, other_than=[first]), 1 - first)
        True
    """
    drawn = torch.randint(2, (count, length)).float()
    while taken := [p for p in other_than or [] if bool((p == drawn).all(dim=1).any())]:
        again = torch.stack([(p == drawn).all(dim=1) for p in taken]).any(dim=0)
        drawn[again] = torch.randint(2, (int(again.sum()), length)).float()
    return drawn


def groups_of_four(passwords: Tensor) -> Tensor:
    """Classes 0 to 15 of each four bits: ``[B, length / 4]`` int64 of ``[B, length]``.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.passwords import groups_of_four
        >>> groups_of_four(torch.tensor([[0.0, 1, 1, 0, 1, 1, 1, 1]]))
        tensor([[ 6, 15]])
    """
    values = passwords.new_tensor([8, 4, 2, 1])
    return (passwords.view(len(passwords), -1, 4) * values).sum(dim=2).long()
