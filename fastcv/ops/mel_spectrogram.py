"""How loud each band of frequencies is in each frame of a sound, in one pass."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F


def mel_spectrogram(
    waves: Tensor,
    window: Tensor,
    filters: Tensor,
    hop: int,
    *,
    pad: int = 0,
    pad_mode: Literal["reflect", "constant"] = "reflect",
    power: Literal[1, 2] = 2,
    floor: float | None = None,
) -> Tensor:
    """A mel spectrogram, or any other bands: frames, window, Fourier transform, bands and logarithm
    at once.

    The spectrogram in between is never in memory. ``fastcv.audio.mel_spectrogram`` knows windows
    and filters by their names; this takes them as numbers.

    Args:
        waves: ``[B, N]`` float32 or float64, samples.
        window: ``[W]``, what a frame of W samples is multiplied by, W at most 8192. Put zeros on
            both sides of a shorter one.
        filters: ``[M, W // 2 + 1]``, how much of each frequency ``k * rate / W`` a band has.
        hop: samples from one frame to the next.
        pad: samples added on both sides; with ``W // 2`` frame t is around sample ``t * hop``.
        pad_mode: ``"reflect"``: the sound in a mirror; ``"constant"``: silence.
        power: bands sum the magnitude (1) or its square (2).
        floor: sums below it become it, and the result is the natural logarithm. None: the sums.

    Returns:
        ``[B, M, T]`` of the waves' dtype, ``T = 1 + (N + 2 * pad - W) // hop``. Differentiable: its
        gradient is worked out by torch, of the same steps one by one.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, no frame fits, or ``hop``, ``pad`` or
            ``floor`` is out of range.
        ValueError: ``pad_mode`` or ``power`` is none of those.

    On the CPU a frame's numbers depend on its samples alone: the same bits for any number of
    threads. A NaN makes the frames NaN that it is in.

    Source: Davis and Mermelstein, "Comparison of Parametric Representations for Monosyllabic Word
        Recognition" (1980).

    Example:
        >>> import torch, fastcv
        >>> tone = torch.sin(2 * torch.pi * 1000 * torch.arange(400) / 8000)[None]  # 1 kHz
        >>> bands = torch.eye(5).repeat_interleave(8, 1)[:, :33]  # of 1 kHz each
        >>> energy = fastcv.ops.mel_spectrogram(tone, torch.hann_window(64), bands, hop=64)
        >>> energy.shape, energy[0, :, 0].argmax()
        (torch.Size([1, 5, 6]), tensor(1))
    """
    if pad_mode not in ("reflect", "constant"):
        raise ValueError(f"pad_mode must be 'reflect' or 'constant', got {pad_mode!r}")
    if power not in (1, 2):
        raise ValueError(f"power must be 1 or 2, got {power!r}")
    reflect = pad_mode == "reflect"
    return torch.ops.fastcv.mel_spectrogram(
        waves, window, filters, hop, pad, reflect, power == 1, 0.0 if floor is None else floor
    )


@torch.library.register_fake("fastcv::mel_spectrogram")
def _(
    waves: Tensor,
    window: Tensor,
    filters: Tensor,
    hop: int,
    pad: int,
    reflect: bool,
    magnitude: bool,
    floor: float,
) -> Tensor:
    frames = 1 + (waves.shape[1] + 2 * pad - window.shape[0]) // hop
    return waves.new_empty(waves.shape[0], filters.shape[0], frames)


def _one_by_one(
    waves: Tensor,
    window: Tensor,
    filters: Tensor,
    hop: int,
    pad: int,
    reflect: bool,
    magnitude: bool,
    floor: float,
) -> Tensor:
    """The same as the op, in torch's steps."""
    padded = F.pad(waves, (pad, pad), mode="reflect" if reflect else "constant") if pad else waves
    spectrum = torch.fft.rfft(padded.unfold(1, len(window), hop) * window)
    # The square's gradient is 0 where the spectrum is 0, that of the magnitude has none there.
    loudness = spectrum.abs() if magnitude else spectrum.real**2 + spectrum.imag**2
    mel = filters @ loudness.transpose(1, 2)
    return mel.clamp(min=floor).log() if floor else mel


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.hop, ctx.pad, ctx.reflect, ctx.magnitude, ctx.floor = inputs
    ctx.save_for_backward(*tensors)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    own = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
    with torch.enable_grad():
        waves, window, filters = own
        mel = _one_by_one(
            waves, window, filters, ctx.hop, ctx.pad, ctx.reflect, ctx.magnitude, ctx.floor
        )
        wanted = [
            t for t, is_needed in zip(own, ctx.needs_input_grad[:3], strict=True) if is_needed
        ]
        found = iter(torch.autograd.grad(mel, wanted, grad))
    grads = [next(found) if is_needed else None for is_needed in ctx.needs_input_grad[:3]]
    return (*grads, None, None, None, None, None)


torch.library.register_autograd("fastcv::mel_spectrogram", _differentiate, setup_context=_remember)
