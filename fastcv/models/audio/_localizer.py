"""What every model shares that says where in a picture a sound comes from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from fastcv.images import ImageInput, read_image
from fastcv.models._mode import evaluating
from fastcv.models._model import Model
from fastcv.models._predict import predict_each
from fastcv.models.audio.soundnet import SoundNet
from fastcv.models.language._question_batch import prepared
from fastcv.results import SoundMap
from fastcv.sounds import SoundInput, read_sound

LAYER = "objects"  # of SoundNet, whose mean over time is a sound's feature


class PictureSound(NamedTuple):
    """A picture and a sound; any pair of them is taken for one.

    Args:
        image: in any form that ``read_image`` takes.
        sound: in any form that ``read_sound`` takes.
    """

    image: ImageInput
    sound: SoundInput


class SoundLocalizer(Model):
    """A model from a picture and a sound to a map.

    A subclass writes ``forward(batch)`` with ``scores`` in what it returns, and ``make_batch``.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("sound_localization", width=4, sound_width=2)
        >>> picture, sound = torch.rand(3, 48, 64), (torch.rand(240000) - 0.5, 22050)
        >>> model.predict((picture, sound))[0].scores.shape
        torch.Size([20, 20])
    """

    sound_net: SoundNet | None

    preprocessing: Mapping[str, Any] = {
        "size": (320, 320),
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    """``size``: the height and width that pictures are stretched to, in pixels."""

    def make_batch(self, images: Tensor, sounds: Tensor) -> Any:
        """What ``forward`` takes, of prepared images ``[B, 3, H, W]`` and features ``[B, F]``."""
        raise NotImplementedError

    def prepare(self, images: Sequence[Tensor]) -> Tensor:
        """Images ``[3, H, W]``, uint8 or in [0, 1], of any sizes as one batch on the model's
        device."""
        like = next(self.parameters())
        return prepared([image.to(like.device) for image in images], self.preprocessing, like.dtype)

    def sound_features(self, waves: Tensor) -> Tensor:
        """Sounds' features ``[B, sound_size]``: SoundNet's logits of objects, averaged over time.

        In eval mode and without gradients: SoundNet stays as it is.

        Args:
            waves: ``[B, N]`` in [-1, 1] at SoundNet's ``rate``.

        Raises:
            ValueError: no SoundNet, or waves that are too short for it.
        """
        net = self._need_sound_net()
        like = next(net.parameters())
        with evaluating(net), torch.no_grad():
            return net.features(waves.to(like), LAYER).mean(dim=2)

    def predict(
        self, inputs: Any, *, batch_size: int = 1, progress: bool = False
    ) -> list[SoundMap]:
        """Maps of where sounds come from.

        Runs in eval mode without gradients, on the model's device and in its dtype; the training
        flags are put back.

        Args:
            inputs: a pair ``(picture, sound)`` or a list of them, each in any form that
                ``read_image`` and ``read_sound`` take.
            batch_size: pairs at a time.
            progress: show a progress bar.

        Returns:
            A map for each pair, in order.

        Raises:
            TypeError: an input that is no pair, or a picture or sound of a kind that is not taken.
            ValueError: a picture or a sound that cannot be read, a sound that is too short, or a
                model without a SoundNet.
            FileNotFoundError: a path that is not there.
        """
        found = self.predict_iter(inputs, batch_size=batch_size, progress=progress)
        return [result for _, result in found]

    def predict_iter(
        self,
        inputs: Any,
        *,
        batch_size: int = 1,
        on_error: Literal["raise", "yield"] = "raise",
        progress: bool = False,
    ) -> Iterator[tuple[PictureSound, Any]]:
        """``predict`` one by one: for more pairs than fit into memory, and for broken ones.

        Args:
            inputs, batch_size, progress: as for ``predict``; ``inputs`` may be an iterator.
            on_error: ``"raise"``, or ``"yield"``: what cannot be read yields its error in place of
                a map, and the others go on.

        Yields:
            ``(PictureSound, map)`` in order; with ``on_error="yield"`` also ``(PictureSound,
            error)``.

        Raises:
            TypeError, ValueError, FileNotFoundError: as ``predict``, when iterated.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if on_error not in ("raise", "yield"):
            raise ValueError(f"on_error must be 'raise' or 'yield', got {on_error!r}")
        self._need_sound_net()
        return predict_each(
            self,
            as_pairs(inputs),
            self._read,
            self._maps,
            batch_size=batch_size,
            on_error=on_error,
            progress=progress,
        )

    def predict_options(self) -> list[str]:
        """The names of the options that ``predict`` takes."""
        return ["batch_size", "progress"]

    def _need_sound_net(self) -> SoundNet:
        if self.sound_net is None:
            raise ValueError(
                "the model has no SoundNet to hear with: set model.sound_net = "
                'create_model("soundnet8", ...)'
            )
        return self.sound_net

    def _read(self, pair: PictureSound) -> _Read:
        net = self._need_sound_net()
        image = read_image(pair.image)
        sound = read_sound(pair.sound)
        wave = sound.wave(net.rate)
        # Here, where an error is this pair's own and the others go on.
        feature = self.sound_features(wave[None])[0]
        height, width = image.shape[1:]
        return _Read(image, feature, _path(pair.image), sound.name, (height, width))

    def _maps(self, read: Sequence[_Read]) -> list[SoundMap]:
        images = self.prepare([one.image for one in read])
        sounds = torch.stack([one.feature for one in read])
        scores = self(self.make_batch(images, sounds)).scores
        return [
            SoundMap(row, one.source, one.sound, one.size)
            for row, one in zip(scores, read, strict=True)
        ]


class _Read(NamedTuple):
    """An input as it was read: ``image`` ``[3, H, W]``, ``feature`` ``[sound_size]``."""

    image: Tensor
    feature: Tensor
    source: str | None
    sound: str
    size: tuple[int, int]


def as_pairs(inputs: Any) -> Iterable[PictureSound]:
    """What ``predict`` takes as pairs.

    Raises:
        TypeError: an input that is no pair.
    """
    if _is_pair(inputs):
        return [PictureSound(*inputs)]
    if isinstance(inputs, (list, tuple)):
        return [_as_pair(one) for one in inputs]
    if isinstance(inputs, Iterator):
        return map(_as_pair, inputs)
    return [_as_pair(inputs)]


def _is_pair(given: Any) -> bool:
    # No picture is a tuple, so two pairs are not taken for one.
    return isinstance(given, tuple) and len(given) == 2 and not isinstance(given[0], tuple)


def _as_pair(given: Any) -> PictureSound:
    if not _is_pair(given):
        raise TypeError(f"an input must be a pair (picture, sound), got {type(given).__name__}")
    return PictureSound(*given)


def _path(image: Any) -> str | None:
    return os.fspath(image) if isinstance(image, (str, os.PathLike)) else None
