"""Tacotron 2's decoder: a frame after the other, each from the one before."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models.audio._location_attention import LocationAttention

PRENET_DROPOUT = 0.5  # section 2.2: also when it speaks
LSTM_DROPOUT = 0.1


class Prenet(nn.Module):
    """Two layers that a frame passes, half of it left out at random, also in eval mode.

    The bottleneck makes the decoder read the text: of the frame before alone it could go on.

    Args:
        mels: bands of a frame.
        size: of both layers.

    Source: Shen et al. (2018), section 2.2.
    """

    def __init__(self, mels: int, size: int = 256) -> None:
        super().__init__()
        layers = [nn.Linear(inputs, size, bias=False) for inputs in (mels, size)]
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
        self.layers = nn.ModuleList(layers)

    def draw(self, batch: int, generator: torch.Generator | None = None) -> Tensor:
        """What is left of the layers' outputs at one step: ``[layers, B, size]`` of 0 and 2.

        Args:
            generator: of random numbers, on the CPU, so that a seed is the same on every device;
                None: torch's.
        """
        weight = self.layers[0].get_parameter("weight")
        shape = (len(self.layers), batch, len(weight))
        if generator is None:
            kept = torch.rand(shape, device=weight.device) >= PRENET_DROPOUT
        else:
            kept = (torch.rand(shape, generator=generator) >= PRENET_DROPOUT).to(weight.device)
        return kept.to(weight.dtype) / (1 - PRENET_DROPOUT)

    def forward(self, frames: Tensor, kept: Tensor) -> Tensor:
        """From frames ``[..., B, mels]`` to ``[..., B, size]``, with ``kept``, of ``draw``,
        ``[..., layers, B, size]``."""
        for layer, scale in zip(self.layers, kept.unbind(-3), strict=True):
            frames = F.relu(layer(frames)) * scale
        return frames


class State(NamedTuple):
    """What the decoder knows after a step.

    Args:
        attention, decoder: ``(hidden, cell)`` of each LSTM, ``[B, hidden]`` each.
        weights: ``[B, 2, N]``, of the attention: of the last step, and the sum of all steps'.
        context: ``[B, memory_size]``.
    """

    attention: tuple[Tensor, Tensor]
    decoder: tuple[Tensor, Tensor]
    weights: Tensor
    context: Tensor


class Memory(NamedTuple):
    """What the decoder looks at.

    Args:
        vectors: ``[B, N, memory_size]``, of the encoder.
        keys: ``[B, N, attention_size]``.
        counts: ``[B, N]`` bool, false where there is padding.
    """

    vectors: Tensor
    keys: Tensor
    counts: Tensor


class Frames(NamedTuple):
    """What the decoder makes.

    Args:
        mels: ``[B, mels, T]``.
        gates: ``[B, T]``, logits of "this is the last".
        alignments: ``[B, T, N]``, where was looked.
    """

    mels: Tensor
    gates: Tensor
    alignments: Tensor


class FrameDecoder(nn.Module):
    """An LSTM that looks at the text, one that writes, a layer for a frame, one for the stop.

    Args:
        mels: bands of a frame.
        memory_size: of the encoder's vectors.
        hidden: of both LSTMs.
        prenet_size, attention_size: of the parts.

    Source: Shen et al. (2018), section 2.2.
    """

    def __init__(
        self,
        mels: int = 80,
        memory_size: int = 512,
        hidden: int = 1024,
        prenet_size: int = 256,
        attention_size: int = 128,
    ) -> None:
        super().__init__()
        self.mels, self.hidden = mels, hidden
        self.prenet = Prenet(mels, prenet_size)
        self.attention_rnn = nn.LSTMCell(prenet_size + memory_size, hidden)
        self.attention_layer = LocationAttention(hidden, memory_size, attention_size)
        self.decoder_rnn = nn.LSTMCell(hidden + memory_size, hidden)
        self.linear_projection = nn.Linear(hidden + memory_size, mels)
        self.gate_layer = nn.Linear(hidden + memory_size, 1)
        nn.init.xavier_uniform_(self.linear_projection.weight)
        nn.init.xavier_uniform_(self.gate_layer.weight, nn.init.calculate_gain("sigmoid"))

    def begin(self, vectors: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        """Before the first frame.

        Args:
            vectors: ``[B, N, memory_size]``.
            lengths: ``[B]`` int64.
        """
        batch, symbols, size = vectors.shape
        counts = torch.arange(symbols, device=vectors.device) < lengths.to(vectors.device)[:, None]
        memory = Memory(vectors, self.attention_layer.memory_layer(vectors), counts)
        hidden = vectors.new_zeros(batch, self.hidden)
        weights = vectors.new_zeros(batch, 2, symbols)
        context = vectors.new_zeros(batch, size)
        return memory, State((hidden, hidden), (hidden, hidden), weights, context)

    def step(self, frame: Tensor, memory: Memory, state: State) -> tuple[Tensor, Tensor, State]:
        """One frame further.

        Args:
            frame: ``[B, prenet_size]``, the one before, behind the prenet.

        Returns:
            ``(mel, gate, state)``: ``[B, mels]``, ``[B]``; and the next state.
        """
        hidden, cell = self.attention_rnn(torch.cat([frame, state.context], 1), state.attention)
        hidden = F.dropout(hidden, LSTM_DROPOUT, self.training)
        context, weights = self.attention_layer(
            hidden, memory.vectors, memory.keys, state.weights, memory.counts
        )
        summed = state.weights[:, 1] + weights
        written, written_cell = self.decoder_rnn(torch.cat([hidden, context], 1), state.decoder)
        written = F.dropout(written, LSTM_DROPOUT, self.training)
        known = torch.cat([written, context], 1)
        following = State(
            (hidden, cell), (written, written_cell), torch.stack([weights, summed], 1), context
        )
        return self.linear_projection(known), self.gate_layer(known)[:, 0], following

    def forward(
        self,
        vectors: Tensor,
        lengths: Tensor,
        mels: Tensor,
        generator: torch.Generator | None = None,
    ) -> Frames:
        """Teacher forcing: each frame from the right one before it.

        Args:
            vectors: ``[B, N, memory_size]``, of the encoder.
            lengths: ``[B]`` int64.
            mels: ``[B, mels, T]``, the right frames.
            generator: of the prenet's dropout.
        """
        memory, state = self.begin(vectors, lengths)
        steps = mels.permute(2, 0, 1)
        before = torch.cat([torch.zeros_like(steps[:1]), steps[:-1]])
        # Drawn step by step, so that a seed is the same here and where frames are made one by one.
        kept = torch.stack([self.prenet.draw(len(mels), generator) for _ in steps])
        made: list[tuple[Tensor, Tensor, Tensor]] = []
        for frame in self.prenet(before, kept):
            mel, gate, state = self.step(frame, memory, state)
            made.append((mel, gate, state.weights[:, 0]))
        return stacked(made)

    def infer(
        self,
        vectors: Tensor,
        lengths: Tensor,
        *,
        max_steps: int,
        threshold: float = 0.5,
        generator: torch.Generator | None = None,
    ) -> tuple[Frames, Tensor, Tensor]:
        """Each frame from the one that was made before it.

        Args:
            vectors, lengths, generator: as of ``forward``.
            max_steps: there it ends at the latest.
            threshold: a text ends with the frame whose probability of being the last is higher.

        Returns:
            ``(frames, counts, ended)``: until all texts have ended; ``[B]`` int64, how many frames
            are of each; ``[B]`` bool, whether it ended by itself.
        """
        memory, state = self.begin(vectors, lengths)
        mel = vectors.new_zeros(len(vectors), self.mels)
        counts = torch.zeros(len(vectors), dtype=torch.int64, device=vectors.device)
        ended = torch.zeros_like(counts, dtype=torch.bool)
        made: list[tuple[Tensor, Tensor, Tensor]] = []
        while len(made) < max_steps and not bool(ended.all()):
            frame = self.prenet(mel, self.prenet.draw(len(vectors), generator))
            mel, gate, state = self.step(frame, memory, state)
            made.append((mel, gate, state.weights[:, 0]))
            counts += ~ended
            ended = ended | (gate.sigmoid() > threshold)
        return stacked(made), counts, ended


def stacked(made: list[tuple[Tensor, Tensor, Tensor]]) -> Frames:
    """Steps ``(mel [B, mels], gate [B], weights [B, N])`` as one."""
    mels, gates, weights = zip(*made, strict=True)
    return Frames(torch.stack(mels, 2), torch.stack(gates, 1), torch.stack(weights, 1))
