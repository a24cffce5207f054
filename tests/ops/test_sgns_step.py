"""sgns_step against its definition, word by word in Python."""

import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.library import opcheck

from fastcv.language import keep_probabilities, noise_table
from fastcv.ops import sgns_step

DTYPES = [torch.float32, torch.float64]
# Sums of some ten products of numbers below 1, in another order.
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-14}


def mix(x):
    """SplitMix64's finaliser."""
    x &= 2**64 - 1
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) % 2**64
    return x ^ x >> 31


def draw(seed, position, slot):
    return mix(mix(mix(seed) + position) + (slot + 1) * 0x9E3779B97F4A7C15)


def drawn_pairs(words, keep, noise, window, negative, seed, position):
    """Of each kept centre: its id, and its pairs (word, label) by place."""
    sentence, sentences = [], []
    for n, word in enumerate(words.tolist()):
        if word == -1:
            sentences.append(sentence)
            sentence = []
        elif (draw(seed, position + n, 0) >> 40) / 2**24 < keep[word]:
            sentence.append((n, word))
    sentences.append(sentence)
    for sentence in sentences:
        for i, (n, centre) in enumerate(sentence):
            own = 1 + ((draw(seed, position + n, 1) >> 32) * window >> 32)
            pairs = []
            for j in range(max(i - own, 0), min(i + own + 1, len(sentence))):
                if j == i:
                    continue
                place = j - i + window - (j > i)
                near = sentence[j][1]
                pairs.append((near, 1))
                for k in range(negative):
                    number = draw(seed, position + n, 2 + place * negative + k)
                    row = (number >> 32) * len(noise) >> 32
                    threshold, other = noise[row].tolist()
                    word = row if number % 2**31 < threshold else other
                    if word != near:
                        pairs.append((word, 0))
            yield centre, pairs


def definition(input, output, words, keep, noise, window, negative, lr, seed, position, shards):
    """New matrices, the loss, and how many pairs."""
    input, output = input.double().clone(), output.double().clone()
    buckets = {}
    for centre, pairs in drawn_pairs(words, keep, noise, window, negative, seed, position):
        for word, label in pairs:
            key = ((word - centre) % shards, centre % shards)  # round, shard of the centre
            groups = buckets.setdefault(key, [])
            if not groups or groups[-1][0] is not pairs:
                groups.append((pairs, centre, []))
            groups[-1][2].append((word, label))
    loss, count = 0.0, 0
    for _, groups in sorted(buckets.items()):
        for _, centre, pairs in groups:
            scores = [float(input[centre] @ output[word]) for word, _ in pairs]
            change = torch.zeros_like(input[0])
            for score, (word, label) in zip(scores, pairs, strict=True):
                probability = 1 / (1 + math.exp(-score))
                loss -= math.log(probability if label else 1 - probability)
                change += lr * (label - probability) * output[word]
                output[word] += lr * (label - probability) * input[centre]
            input[centre] += change
            count += len(pairs)
    return input, output, loss, count


def setting(vocabulary=9, d=10, count=40, dtype=torch.float64, seed=0, sample=0.05):
    g = torch.Generator().manual_seed(seed)
    words = torch.randint(-1, vocabulary, (count,), generator=g)
    counts = torch.bincount(words[words >= 0], minlength=vocabulary) + 1
    matrices = torch.rand(2, vocabulary, d, generator=g, dtype=torch.float64).to(dtype) - 0.5
    return dict(
        input=matrices[0].clone(),
        output=matrices[1].clone(),
        words=words,
        keep=keep_probabilities(counts, sample),
        noise=noise_table(counts),
    )


def check(device, case, window=3, negative=2, lr=0.1, seed=5, position=7, shards=3):
    numbers = (window, negative, lr, seed, position, shards)
    expected = definition(*case.values(), *numbers)
    moved = {name: t.to(device) for name, t in case.items()}
    loss, pairs = sgns_step(**moved, window=window, negative=negative, lr=lr, seed=seed,
                            position=position, shards=shards)  # fmt: skip
    assert loss.dtype == torch.float64 and pairs.dtype == torch.int64 and loss.dim() == 0
    tolerance = TOLERANCE[case["input"].dtype]
    for name, one in zip(("input", "output"), expected, strict=False):
        torch.testing.assert_close(moved[name].cpu().double(), one, rtol=0, atol=tolerance)
    assert int(pairs) == expected[3]
    assert math.isclose(float(loss), expected[2], rel_tol=10 * tolerance, abs_tol=1e-12)
    return expected[3]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 3, 8, 16, 21, 40, 100])
def test_matches_the_definition(device, dtype, d):
    assert check(device, setting(d=d, dtype=dtype)) > 100


@pytest.mark.parametrize("shards", [1, 2, 3, 8, 20, 1024])
@pytest.mark.parametrize("window, negative", [(1, 0), (1, 1), (2, 7), (6, 3)])
def test_numbers(device, shards, window, negative):
    for seed in (0, -3, 2**62):
        case = setting(seed=seed % 11)
        check(device, case, window=window, negative=negative, shards=shards, seed=seed)


@pytest.mark.parametrize("words", [[], [-1], [3], [-1, -1, 3, -1], [3, -1, 3], [3, 3], [0, 1, 2]])
def test_short_texts(device, words):
    case = setting(sample=0)
    case["words"] = torch.tensor(words, dtype=torch.int64)
    for shards in (1, 3):
        check(device, case, shards=shards)


def test_one_word_again_and_again(device):
    """Negatives are all left out, and a centre's pairs are all of one row."""
    case = setting(vocabulary=1, count=12, sample=0)
    case["words"].zero_()
    assert check(device, case, negative=4) > 20


def test_frequent_pairs_do_not_diverge(device):
    """3000 words of three at four times the usual step: gradients are of rows as they are."""
    case = setting(vocabulary=3, count=3000, sample=0)
    moved = {name: t.to(device) for name, t in case.items()}
    for _ in range(3):
        loss, pairs = sgns_step(**moved, lr=0.1)
    assert moved["input"].isfinite().all() and float(loss / pairs) < 2


def test_pieces_draw_what_the_whole_draws():
    """With no step, the loss of two pieces is that of the whole, cut where a sentence ends."""
    case = setting(count=60)
    case["words"][29] = -1
    whole = sgns_step(**case, lr=0.0, position=100)
    words = case.pop("words")
    pieces = [
        sgns_step(**case, words=words[a:b], lr=0.0, position=100 + a)
        for a, b in ((0, 30), (30, 60))
    ]
    assert sum(int(pairs) for _, pairs in pieces) == int(whole[1])
    assert math.isclose(sum(float(loss) for loss, _ in pieces), float(whole[0]), rel_tol=1e-12)


def test_strides(device):
    """Rows may be apart, as part of a wider matrix; what is between stays."""
    case = setting(d=10)
    expected = definition(*case.values(), 3, 2, 0.1, 0, 0, 3)
    wide = torch.full((2, 9, 16), 7.0, dtype=torch.float64)
    wide[0, :, :10], wide[1, :, :10] = case["input"], case["output"]
    wide = wide.to(device)
    case = {name: t.to(device) for name, t in case.items()}
    case |= dict(input=wide[0, :, :10], output=wide[1, :, :10])
    case["keep"] = case["keep"].repeat_interleave(2)[::2]
    case["words"] = case["words"].repeat_interleave(3)[::3]
    case["noise"] = case["noise"].T.contiguous().T
    sgns_step(**case, window=3, negative=2, lr=0.1, shards=3)
    torch.testing.assert_close(wide[0, :, :10].cpu(), expected[0], rtol=0, atol=1e-14)
    torch.testing.assert_close(wide[1, :, :10].cpu(), expected[1], rtol=0, atol=1e-14)
    assert (wide[:, :, 10:] == 7).all()


def test_any_number_of_threads_gives_the_same_bits():
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 5):
            torch.set_num_threads(threads)
            case = setting(vocabulary=50, d=32, count=2000, dtype=torch.float32)
            loss, pairs = sgns_step(**case, seed=1)
            results.append((case["input"], case["output"], loss, pairs))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_seeds_differ():
    inputs = []
    for seed in (0, 1):
        case = setting(count=100)
        sgns_step(**case, seed=seed)
        inputs.append(case["input"])
    assert not torch.equal(*inputs)


def test_what_is_drawn_has_its_shares():
    """Kept words, windows and negatives over 20,000 words: within five standard deviations."""
    g = torch.Generator().manual_seed(0)
    counts = torch.tensor([8000, 4000, 2000, 500])
    words = torch.multinomial(counts.double(), 20_000, replacement=True, generator=g)
    keep, noise = keep_probabilities(counts, 0.05), noise_table(counts)
    centres, negatives = Counter(), Counter()
    for centre, pairs in drawn_pairs(words, keep, noise, 1, 3, 9, 0):
        centres[centre] += 1
        negatives.update(word for word, label in pairs if label == 0 and len(pairs) > 6)
    for word in range(4):
        there, p = int((words == word).sum()), float(keep[word])
        assert abs(centres[word] - there * p) <= 5 * math.sqrt(there * p * (1 - p)) + 1e-9
    # Those left out are the pair's own, so that shares hold of words drawn beside others alone.
    assert set(negatives) == {0, 1, 2, 3}
    case = dict(input=torch.zeros(4, 2), output=torch.zeros(4, 2), words=words, keep=keep)
    _, pairs = sgns_step(**case, noise=noise, window=1, negative=3, seed=9)
    assert int(pairs) == sum(len(p) for _, p in drawn_pairs(words, keep, noise, 1, 3, 9, 0))


@pytest.mark.parametrize("exponent", [0, 0.75, 1])
def test_noise_table_has_the_shares(exponent):
    counts = torch.tensor([1000, 30, 30, 0, 1, 7])
    table = noise_table(counts, exponent)
    share = torch.zeros(6, dtype=torch.float64)
    for row, (threshold, other) in enumerate(table.tolist()):
        share[row] += threshold / 2**31 / 6
        share[other] += (1 - threshold / 2**31) / 6
    expected = torch.where(counts > 0, counts.double() ** exponent, 0.0)
    torch.testing.assert_close(share, expected / expected.sum(), rtol=0, atol=1e-8)


def test_keep_probabilities_are_word2vecs():
    counts = torch.tensor([500_000, 2_000, 30])
    total = 502_030
    for word, count in enumerate(counts.tolist()):
        word2vec = (math.sqrt(count / (1e-3 * total)) + 1) * (1e-3 * total) / count
        assert math.isclose(
            float(keep_probabilities(counts, 1e-3)[word]), min(word2vec, 1), rel_tol=1e-6
        )
    assert (keep_probabilities(counts, 0) == 1).all()
    with pytest.raises(ValueError, match="sample must be 0 or more, got -1"):
        keep_probabilities(counts, -1)


@pytest.mark.parametrize("counts", [[0, 0], [-1, 2], [[1, 2]], []])
def test_noise_of_no_counts(counts):
    with pytest.raises(ValueError, match="counts must be numbers of one dimension"):
        noise_table(torch.tensor(counts))


CHANGES = {
    "input must have 2 dimensions": dict(input=torch.zeros(9)),
    "input must be float32 or float64": dict(input=torch.zeros(9, 10).half()),
    "output must have the shape of input": dict(output=torch.zeros(9, 11).double()),
    "output must have the dtype of input": dict(output=torch.zeros(9, 10)),
    "rows of output must be dense": dict(output=torch.zeros(10, 9).double().T),
    "rows of input must be dense": dict(input=torch.zeros(1, 10).double().expand(9, 10)),
    "words must be int64 of shape": dict(words=torch.zeros(4, dtype=torch.int32)),
    "keep must be float32 of shape": dict(keep=torch.ones(8)),
    "noise must be int32 of shape": dict(noise=torch.zeros(9, 2, dtype=torch.int64)),
    "window must be 1 to 1024, got 0": dict(window=0),
    "negative must be 0 to 1024, got -1": dict(negative=-1),
    "shards must be 1 to 1024, got 0": dict(shards=0),
    "words must be -1 or 0 to 8, got 9 at 1": dict(words=torch.tensor([0, 9])),
    "words must be -1 or 0 to 8, got -2 at 0": dict(words=torch.tensor([-2, 1])),
    "noise must have ids of 0 to 8": dict(
        noise=torch.tensor([[0, 9]], dtype=torch.int32).repeat(9, 1)
    ),
}


@pytest.mark.parametrize("message", CHANGES)
def test_errors_leave_the_vectors(message):
    case = setting(sample=0) | CHANGES[message]
    before = case["input"].clone(), case["output"].clone()
    with pytest.raises(RuntimeError, match=message):
        sgns_step(**case)
    assert torch.equal(before[0], case["input"]) and torch.equal(before[1], case["output"])


def test_one_matrix_twice():
    case = setting()
    with pytest.raises(RuntimeError, match="must be two matrices, not the same memory"):
        sgns_step(**case | dict(output=case["input"]))


def test_weights_of_a_module():
    """They need gradients, and get none from here."""
    table = torch.nn.Embedding(9, 10).double()
    before = table.weight.detach().clone()
    sgns_step(**setting() | dict(input=table.weight))
    assert not torch.equal(before, table.weight) and table.weight.grad is None


def test_opcheck(device):
    case = [t.to(device) for t in setting().values()]
    opcheck(torch.ops.fastcv.sgns_step, (*case, 3, 2, 0.1, 0, 0, 3))


# In the child process: how a low instruction set does the same.
PORTABLE = f"""
import sys, torch
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_sgns_step import check, setting
for dtype in (torch.float32, torch.float64):
    for d in (3, 16, 21):
        assert check("cpu", setting(d=d, dtype=dtype)) > 100
"""


def test_every_instruction_set():
    for isa in ("portable", "avx2"):
        subprocess.run(
            [sys.executable, "-c", PORTABLE],
            env={**os.environ, "FASTCV_ISA": isa, "OMP_NUM_THREADS": "1"},
            check=True,
            timeout=120,
        )
