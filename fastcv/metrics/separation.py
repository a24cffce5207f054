"""How well sources were taken out of a mixture: SI-SDR, SDR, what was gained, which order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import NamedTuple

import torch
from torch import Tensor

FILTER = 512  # taps of BSS Eval
MAX_ORDERS = 8  # sources that all orders of are tried: 40,320

Metric = Callable[[Tensor, Tensor], Tensor]


def si_sdr(estimates: Tensor, sources: Tensor) -> Tensor:
    """The scale-invariant ratio of signal to distortion, in dB.

    Signal is the part of the estimate that is the source, at whatever level; distortion is the
    rest. No mean is taken off.

    Args:
        estimates: ``[..., S]`` floating.
        sources: ``[..., S]``, the true ones.

    Returns:
        ``[...]`` of the same dtype. A silent source gives NaN: nothing of it can be found.

    Raises:
        ValueError: other shapes, or not floating.

    Source: Le Roux et al., "SDR - Half-baked or Well Done?" (2019), equation 5.

    Example:
        >>> import torch
        >>> from fastcv.metrics import si_sdr
        >>> source = torch.tensor([1.0, -1.0, 1.0, -1.0])
        >>> noise = torch.tensor([0.1, 0.1, -0.1, -0.1])
        >>> si_sdr(5 * (source + noise), source).round(decimals=4)
        tensor(20.)
    """
    _check(estimates, sources)
    scale = (estimates * sources).sum(-1, keepdim=True) / sources.square().sum(-1, keepdim=True)
    signal = scale * sources
    return _decibels(signal.square().sum(-1), (estimates - signal).square().sum(-1))


def sdr(estimates: Tensor, sources: Tensor, *, filter_length: int = FILTER) -> Tensor:
    """The ratio of signal to distortion of BSS Eval, in dB.

    Signal is what a filter of so many taps can make of the source, so that an echo or another
    microphone is no distortion.

    Args:
        estimates, sources: as of ``si_sdr``; computed in float64.
        filter_length: taps, at most S.

    Returns:
        ``[...]``, of the estimates' dtype.

    Raises:
        ValueError: other shapes, not floating, or a filter that is no 1 to S.

    Source: Vincent, Gribonval, Févotte, "Performance Measurement in Blind Audio Source Separation"
        (2006), with the time-invariant filters of section III.B.

    Example:
        >>> import torch
        >>> from fastcv.metrics import sdr, si_sdr
        >>> source = torch.randn(1000, generator=torch.Generator().manual_seed(0))
        >>> later = torch.cat([torch.zeros(3), source[:-3]])  # an echo alone
        >>> bool(sdr(later, source) > 20), bool(si_sdr(later, source) < 0)
        (True, True)
    """
    _check(estimates, sources)
    samples = sources.shape[-1]
    if not 1 <= filter_length <= samples:
        raise ValueError(f"filter_length must be 1 to {samples}, got {filter_length}")
    padded = 1 << (samples + filter_length - 1).bit_length()
    estimate, source = (torch.fft.rfft(t.double(), padded) for t in (estimates, sources))
    # Sums of products of the source with itself and with the estimate, at each delay.
    own = torch.fft.irfft(source.abs().square(), padded)[..., :filter_length]
    across = torch.fft.irfft(estimate * source.conj(), padded)[..., :filter_length]
    taps = torch.arange(filter_length, device=sources.device)
    toeplitz = own[..., (taps[:, None] - taps).abs()]
    best = torch.linalg.lstsq(toeplitz, across[..., None]).solution[..., 0]
    # What the filter keeps of the estimate: a projection, so its power is this product.
    kept = (best * across).sum(-1)
    return _decibels(kept, estimates.double().square().sum(-1) - kept).to(estimates.dtype)


def improvement(
    estimates: Tensor, sources: Tensor, mixture: Tensor, metric: Metric = si_sdr
) -> Tensor:
    """What was gained over taking the mixture itself for each source, in dB.

    Args:
        estimates: ``[..., N, S]``.
        sources: ``[..., N, S]``, in the order of the estimates.
        mixture: ``[..., S]``.
        metric: ``si_sdr`` or ``sdr``.

    Returns:
        ``[..., N]``.

    Raises:
        ValueError: other shapes.

    Example:
        >>> import torch
        >>> from fastcv.metrics import improvement
        >>> sources = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1]])
        >>> improvement(sources + 0.1 * sources.flip(0), sources, sources.sum(0)).round(decimals=3)
        tensor([20., 20.])
    """
    if mixture.shape != sources.shape[:-2] + sources.shape[-1:]:
        raise ValueError(
            f"mixture must be [..., S] of sources {list(sources.shape)}, got {list(mixture.shape)}"
        )
    same = mixture.unsqueeze(-2).expand_as(sources)
    return metric(estimates, sources) - metric(same, sources)


class Ordered(NamedTuple):
    """Estimates as they fit best.

    Args:
        values: ``[N]``, of each source.
        order: ``[N]`` int64, which estimate is each source's.
    """

    values: Tensor
    order: Tensor


def in_best_order(estimates: Tensor, sources: Tensor, metric: Metric = si_sdr) -> Ordered:
    """The metric in that order of the estimates whose mean is the highest.

    For systems that say what was said, and not by whom.

    Args:
        estimates, sources: ``[N, S]``, of at most 8 sources.
        metric: ``si_sdr`` or ``sdr``.

    Raises:
        ValueError: other shapes, or more sources.

    Example:
        >>> import torch
        >>> from fastcv.metrics import in_best_order
        >>> sources = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1]])
        >>> in_best_order((sources + 0.1 * sources.flip(0)).flip(0), sources).order
        tensor([1, 0])
    """
    _check(estimates, sources)
    if estimates.ndim != 2 or not 1 <= len(sources) <= MAX_ORDERS:
        raise ValueError(
            f"sources must be [N, S] with N from 1 to {MAX_ORDERS}, got {list(sources.shape)}"
        )
    count, samples = sources.shape
    pairs = (count, count, samples)
    table = metric(estimates[None].expand(pairs), sources[:, None].expand(pairs))
    orders = torch.tensor(list(permutations(range(count))), device=table.device)
    found = table[torch.arange(count, device=table.device), orders]  # [orders, N]
    best = int(found.mean(dim=1).nan_to_num(-torch.inf).argmax())
    return Ordered(found[best], orders[best])


def _check(estimates: Tensor, sources: Tensor) -> None:
    if estimates.shape != sources.shape or estimates.ndim == 0 or estimates.shape[-1] == 0:
        raise ValueError(
            f"estimates and sources must be [..., S] of one shape, got {list(estimates.shape)} "
            f"and {list(sources.shape)}"
        )
    if not (estimates.is_floating_point() and sources.is_floating_point()):
        raise ValueError(
            f"estimates and sources must be floating, got {estimates.dtype} and {sources.dtype}"
        )


def _decibels(signal: Tensor, distortion: Tensor) -> Tensor:
    return 10 * torch.log10(signal / distortion.clamp(min=0))
