"""Perceptual losses: pictures are compared by what a network sees in them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.losses._tensors import check_tensor
from fastcv.ops import gram_matrix

SMALLEST = 1e-30  # what a mean square is taken as at least, where it divides


class PerceptualLoss(nn.Module):
    """How far pictures are from a content and from a style.

    The feature reconstruction loss compares feature maps, place by place. The style reconstruction
    loss compares their Gram matrices, in which places do not count: which channels are active
    together. A Gram matrix is not centred: it holds second moments, not covariances.

    Args:
        network: what sees. It is frozen.
        content: by layer, the weight of the mean square of the feature maps' differences.
        style: by layer, the weight of the mean square of the Gram matrices' differences. They are
            divided by C * H * W.
        style_picture: ``[3, h, w]`` in [0, 1], of any size, where ``style`` names layers.
        tv: the weight of the total variation of what is made.
        relative: divide each layer's term by the mean square of what it should be. Weights then
            mean the same for every layer and for networks of any scale.

    Raises:
        ValueError: nothing to compare, a negative weight, a layer that there is not, or layers of
            a style without a picture of one.

    Source: Johnson et al. (2016), equations 2 to 4; equation 4 has the sum over C * C where here
        is the mean, as in pytorch/examples.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.loss_network import LossNetwork
        >>> from fastcv.nn.losses.perceptual import PerceptualLoss
        >>> loss = PerceptualLoss(
        ...     LossNetwork(), content={"relu2_2": 1.0}, style={"relu1_2": 1.0, "relu2_2": 1.0},
        ...     style_picture=torch.rand(3, 40, 30),
        ... )
        >>> photo = torch.rand(2, 3, 24, 32)
        >>> terms = loss(photo, photo)
        >>> list(terms), terms["content"]
        (['content', 'style'], tensor(0.))
    """

    def __init__(
        self,
        network: LossNetwork,
        *,
        content: Mapping[str, float] | None = None,
        style: Mapping[str, float] | None = None,
        style_picture: Tensor | None = None,
        tv: float = 0.0,
        relative: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.content, self.style = dict(content or {}), dict(style or {})
        self.tv, self.relative = tv, relative
        _check_weights(network, self.content, self.style, tv)
        if self.style:
            if style_picture is None:
                raise ValueError("style_picture is needed for the layers of style, got None")
            with torch.no_grad():
                maps = network(style_picture[None].float(), self.style)
            for name, x in maps.items():
                self.register_buffer(f"gram_{name}", gram_matrix(x), persistent=False)

    def forward(self, made: Tensor, targets: Tensor | None = None) -> dict[str, Tensor]:
        """The terms that have a weight, each a scalar.

        Args:
            made: ``[B, 3, H, W]``, in [0, 1] or about that.
            targets: what it should show, ``[B, 3, H, W]`` in [0, 1], of the same height and width;
                not used without layers of content.

        Raises:
            TypeError: there are layers of content, and ``targets`` is no tensor.
            ValueError: pictures of another shape.
        """
        found = self.network(made, {*self.content, *self.style})
        terms: dict[str, Tensor] = {}
        if self.content:
            check_tensor("targets", targets)
            assert targets is not None
            if targets.shape != made.shape:
                raise ValueError(f"targets must be {list(made.shape)}, got {list(targets.shape)}")
            with torch.no_grad():
                maps = self.network(targets, self.content)
            terms["content"] = self._sum(self.content, found, maps)
        if self.style:
            grams = {name: gram_matrix(found[name]) for name in self.style}
            of_style = {name: self.get_buffer(f"gram_{name}") for name in self.style}
            terms["style"] = self._sum(self.style, grams, of_style)
        if self.tv:
            terms["tv"] = self.tv * total_variation(made)
        return terms

    def _sum(
        self, weights: Mapping[str, float], found: Mapping[str, Tensor], due: Mapping[str, Tensor]
    ) -> Tensor:
        terms = []
        for name, weight in weights.items():
            term = (found[name] - due[name]).square().mean()
            if self.relative:
                term = term / due[name].square().mean().clamp(min=SMALLEST)
            terms.append(weight * term)
        return torch.stack(terms).sum()


def total_variation(pictures: Tensor) -> Tensor:
    """The mean distance of neighbouring pixels, those below each other plus those side by side.

    Args:
        pictures: ``[B, C, H, W]``.

    Returns:
        A scalar; 0 for one pixel.

    Source: Johnson et al. (2016), section 3.2; Mahendran and Vedaldi (2015) for the distances.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.perceptual import total_variation
        >>> total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]]))
        tensor(3.)
    """
    steps = [pictures.diff(dim=dim).abs() for dim in (2, 3)]
    return torch.stack([s.mean() if s.numel() else s.sum() for s in steps]).sum()


def _check_weights(
    network: LossNetwork, content: dict[str, float], style: dict[str, float], tv: float
) -> None:
    if not content and not style:
        raise ValueError("content or style must name a layer, got none")
    for kind, weights in (("content", content), ("style", style), ("tv", {"": tv})):
        for name, weight in weights.items():
            if name and name not in network.names:
                raise ValueError(f"{kind}: there is no layer {name!r}: {', '.join(network.names)}")
            if not weight >= 0:  # nor NaN
                of = f" of {name}" if name else ""
                raise ValueError(f"{kind}: the weight{of} must be 0 or more, got {weight}")
