"""What every joint embedding shares: pictures and texts as vectors of one space, and search."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.images import ImageInput, read_image
from fastcv.language import Vocabulary, pad_texts
from fastcv.models._image_model import ImageModel, as_list
from fastcv.models._mode import evaluating
from fastcv.models._predict import predict_each
from fastcv.ops import cosine_topk
from fastcv.results import Ranking


@dataclass(frozen=True)
class Index:
    """Candidates with their vectors, so that several searches embed them once.

    Args:
        kind: ``"pictures"`` or ``"texts"``.
        items: as they were given.
        vectors: ``[N, D]``, each of length 1.
        errors: why others were left out.
    """

    kind: Literal["pictures", "texts"]
    items: tuple[Any, ...]
    vectors: Tensor
    errors: tuple[Exception, ...] = ()

    def __len__(self) -> int:
        return len(self.items)


class JointEmbedding(ImageModel):
    """A model that puts pictures and texts into one space, where those that match are near.

    A subclass writes ``encode_images(images)`` and ``encode_texts(texts)``, to vectors ``[B, D]``
    of any length. The first takes what ``prepare`` makes of pictures, the second what
    ``prepare_texts`` makes of texts. Where a text is more than a string, the subclass also writes
    ``prepare_texts`` and ``title``.

    ``predict`` ranks texts for pictures, ``search`` pictures for texts.

    Example:
        >>> import torch
        >>> from fastcv.language import Vocabulary
        >>> from fastcv.models.language._joint_embedding import JointEmbedding
        >>> class Colours(JointEmbedding):
        ...     vocabulary = Vocabulary(["red", "green", "blue"])
        ...     def encode_images(self, images):
        ...         return torch.stack([image.mean((1, 2)) for image in images])
        ...     def encode_texts(self, texts):
        ...         ids, lengths = texts
        ...         first = self.vocabulary.id_of("red")
        ...         return torch.stack([(ids == first + i).sum(1) for i in range(3)], 1).float()
        >>> red, green = torch.zeros(2, 3, 8, 8)
        >>> red[0], green[1] = 1, 1
        >>> Colours().predict(green, texts=["red", "red and green", "green"], k=2)
        [Ranking(2 texts, best 1.00: green)]
        >>> Colours().search("red", [green, red])
        [Ranking(2 pictures, best 1.00: picture 1)]
    """

    vocabulary: Vocabulary
    texts_at_a_time = 256
    no_onnx = "it embeds pictures and texts, and a file would have one of both"

    # What a subclass writes.

    def encode_images(self, images: Any) -> Tensor:
        """Vectors ``[B, D]`` of what ``prepare`` returned."""
        raise NotImplementedError

    def encode_texts(self, texts: Any) -> Tensor:
        """Vectors ``[B, D]`` of what ``prepare_texts`` returned."""
        raise NotImplementedError

    def prepare_texts(self, texts: Sequence[Any]) -> Any:
        """What ``encode_texts`` takes: here ``(ids [B, T], lengths [B])`` of strings, each between
        ``<start>`` and ``<end>``; ids on the model's device, lengths on the CPU.

        Raises:
            TypeError: a text that is no string.
            ValueError: a text without a word, or none that is known.
        """
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"a text must be a string, got {type(text).__name__}")
        ids, lengths = pad_texts([self.vocabulary.encode(text, ends=True) for text in texts])
        return ids.to(self._device()), lengths

    @staticmethod
    def title(text: Any) -> str:
        """What a person reads of a text."""
        return str(text)

    # Vectors.

    def forward(self, images: Any) -> Tensor:
        """Vectors ``[B, D]`` of length 1, of what ``prepare`` returned."""
        return F.normalize(self.encode_images(images), dim=1)

    def text_vectors(self, texts: Sequence[Any]) -> Tensor:
        """Vectors ``[B, D]`` of length 1 in one batch, with gradients: for losses."""
        return F.normalize(self.encode_texts(self.prepare_texts(texts)), dim=1)

    def embed_images(
        self,
        images: ImageInput | Sequence[ImageInput] | Iterator[ImageInput],
        *,
        batch_size: int = 16,
        progress: bool = False,
    ) -> Tensor:
        """Pictures as vectors, in eval mode and without gradients.

        Args:
            images: as ``predict`` takes them.
            batch_size: pictures at a time.
            progress: show a bar.

        Returns:
            ``[N, D]``, each of length 1, on the model's device.

        Raises:
            ValueError: no picture, or as ``predict``.
            TypeError, FileNotFoundError: as ``predict``.
        """
        return self.index_images(images, batch_size=batch_size, progress=progress).vectors

    def embed_texts(self, texts: Any | Sequence[Any]) -> Tensor:
        """Texts as vectors, in eval mode and without gradients.

        Args:
            texts: one or a sequence.

        Returns:
            ``[N, D]``, each of length 1, on the model's device.

        Raises:
            ValueError: no text, one without a word, or with none that is known.
            TypeError: a text of another type.
        """
        return self.index_texts(texts).vectors

    def index_images(
        self,
        images: ImageInput | Sequence[ImageInput] | Iterator[ImageInput] | Index,
        *,
        batch_size: int = 16,
        on_error: Literal["raise", "note"] = "raise",
        progress: bool = False,
    ) -> Index:
        """Pictures and their vectors, as ``search`` takes them; arguments as of ``embed_images``.

        Args:
            on_error: ``"note"``: a picture that cannot be read is left out, and ``errors`` of the
                index says why.
        """
        if isinstance(images, Index):
            return _of_kind(images, "pictures")
        found = predict_each(
            self,
            as_list(images),
            read_image,
            lambda batch: [
                _Embedded(v) for v in self(self.prepare(list(map(self.as_float, batch))))
            ],
            batch_size=batch_size,
            on_error="raise" if on_error == "raise" else "yield",
            progress=progress,
        )
        items, vectors, errors = [], [], []
        for item, embedded in found:
            if isinstance(embedded, Exception):
                errors.append(embedded)
            else:
                items.append(item)
                vectors.append(embedded.vector)
        if not items:
            told = f": {errors[0]}" if errors else ""
            raise ValueError(f"images must have one that can be read, at least{told}")
        return Index("pictures", tuple(items), torch.stack(vectors), tuple(errors))

    def index_texts(self, texts: Any | Sequence[Any] | Index) -> Index:
        """Texts and their vectors, as ``predict`` takes them; arguments as of ``embed_texts``."""
        if isinstance(texts, Index):
            return _of_kind(texts, "texts")
        items = tuple(texts) if isinstance(texts, (list, tuple)) else (texts,)
        if not items:
            raise ValueError("texts must have at least one, got none")
        with evaluating(self), torch.inference_mode():
            parts = [
                self.text_vectors(items[i : i + self.texts_at_a_time])
                for i in range(0, len(items), self.texts_at_a_time)
            ]
        return Index("texts", items, torch.cat(parts))

    # Search.

    def rank(
        self, queries: Tensor, candidates: Tensor, k: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """The candidates with the largest cosines for each query.

        Args:
            queries: vectors ``[Q, D]``.
            candidates: vectors ``[N, D]``.
            k: how many; by default all. More than there are is all.

        Returns:
            ``(scores, indices)``, ``[Q, k]`` each, the greatest score first; of equal scores the
            lower index.

        Raises:
            ValueError: ``k`` is under 1, or vectors of different sizes.
        """
        if k is not None and k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if queries.ndim != 2 or candidates.ndim != 2 or queries.shape[1] != candidates.shape[1]:
            raise ValueError(
                "queries and candidates must be [Q, D] and [N, D], got "
                f"{list(queries.shape)} and {list(candidates.shape)}"
            )
        count = min(len(candidates), len(candidates) if k is None else k)
        return self.nearest(queries, candidates, count)

    def nearest(self, queries: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """What ``rank`` returns, of arguments that it has checked: by cosines."""
        return cosine_topk(queries, candidates, k)

    def search(
        self,
        texts: Any | Sequence[Any],
        pictures: ImageInput | Sequence[ImageInput] | Index,
        *,
        k: int = 10,
    ) -> list[Ranking]:
        """Pictures for texts.

        Args:
            texts: one query or several.
            pictures: the candidates, as ``predict`` takes them, or an index of them.
            k: how many are ranked, at most.

        Returns:
            A ranking of pictures for each text, in order.

        Raises:
            ValueError, TypeError, FileNotFoundError: as ``index_texts``, ``index_images`` and
                ``rank``.
        """
        queries = self.index_texts(texts)
        gallery = self.index_images(pictures)
        found = self.rank(queries.vectors, gallery.vectors, k)
        return [
            _ranking(gallery, *row, text=self.title(text))
            for text, *row in zip(queries.items, *found, strict=True)
        ]

    def predict_iter(self, inputs: Any, **options: Any) -> Iterator[tuple[ImageInput, Any]]:
        """As of any model of pictures; the texts are embedded once."""
        if options.get("texts") is not None:
            options["texts"] = self.index_texts(options["texts"])
        return super().predict_iter(inputs, **options)

    def _option_takers(self) -> Sequence[Callable[..., Any]]:
        return (self.predict_batch,)

    def predict_batch(  # type: ignore[override]  # its options are these and no others
        self,
        images: Sequence[Tensor],
        *,
        texts: Any | Sequence[Any] | Index | None = None,
        k: int = 10,
    ) -> list[Ranking]:
        """The texts that match each picture best; ``predict`` takes these options.

        Args:
            images: ``[3, H, W]``, uint8 or in [0, 1].
            texts: the candidates: a text, several, or an index of them.
            k: how many are ranked, at most.

        Raises:
            ValueError: no texts, or as ``index_texts`` and ``rank``.
        """
        if texts is None:
            raise ValueError("texts must be given: predict ranks them for each picture")
        candidates = self.index_texts(texts)
        vectors = self._vectors(images)
        titles = Index("texts", tuple(map(self.title, candidates.items)), candidates.vectors)
        return [
            _ranking(titles, *row)
            for row in zip(*self.rank(vectors, candidates.vectors, k), strict=True)
        ]

    def tags(
        self,
        images: ImageInput | Sequence[ImageInput],
        words: Sequence[str],
        *,
        min_score: float = 0.25,
    ) -> list[tuple[str, ...]]:
        """Which words are true of pictures: those that are near enough.

        Args:
            images: as ``predict`` takes them.
            words: that may be; the best of them is always among those returned.
            min_score: the smallest cosine. What is good depends on the training; recipes measure
                one.

        Returns:
            Words of each picture, in the order of ``words``.

        Raises:
            ValueError, TypeError, FileNotFoundError: as ``predict``.

        Example: ``model.tags("photo.jpg", ("cat", "dog", "grass"))`` may be
        ``[("cat", "grass")]``. For pictures of a tag see ``search``.
        """
        scores = self.embed_images(images) @ self.embed_texts(words).T
        near = (scores >= min_score) | (scores == scores.max(dim=1, keepdim=True).values)
        return [
            tuple(word for word, is_near in zip(words, row, strict=True) if is_near)
            for row in near.tolist()
        ]

    def analogy(
        self,
        image: ImageInput,
        *,
        gallery: ImageInput | Sequence[ImageInput] | Index,
        minus: Any,
        plus: Any,
        k: int = 10,
    ) -> Ranking:
        """Pictures that are as ``image`` is, but with ``plus`` in place of ``minus``.

        They are nearest to the sum of the picture's vector, less that of ``minus``, and that of
        ``plus``.

        Args:
            image: one picture.
            gallery: the candidates, or an index of them.
            minus: a text that is true of the picture.
            plus: a text that is to be true instead.
            k: how many are ranked, at most.

        Raises:
            ValueError, TypeError, FileNotFoundError: as ``search``.

        Source: Kiros et al., "Unifying Visual-Semantic Embeddings with Multimodal Neural Language
            Models" (2014), section 3.3.
        """
        pictures = self.index_images(gallery)
        (vector,) = self.embed_images([image])
        less, more = self.embed_texts([minus, plus])
        (scores,), (indices,) = self.rank((vector - less + more)[None], pictures.vectors, k)
        found = _ranking(
            pictures, scores, indices, text=f"- {self.title(minus)} + {self.title(plus)}"
        )
        if isinstance(image, (str, os.PathLike)):
            found.source = os.fspath(image)
        return found

    def _embedded(self, images: Sequence[Tensor]) -> list[_Embedded]:
        return [_Embedded(vector) for vector in self._vectors(images)]

    def _vectors(self, images: Sequence[Tensor]) -> Tensor:
        return self(self.prepare([self.as_float(image) for image in images]))

    def _device(self) -> torch.device:
        return next(self.parameters(), torch.empty(0)).device


@dataclass
class _Embedded:
    """A picture's vector, in a box that ``predict_each`` can note the file in."""

    vector: Tensor
    source: str | None = None


def _of_kind(index: Index, kind: str) -> Index:
    if index.kind != kind:
        raise ValueError(f"an index of {kind} is needed, got one of {index.kind}")
    return index


def _ranking(candidates: Index, scores: Tensor, indices: Tensor, *, text: str = "") -> Ranking:
    ranked = [candidates.items[i] for i in indices.tolist()]
    if candidates.kind == "texts":
        return Ranking(scores, indices, texts=ranked, text=text)
    return Ranking(scores, indices, pictures=ranked, text=text)
