"""Show and Tell: a picture is the first word that an LSTM reads, and its caption follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from fastcv.models._registry import register
from fastcv.models.classification.googlenet import GoogLeNet
from fastcv.models.language._captioner import Captioner
from fastcv.models.language._trunks import for_pictures
from fastcv.models.language.beam_search import State
from fastcv.nn.backbones.resnet import ResNetTrunk

SIZE = 512  # of embedding and LSTM: section 4.3.1
START_WITHIN = 0.08  # the authors' later code: weights begin between minus that and that
DROPOUT = 0.3  # likewise, before and behind the LSTM


class ShowAndTell(Captioner):
    """An encoder, and an LSTM that reads what it tells once, then the words.

    The picture is the input of step -1 and of no other. ``<start>`` is that of step 0.

    Args:
        encoder: from images ``[B, 3, S, S]`` to vectors ``[B, channels]``.
        channels: of those.
        words: of the vocabulary, without the four special ones.
        embedding: numbers of a word's vector, and of the picture's.
        hidden: of the LSTM.
        dropout: of the LSTM's input and output, in training.

    Source: Vinyals et al., "Show and Tell: A Neural Image Caption Generator" (2015), equations 10
        to 13.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("show_and_tell_resnet18", words=("a", "cat"), width=8)
        >>> features = model(torch.rand(2, 3, 64, 64))
        >>> targets = torch.tensor([[1, 4, 5, 2], [1, 5, 2, 0]]), torch.tensor([4, 3])
        >>> features.shape, list(model.loss(features, targets))
        (torch.Size([2, 512]), ['nll'])
        >>> (caption,) = model.predict(torch.rand(3, 48, 64), method="beam", max_words=5)
        >>> type(caption).__name__, len(caption.alternatives)
        ('Caption', 2)
    """

    def __init__(
        self,
        encoder: nn.Module,
        channels: int,
        *,
        words: Sequence[str] = (),
        embedding: int = SIZE,
        hidden: int = SIZE,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__(words)
        size = len(self.vocabulary)
        self.encoder = encoder
        self.project = nn.Linear(channels, embedding)
        self.embedding = nn.Embedding(size, embedding)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, size)
        self.dropout = nn.Dropout(dropout)
        for part in (self.project, self.embedding, self.lstm, self.fc):
            for parameter in part.parameters():
                nn.init.uniform_(parameter, -START_WITHIN, START_WITHIN)

    def forward(self, images: Tensor) -> Tensor:
        """What the LSTM reads first, ``[B, embedding]``, of normalised images ``[B, 3, S, S]``."""
        return self.project(self.encoder(images))

    def begin(self, features: Tensor) -> tuple[State, State]:
        """The LSTM's state behind the picture, ``[B, hidden]`` twice."""
        _, state = self.lstm(self.dropout(features)[:, None])
        return (), tuple(part[0] for part in state)

    def step(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State, None]:
        """One word further; as of ``Captioner``."""
        logits, state = self._read(words[:, None], state)
        return logits[:, 0], state, None

    def teacher_forced(self, features: Tensor, ids: Tensor) -> tuple[Tensor, None]:
        """As of ``Captioner``, the words all at once."""
        _, state = self.begin(features)
        return self._read(ids, state)[0], None

    def _read(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        hidden, cell = (part[None].contiguous() for part in state)
        out, state = self.lstm(self.dropout(self.embedding(ids)), (hidden, cell))
        return self.fc(self.dropout(out)), tuple(part[0] for part in state)


class PooledTrunk(nn.Module):
    """The last map of a ResNet, pooled to a grid, as one vector.

    Args:
        trunk: whose last map it is.
        grid: cells along each side. 1 is the mean; more tell where something is.
    """

    def __init__(self, trunk: ResNetTrunk, grid: int) -> None:
        super().__init__()
        self.trunk, self.pool = trunk, nn.AdaptiveAvgPool2d(grid)

    def forward(self, images: Tensor) -> Tensor:
        return self.pool(self.trunk(images)[-1]).flatten(1)


@register("show_and_tell", task="captioning")
def show_and_tell(**config: Any) -> ShowAndTell:
    """On GoogLeNet with batch norms, the network of the paper of 2015; ``config``: what
    ``ShowAndTell`` takes."""
    trunk: Any = GoogLeNet(False, num_classes=1, aux_logits=False)
    trunk.fc = nn.Identity()
    trunk.dropout = nn.Identity()
    model = ShowAndTell(trunk, 1024, **config)
    # torchvision's weights were trained on 2 x - 1 of values in [0, 1].
    model.preprocessing = {"size": 224, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    return model


@register("show_and_tell_resnet18", task="captioning")
def show_and_tell_resnet18(
    *,
    size: int = 224,
    grid: int = 1,
    width: int = 64,
    small_pictures: bool = False,
    **config: Any,
) -> ShowAndTell:
    """On ResNet-18.

    Args:
        size: of the square that each picture becomes, in pixels.
        grid: as of ``PooledTrunk``.
        width: channels of the first stage.
        small_pictures: of some 64 pixels: a trunk that sees cells of 8 pixels.
        config: what ``ShowAndTell`` takes.
    """
    trunk = for_pictures(ResNetTrunk(18, width=width), small_pictures)
    channels = trunk.out_channels[-1] * grid**2
    model = ShowAndTell(PooledTrunk(trunk, grid), channels, **config)
    model.preprocessing = {**Captioner.preprocessing, "size": size}
    return model
