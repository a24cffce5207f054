"""Phases for a spectrogram that has lost them."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.audio.windows import WindowName, check_cover, make_window

ITERATIONS = 32
MOMENTUM = 0.99


def griffin_lim(
    magnitudes: Tensor,
    *,
    hop: int | None = None,
    window: WindowName = "hann",
    iterations: int = ITERATIONS,
    momentum: float = MOMENTUM,
    length: int | None = None,
    seed: int = 0,
) -> Tensor:
    """A sound whose spectra have about these magnitudes.

    It begins with random phases, and takes those of the sound's own spectra again and again.

    Args:
        magnitudes: ``[..., F, T]``, floating point, 0 or more, of frames of ``2 * (F - 1)`` samples
            around each ``hop``.
        hop: from one frame to the next, in samples; None: a quarter of a frame.
        window: of the frames.
        iterations: more come nearer.
        momentum: how far to go on in the last step's direction: 0 is Griffin and Lim's own way.
        length: samples of the sound; None: up to the last frame's middle.
        seed: of the phases that it begins with.

    Returns:
        ``[..., length]``.

    Raises:
        ValueError: magnitudes of another shape, or below 0; frames that leave samples out;
            ``iterations`` below 1, or a momentum that is not in [0, 1).

    Source: Griffin and Lim, "Signal Estimation from Modified Short-Time Fourier Transform" (1984);
        Perraudin et al., "A Fast Griffin-Lim Algorithm" (2013).

    Example:
        >>> import torch
        >>> from fastcv.audio import griffin_lim
        >>> griffin_lim(torch.rand(513, 9), iterations=2).shape
        torch.Size([2048])
    """
    if magnitudes.ndim < 2 or not magnitudes.is_floating_point() or 0 in magnitudes.shape:
        raise ValueError(
            f"magnitudes must be floating [..., F, T], got {magnitudes.dtype} "
            f"{list(magnitudes.shape)}"
        )
    if not bool((magnitudes >= 0).all()):
        raise ValueError(f"magnitudes must be 0 or more, got {float(magnitudes.min())}")
    if iterations < 1 or not 0 <= momentum < 1:
        raise ValueError(
            f"iterations must be at least 1 and momentum in [0, 1), got {iterations} and {momentum}"
        )
    size = 2 * (magnitudes.shape[-2] - 1)
    hop = size // 4 if hop is None else hop
    shape = make_window(window, size).to(magnitudes)
    check_cover(shape.cpu(), hop)
    flat = magnitudes.reshape(-1, *magnitudes.shape[-2:])
    random = torch.rand(flat.shape, generator=torch.Generator().manual_seed(seed))
    spectra = torch.polar(flat, 2 * torch.pi * random.to(flat))
    before: Tensor | None = None
    step = momentum / (1 + momentum)
    for _ in range(iterations):
        wave = torch.istft(spectra, size, hop, window=shape)
        own = torch.stft(wave, size, hop, window=shape, pad_mode="constant", return_complex=True)
        if momentum == 0:
            spectra = own
        else:
            spectra = own.clone() if before is None else torch.sub(own, before, alpha=step)
            before = own
        # The magnitudes with these phases.
        spectra = spectra.div_(spectra.abs().clamp_(min=1e-16)).mul_(flat)
    found = torch.istft(spectra, size, hop, window=shape, length=length)
    return found.reshape(*magnitudes.shape[:-2], -1)
