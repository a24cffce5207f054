"""Looking to Listen: who says what in a mixture, by sound and by faces."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.audio.complex_mask import compress, ideal_mask
from fastcv.data.sound_and_faces import SoundAndFaces
from fastcv.models._registry import register
from fastcv.models.audio._separator import VoiceSeparator, check_sound_and_faces

TIME_DILATIONS = (1, 2, 4, 8, 16, 32)  # table 1 of the paper, convolutions 3 to 8
BOTH_DILATIONS = (1, 2, 4, 8, 16, 32)  # 9 to 14
FACE_DILATIONS = (1, 2, 4, 8, 16)  # table 2, 2 to 6
LAST = 8  # channels behind convolution 15
FACE_SIZE = 1792  # of FaceNet's features


class FaceMasks(NamedTuple):
    """What ``forward`` returns.

    Args:
        masks: ``[B, N, F, T, 2]``, compressed, one for each face in the order of the faces.
        mixture: complex ``[B, F, T]``, what they are masks of.
        peaks: ``[B]``, what the waves were divided by.
    """

    masks: Tensor
    mixture: Tensor
    peaks: Tensor


class SharedOverFaces(nn.Sequential):
    """Convolutions over time, the same for every face: ``[B, N, V, E]`` to ``[B, N, V, width]``.

    All faces of a batch pass at once, so that batch norms see them together.
    """

    def forward(self, faces: Tensor) -> Tensor:
        rows = faces.flatten(0, 1).transpose(1, 2)
        for layer in self:
            rows = layer(rows)
        return rows.transpose(1, 2).reshape(*faces.shape[:3], -1)


class LookingToListen(VoiceSeparator):
    """Convolutions of the spectrum and of each face, an LSTM over both, and a mask for each face.

    Args:
        speakers: N, how many faces there are.
        rate: of the sound, in Hz. A window is 25 ms, a hop 10 ms; the FFT's size is the next power
            of 2.
        channels: of the spectrum's convolutions.
        face_channels: of a face's.
        face_size: E, numbers of a face's embedding.
        hidden: of the LSTM.
        width: of the three layers behind it.

    Raises:
        ValueError: ``speakers`` under 1, or a rate under 1000.

    Source: Ephrat et al., "Looking to Listen at the Cocktail Party" (2018), section 4; batch norms
        and masks are those of the known ports.

    Example:
        >>> import torch
        >>> from fastcv.models.audio.looking_to_listen import LookingToListen
        >>> with torch.device("meta"):
        ...     model = LookingToListen()
        >>> sum(p.numel() for p in model.parameters() if p.requires_grad)
        18770180
    """

    def __init__(
        self,
        speakers: int = 2,
        *,
        rate: int = 16_000,
        channels: int = 96,
        face_channels: int = 256,
        face_size: int = FACE_SIZE,
        hidden: int = 400,
        width: int = 600,
    ) -> None:
        super().__init__(speakers, rate, face_size)
        sizes = [
            ((1, 7), (1, 1)),  # 1 frame, 7 frequencies
            ((7, 1), (1, 1)),
            *(((5, 5), (d, 1)) for d in TIME_DILATIONS),
            *(((5, 5), (d, d)) for d in BOTH_DILATIONS),
        ]
        layers: list[nn.Module] = []
        for i, (kernel, dilation) in enumerate(sizes):
            layers += _conv2d(channels if i else 2, channels, kernel, dilation)
        self.audio = nn.Sequential(*layers, *_conv2d(channels, LAST, (1, 1), (1, 1)))
        faces = _conv1d(face_size, face_channels, 7, 1)
        for in_time in FACE_DILATIONS:
            faces += _conv1d(face_channels, face_channels, 5, in_time)
        self.visual = SharedOverFaces(*faces)
        bins = self.fft // 2 + 1
        self.lstm = nn.LSTM(
            LAST * bins + speakers * face_channels, hidden, batch_first=True, bidirectional=True
        )
        _one_bias(self.lstm)
        self.fc = nn.Sequential(
            *(
                layer
                for inputs in (hidden, width, width)
                for layer in (nn.Linear(inputs, width), nn.ReLU())
            )
        )
        self.complex_mask = nn.Linear(width, bins * 2 * speakers)
        self.hidden = hidden
        for module in self.modules():
            if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.xavier_uniform_(self.complex_mask.weight)

    def forward(self, batch: SoundAndFaces) -> FaceMasks:
        """A mask for each face.

        Args:
            batch: sound ``[B, S]`` and faces ``[B, N, V, E]``. Each sound is divided by its peak.

        Raises:
            TypeError: no ``SoundAndFaces``.
            ValueError: another number of faces than the model was made for, or other shapes.
        """
        check_sound_and_faces(batch, self.speakers, self.face_size)
        peaks = batch.waves.abs().amax(dim=1).clamp(min=1e-8)
        mixture = self.spectrum(batch.waves / peaks[:, None])
        parts = torch.view_as_real(mixture).permute(0, 3, 2, 1)  # [B, 2, T, F]
        heard = self.audio(parts.to(batch.waves.dtype)).permute(0, 2, 1, 3).flatten(2)
        frames = heard.shape[1]
        # [B, N, V, width] to [B, T, N * width], each frame of sound with the face of its time.
        seen = self.visual(batch.faces).permute(0, 1, 3, 2).flatten(1, 2)
        seen = F.interpolate(seen, frames, mode="nearest").transpose(1, 2)
        self.lstm.flatten_parameters()
        both = self.lstm(torch.cat([heard, seen], dim=2))[0]
        summed = both[..., : self.hidden] + both[..., self.hidden :]
        masks = self.complex_mask(self.fc(summed))
        masks = masks.reshape(*masks.shape[:2], self.speakers, -1, 2).permute(0, 2, 3, 1, 4)
        return FaceMasks(masks, mixture, peaks)

    def loss(self, output: FaceMasks, targets: Tensor) -> dict[str, Tensor]:
        """The mean square between the masks and those that give each source: mask k is compared
        with source k, so that the order of the faces decides who is where.

        Args:
            output: of ``forward``.
            targets: ``[B, N, S]``, what each face says, in the order of the faces.

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape or dtype.
        """
        if not isinstance(targets, Tensor):
            raise TypeError(f"targets must be a tensor [B, N, S], got {type(targets).__name__}")
        batch, speakers = output.masks.shape[:2]
        shape = [batch, speakers]
        if targets.ndim != 3 or list(targets.shape[:2]) != shape or not targets.is_floating_point():
            raise ValueError(
                f"targets must be [{batch}, {speakers}, S], got {list(targets.shape)} "
                f"{targets.dtype}"
            )
        frames = output.mixture.shape[2]
        if self.frames(targets.shape[2]) != frames:
            raise ValueError(
                f"targets must be as long as the mixture, {frames} frames, got "
                f"{self.frames(targets.shape[2])} of {targets.shape[2]} samples"
            )
        sources = self.spectrum((targets / output.peaks[:, None, None]).flatten(0, 1))
        sources = sources.reshape(batch, speakers, *sources.shape[1:])
        right = ideal_mask(output.mixture[:, None], sources)
        return {"mask": F.mse_loss(output.masks, compress(right).to(output.masks.dtype))}


def _conv2d(
    inputs: int, outputs: int, kernel: tuple[int, int], dilation: tuple[int, int]
) -> list[nn.Module]:
    padding = (kernel[0] // 2 * dilation[0], kernel[1] // 2 * dilation[1])
    conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def _conv1d(inputs: int, outputs: int, kernel: int, dilation: int) -> list[nn.Module]:
    conv = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2 * dilation, dilation=dilation)
    return [conv, nn.BatchNorm1d(outputs), nn.ReLU()]


def _one_bias(lstm: nn.LSTM) -> None:
    """torch's LSTM adds two biases where one is enough: the second stays zero."""
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias_hh"):
            nn.init.zeros_(parameter)
            parameter.requires_grad_(False)


@register("looking_to_listen_2", task="separation")
def looking_to_listen_2(
    *,
    rate: int = 16_000,
    channels: int = 96,
    face_channels: int = 256,
    face_size: int = FACE_SIZE,
    hidden: int = 400,
    width: int = 600,
) -> LookingToListen:
    """Looking to Listen for two faces."""
    return LookingToListen(
        2,
        rate=rate,
        channels=channels,
        face_channels=face_channels,
        face_size=face_size,
        hidden=hidden,
        width=width,
    )
