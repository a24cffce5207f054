"""Tacotron 2: from a text to the mel spectrogram of its speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.language import Symbols
from fastcv.language.symbols import ENGLISH
from fastcv.models._registry import register
from fastcv.models.audio._speaker import Speaker, Spoken
from fastcv.models.audio._tacotron_decoder import FrameDecoder
from fastcv.models.audio._tacotron_encoder import Postnet, SymbolEncoder
from fastcv.nn.losses._tensors import check_two_tensors

STOP = 0.5  # a frame whose probability of being the last is higher is the last


class SpeechBatch(NamedTuple):
    """What ``forward`` takes: texts, and the right frames, of which each next one is made.

    Args:
        ids: ``[B, N]`` int64, symbols; 0 behind the end of each text.
        lengths: ``[B]`` int64, symbols of each.
        mels: ``[B, mels, T]``, frames.
    """

    ids: Tensor
    lengths: Tensor
    mels: Tensor


class SpeechFrames(NamedTuple):
    """What ``forward`` returns.

    Args:
        before: ``[B, mels, T]``, what the decoder made.
        mels: ``[B, mels, T]``, with what the postnet added.
        gates: ``[B, T]``, logits of "this is the last frame".
        alignments: ``[B, T, N]``, where in the text each frame looked.
    """

    before: Tensor
    mels: Tensor
    gates: Tensor
    alignments: Tensor


class Tacotron2(Speaker):
    """Reads symbols, looks at them one after the other, and writes a frame at a time.

    Args:
        symbols: what texts are made of, without the padding, which is id 0: by default the 147 of
            NVIDIA's; units such as ``["u0", "u1", ...]`` for a text of those.
        embedding: numbers of a symbol.
        hidden: of both LSTMs of the decoder.
        prenet, attention, postnet: widths of those parts.
        mels: bands of a frame.

    Raises:
        ValueError: symbols that are there twice.

    Source: Shen et al., "Natural TTS Synthesis by Conditioning WaveNet on Mel Spectrogram
        Predictions" (2018); sizes that the paper leaves open are NVIDIA's.

    Example:
        >>> import fastcv
        >>> model = fastcv.create_model("tacotron2")
        >>> sum(p.numel() for p in model.parameters())
        28193153
    """

    def __init__(
        self,
        symbols: Sequence[str] = (),
        *,
        embedding: int = 512,
        hidden: int = 1024,
        prenet: int = 256,
        attention: int = 128,
        postnet: int = 512,
        mels: int = 80,
    ) -> None:
        super().__init__(Symbols(symbols or ENGLISH), mels)
        self.embedding = nn.Embedding(len(self.symbols), embedding)
        nn.init.xavier_uniform_(self.embedding.weight)
        self.encoder = SymbolEncoder(embedding)
        self.decoder = FrameDecoder(mels, embedding, hidden, prenet, attention)
        self.postnet = Postnet(mels, postnet)

    def forward(self, batch: SpeechBatch, *, seed: int | None = None) -> SpeechFrames:
        """Teacher forcing: each frame is made from the right one before it.

        Args:
            batch: texts and their right frames.
            seed: of the prenet's dropout, which is never off; None: torch's random numbers.

        Raises:
            TypeError: no ``SpeechBatch``.
            ValueError: ids of no symbol, lengths that are not 1 to N, or frames of another shape.
        """
        self._check_batch(batch)
        read = self.encoder(self.embedding(batch.ids), batch.lengths)
        made = self.decoder(read, batch.lengths, batch.mels, _generator(seed))
        return SpeechFrames(
            made.mels, made.mels + self.postnet(made.mels), made.gates, made.alignments
        )

    def infer(
        self, ids: Tensor, lengths: Tensor, *, max_steps: int = 1000, seed: int | None = None
    ) -> Spoken:
        """Frames of texts, each from the one that was made before it.

        Args:
            ids, lengths: as of ``SpeechBatch``.
            max_steps: there it ends at the latest.
            seed: of the prenet's dropout, as of ``forward``.

        Raises:
            ValueError: ids or lengths as of ``forward``, or ``max_steps`` under 1.
        """
        self._check_ids(ids, lengths)
        if max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {max_steps}")
        read = self.encoder(self.embedding(ids), lengths)
        made, counts, ended = self.decoder.infer(
            read, lengths, max_steps=max_steps, threshold=STOP, generator=_generator(seed)
        )
        mels = made.mels + self.postnet(made.mels)
        return Spoken(mels, made.alignments, counts, ended)

    def loss(self, output: SpeechFrames, targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """How far frames are from the right ones, before and behind the postnet, and whether the
        last one says so. Frames behind the end of a text do not count.

        Args:
            output: of ``forward``.
            targets: ``(mels, frames)``: ``[B, mels, T]``, and ``[B]`` int64, how many count.

        Raises:
            TypeError: targets that are no pair of tensors.
            ValueError: targets of another shape or dtype.
        """
        mels, frames = self._check_targets(output, targets)
        places = torch.arange(mels.shape[2], device=mels.device)
        counts = places < frames[:, None]
        last = (places == frames[:, None] - 1).to(output.gates.dtype)
        right = mels.transpose(1, 2)[counts]
        return {
            "mel": F.mse_loss(output.before.transpose(1, 2)[counts], right),
            "postnet": F.mse_loss(output.mels.transpose(1, 2)[counts], right),
            "gate": F.binary_cross_entropy_with_logits(output.gates[counts], last[counts]),
        }

    def rename_key(self, key: str) -> str:
        """Ours for NVIDIA's, whose layers lie in layers of their own."""
        return key.replace(".conv.", ".").replace(".linear_layer.", ".")

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """The state dict in a file.

        Raises:
            ValueError: it is none, or of another number of symbols.
        """
        state = super().read_checkpoint(path)
        for key, tensor in state.items():
            if key.endswith("embedding.weight") and len(tensor) != len(self.symbols):
                raise ValueError(
                    f"{path} has weights of {len(tensor)} symbols, with the padding, and this "
                    f"model has {len(self.symbols)}: pass those it was trained with, symbols=(...)"
                )
        return state

    def _check_ids(self, ids: Tensor, lengths: Tensor) -> None:
        size = len(self.symbols)
        if ids.ndim != 2 or 0 in ids.shape or ids.dtype != torch.int64:
            raise ValueError(f"ids must be [B, N] int64, got {list(ids.shape)} {ids.dtype}")
        if bool(((ids < 0) | (ids >= size)).any()):
            raise ValueError(
                f"ids must be 0 to {size - 1}, got {int(ids.min())} to {int(ids.max())}"
            )
        if lengths.shape != ids.shape[:1] or bool(((lengths < 1) | (lengths > ids.shape[1])).any()):
            raise ValueError(
                f"lengths must be [{len(ids)}], each 1 to {ids.shape[1]}, got {lengths.tolist()}"
            )

    def _check_batch(self, batch: object) -> None:
        if not isinstance(batch, SpeechBatch):
            raise TypeError(f"batch must be a SpeechBatch, got {type(batch).__name__}")
        self._check_ids(batch.ids, batch.lengths)
        shape = list(batch.mels.shape)
        if len(shape) != 3 or shape[:2] != [len(batch.ids), self.mels] or shape[2] == 0:
            raise ValueError(f"mels must be [{len(batch.ids)}, {self.mels}, T], got {shape}")

    def _check_targets(self, output: SpeechFrames, targets: Any) -> tuple[Tensor, Tensor]:
        check_two_tensors("targets", targets, "(mels, frames), two tensors")
        mels, frames = targets
        shape = output.mels.shape
        if mels.shape != shape or not mels.is_floating_point():
            raise ValueError(
                f"targets must have mels {list(shape)}, got {list(mels.shape)} {mels.dtype}"
            )
        if frames.shape != shape[:1] or frames.dtype != torch.int64:
            raise ValueError(
                f"targets must have frames [{shape[0]}] int64, got {list(frames.shape)} "
                f"{frames.dtype}"
            )
        if bool(((frames < 1) | (frames > shape[2])).any()):
            raise ValueError(
                f"targets must have frames 1 to {shape[2]}, got {int(frames.min())} to "
                f"{int(frames.max())}"
            )
        return mels, frames


def _generator(seed: int | None) -> torch.Generator | None:
    return None if seed is None else torch.Generator().manual_seed(seed)


@register("tacotron2", task="speech")
def tacotron2(
    *,
    symbols: Sequence[str] = (),
    embedding: int = 512,
    hidden: int = 1024,
    prenet: int = 256,
    attention: int = 128,
    postnet: int = 512,
    mels: int = 80,
) -> Tacotron2:
    """Tacotron 2 for English, or for other symbols."""
    return Tacotron2(
        symbols,
        embedding=embedding,
        hidden=hidden,
        prenet=prenet,
        attention=attention,
        postnet=postnet,
        mels=mels,
    )
