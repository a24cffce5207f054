"""PatchGAN: of each patch of a picture, whether it is real."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.models.generative._gan_layers import Norm, draw_weights, norm_layer, take_old_files


class PatchDiscriminator(nn.Module):
    """Convolutions of 4 x 4, of which each cell of the output sees a patch of 70 x 70 pixels.

    Args:
        in_channels: of the pictures; for pix2pix those of input and output together.
        width: channels of the first layer.
        layers: that halve the size; 3 give the paper's patch of 70 pixels.
        norm: ``"batch"`` or ``"instance"``; with instance norm every convolution has a bias.

    Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (2017),
        section 6.1.2. Keys are those of junyanz/pytorch-CycleGAN-and-pix2pix.

    Example:
        >>> import torch
        >>> from fastcv.models.generative._patch_discriminator import PatchDiscriminator
        >>> PatchDiscriminator(6)(torch.rand(1, 6, 256, 256)).shape
        torch.Size([1, 1, 30, 30])
    """

    def __init__(
        self, in_channels: int, *, width: int = 64, layers: int = 3, norm: Norm = "batch"
    ) -> None:
        super().__init__()
        bias = norm == "instance"  # batch norm has its own
        made: list[nn.Module] = [nn.Conv2d(in_channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        inputs = width
        for i in range(1, layers + 1):
            outputs, stride = width * min(2**i, 8), 2 if i < layers else 1
            made.append(nn.Conv2d(inputs, outputs, 4, stride, 1, bias=bias))
            made += [norm_layer(norm, outputs), nn.LeakyReLU(0.2, True)]
            inputs = outputs
        self.model = nn.Sequential(*made, nn.Conv2d(inputs, 1, 4, 1, 1))
        draw_weights(self)
        take_old_files(self, norm)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits ``[B, 1, h, w]`` of pictures ``[B, C, H, W]`` in [-1, 1]."""
        logits: Tensor = self.model(pictures)
        return logits
