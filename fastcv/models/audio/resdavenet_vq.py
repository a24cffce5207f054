"""ResDAVEnet-VQ: pictures and spoken captions in one space, and speech as units on the way."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastcv.models._mode import evaluating
from fastcv.models._registry import register
from fastcv.models._weights import load_state_dict, read_state_dict
from fastcv.models.audio._sound_model import sounds_of
from fastcv.models.audio.resdavenet import (
    DEPTHS,
    JITTER,
    KERNEL,
    WIDTHS,
    ResDAVEnet,
    own_lengths,
    stride_of,
)
from fastcv.models.audio.resdavenet_mel import FRAMES, HOP, MELS, RATE, padded_mels, resdavenet_mel
from fastcv.models.classification._classifier import Classifier, normalised_crops
from fastcv.models.language._joint_embedding import Index, JointEmbedding
from fastcv.models.language._trunks import for_pictures
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.losses.impostor_triplets import sampled_triplets, semi_hard_triplets
from fastcv.results import Units
from fastcv.sounds import SoundInput, read_sound

MARGIN = 1.0
CODEBOOKS = (0, 1024, 1024, 0, 0)  # VQ2 and VQ3: behind the first and the second layer


class SpokenBatch(NamedTuple):
    """Sounds as the network takes them.

    Args:
        mels: ``[B, 40, T]``, in dB.
        lengths: ``[B]`` int64: how many frames are each sound's own.
    """

    mels: Tensor
    lengths: Tensor


class ResDAVEnetVQ(JointEmbedding):
    """A ResNet for pictures and ``ResDAVEnet`` for speech; how well two match is their product.

    Where another joint embedding takes a text, this one takes a sound: ``predict`` ranks spoken
    captions for pictures, ``search`` pictures for spoken captions. Vectors keep their lengths, and
    scores are products, not cosines.

    Args:
        codebooks: codes at the five places of ``ResDAVEnet``; 0: none there.
        widths, depths, kernel, jitter, decay, commitment: as of ``ResDAVEnet``. The last width is
            the joint space's.
        frames: of a spectrogram, 100 a second: shorter ones are padded, longer ones cut.
        depth, width: of the ResNet.
        small_pictures: of some 64 pixels: a ResNet that sees cells of 8 pixels.
        margin: of the loss.

    Source: Harwath, Hsu and Glass, "Learning Hierarchical Discrete Linguistic Units from
        Visually-Grounded Speech" (2020); keys, front end and loss as in wnhsu's code.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model(
        ...     "resdavenet_vq", depth=18, width=8, widths=(4, 4, 8, 8, 16), frames=128,
        ...     codebooks=(0, 32, 16, 0, 0),
        ... )
        >>> spoken = (torch.rand(16000) - 0.5, 16000)
        >>> (found,) = model.search(spoken, [torch.rand(3, 64, 64), torch.rand(3, 96, 64)])
        >>> len(found), round(float(model.units(spoken).ends[-1]), 2)
        (2, 1.0)
    """

    rate = RATE
    preprocessing: Mapping[str, Any] = Classifier.preprocessing
    texts_at_a_time = 16

    def __init__(
        self,
        *,
        codebooks: Sequence[int] = CODEBOOKS,
        widths: Sequence[int] = WIDTHS,
        depths: Sequence[int] = DEPTHS,
        kernel: int = KERNEL,
        jitter: float = JITTER,
        decay: float = 0.99,
        commitment: float = 1.0,
        frames: int = FRAMES,
        depth: int = 50,
        width: int = 64,
        small_pictures: bool = False,
        margin: float = MARGIN,
    ) -> None:
        super().__init__()
        if frames < 16 or margin < 0:
            raise ValueError(
                f"frames must be at least 16 and margin at least 0, got {frames} and {margin}"
            )
        self.frames, self.margin = frames, margin
        self.audio_model = ResDAVEnet(
            mels=MELS,
            widths=widths,
            depths=depths,
            kernel=kernel,
            codebooks=codebooks,
            jitter=jitter,
            decay=decay,
            commitment=commitment,
        )
        self.image_model = for_pictures(ResNetTrunk(depth, width=width), small_pictures)
        self.image_model.embedder = nn.Conv2d(self.image_model.out_channels[-1], widths[-1], 1)

    # Pictures and sounds as vectors.

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of any sizes to one batch: resized, cropped, normalised."""
        return normalised_crops(images, self.preprocessing)

    def encode_images(self, images: Tensor) -> Tensor:
        """Vectors ``[B, D]`` of normalised images ``[B, 3, H, W]``: the mean over cells."""
        embedder: Any = self.image_model.embedder
        cells: Tensor = embedder(self.image_model(images)[-1])
        return cells.mean(dim=(2, 3))

    def prepare_texts(self, texts: Sequence[SoundInput]) -> SpokenBatch:
        """Sounds as log mel spectrograms on the model's device.

        Raises:
            TypeError, ValueError, FileNotFoundError: a sound that cannot be read or is too short.
        """
        like = next(self.parameters())
        mels = [resdavenet_mel(read_sound(sound).wave(self.rate)).to(like) for sound in texts]
        padded, lengths = padded_mels(mels, self.frames)
        return SpokenBatch(padded, lengths.to(like.device))

    def encode_texts(self, texts: SpokenBatch) -> Tensor:
        """Vectors ``[B, D]`` of what ``prepare_texts`` returned: the mean over frames."""
        return self.audio_model(*texts).vectors()

    def forward(self, images: Tensor) -> Tensor:
        """Vectors ``[B, D]`` of normalised images, of any length."""
        return self.encode_images(images)

    def text_vectors(self, texts: Sequence[SoundInput]) -> Tensor:
        """Vectors ``[B, D]`` of sounds, of any length."""
        return self.encode_texts(self.prepare_texts(texts))

    def index_texts(self, texts: SoundInput | Sequence[SoundInput] | Index) -> Index:
        """Sounds and their vectors, as ``predict`` takes them."""
        return super().index_texts(texts if isinstance(texts, Index) else list(sounds_of(texts)))

    @staticmethod
    def title(text: SoundInput) -> str:
        """A sound's file, or how long it is."""
        return os.fspath(text) if isinstance(text, (str, os.PathLike)) else str(read_sound(text))

    def nearest(self, queries: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """What ``rank`` returns, of arguments that it has checked: by products."""
        scores, indices = (queries @ candidates.T).sort(dim=1, descending=True, stable=True)
        return scores[:, :k], indices[:, :k]

    # Units.

    def units(self, sound: SoundInput, *, layer: int | None = None) -> Units:
        """What is said, as codes of one codebook; those in a row that are the same are one.

        Args:
            sound: as ``read_sound`` takes it.
            layer: the place of the codebook, 2 (every 20 ms) or 3 (every 40 ms) of the published
                form; None: the last.

        Raises:
            ValueError: there is no codebook, or a sound that cannot be read or is too short.
            TypeError, FileNotFoundError: as of ``read_sound``.
        """
        books = self.audio_model.codebooks
        if not books:
            raise ValueError("the model has no codebook, and so no units: build it with codebooks=")
        place = max(books) if layer is None else layer
        if place not in books:
            told = ", ".join(map(str, books))
            raise ValueError(f"layer must be one that has a codebook, {told}, got {layer}")
        with evaluating(self), torch.inference_mode():
            batch = self.prepare_texts([sound])
            codes = self.audio_model(*batch).codes[place][0]
        own = own_lengths(batch.lengths, stride_of(place))
        assert own is not None
        return Units.of_frames(
            codes[: int(own)],
            codes=books[place],
            seconds=stride_of(place) * HOP / RATE,
            source=self.title(sound),
        )

    # Training.

    def loss(
        self, output: Tensor, targets: Sequence[SoundInput] | SpokenBatch
    ) -> dict[str, Tensor]:
        """How much pictures and captions that do not belong together are alike, in both directions.

        Args:
            output: pictures' vectors ``[B, D]`` of ``forward``, B at least 2.
            targets: the spoken caption of each: sounds, or a batch of ``prepare_texts``.

        Returns:
            ``sampled`` and ``semi_hard``: the hinges of ``impostor_triplets``, the sum of both
            directions. With codebooks ``commitment``: how far frames are from their codes, the sum
            over codebooks.

        Raises:
            TypeError: targets of another type.
            ValueError: not one for each picture, fewer than two, or a sound that cannot be read.

        Source: wnhsu's code; the paper names the two kinds of impostors.
        """
        heard = self.audio_model(*self._spoken(targets, len(output)))
        scores = output @ heard.vectors().T
        terms = {
            name: hinge(scores, margin=self.margin) + hinge(scores.T, margin=self.margin)
            for name, hinge in (("sampled", sampled_triplets), ("semi_hard", semi_hard_triplets))
        }
        if heard.commitment:
            terms["commitment"] = torch.stack(list(heard.commitment.values())).sum()
        return terms

    def _spoken(self, targets: Any, count: int) -> SpokenBatch:
        """The targets of ``loss`` as a batch, a sound for each picture."""
        if isinstance(targets, SpokenBatch):
            if not all(isinstance(tensor, Tensor) for tensor in targets):
                raise TypeError("targets must be a SpokenBatch of tensors")
            given = len(targets.mels)
        elif isinstance(targets, (list, tuple)):
            given = len(targets)
        else:
            raise TypeError(
                f"targets must be a list of sounds or a SpokenBatch, got {type(targets).__name__}"
            )
        if given != count or count < 2:
            raise ValueError(
                f"targets must be a sound for each of two pictures or more, got {given} for {count}"
            )
        if isinstance(targets, SpokenBatch):
            return targets
        try:
            return self.prepare_texts(targets)
        except (TypeError, ValueError) as error:
            raise type(error)(f"targets: {error}") from None

    # Checkpoints.

    def load_published(self, audio: str | os.PathLike[str], image: str | os.PathLike[str]) -> None:
        """Loads the two files that wnhsu's code writes, ``audio_model`` and ``image_model``.

        Args:
            audio: the file of one net.
            image: the file of the other.

        Raises:
            ValueError: a file that is no checkpoint, or does not fit; of codebooks of another size
                the sentence says how to build the model.
            FileNotFoundError: a file that is not there.
        """
        states = []
        for part, path in ((self.audio_model, Path(audio)), (self.image_model, Path(image))):
            if not path.is_file():
                raise FileNotFoundError(f"there is no file {path}")
            state = read_state_dict(path)
            state = {key.removeprefix("module."): value for key, value in state.items()}
            if part is self.audio_model:
                self._check_codebooks(path, state)
            states.append((part, path, state))
        for part, path, state in states:
            load_state_dict(part, state, f"{path} does not fit {self.model_name}")

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """The state dict in a file.

        Raises:
            ValueError: it is none, or has codebooks of another size.
        """
        state = super().read_checkpoint(path)
        self._check_codebooks(path, state)
        return state

    def _check_codebooks(self, path: Path, state: Mapping[str, Tensor]) -> None:
        found = [0] * len(WIDTHS)
        for key, value in state.items():
            place = re.search(r"quant([1-5])\._embedding\.weight$", key)
            if place is not None:
                found[int(place[1]) - 1] = len(value)
        own = [self.audio_model.codebooks.get(n, 0) for n in range(1, len(WIDTHS) + 1)]
        if found != own:
            raise ValueError(
                f"{path} has codebooks of {found} codes, and this model's have {own}: build it "
                f"with codebooks={tuple(found)}"
            )


@register("resdavenet_vq", task="spoken_images")
def resdavenet_vq(**config: Any) -> ResDAVEnetVQ:
    """With codebooks of 1,024 codes at places 2 and 3; ``config``: what ``ResDAVEnetVQ`` takes."""
    return ResDAVEnetVQ(**config)


@register("resdavenet", task="spoken_images")
def resdavenet(**config: Any) -> ResDAVEnetVQ:
    """Without codebooks, as it learns first; ``config``: what ``ResDAVEnetVQ`` takes."""
    return ResDAVEnetVQ(**{"codebooks": (0,) * len(WIDTHS), **config})
