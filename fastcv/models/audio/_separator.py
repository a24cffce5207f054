"""What every model shares that takes voices apart by faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fastcv.audio.complex_mask import uncompress
from fastcv.data.sound_and_faces import FACE_RATE, SoundAndFaces
from fastcv.models._mode import evaluating
from fastcv.models._model import Model
from fastcv.results import Audio
from fastcv.sounds import SoundInput, read_sound

SLACK = 2  # faces that may be missing at an end, or be too many


class VoiceSeparator(Model):
    """A model with ``forward(batch)``, from sound and faces to a complex mask for each face.

    Args:
        speakers: N, how many faces.
        rate: of the sound, in Hz.
        face_size: E, numbers of an embedding.
    """

    window: Tensor

    def __init__(self, speakers: int, rate: int, face_size: int) -> None:
        super().__init__()
        if speakers < 1:
            raise ValueError(f"speakers must be at least 1, got {speakers}")
        if rate < 1000:
            raise ValueError(f"rate must be at least 1000 Hz, got {rate}")
        self.speakers, self.rate, self.face_size = speakers, rate, face_size
        self.hop, length = rate // 100, rate // 40
        self.fft = 1 << (length - 1).bit_length()
        self.register_buffer("window", torch.hann_window(length), persistent=False)

    def frames(self, samples: int) -> int:
        """How many frames the spectrum of so many samples has."""
        return samples // self.hop + 1

    def spectrum(self, waves: Tensor) -> Tensor:
        """Of ``[B, S]``, complex ``[B, F, T]``; frame t is around sample ``t * hop``."""
        return torch.stft(
            waves.float(),
            self.fft,
            self.hop,
            len(self.window),
            self.window.float(),
            pad_mode="constant",
            return_complex=True,
        )

    def waves(self, spectra: Tensor, samples: int) -> Tensor:
        """The inverse of ``spectrum``: ``[B, F, T]`` to ``[B, samples]``."""
        return torch.istft(
            spectra, self.fft, self.hop, len(self.window), self.window.float(), length=samples
        )

    def separate(
        self, sound: SoundInput, faces: Sequence[Tensor | np.ndarray] | Tensor
    ) -> list[Audio]:
        """What each face says.

        Runs in eval mode without gradients; the training flags are put back.

        Args:
            sound: in any form that ``read_sound`` takes; channels are averaged, and another rate is
                changed to the model's.
            faces: N of ``[V, E]``: of each face an embedding for each of V times, 25 a second.

        Returns:
            N sounds at the model's rate, in the order of the faces. Each is as long as ``sound``.

        Raises:
            TypeError: faces that are no tensors or arrays.
            ValueError: the sound is shorter than a face's time or is not finite; there are more or
                fewer faces than the model was trained with; or faces are of another shape, of
                another duration than the sound, or not finite.
        """
        wave = read_sound(sound).wave(self.rate)
        if len(wave) < self.rate // FACE_RATE:
            raise ValueError(
                f"the sound must have {self.rate // FACE_RATE} samples at {self.rate} Hz or more, "
                f"the time of one face, got {len(wave)}"
            )
        seen = self._stacked(faces)
        times = round(FACE_RATE * len(wave) / self.rate)
        if abs(seen.shape[1] - times) > SLACK:
            raise ValueError(
                f"faces must be {FACE_RATE} a second, {times} for {len(wave) / self.rate:.2f} s of "
                f"sound, got {seen.shape[1]}"
            )
        like = next(self.parameters())
        batch = SoundAndFaces(wave[None].to(like), seen[None].to(like))
        with evaluating(self), torch.inference_mode():
            masks, mixture, peaks = self(batch)
            made = self.waves(mixture * uncompress(masks[0].contiguous()), len(wave)) * peaks
        return [Audio(one, self.rate) for one in made]

    def _stacked(self, faces: Sequence[Tensor | np.ndarray] | Tensor) -> Tensor:
        if not isinstance(faces, (Tensor, np.ndarray, list, tuple)) or not all(
            isinstance(face, (Tensor, np.ndarray)) for face in faces
        ):
            raise TypeError(
                f"faces must be tensors or arrays [V, {self.face_size}], one for each who speaks"
            )
        if len(faces) != self.speakers:
            raise ValueError(
                f"faces must be {self.speakers}, for so many speakers was the model made, got "
                f"{len(faces)}"
            )
        shapes = [list(face.shape) for face in faces]
        if any(shape != shapes[0] or len(shape) != 2 for shape in shapes) or (
            shapes[0][1] != self.face_size
        ):
            raise ValueError(f"each of faces must be [V, {self.face_size}], got {shapes}")
        stacked = torch.stack([torch.as_tensor(face).float() for face in faces])
        if not bool(stacked.isfinite().all()):
            raise ValueError("faces must be finite, some numbers are NaN or infinite")
        return stacked


def check_sound_and_faces(batch: object, speakers: int, face_size: int) -> None:
    """Refuses what ``forward`` cannot take.

    Raises:
        TypeError, ValueError: as of ``LookingToListen.forward``.
    """
    if not isinstance(batch, SoundAndFaces):
        raise TypeError(f"batch must be a SoundAndFaces, got {type(batch).__name__}")
    waves, faces = batch
    if waves.ndim != 2 or 0 in waves.shape or not waves.is_floating_point():
        raise ValueError(f"waves must be [B, S] floating, got {list(waves.shape)} {waves.dtype}")
    expected = [len(waves), speakers, face_size]
    shape = list(faces.shape)
    if len(shape) != 4 or [*shape[:2], shape[3]] != expected or shape[2] == 0:
        raise ValueError(
            f"faces must be [{len(waves)}, {speakers}, V, {face_size}], for {speakers} speakers, "
            f"got {shape}"
        )
