"""Masks that turn the spectrum of a mixture into that of a source, magnitude and phase."""

from __future__ import annotations

import torch
from torch import Tensor

K, C = 10.0, 0.1  # section IV.B: the range, and how steep it is


def ideal_mask(mixture: Tensor, source: Tensor, epsilon: float = 1e-8) -> Tensor:
    """What the mixture must be multiplied with to become the source: ``source / mixture``.

    Args:
        mixture: complex, of any shape.
        source: complex, of a shape that broadcasts with it.
        epsilon: added to the mixture's power, so that silence gives 0.

    Returns:
        Complex.

    Example:
        >>> import torch
        >>> from fastcv.audio.complex_mask import ideal_mask
        >>> ideal_mask(torch.tensor([2 + 0j, 0j]), torch.tensor([0 + 1j, 0j]))
        tensor([0.+0.5000j, 0.+0.0000j])
    """
    return source * mixture.conj() / (mixture.real.square() + mixture.imag.square() + epsilon)


def compress(mask: Tensor) -> Tensor:
    """``K (1 - exp(-C m)) / (1 + exp(-C m))`` of real and imaginary part, each within -K and K.

    A mask has no limits where the mixture is quieter than its parts; a network needs some.

    Args:
        mask: complex ``[...]``.

    Returns:
        ``[..., 2]``, real and imaginary part.

    Source: Williamson, Wang, Wang, "Complex Ratio Masking for Monaural Speech Separation" (2016),
        equation 10, with K = 10 and C = 0.1.

    Example:
        >>> import torch
        >>> from fastcv.audio.complex_mask import compress, uncompress
        >>> mask = torch.tensor([1 - 2j, 300 + 0j])
        >>> compress(mask)
        tensor([[ 0.4996, -0.9967],
                [10.0000,  0.0000]])
        >>> uncompress(compress(mask))[0]
        tensor(1.-2.j)
    """
    return K * torch.tanh(torch.view_as_real(mask) * (C / 2))


def uncompress(compressed: Tensor) -> Tensor:
    """The inverse of ``compress``: ``[..., 2]`` to complex ``[...]``.

    What a network says beyond -K and K, which no mask gives, is taken for just within.

    Source: Williamson et al. (2016), equation 11.
    """
    within = (compressed.float() / K).clamp(-1 + 1e-6, 1 - 1e-6)
    return torch.view_as_complex(torch.atanh(within) * (2 / C))
