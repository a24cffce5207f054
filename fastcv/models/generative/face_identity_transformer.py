"""The face identity transformer: a face and a password become another face, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.models._model import ignore_keys
from fastcv.models._registry import register
from fastcv.models.generative._gan_layers import Norm, draw_weights, norm_layer
from fastcv.models.generative._translator import ImageTranslator
from fastcv.models.generative.face_identity_gan import FaceIdentityGAN
from fastcv.models.generative.passwords import LENGTH, check_password
from fastcv.models.generative.resnet_generator import ResidualBlock
from fastcv.nn.backbones.sphereface import SphereFace20a
from fastcv.results import Generated

AMPLITUDE = 0.5  # of a bit's plane: -0.5 or 0.5 everywhere


class FaceIdentityTransformer(ImageTranslator):
    """CycleGAN's ResNet, which also takes a plane for each bit of a password.

    With a password it makes another face; with the inverse password, each bit the other way round,
    it makes the first face of that again. Any other password gives a third face.

    The paper's batch norms have no running statistics. A plane is the same everywhere, so in a
    batch of one password the first norm takes all of it away. Training mixes passwords in a batch.
    ``predict`` runs each picture with its password and with the inverse one, in one batch.

    Args:
        password_length: bits, a multiple of 4.
        blocks: residual blocks.
        width: channels at full size; there are 4 times as many in the blocks.
        amplitude: a bit is a plane of plus or minus that; the published code also has 0.25.
        running_statistics: batch norms keep running statistics, and ``predict`` takes those.

    Raises:
        ValueError: another length.

    Source: Gu et al., "Password-conditioned Anonymization and Deanonymization with Face Identity
        Transformers" (2020), section 3. Keys are those of laoreja/face-identity-transformer.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.face_identity_transformer import FaceIdentityTransformer
        >>> from fastcv.models.generative.passwords import inverse_password, password_bits
        >>> model = FaceIdentityTransformer(blocks=1, width=4)
        >>> password = password_bits("open sesame")
        >>> (other,) = model.predict(torch.rand(3, 32, 32), password=password)
        >>> model.predict(other.pictures[0], password=inverse_password(password))
        [Generated(1 picture of 32x32)]
    """

    multiple = 4
    min_side = 8  # two cells in the blocks: a border of one cell has nothing to reflect
    no_onnx = "a password goes in beside the picture"

    def __init__(
        self,
        *,
        password_length: int = LENGTH,
        blocks: int = 9,
        width: int = 64,
        amplitude: float = AMPLITUDE,
        running_statistics: bool = False,
    ) -> None:
        super().__init__()
        if password_length < 4 or password_length % 4:
            raise ValueError(f"password_length must be a multiple of 4, got {password_length}")
        self.password_length, self.amplitude = password_length, amplitude
        self.running_statistics = running_statistics
        norm: Norm = "batch" if running_statistics else "batch_statistics"

        def layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            conv = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
            pad = nn.ReflectionPad2d(kernel // 2)
            return [pad, conv, norm_layer(norm, outputs), nn.ReLU(True)]

        layers = layer(3 + password_length, width, 7)
        for inputs in (width, 2 * width):
            layers += layer(inputs, 2 * inputs, 3, 2)
        layers += [ResidualBlock(4 * width, norm=norm, dropout=False) for _ in range(blocks)]
        for outputs in (2 * width, width):
            layers += [nn.Upsample(scale_factor=2), *layer(2 * outputs, outputs, 3)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)
        draw_weights(self)
        # Published files have biases there, which the norm behind takes away.
        ignore_keys(self, *(f"model.{14 + blocks + i}.bias" for i in (0, 5)))

    def forward(self, images: Tensor, passwords: Tensor | None = None) -> Tensor:
        """Faces ``[B, 3, H, W]`` in [-1, 1].

        Args:
            images: ``[B, 3, H, W]`` in [-1, 1], sides that are multiples of 4 from 8 on.
            passwords: ``[B, password_length]`` of 0 and 1, one for each.

        Raises:
            ValueError: another shape, or no passwords.
        """
        channels, *sides = images.shape[1:]
        if channels != 3 or any(side % 4 or side < 8 for side in sides):
            raise ValueError(
                "images must be [B, 3, H, W] with sides that are multiples of 4, at least 8, got "
                f"{list(images.shape)}"
            )
        if passwords is None or passwords.shape != (len(images), self.password_length):
            got = "none" if passwords is None else list(passwords.shape)
            raise ValueError(
                f"passwords must be [{len(images)}, {self.password_length}], one for each image, "
                f"got {got}"
            )
        planes = (passwords.to(images) * 2 - 1) * self.amplitude
        planes = planes[:, :, None, None].expand(-1, -1, *images.shape[2:])
        faces: Tensor = self.model(torch.cat([images, planes], dim=1))
        return faces

    def predict_batch(
        self, images: Sequence[Tensor], *, password: str | None = None, **options: Any
    ) -> list[Generated]:
        """Each face by itself, in its own size, with one password.

        Args:
            images: ``[3, H, W]``, uint8 or in [0, 1].
            password: as many letters 0 and 1 as the model has bits: ``password_bits`` makes them
                of any text. ``inverse_password`` of it recovers.
            options: what ``postprocess`` takes.

        Raises:
            TypeError: a password that is no text.
            ValueError: no password, or one of another length or of other letters.
        """
        bits = check_password(password, self.password_length)
        return _WithPassword(self, bits).predict_batch(images, **options)

    def gan(self, recogniser: SphereFace20a, **options: Any) -> FaceIdentityGAN:
        """This generator with all that it learns against, for ``fastcv.learn.fit``.

        Args:
            recogniser: of the people in the data, trained.
            options: the pictures' size, the networks' and the terms' weights, as
                ``FaceIdentityGAN`` takes them.
        """
        return FaceIdentityGAN(self, recogniser, **options)


class _WithPassword(ImageTranslator):
    """A transformer with one password: from pictures to pictures."""

    multiple = FaceIdentityTransformer.multiple
    min_side = FaceIdentityTransformer.min_side

    def __init__(self, transformer: FaceIdentityTransformer, bits: Tensor) -> None:
        super().__init__()
        self.transformer, self.bits = transformer, bits

    def forward(self, images: Tensor) -> Tensor:
        bits = self.bits.to(images.device).expand(len(images), -1)
        if self.transformer.running_statistics:
            faces: Tensor = self.transformer(images, bits)
            return faces
        both = self.transformer(torch.cat([images, images]), torch.cat([bits, 1 - bits]))
        first: Tensor = both[: len(images)]
        return first


@register("face_identity_transformer", task="translation")
def face_identity_transformer(**config: Any) -> FaceIdentityTransformer:
    """A face and a password of 16 bits to another face, and back, for 128 x 128 pixels."""
    return FaceIdentityTransformer(**config)
