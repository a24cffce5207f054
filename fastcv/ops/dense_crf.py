"""The fully connected CRF: labels that follow the picture's edges."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def dense_crf(
    unary: Tensor,
    image: Tensor,
    *,
    iterations: int = 10,
    gaussian_sxy: float = 3.0,
    gaussian_weight: float = 3.0,
    bilateral_sxy: float = 80.0,
    bilateral_srgb: float = 13.0,
    bilateral_weight: float = 10.0,
    compatibility: Tensor | None = None,
) -> Tensor:
    """Mean-field inference in a CRF where every pixel is tied to every other.

    Pixels pull each other to the same label, the more the nearer they are (the Gaussian kernel),
    and the more the nearer they are in place and colour together (the bilateral one). Each step is
    ``q = softmax(-unary - compatibility @ messages)``, the messages being the sums of ``q`` over
    all pixels under both kernels, normalised as in the authors' code. Defaults are that code's.

    Args:
        unary: energies, ``-log(probability)``, ``[B, C, H, W]``, float64, float32, float16 or
            bfloat16; differentiable. Of a segmenter: ``-logits.log_softmax(1)``.
        image: ``[B, K, H, W]``, uint8 or floating in [0, 1], K = 1 to 4 channels.
        iterations: steps after ``softmax(-unary)``.
        gaussian_sxy: standard deviation of the Gaussian kernel, in pixels.
        gaussian_weight: how strong it is; 0 leaves it out.
        bilateral_sxy: of the bilateral kernel, in pixels.
        bilateral_srgb: of the bilateral kernel, in levels of an 8-bit image.
        bilateral_weight: how strong it is; 0 leaves it out.
        compatibility: ``[C, C]``, what it costs that a pixel has the row's label beside one with
            the column's; by default 1 where they differ and 0 elsewhere (Potts).

    Returns:
        Probabilities ``[B, C, H, W]`` in the dtype of ``unary``. Computed in float32 (float64 for
        float64); the same bits at every run. The gradient by ``unary`` is that of the steps as
        computed, and needs the memory of ``iterations`` outputs.

    Raises:
        RuntimeError: other shapes, dtypes or devices, ``iterations`` below 0, a standard deviation
            that is not above 0 or so small that the lattice runs out of numbers.

    Source: Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
        Potentials" (2011), algorithm 1, with the filter of Adams et al., "Fast High-Dimensional
        Filtering Using the Permutohedral Lattice" (2010).

    Example:
        >>> import torch, fastcv
        >>> image = torch.zeros(1, 3, 4, 6)
        >>> image[..., 3:] = 1.0  # black left, white right
        >>> scores = torch.full((1, 2, 4, 6), 0.5)
        >>> scores[0, :, 1, 0] = torch.tensor([0.9, 0.1])  # one pixel of each side is known
        >>> scores[0, :, 2, 5] = torch.tensor([0.1, 0.9])
        >>> fastcv.ops.dense_crf(-scores.log(), image).argmax(1)[0, 0]
        tensor([0, 0, 0, 1, 1, 1])
    """
    wide = torch.float64 if unary.dtype == torch.float64 else torch.float32
    levels = image.to(wide) * (255 if image.is_floating_point() else 1)
    if compatibility is not None:
        compatibility = compatibility.to(wide)
    return torch.ops.fastcv.dense_crf(
        unary,
        levels,
        compatibility,
        iterations,
        gaussian_sxy,
        gaussian_weight,
        bilateral_sxy,
        bilateral_srgb,
        bilateral_weight,
    )


def unary_from_labels(
    labels: Tensor, num_classes: int, certainty: float = 0.7, unknown: int = 255
) -> Tensor:
    """Energies of labels that are right with some certainty.

    Args:
        labels: ``[B, H, W]``, integers.
        num_classes: C.
        certainty: the probability of a pixel's label; the others share the rest.
        unknown: pixels with this label may be anything.

    Returns:
        ``-log(probability)``, ``[B, C, H, W]`` float32.

    Raises:
        ValueError: a label that is neither a class nor ``unknown``, or a certainty out of (0, 1).

    Example:
        >>> import torch, fastcv
        >>> labels = torch.tensor([[[0, 1, 255]]])
        >>> fastcv.ops.unary_from_labels(labels, 2, certainty=0.75).neg().exp()[0, :, 0]
        tensor([[0.7500, 0.2500, 0.5000],
                [0.2500, 0.7500, 0.5000]])
    """
    if not 0 < certainty < 1:
        raise ValueError(f"certainty must be between 0 and 1, got {certainty}")
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    known = labels != unknown
    wrong = labels[known & ((labels < 0) | (labels >= num_classes))]
    if len(wrong):
        raise ValueError(
            f"labels must be 0 to {num_classes - 1}, or {unknown} where unknown, got "
            f"{int(wrong[0])}"
        )
    others = (1 - certainty) / (num_classes - 1)
    is_label = torch.nn.functional.one_hot(labels.where(known, 0).long(), num_classes).bool()
    probability = torch.where(is_label, certainty, others)
    probability = probability.where(known[..., None], 1 / num_classes)
    return -probability.movedim(-1, 1).log()


@torch.library.register_fake("fastcv::dense_crf")
def _(unary: Tensor, image: Tensor, compatibility: Tensor | None, *numbers: float) -> Tensor:
    return unary.new_empty(unary.shape)


@torch.library.register_fake("fastcv::_dense_crf_backward")
def _(grad: Tensor, unary: Tensor, *others: Any) -> Tensor:
    return unary.new_empty(unary.shape)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    unary, image, compatibility, *ctx.numbers = inputs
    ctx.save_for_backward(unary, image, compatibility)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    unary, image, compatibility = ctx.saved_tensors
    _, of_image, of_compatibility, *_ = ctx.needs_input_grad
    if of_image or of_compatibility:
        raise RuntimeError(
            "dense_crf: only the gradient by unary is implemented; detach image and compatibility"
        )
    by_unary = torch.ops.fastcv._dense_crf_backward(grad, unary, image, compatibility, *ctx.numbers)
    return by_unary, *[None] * (2 + len(ctx.numbers))


def _refuse(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "dense_crf: the gradient of its gradient is not implemented; call backward without "
        "create_graph"
    )


torch.library.register_autograd("fastcv::dense_crf", _differentiate, setup_context=_remember)
torch.library.register_autograd("fastcv::_dense_crf_backward", _refuse)
