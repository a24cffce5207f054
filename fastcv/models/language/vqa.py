"""Visual question answering: a question's LSTM and a picture's CNN, multiplied number by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR

from fastcv.language import Vocabulary
from fastcv.models._model import ignore_keys
from fastcv.models._registry import register
from fastcv.models.language._question_answerer import QuestionAnswerer
from fastcv.models.language._question_batch import (
    Modality,
    QuestionBatch,
    check_modality,
    check_question_batch,
)
from fastcv.nn.backbones.vgg import VGGTrunk

# Of the published training.
INIT = 0.08  # every weight and bias behind the CNN starts evenly in +- this
LR = 3e-4
DECAY = 0.99997592083  # of the learning rate, in each step
MAX_GRADIENT = 10.0


class VGGFeatures(VGGTrunk):
    """VGG-19 up to its seventh layer with weights that is no convolution's ("fc7"), ReLU included.

    Its keys are torchvision's, and it loads a whole VGG-19 without its last layer.

    Args:
        width: channels of the first stage; VGG's are 64.
        features: F, numbers of the two fully connected layers; VGG's are 4096.
        dropout: behind the first of them.
    """

    def __init__(self, width: int = 64, features: int = 4096, dropout: float = 0.5) -> None:
        super().__init__(19, width=width)
        self.classifier = nn.Sequential(
            nn.Linear(8 * width * 7 * 7, features),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(features, features),
            nn.ReLU(inplace=True),
        )
        for layer in self.classifier:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        ignore_keys(self, "classifier.6.")

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]  # a trunk gives maps
        """Features ``[N, F]``, 0 or more, of normalised images ``[N, 3, H, W]``, sides from 32."""
        maps = F.adaptive_avg_pool2d(self.features(images), 7)
        return self.classifier(maps.flatten(1))


class SmallFeatures(nn.Sequential):
    """Five convolutions with norms down to an eighth of the size, and the largest value of each
    channel: ours, for small pictures.

    Args:
        width: channels of the first convolution; the next have 2, 4 and 4 times as many.
        features: F, channels of the last.
    """

    def __init__(self, width: int, features: int) -> None:
        def convolved(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
            conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
            return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

        super().__init__(
            *convolved(3, width, 5, stride=2),
            *convolved(width, 2 * width, 3),
            nn.MaxPool2d(2),
            *convolved(2 * width, 4 * width, 3),
            nn.MaxPool2d(2),
            *convolved(4 * width, 4 * width, 3),
            *convolved(4 * width, features, 1),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features ``[N, F]``, 0 or more, of normalised images ``[N, 3, H, W]``."""
        # Channels last: 1.3 times as fast on a CPU, there and back.
        x = images.contiguous(memory_format=torch.channels_last)
        for layer in self:
            x = layer(x)
        return x


class VQALSTMCNN(QuestionAnswerer):
    """An LSTM reads the question, a CNN sees the picture, and their product is classified.

    The question is the last memory and the last output of both layers of the LSTM, ``[c1, h1, c2,
    h2]``. The picture is the CNN's features, scaled to length 1. Each goes through a linear layer
    and tanh to the same number of values, these are multiplied value by value, and a linear layer
    has a logit for each answer.

    The CNN is trained with the rest; the paper's is not. ``freeze(model.image_encoder)`` of
    ``fastcv.learn`` leaves it as it is.

    Args:
        words: the vocabulary, without its four special words.
        num_classes: answers.
        image_encoder: ``"vgg19"``, or ``"small"`` for pictures of 32 to 96 pixels.
        image_size: pixels along a side of the square that pictures are stretched to.
        width: channels of the CNN's first convolution.
        features: numbers that the CNN makes of a picture.
        embedding_size: numbers of a word.
        hidden_size: of the LSTM.
        layers: of the LSTM.
        common_size: values that are multiplied.
        normalise: scale the CNN's features of a picture to length 1.
        dropout: behind the word's linear layer, between the LSTM's layers, before both linear
            layers that lead to the product, and behind it.
        drop_image: modality dropout: the share of questions that train without their picture.
        drop_question: the same of pictures without their question. At most one is left out.

    Raises:
        ValueError: a number is out of its range, or there is no such encoder.

    Source: Antol et al., "VQA: Visual Question Answering" (2015), section 4, "deeper LSTM Q +
        norm I"; numbers from its published code.
    """

    def __init__(
        self,
        *,
        words: Sequence[str] = (),
        num_classes: int = 1000,
        image_encoder: str = "vgg19",
        image_size: int = 224,
        width: int = 64,
        features: int = 4096,
        embedding_size: int = 200,
        hidden_size: int = 512,
        layers: int = 2,
        common_size: int = 1024,
        normalise: bool = True,
        dropout: float = 0.5,
        drop_image: float = 0.0,
        drop_question: float = 0.0,
    ) -> None:
        super().__init__()
        if min(drop_image, drop_question) < 0 or drop_image + drop_question > 1:
            raise ValueError(
                "drop_image and drop_question must be shares whose sum is at most 1, got "
                f"{drop_image} and {drop_question}"
            )
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        if image_encoder not in ("vgg19", "small"):
            raise ValueError(f"image_encoder must be 'vgg19' or 'small', got {image_encoder!r}")
        if image_size % 16 or image_size < 32:
            raise ValueError(f"image_size must be a multiple of 16, 32 or more, got {image_size}")
        self.vocabulary = Vocabulary(words)
        self.classes = tuple(f"class {i}" for i in range(num_classes))
        self.preprocessing = {**self.preprocessing, "size": (image_size, image_size)}
        self.normalise = normalise
        self.drop = {"image": drop_image, "question": drop_question}
        self.embedding = nn.Linear(len(self.vocabulary), embedding_size)
        self.lstm = nn.LSTM(
            embedding_size,
            hidden_size,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.question_projection = nn.Linear(2 * layers * hidden_size, common_size)
        self.image_projection = nn.Linear(features, common_size)
        self.answer = nn.Linear(common_size, num_classes)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -INIT, INIT)
        self.image_encoder = (
            VGGFeatures(width, features)
            if image_encoder == "vgg19"
            else SmallFeatures(width, features)
        )
        self.dropout = nn.Dropout(dropout)

    def image_features(self, images: Tensor) -> Tensor:
        """Features ``[N, F]`` of prepared images ``[N, 3, H, W]``, of length 1 by default."""
        features: Tensor = self.image_encoder(images)
        return F.normalize(features) if self.normalise else features

    def question_features(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """``[B, 2 * layers * hidden_size]`` of questions ``[B, T]``.

        Padding is never read: what the last word leaves is the same as with padding before the
        first word, where the published code has it.
        """
        # A row of the matrix in place of its product with a one-hot vector.
        words = F.embedding(ids, self.embedding.weight.T) + self.embedding.bias
        words = self.dropout(words).tanh()
        packed = nn.utils.rnn.pack_padded_sequence(
            words, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, (output, memory) = self.lstm(packed)
        states = torch.stack([memory, output], dim=1)  # [layers, c and h, B, hidden]
        return states.flatten(0, 1).transpose(0, 1).flatten(1)

    def forward(self, batch: QuestionBatch, *, without: Modality | None = None) -> Tensor:
        """Logits ``[B, classes]``.

        Args:
            batch: prepared images, and questions about them.
            without: the modality that is left out: its factor of the product is 1.

        Raises:
            TypeError: no ``QuestionBatch``.
            ValueError: another modality, ids that no word has, or pictures that are not there.
        """
        check_question_batch(batch, len(self.vocabulary))
        check_modality("without", without)
        no_image, no_question = self._left_out(len(batch.ids), without)
        ones = self.answer.weight.new_ones(())
        product = ones.expand(len(batch.ids), self.answer.in_features)
        if not bool(no_question.all()):
            question = self.dropout(self.question_features(batch.ids, batch.lengths))
            factor = self.question_projection(question).tanh()
            product = torch.where(no_question.to(ones.device)[:, None], ones, factor)
        if not bool(no_image.all()):  # else the CNN need not run
            image = self.dropout(self.image_features(batch.images)[batch.pictures])
            factor = self.image_projection(image).tanh()
            product = product * torch.where(no_image.to(ones.device)[:, None], ones, factor)
        return self.answer(self.dropout(product))

    def _left_out(self, count: int, without: Modality | None) -> tuple[Tensor, Tensor]:
        """Which questions are answered without their picture, and which without themselves: bool
        ``[count]`` on the CPU."""
        shares = self.drop if self.training else dict.fromkeys(self.drop, 0.0)
        if without is not None:
            shares = {"image": float(without == "image"), "question": float(without != "image")}
        drawn = torch.rand(count) if self.training else torch.zeros(count)
        return drawn < shares["image"], drawn >= 1 - shares["question"]


@register("vqa_lstm_cnn", task="vqa")
def vqa_lstm_cnn(**config: Any) -> VQALSTMCNN:
    """VQA's LSTM and CNN; ``config``: what ``VQALSTMCNN`` takes."""
    return VQALSTMCNN(**config)


def rmsprop(parameters: Any, lr: float = LR) -> Optimizer:
    """``fit``'s ``optimizer`` as published: RMSprop, each gradient clamped to +-10 before its step.

    Example:
        >>> import torch
        >>> from fastcv.models.language.vqa import rmsprop
        >>> weight = torch.nn.Parameter(torch.zeros(1))
        >>> weight.grad = torch.tensor([1000.0])
        >>> rmsprop([weight]).step()
        >>> weight.grad, weight.data  # 3e-4 * 10 / sqrt(0.01 * 10^2)
        (tensor([10.]), tensor([-0.0030]))
    """
    optimizer = torch.optim.RMSprop(parameters, lr=lr)
    optimizer.register_step_pre_hook(_clamp_gradients)
    return optimizer


def _clamp_gradients(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad.clamp_(-MAX_GRADIENT, MAX_GRADIENT)


def decay(optimizer: Optimizer, steps: int) -> ExponentialLR:
    """``fit``'s ``scheduler`` as published: the rate falls to half in some 28,800 steps."""
    return ExponentialLR(optimizer, DECAY)
