"""Retrieval metrics against loops that sort, and the protocols by hand."""

import statistics

import pytest
import torch

from fastcv.metrics import evaluate_retrieval, retrieval, retrieval_ranks


def sorted_rank(query, gallery, right):
    """Sorts all items by falling cosine, the wrong ones of a tie first, and looks."""

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        lengths = (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
        return dot / lengths if lengths else 0.0

    # Rounded: sums in another order differ in the last bits, which breaks ties.
    scored = [(-round(cosine(query, item), 9), i in right, i) for i, item in enumerate(gallery)]
    return 1 + next(place for place, item in enumerate(sorted(scored)) if item[1])


def random_case(seed, queries=17, gallery=41, most=5, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    draw = torch.randn(queries + gallery, 8, generator=g, dtype=dtype)
    rights = [
        torch.randperm(gallery, generator=g)[: int(torch.randint(1, most + 1, (), generator=g))]
        for _ in range(queries)
    ]
    padded = torch.full((queries, most), -1)
    for row, right in zip(padded, rights, strict=True):
        row[: len(right)] = right
    return draw[:queries], draw[queries:], padded


@pytest.mark.parametrize("scores", [1, 100, 1 << 22])  # a query at a time, two, all
def test_ranks_by_sorting(scores, monkeypatch):
    monkeypatch.setattr(retrieval, "SCORES", scores)
    for seed in range(5):
        queries, gallery, matches = random_case(seed)
        expected = [
            sorted_rank(q, gallery.tolist(), [i for i in right if i >= 0])
            for q, right in zip(queries.tolist(), matches.tolist(), strict=True)
        ]
        assert retrieval_ranks(queries, gallery, matches).tolist() == expected


def test_ranks_with_ties():
    """Vectors of few whole numbers, powers of two long: their cosines are exact."""
    gallery = torch.tensor([[1, 0], [4, 0], [0, 2], [2, 0], [0, -1.0]])
    queries = torch.tensor([[2, 0], [0, 1.0]])
    assert retrieval_ranks(queries, gallery, torch.tensor([1, 2])).tolist() == [3, 1]
    # Three right ones that tie are no wrong ones before each other.
    every = torch.tensor([[0, 1, 3], [0, 4, -1]])
    assert retrieval_ranks(queries, gallery, every).tolist() == [1, 4]


def test_a_collapsed_model_is_last():
    same = torch.ones(30, 4)
    found = evaluate_retrieval(same, same)
    assert found["image to text MedR"] == found["text to image MedR"] == 30
    assert found["image to text R@10"] == 0


def test_zeros_and_nan():
    gallery = torch.tensor([[0, 0], [-1, 0], [float("nan"), 0], [1, 0.0]])
    queries = torch.tensor([[1, 0], [0, 0.0], [float("nan"), 0]])
    # NaN comes before what is right, zeros are between 1 and -1; all zeros tie.
    assert retrieval_ranks(queries, gallery, torch.tensor([3, 0, 0])).tolist() == [2, 4, 4]
    assert retrieval_ranks(queries[:1], gallery, torch.tensor([2])).tolist() == [4]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(dtype):
    queries, gallery, matches = random_case(7)
    queries, gallery = queries.to(dtype), gallery.to(dtype)
    expected = retrieval_ranks(queries.double(), gallery.double(), matches)
    assert torch.equal(retrieval_ranks(queries, gallery, matches), expected)


def test_no_queries():
    nothing = retrieval_ranks(torch.ones(0, 3), torch.ones(2, 3), torch.zeros(0, dtype=torch.int64))
    assert nothing.shape == (0,) and nothing.dtype == torch.int64


def embeddings(images, captions, seed=0, noise=0.9):
    g = torch.Generator().manual_seed(seed)
    pictures = torch.randn(images, 8, generator=g, dtype=torch.float64)
    owner = torch.arange(images * captions) % images
    texts = pictures[owner] + noise * torch.randn(images * captions, 8, generator=g).double()
    return pictures, texts, owner


def by_loops(pictures, texts, owner):
    pictures, texts, owner = pictures.tolist(), texts.tolist(), owner.tolist()
    ranks = {
        "image to text": [
            sorted_rank(p, texts, [t for t, own in enumerate(owner) if own == i])
            for i, p in enumerate(pictures)
        ],
        "text to image": [
            sorted_rank(t, pictures, [own]) for t, own in zip(texts, owner, strict=True)
        ],
    }
    found = {}
    for name, of_name in ranks.items():
        for k in (1, 5, 10):
            found[f"{name} R@{k}"] = sum(rank <= k for rank in of_name) / len(of_name)
        found[f"{name} MedR"] = statistics.median(of_name)
    return found


def mean(found):
    return {name: statistics.mean(one[name] for one in found) for name in found[0]}


def test_five_captions_a_picture():
    """In any order: caption i is of picture i modulo 30."""
    pictures, texts, owner = embeddings(30, 5)
    found = evaluate_retrieval(pictures, texts, owner)
    assert found == pytest.approx(by_loops(pictures, texts, owner))
    assert found["image to text R@1"] > found["text to image R@1"]  # one of five is enough


def test_folds():
    pictures, texts, owner = embeddings(30, 2)
    folds = []
    for i in range(3):
        of_fold = owner // 10 == i
        folds.append(
            by_loops(pictures[i * 10 : i * 10 + 10], texts[of_fold], owner[of_fold] - i * 10)
        )
    found = evaluate_retrieval(pictures, texts, owner, fold=10)
    assert found == pytest.approx(mean(folds))
    whole = evaluate_retrieval(pictures, texts, owner)
    assert found["text to image R@10"] == 1 > whole["text to image R@10"]  # of ten pictures


def test_samples():
    """A draw of all pictures with one text each is the whole; smaller ones are easier."""
    pictures, texts, _ = embeddings(40, 1, noise=1.5)
    whole = evaluate_retrieval(pictures, texts)
    assert evaluate_retrieval(pictures, texts, sample=40, draws=2) == pytest.approx(whole)
    less = evaluate_retrieval(pictures, texts, sample=10, draws=20, seed=1)
    assert less["text to image R@1"] > whole["text to image R@1"]
    assert less == evaluate_retrieval(pictures, texts, sample=10, draws=20, seed=1)
    assert less != evaluate_retrieval(pictures, texts, sample=10, draws=20, seed=2)


def test_a_sample_has_one_text_of_each_picture():
    _, _, owner = embeddings(40, 5)
    texts_drawn = set()
    for pictures, texts in retrieval._samples(owner, 15, draws=30, seed=0):
        assert len(set(pictures.tolist())) == 15
        assert sorted(owner[texts].tolist()) == pictures.tolist()
        texts_drawn |= set(texts.tolist())
    assert len(texts_drawn) > 150  # of 200: 450 draws miss about 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_embeddings": torch.ones(6, 3)}, r"one floating dtype, got \[3, 2\]"),
        ({"text_embeddings": torch.ones(6, 2).double()}, "torch.float64"),
        ({"image_of_text": torch.arange(3)}, r"shape \[6\], got \[3\]"),
        ({"image_of_text": torch.arange(6) % 2}, "each picture needs a text"),
        ({"image_of_text": torch.arange(6)}, "no other"),
        ({"fold": 2}, "multiple of fold, 2"),
        ({"sample": 4}, "sample must be 1 to 3, the pictures, got 4"),
        ({"sample": 1, "draws": 0}, "draws 1 or more, got 0"),
        ({"sample": 2, "fold": 1}, "two protocols"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {
        "image_embeddings": torch.ones(3, 2),
        "text_embeddings": torch.ones(6, 2),
        "image_of_text": torch.arange(6) % 3,
    }
    with pytest.raises(ValueError, match=message):
        evaluate_retrieval(**(arguments | change))


@pytest.mark.parametrize(
    ("matches", "message"),
    [
        (torch.tensor([0, 1]), r"shape \[1\] or \[1, M\], got \[2\]"),
        (torch.tensor([0.0]), "int64"),
        (torch.tensor([3]), "rows of the gallery, 0 to 2"),
        (torch.tensor([-2]), "or -1"),
        (torch.tensor([-1]), "some have none"),
    ],
)
def test_bad_matches(matches, message):
    with pytest.raises(ValueError, match=message):
        retrieval_ranks(torch.ones(1, 2), torch.ones(3, 2), matches)
