"""VSE and VSE++: pictures and sentences in one space, learnt from what does not match."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from fastcv.language import Vocabulary
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification.resnet import ResNet
from fastcv.models.classification.vgg import VGG
from fastcv.models.language._joint_embedding import JointEmbedding
from fastcv.models.language._trunks import for_pictures
from fastcv.nn.losses.ranking_hinge import ranking_hinge

if TYPE_CHECKING:
    from typing_extensions import Self

# Faghri et al. (2018), section 4.1.
EMBEDDING = 1024  # numbers of a vector in the joint space: states of the GRU
WORD = 300  # numbers of a word's vector
MARGIN = 0.2
WORD_RANGE = 0.1  # words start within it


class MatchedTexts(NamedTuple):
    """Targets of ``VSE.loss`` where other texts of a batch are true of a picture, too.

    Args:
        texts: one of each picture.
        also: ``[B, B]`` bool: text k is no wrong one for picture i.
    """

    texts: Sequence[str]
    also: Tensor


class VSE(JointEmbedding):
    """A CNN and a GRU, each with a step into the joint space.

    A picture's vector is a linear map of the CNN's normalised features. A sentence's vector is the
    GRU's state after its last word. Both have length 1.

    Args:
        cnn: from normalised pictures ``[B, 3, H, W]`` to features ``[B, F]``.
        features: F.
        words: the vocabulary, without the four special ones.
        embedding_size: numbers of a vector in the joint space.
        word_size: numbers of a word's vector.
        margin: by how much a matching pair must be nearer than others.
        max_violation: whether the loss has only the worst of the wrong candidates (VSE++), or the
            sum over all (VSE).
        finetune: whether the CNN learns. Where not, its norms keep their statistics.

    Raises:
        ValueError: words that make no vocabulary, or numbers out of their range.

    Source: Faghri et al., "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives" (2018);
        without ``max_violation`` Kiros et al., "Unifying Visual-Semantic Embeddings with Multimodal
        Neural Language Models" (2014), with a GRU.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model(
        ...     "vsepp_resnet18", width=8, embedding_size=16, words=["a", "red", "seven", "two"]
        ... )
        >>> model.embed_texts(["a red seven", "two"]).shape
        torch.Size([2, 16])
        >>> (found,) = model.predict(torch.rand(3, 96, 96), texts=["a red seven", "two"])
        >>> len(found)
        2
    """

    def __init__(
        self,
        cnn: ResNet | VGG,
        features: int,
        *,
        words: Sequence[str] = (),
        embedding_size: int = EMBEDDING,
        word_size: int = WORD,
        margin: float = MARGIN,
        max_violation: bool = False,
        finetune: bool = False,
    ) -> None:
        super().__init__()
        if min(embedding_size, word_size) < 1 or margin < 0:
            raise ValueError(
                "embedding_size and word_size must be at least 1, and margin at least 0, got "
                f"{embedding_size}, {word_size} and {margin}"
            )
        self.vocabulary = Vocabulary(words)
        self.margin, self.max_violation, self.finetune = margin, max_violation, finetune
        self.cnn = cnn.requires_grad_(finetune)
        self.fc = nn.Linear(features, embedding_size)
        self.embed = nn.Embedding(len(self.vocabulary), word_size)
        self.rnn = nn.GRU(word_size, embedding_size, batch_first=True)
        nn.init.xavier_uniform_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)
        nn.init.uniform_(self.embed.weight, -WORD_RANGE, WORD_RANGE)
        self.preprocessing: Mapping[str, Any] = Classifier.preprocessing

    def train(self, mode: bool = True) -> Self:
        """As of any module, but the norms of a CNN that does not learn stay as they are."""
        super().train(mode)
        if not self.finetune:
            for module in self.cnn.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of any sizes to one batch: resized, cropped, normalised."""
        self.cnn.preprocessing = self.preprocessing
        batch: Tensor = self.cnn.prepare(images)
        return batch

    def encode_images(self, images: Tensor) -> Tensor:
        """Vectors ``[B, D]`` of normalised images ``[B, 3, H, W]``."""
        return self.fc(nn.functional.normalize(self.cnn(images), dim=1))

    def encode_texts(self, texts: tuple[Tensor, Tensor]) -> Tensor:
        """Vectors ``[B, D]`` of ids ``[B, T]`` and lengths ``[B]``."""
        ids, lengths = texts
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embed(ids), lengths, batch_first=True, enforce_sorted=False
        )
        _, states = self.rnn(packed)
        last: Tensor = states[-1]  # of each text after its own last word
        return last

    def loss(self, output: Tensor, targets: Sequence[str] | MatchedTexts) -> dict[str, Tensor]:
        """The hinge in both directions, summed over the batch and not averaged.

        Args:
            output: pictures' vectors ``[B, D]`` of ``forward``.
            targets: a text for each; or ``MatchedTexts``, which say that others match as well.

        Raises:
            TypeError: targets that are no texts.
            ValueError: not one for each picture, or one without a known word.

        Source: Faghri et al. (2018), equations 5 (sum) and 6 (max).
        """
        also = targets.also if isinstance(targets, MatchedTexts) else None
        texts = targets.texts if isinstance(targets, MatchedTexts) else targets
        if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) for t in texts):
            raise TypeError(f"targets must be a list of texts, got {type(texts).__name__}")
        if len(texts) != len(output):
            raise ValueError(
                f"targets must be {len(output)} texts, one for each picture, got {len(texts)}"
            )
        try:
            vectors = self.text_vectors(texts)
        except ValueError as error:
            raise ValueError(f"targets: {error}") from None
        to_text, to_image = ranking_hinge(
            output @ vectors.T, margin=self.margin, max_violation=self.max_violation, ignore=also
        )
        return {"image_to_text": to_text, "text_to_image": to_image}

    def rename_key(self, key: str) -> str:
        """Keys of published checkpoints: ``module.`` of ``DataParallel``, and VGG's of 2017."""
        key = key.replace("cnn.features.module.", "cnn.features.").replace("cnn.module.", "cnn.")
        if isinstance(self.cnn, VGG):  # when torchvision began with a dropout
            for old, new in (("1", "0"), ("4", "3")):
                key = key.replace(f"cnn.classifier.{old}.", f"cnn.classifier.{new}.")
        return key

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """A state dict; or a published checkpoint, whose ``model`` is a list of two.

        Raises:
            ValueError: it is neither, or of a vocabulary of another size.
        """
        state = _two_encoders(path)
        if state is None:
            state = super().read_checkpoint(path)
        words = state.get("embed.weight")
        if words is not None and len(words) != len(self.vocabulary):
            raise ValueError(
                f"{path} has vectors of {len(words)} words, and the vocabulary has "
                f"{len(self.vocabulary)}, with the four special ones: pass words= of the weights"
            )
        return state


def _two_encoders(path: Path) -> dict[str, Tensor] | None:
    """A published checkpoint's encoders as one state dict; None of any other file."""
    if path.suffix == ".safetensors":
        return None
    try:
        # The settings beside the tensors are a Namespace, which runs no code when read.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError):
        return None  # whoever reads it next says what is wrong
    parts = content.get("model") if isinstance(content, dict) else None
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return None
    return {key: value for part in parts for key, value in part.items()}


def _on_vgg19(config: Mapping[str, Any]) -> VSE:
    cnn = VGG(19, num_classes=1)
    last = cnn.classifier[-1]
    assert isinstance(last, nn.Linear)
    del cnn.classifier[-1]
    return VSE(cnn, last.in_features, **config)


def _on_resnet(
    depth: int, width: int, config: Mapping[str, Any], small_pictures: bool = False
) -> VSE:
    cnn = for_pictures(ResNet(depth, num_classes=1, width=width), small_pictures)
    cnn.fc = nn.Identity()  # type: ignore[assignment]  # the features are what is wanted
    return VSE(cnn, cnn.out_channels[-1], **config)


@register("vse_vgg19", task="matching")
def vse_vgg19(**config: Any) -> VSE:
    """VGG-19 and a GRU, by the sum over all wrong pairs; ``config``: what ``VSE`` takes."""
    return _on_vgg19(config)


@register("vsepp_vgg19", task="matching")
def vsepp_vgg19(**config: Any) -> VSE:
    """VGG-19 and a GRU, by the worst wrong pairs; ``config``: what ``VSE`` takes."""
    return _on_vgg19({"max_violation": True, **config})


@register("vsepp_resnet152", task="matching")
def vsepp_resnet152(*, width: int = 64, **config: Any) -> VSE:
    """ResNet-152 and a GRU, by the worst wrong pairs; ``config``: what ``VSE`` takes."""
    return _on_resnet(152, width, {"max_violation": True, **config})


@register("vse_resnet18", task="matching")
def vse_resnet18(*, width: int = 64, small_pictures: bool = False, **config: Any) -> VSE:
    """ResNet-18 and a GRU, by the sum over all wrong pairs.

    Args:
        width: channels of the first stage.
        small_pictures: of some 64 pixels: a CNN that sees cells of 8 pixels.
        config: what ``VSE`` takes.
    """
    return _on_resnet(18, width, config, small_pictures)


@register("vsepp_resnet18", task="matching")
def vsepp_resnet18(*, width: int = 64, small_pictures: bool = False, **config: Any) -> VSE:
    """ResNet-18 and a GRU, by the worst wrong pairs; arguments as of ``vse_resnet18``."""
    return _on_resnet(18, width, {"max_violation": True, **config}, small_pictures)
