"""How near captions come to those that people wrote: BLEU, ROUGE-L and CIDEr-D."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from fastcv.data.protocols import SizedDataset
from fastcv.language.tokenizer import tokenize
from fastcv.metrics._batches import targets_and_results

MAX_N = 4  # words in an n-gram
SIGMA = 6.0  # words: how much another length costs in CIDEr-D
BETA = 1.2  # how much more recall counts than precision in ROUGE-L, as in COCO's evaluation

Gram = tuple[str, ...]


def evaluate_captions(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """BLEU-1 to BLEU-4, ROUGE-L and CIDEr-D of captions.

    Texts are cut into words in lower case; signs do not count. Of the same words these are the
    values of COCO's evaluation, which calls CIDEr-D "CIDEr". No Java is needed, so there are no
    METEOR and no SPICE.

    Args:
        predictions: a caption for each picture.
        references: for each picture, the captions that people wrote, one or more.

    Returns:
        ``"BLEU-1"`` .. ``"BLEU-4"`` and ``"ROUGE-L"``, 0 to 1, and ``"CIDEr-D"``, 0 to 10.

    Raises:
        ValueError: there is no caption, not one for each picture, or a picture has no reference.

    Example:
        >>> from fastcv.metrics import evaluate_captions
        >>> found = evaluate_captions(
        ...     ["a cat on a mat", "two dogs run"],
        ...     [["A cat sits on a mat.", "a cat on the mat"], ["Two dogs run.", "dogs play"]],
        ... )
        >>> for name, value in found.items():
        ...     print(f"{name} {value:.3f}", end="; ")
        BLEU-1 1.000; BLEU-2 1.000; BLEU-3 0.909; BLEU-4 0.000; ROUGE-L 0.947; CIDEr-D 4.238;
    """
    predicted, referenced = _words(predictions, references)
    blue = {f"BLEU-{n}": value for n, value in enumerate(_bleu(predicted, referenced), 1)}
    rouge = sum(map(_rouge_l, predicted, referenced)) / len(predicted)
    cider = sum(_cider_d(predicted, referenced)) / len(predicted)
    return {**blue, "ROUGE-L": rouge, "CIDEr-D": cider}


def evaluate_captioner(
    model: Any,
    dataset: SizedDataset,
    *,
    batch_size: int = 32,
    progress: bool = False,
    **options: Any,
) -> dict[str, float]:
    """BLEU and CIDEr-D of what a captioner says of pictures, as of ``evaluate_captions``.

    Args:
        model: a captioner.
        dataset: items ``(image, captions)``, such as ``CaptionFolder``'s.
        batch_size: images at a time.
        progress: show a bar.
        options: for ``predict``, such as ``method="beam"``.

    Raises:
        ValueError: there is no picture, or one has no caption.

    Example:
        >>> import fastcv, torch
        >>> from fastcv.metrics import evaluate_captioner
        >>> model = fastcv.create_model("show_and_tell_resnet18", words=("a", "cat"), width=8)
        >>> list(evaluate_captioner(model, [(torch.rand(3, 32, 32), ["a cat"])]))
        ['BLEU-1', 'BLEU-2', 'BLEU-3', 'BLEU-4', 'ROUGE-L', 'CIDEr-D']
    """
    pairs = list(
        targets_and_results(
            model, dataset, batch_size=batch_size, progress=progress, options=options
        )
    )
    return evaluate_captions([found.text for _, found in pairs], [texts for texts, _ in pairs])


def bleu(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU-4: the geometric mean of n-gram precisions, n 1 to 4, times a brevity penalty.

    An n-gram counts as often as it is in the one reference that has it most. A picture's reference
    length is the one nearest to the caption's, the shorter of two. No smoothing: without a single
    4-gram that fits it is 0.

    Args and errors are those of ``evaluate_captions``.

    Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation"
        (2002).
    """
    return _bleu(*_words(predictions, references))[-1]


def rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """ROUGE-L of each picture's caption, 0 to 1; the mean is that of the set.

    The longest sequence of words that caption and reference have in common, in order but with any
    words between, has a share of the caption, the precision, and one of the reference, the recall.
    The best precision and the best recall over references, which may be of two references, make
    ``(1 + b^2) p r / (r + b^2 p)`` with b = 1.2.

    Args and errors are those of ``evaluate_captions``.

    Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), section 3.1; b and
        the best over references: Chen et al., "Microsoft COCO Captions" (2015), section 3.3.
    """
    return list(map(_rouge_l, *_words(predictions, references)))


def cider_d(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each picture's caption; the mean is that of the set.

    N-grams, n 1 to 4, are weighted by how few pictures have them in a reference. The cosine with
    each reference, clipped so that an n-gram said again gains nothing, is lowered where the lengths
    differ; the mean over references and n is 10 at most.

    Args and errors are those of ``evaluate_captions``.

    Source: Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation" (2015), equations
        2 to 6.
    """
    return _cider_d(*_words(predictions, references))


def _words(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[list[str]], list[list[list[str]]]]:
    if not predictions or len(predictions) != len(references):
        raise ValueError(
            "predictions must be one for each picture, one or more: got "
            f"{len(predictions)}, and references of {len(references)}"
        )
    for i, of_picture in enumerate(references):
        if isinstance(of_picture, str) or not of_picture:
            raise ValueError(f"references must be a list of captions each, those of {i} are not")
    return (
        [caption_words(text) for text in predictions],
        [[caption_words(text) for text in of_picture] for of_picture in references],
    )


def caption_words(text: str) -> list[str]:
    """A caption's words and numbers, without signs.

    Example:
        >>> from fastcv.metrics.captions import caption_words
        >>> caption_words("Two dogs, a man's.")
        ['two', 'dogs', 'a', "man's"]
    """
    return [word for word in tokenize(text) if any(c.isalnum() for c in word)]


def _grams(words: Sequence[str], n: int) -> Counter[Gram]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _bleu(predicted: list[list[str]], referenced: list[list[list[str]]]) -> list[float]:
    """BLEU-1 to BLEU-4."""
    right, total = [0] * MAX_N, [0] * MAX_N
    length = reference_length = 0
    for words, references in zip(predicted, referenced, strict=True):
        length += len(words)
        reference_length += min(
            (len(reference) for reference in references), key=lambda n: (abs(n - len(words)), n)
        )
        for n in range(1, MAX_N + 1):
            most: Counter[Gram] = Counter()
            for reference in references:
                most |= _grams(reference, n)
            grams = _grams(words, n)
            right[n - 1] += sum((grams & most).values())
            total[n - 1] += sum(grams.values())
    penalty = 1.0 if length >= reference_length else math.exp(1 - reference_length / max(length, 1))
    found, logs = [], 0.0
    for n in range(MAX_N):
        logs += math.log(right[n] / total[n]) if right[n] else -math.inf
        found.append(penalty * math.exp(logs / (n + 1)))
    return found


def _rouge_l(words: list[str], references: list[list[str]]) -> float:
    common = [_longest_common(words, reference) for reference in references]
    if not any(common):
        return 0.0
    precision = max(common) / len(words)
    recall = max(n / max(len(r), 1) for n, r in zip(common, references, strict=True))
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    lengths = [0] * (len(b) + 1)  # of what has been read of a, with each beginning of b
    for word in a:
        before = lengths
        lengths = [0]
        for i, other in enumerate(b):
            lengths.append(before[i] + 1 if word == other else max(lengths[i], before[i + 1]))
    return lengths[-1]


def _cider_d(predicted: list[list[str]], referenced: list[list[list[str]]]) -> list[float]:
    scores = [0.0] * len(predicted)
    for n in range(1, MAX_N + 1):
        pictures = Counter(
            gram
            for references in referenced
            for gram in {gram for reference in references for gram in _grams(reference, n)}
        )

        def weighted(words: list[str], n: int = n, pictures: Counter[Gram] = pictures) -> _Weighted:
            return {
                gram: count * math.log(len(predicted) / max(pictures[gram], 1))
                for gram, count in _grams(words, n).items()
            }

        for i, (words, references) in enumerate(zip(predicted, referenced, strict=True)):
            own = weighted(words)
            for reference in references:
                likeness = _clipped_cosine(own, weighted(reference))
                likeness *= math.exp(-((len(words) - len(reference)) ** 2) / (2 * SIGMA**2))
                scores[i] += 10 * likeness / (MAX_N * len(references))
    return scores


_Weighted = dict[Gram, float]


def _clipped_cosine(own: _Weighted, other: _Weighted) -> float:
    product = sum(min(own[gram], other[gram]) * other[gram] for gram in own if gram in other)
    lengths = math.hypot(*own.values()) * math.hypot(*other.values())
    return product / lengths if lengths > 0 else 0.0
