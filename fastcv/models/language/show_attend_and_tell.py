"""Show, Attend and Tell: at each word a look at some places of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from fastcv.language.units import UnitVocabulary
from fastcv.language.vocabulary import SPECIAL
from fastcv.models._pickled_modules import or_convert
from fastcv.models._registry import register
from fastcv.models.language._captioner import Captioner, counted
from fastcv.models.language._trunks import for_pictures
from fastcv.models.language.beam_search import State
from fastcv.models.language.hard_attention import Reinforce, look_hard
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.layers.sine_position import SinePosition

Kind = Literal["soft", "hard"]
SIZE = 512  # of embedding, LSTM and attention
GRID = 14
LONGEST_WAVE = 20.0  # of positions, in shortest ones
DROPOUT = 0.5
DOUBLY_STOCHASTIC = 1.0  # weight of the penalty: equation 14
ENCODER_LR, DECODER_LR = 1e-4, 4e-4
MAX_GRADIENT = 5.0
PARTS = {"0": "conv1", "1": "bn1", **{str(i + 3): f"layer{i}" for i in range(1, 5)}}
"""sgrvinod's numbers of ResNet's parts, and their names; the others have no weights."""


class ShowAttendAndTell(Captioner):
    """A ResNet, whose last map is a grid of annotations, and an LSTM that looks at it.

    Before each step the LSTM's state says how much to look at each cell. The sum of the
    annotations, weighted so and gated by the state, goes in together with the last word.

    Args:
        encoder: the ResNet.
        words: of the vocabulary, without the four special ones.
        grid: cells along each side, to which the map is pooled.
        embedding: numbers of a word's vector.
        hidden: of the LSTM.
        attention_size: numbers in which annotations and state are compared.
        dropout: of the LSTM's output, in training.
        attention: ``"soft"``: the weighted sum; ``"hard"``: one cell, drawn by the weights in
            training, and the one with the largest weight otherwise.
        positions: add sines and cosines of a cell's place to its annotation. A deep CNN's cells
            know their place from the border that each convolution sees; those of a small one that
            sees little around each cell do not.

    Raises:
        ValueError: attention of another name.

    Source: Xu et al., "Show, Attend and Tell: Neural Image Caption Generation with Visual
        Attention" (2015), sections 3 and 4; sizes, the gate of each channel and the linear layers
        of the first state as in sgrvinod's code.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model(
        ...     "show_attend_and_tell_resnet18", words=("a", "cat"), width=8, grid=4
        ... )
        >>> features = model(torch.rand(2, 3, 64, 64))
        >>> targets = torch.tensor([[1, 4, 5, 2], [1, 5, 2, 0]]), torch.tensor([4, 3])
        >>> features.shape, list(model.loss(features, targets))
        (torch.Size([2, 16, 64]), ['nll', 'doubly_stochastic'])
        >>> (caption,) = model.predict(torch.rand(3, 48, 64), max_words=5)
        >>> caption.attention.shape[1:]
        torch.Size([4, 4])
    """

    tells_attention = True
    baseline: Tensor
    positions: Tensor | None

    def __init__(
        self,
        encoder: ResNetTrunk,
        *,
        words: Sequence[str] = (),
        grid: int = GRID,
        embedding: int = SIZE,
        hidden: int = SIZE,
        attention_size: int = SIZE,
        dropout: float = DROPOUT,
        attention: Kind = "soft",
        positions: bool = False,
    ) -> None:
        super().__init__(words)
        if attention not in ("soft", "hard"):
            raise ValueError(f"attention must be 'soft' or 'hard', got {attention!r}")
        self.attention = attention
        self.encoder, self.pool = encoder, nn.AdaptiveAvgPool2d(grid)
        self.decoder = AttentionDecoder(
            len(self.vocabulary),
            encoder.out_channels[-1],
            embedding=embedding,
            hidden=hidden,
            attention_size=attention_size,
            dropout=dropout,
        )
        self.grid = grid
        places = None
        if positions:
            waves = SinePosition(encoder.out_channels[-1], LONGEST_WAVE)
            places = waves(torch.zeros(1, grid, grid, dtype=torch.bool)).flatten(2).transpose(1, 2)
        self.register_buffer("positions", places, persistent=False)
        if attention == "hard":
            # A buffer: a run that is resumed goes on with it.
            self.register_buffer("baseline", torch.zeros(()))

    def rename_key(self, key: str) -> str:
        """sgrvinod's encoder is a list of ResNet's parts."""
        parts = key.split(".")
        if parts[:2] == ["encoder", "resnet"] and len(parts) > 2 and parts[2] in PARTS:
            return ".".join(["encoder", PARTS[parts[2]], *parts[3:]])
        return key

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """The state dict in a file; of whole pickled modules, a sentence says what to do."""
        command = (
            f"python -m fastcv.models.language.unpickle_captioner {path} WORDMAP.json "
            "captioner.safetensors"
        )
        with or_convert(path, command):
            return super().read_checkpoint(path)

    def forward(self, images: Tensor) -> Tensor:
        """Annotations ``[B, grid * grid, C]``, row by row, of normalised images
        ``[B, 3, S, S]``."""
        annotations: Tensor = self.pool(self.encoder(images)[-1]).flatten(2).transpose(1, 2)
        return annotations if self.positions is None else annotations + self.positions

    def begin(self, features: Tensor) -> tuple[State, State]:
        """The annotations, and what attention compares them by; the LSTM's first state."""
        return self.decoder.begin(features)

    def step(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State, Tensor]:
        """One word further; as of ``Captioner``."""
        weights, gate = self.decoder.look(state, memory)
        looked = weights
        if self.attention == "hard":
            looked = F.one_hot(weights.argmax(dim=-1), weights.shape[-1]).to(weights)
        state = self.decoder.read(self.decoder.embedding(words), looked, gate, state, memory)
        logits = self.decoder.fc(self.decoder.dropout(state[0]))
        return logits, state, weights.reshape(-1, self.grid, self.grid)

    def loss(self, output: Tensor, targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """What is minimised.

        Args:
            output: annotations ``[B, L, C]``, of ``forward``.
            targets: as of ``Captioner``.

        Returns:
            ``nll``: the mean negative log-probability of a word. With soft attention
            ``doubly_stochastic``: the mean square of 1 less what a cell was looked at in all. With
            hard attention in training ``reinforce`` and ``entropy``; see ``hard_attention``.

        Raises:
            TypeError, ValueError: as of ``Captioner``.
        """
        ids, lengths = self.check_targets(output, targets)
        counts = counted(ids, lengths)
        if self.attention == "hard" and self.training:
            return self._hard_loss(output, ids, counts)
        logits, maps = self.teacher_forced(output, ids[:, :-1])
        terms = {"nll": F.cross_entropy(logits[counts], ids[:, 1:][counts])}
        if self.attention == "soft" and maps is not None:
            looked = (maps.flatten(2) * counts[:, :, None]).sum(dim=1)
            terms["doubly_stochastic"] = DOUBLY_STOCHASTIC * (1 - looked).square().mean()
        return terms

    def _hard_loss(self, output: Tensor, ids: Tensor, counts: Tensor) -> dict[str, Tensor]:
        memory, state = self.begin(output)
        draws = Reinforce.of(len(ids), ids.device)
        logits = []
        for words in ids[:, :-1].unbind(1):
            weights, gate = self.decoder.look(state, memory)
            looked = look_hard(weights[:, 0], draws)[:, None]
            state = self.decoder.read(self.decoder.embedding(words), looked, gate, state, memory)
            logits.append(self.decoder.fc(self.decoder.dropout(state[0])))
        return draws.loss(torch.stack(logits, 1), ids[:, 1:], counts, self.baseline)

    def adam(
        self,
        parameters: list[nn.Parameter],
        *,
        encoder_lr: float = ENCODER_LR,
        decoder_lr: float = DECODER_LR,
        max_gradient: float = MAX_GRADIENT,
    ) -> Optimizer:
        """sgrvinod's optimiser, for ``fit(optimizer=model.adam)``.

        Args:
            parameters: to train; those of the encoder are a group of their own.
            encoder_lr: of those.
            decoder_lr: of the others.
            max_gradient: each number of a gradient is clipped to this, up and down.
        """
        from fastcv.learn.transfer import two_rates  # learn imports models, and comes first

        groups = two_rates(self.decoder, Adam, head_lr=decoder_lr, body_lr=encoder_lr)
        optimizer = groups(parameters)
        optimizer.register_step_pre_hook(partial(_clip, max_gradient))
        return optimizer


def _clip(limit: float, optimizer: Optimizer, *_: Any) -> None:
    for group in optimizer.param_groups:
        torch.nn.utils.clip_grad_value_(group["params"], limit)


class Attention(nn.Module):
    """How much to look at each annotation: a network of one hidden layer, and a softmax."""

    def __init__(self, channels: int, hidden: int, size: int) -> None:
        super().__init__()
        self.encoder_att = nn.Linear(channels, size)
        self.decoder_att = nn.Linear(hidden, size)
        self.full_att = nn.Linear(size, 1)

    def forward(self, keys: Tensor, hidden: Tensor) -> Tensor:
        """Weights ``[B, K, L]`` that add up to 1.

        Args:
            keys: ``encoder_att`` of the annotations, ``[B, L, A]``.
            hidden: states of K sentences a picture, ``[B, K, H]``.
        """
        both = (keys[:, None] + self.decoder_att(hidden)[:, :, None]).relu()
        return self.full_att(both)[..., 0].softmax(dim=-1)


class AttentionDecoder(nn.Module):
    """The part that writes; its keys are those of sgrvinod's ``DecoderWithAttention``.

    Args:
        words: in the vocabulary.
        channels: of an annotation.
        embedding, hidden, attention_size, dropout: as of ``ShowAttendAndTell``.
    """

    def __init__(
        self,
        words: int,
        channels: int,
        *,
        embedding: int,
        hidden: int,
        attention_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.attention = Attention(channels, hidden, attention_size)
        self.embedding = nn.Embedding(words, embedding)
        self.dropout = nn.Dropout(dropout)
        self.decode_step = nn.LSTMCell(embedding + channels, hidden)
        self.init_h = nn.Linear(channels, hidden)
        self.init_c = nn.Linear(channels, hidden)
        self.f_beta = nn.Linear(hidden, channels)
        self.fc = nn.Linear(hidden, words)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.fc.weight, -0.1, 0.1)
        nn.init.zeros_(self.fc.bias)

    def begin(self, annotations: Tensor) -> tuple[State, State]:
        """``(annotations, keys)`` ``[B, L, C]`` and ``[B, L, A]``; ``(h, c)`` ``[B, H]`` of the
        mean annotation."""
        mean = annotations.mean(dim=1)
        keys = self.attention.encoder_att(annotations)  # once, and not at each word
        return (annotations, keys), (self.init_h(mean), self.init_c(mean))

    def look(self, state: State, memory: State) -> tuple[Tensor, Tensor]:
        """Weights ``[B, K, L]`` of the annotations, and the gate ``[B * K, C]``, of the state
        before the step."""
        hidden, keys = state[0], memory[1]
        by_picture = hidden.view(len(keys), -1, hidden.shape[1])
        return self.attention(keys, by_picture), self.f_beta(hidden).sigmoid()

    def read(
        self, words: Tensor, weights: Tensor, gate: Tensor, state: State, memory: State
    ) -> State:
        """The state after the step.

        Args:
            words: vectors ``[B * K, E]``.
            weights: ``[B, K, L]``.
            gate: ``[B * K, C]``.
            state, memory: of ``begin``, or the last step's.
        """
        context = gate * torch.bmm(weights, memory[0]).flatten(0, 1)
        hidden, cell = self.decode_step(torch.cat([words, context], dim=1), (state[0], state[1]))
        return hidden, cell


def _on_resnet(
    depth: int, size: int, width: int, small_pictures: bool, config: dict[str, Any]
) -> ShowAttendAndTell:
    trunk = for_pictures(ResNetTrunk(depth, width=width), small_pictures)
    model = ShowAttendAndTell(trunk, **config)
    model.preprocessing = {**Captioner.preprocessing, "size": size}
    return model


@register("show_attend_and_tell", task="captioning")
def show_attend_and_tell(
    *,
    size: int = 256,
    width: int = 64,
    small_pictures: bool = False,
    **config: Any,
) -> ShowAttendAndTell:
    """On ResNet-101, as sgrvinod's.

    Args:
        size: of the square that each picture becomes, in pixels.
        width: channels of the first stage.
        small_pictures: of some 64 pixels: a trunk that sees cells of 8 pixels.
        config: what ``ShowAttendAndTell`` takes.
    """
    return _on_resnet(101, size, width, small_pictures, config)


@register("show_attend_and_tell_resnet18", task="captioning")
def show_attend_and_tell_resnet18(
    *,
    size: int = 256,
    width: int = 64,
    small_pictures: bool = False,
    **config: Any,
) -> ShowAttendAndTell:
    """On ResNet-18; arguments as of ``show_attend_and_tell``."""
    return _on_resnet(18, size, width, small_pictures, config)


@register("image_to_units", task="captioning")
def image_to_units(
    *,
    units: int = 1024,
    depth: int = 101,
    size: int = 256,
    width: int = 64,
    small_pictures: bool = False,
    **config: Any,
) -> ShowAttendAndTell:
    """A captioner whose words are units of speech, ``u0`` to ``u1023``: what a picture sounds like.

    Args:
        units: how many there are: the size of the codebook that they are codes of.
        depth: of the ResNet.
        size, width, small_pictures, config: as of ``show_attend_and_tell``, but without words.

    Source: Hsu, Harwath, Song and Glass, "Text-Free Image-to-Speech Synthesis Using Learned
        Segmental Units" (2021).
    """
    vocabulary = UnitVocabulary(units)
    if "words" in config:
        raise TypeError("image_to_units takes no words: they are its units")
    config["words"] = vocabulary.words[len(SPECIAL) :]
    model = _on_resnet(depth, size, width, small_pictures, config)
    model.vocabulary = vocabulary
    return model
