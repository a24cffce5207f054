"""Retrieval between pictures and texts: how far from the top the right ones come."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

RANKS = (1, 5, 10)
SCORES = 1 << 22  # similarities that are in memory at a time, or one query's where these are more


def retrieval_ranks(queries: Tensor, gallery: Tensor, matches: Tensor) -> Tensor:
    """The rank of each query's best right item, by cosine similarity; 1 is the best.

    Only some queries' similarities are in memory at a time, never the full matrix. Ties are counted
    against the query: a wrong item that is as similar as the best right one comes before it. So a
    model that gives the same vector to everything has the last rank, not the first. A similarity
    that is NaN is as good as a tie.

    Args:
        queries: ``[Q, D]`` floating; vectors of zeros are similar to nothing: 0.
        gallery: ``[N, D]`` of the same device.
        matches: ``[Q]`` or ``[Q, M]`` int64: the right items of each query, as rows of ``gallery``;
            -1 fills up where a query has fewer than M.

    Returns:
        ``[Q]`` int64, on the CPU.

    Raises:
        ValueError: shapes or dtypes do not fit, or a query has no right item in the gallery.

    Example:
        >>> import torch
        >>> from fastcv.metrics import retrieval_ranks
        >>> gallery = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> retrieval_ranks(gallery[:2], gallery, torch.tensor([0, 2]))
        tensor([1, 3])
    """
    _check_rows(queries, gallery, "queries", "gallery")
    right = (matches[:, None] if matches.ndim == 1 else matches).to(queries.device)
    if matches.dtype != torch.int64 or right.ndim != 2 or len(right) != len(queries):
        raise ValueError(
            f"matches must be int64 of shape [{len(queries)}] or [{len(queries)}, M], got "
            f"{list(matches.shape)} {matches.dtype}"
        )
    if bool(((right < -1) | (right >= len(gallery))).any()):
        raise ValueError(f"matches must be rows of the gallery, 0 to {len(gallery) - 1}, or -1")
    if not bool((right >= 0).any(dim=1).all()):
        raise ValueError("each query must have a right item, some have none in matches")
    items = _unit_rows(gallery)
    step = max(1, SCORES // max(len(gallery), 1))
    found = [
        _ranks(_unit_rows(some) @ items.T, of_some)
        for some, of_some in zip(*(torch.split(t, step) for t in (queries, right)), strict=True)
    ]
    return torch.cat(found).cpu() if found else torch.empty(0, dtype=torch.int64)


def _ranks(scores: Tensor, right: Tensor) -> Tensor:
    """Of ``[Q, N]`` similarities and ``[Q, M]`` right items."""
    is_right = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    rows = torch.arange(len(right), device=right.device)[:, None].expand_as(right)
    is_right[rows[right >= 0], right[right >= 0]] = True
    best = scores.masked_fill(~is_right, -torch.inf).amax(dim=1, keepdim=True)
    behind = (scores < best) | is_right  # NaN is behind nothing
    return 1 + (~behind).sum(dim=1)


def evaluate_retrieval(
    image_embeddings: Tensor,
    text_embeddings: Tensor,
    image_of_text: Tensor | None = None,
    *,
    fold: int | None = None,
    sample: int | None = None,
    draws: int = 10,
    seed: int = 0,
) -> dict[str, float]:
    """Recall at 1, 5 and 10 and the median rank, of texts for pictures and pictures for texts.

    A picture with several texts is found by each of them, and finds them when the best comes early.

    Args:
        image_embeddings: ``[I, D]`` floating, compared by their cosine.
        text_embeddings: ``[T, D]``.
        image_of_text: ``[T]`` int64: the picture that each text is of; by default text i is of
            picture i.
        fold: pictures of a fold, such as 1,000 of COCO's 5,000: each fold is a gallery of its own,
            in order, and the metrics are the mean over folds.
        sample: im2recipe's protocol instead: so many pictures are drawn, such as 1,000, and one
            text of each, and the metrics are the mean over ``draws`` such samples.
        draws: of ``sample``.
        seed: of ``sample``: the same seed draws the same.

    Returns:
        ``"image to text R@1"``, ``R@5``, ``R@10``, the shares of pictures whose best text is among
        the first, and ``"image to text MedR"``, the median of its rank, of which 1 is the best;
        likewise ``"text to image ..."``. Ties count against the query: see ``retrieval_ranks``.
        VSE++'s own program rounds a median between two ranks down.

    Raises:
        ValueError: shapes or dtypes do not fit, a picture has no text, there are both a fold and a
            sample, the pictures are no multiple of ``fold``, or fewer than ``sample``.

    Source: Faghri et al., "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives" (2018),
        section 4; Salvador et al., "Learning Cross-modal Embeddings for Cooking Recipes and Food
        Images" (2017), section 5.

    Example:
        >>> import torch
        >>> from fastcv.metrics import evaluate_retrieval
        >>> pictures, texts = torch.eye(3), torch.eye(3)[[0, 1, 1]] + 0.1
        >>> found = evaluate_retrieval(pictures, texts, torch.tensor([0, 1, 2]))
        >>> [round(found[f"text to image {name}"], 2) for name in ("R@1", "R@5", "MedR")]
        [0.67, 1.0, 1.0]
    """
    _check_rows(image_embeddings, text_embeddings, "image_embeddings", "text_embeddings")
    images, texts = len(image_embeddings), len(text_embeddings)
    if image_of_text is None:
        image_of_text = torch.arange(texts)
    owner = image_of_text.cpu()
    if owner.dtype != torch.int64 or owner.shape != (texts,):
        raise ValueError(
            f"image_of_text must be int64 of shape [{texts}], got {list(owner.shape)} {owner.dtype}"
        )
    if not images or not torch.equal(torch.unique(owner), torch.arange(images)):
        raise ValueError(
            f"image_of_text must name each of the {images} pictures, and no other: each picture "
            "needs a text"
        )
    if fold is not None and sample is not None:
        raise ValueError("fold and sample are two protocols, ask for one of them")
    if fold is not None and (fold < 1 or images % fold):
        raise ValueError(f"the {images} pictures must be a multiple of fold, {fold}")
    if sample is not None and (not 1 <= sample <= images or draws < 1):
        raise ValueError(
            f"sample must be 1 to {images}, the pictures, got {sample}, and draws 1 or more, got "
            f"{draws}"
        )
    parts = _samples(owner, sample, draws, seed) if sample else _folds(owner, fold or images)
    found = [_of_part(image_embeddings, text_embeddings, owner, *part) for part in parts]
    return {name: sum(one[name] for one in found) / len(found) for name in found[0]}


Part = tuple[Tensor, Tensor]  # pictures and texts, in rising order


def _folds(owner: Tensor, size: int) -> list[Part]:
    of_fold = owner // size
    return [
        (torch.arange(i * size, (i + 1) * size), (of_fold == i).nonzero().flatten())
        for i in range(int(of_fold.max()) + 1)
    ]


def _samples(owner: Tensor, size: int, draws: int, seed: int) -> list[Part]:
    """Pictures without repeats; of each one of its texts, as probable as the others."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(draws):
        pictures = torch.randperm(int(owner.max()) + 1, generator=generator)[:size].sort().values
        shuffled = torch.randperm(len(owner), generator=generator)
        chosen = torch.full((len(owner),), -1)  # by picture: the last of its texts in this order
        chosen[owner[shuffled]] = shuffled
        parts.append((pictures, chosen[pictures].sort().values))
    return parts


def _of_part(
    images: Tensor, texts: Tensor, owner: Tensor, pictures: Tensor, of_pictures: Tensor
) -> dict[str, float]:
    images, texts = images[pictures.to(images.device)], texts[of_pictures.to(texts.device)]
    picture = torch.searchsorted(pictures, owner[of_pictures])
    # The texts of each picture in a row, filled up with -1.
    by_picture = picture.argsort(stable=True)
    counts = picture.bincount(minlength=len(pictures))
    column = torch.arange(len(picture)) - (counts.cumsum(0) - counts)[picture[by_picture]]
    of_picture = torch.full((len(pictures), int(counts.max())), -1)
    of_picture[picture[by_picture], column] = by_picture
    return {
        **_summary("image to text", retrieval_ranks(images, texts, of_picture)),
        **_summary("text to image", retrieval_ranks(texts, images, picture)),
    }


def _summary(name: str, ranks: Tensor) -> dict[str, float]:
    recalls = {f"{name} R@{k}": float((ranks <= k).double().mean()) for k in RANKS}
    return {**recalls, f"{name} MedR": float(ranks.double().quantile(0.5))}


def _unit_rows(rows: Tensor) -> Tensor:
    """Of length 1, in float32 at least; zeros stay zeros."""
    return F.normalize(rows if rows.dtype == torch.float64 else rows.float(), dim=1)


def _check_rows(a: Tensor, b: Tensor, name_a: str, name_b: str) -> None:
    fit = a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1] and a.dtype == b.dtype
    if not (fit and a.is_floating_point()):
        raise ValueError(
            f"{name_a} and {name_b} must be [.., D] of one floating dtype, got "
            f"{list(a.shape)} {a.dtype} and {list(b.shape)} {b.dtype}"
        )
