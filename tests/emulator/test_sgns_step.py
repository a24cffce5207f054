"""The CUDA kernels of sgns_step, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

from fastcv.language import keep_probabilities, noise_table
from fastcv.ops import sgns_step

TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-14}


def mix(x):
    """SplitMix64's finaliser, as a signed number."""
    x &= 2**64 - 1
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) % 2**64
    x ^= x >> 31
    return x - 2**64 if x >= 2**63 else x


def setting(vocabulary=7, d=5, count=30, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    words = torch.randint(-1, vocabulary, (count,), generator=g)
    counts = torch.bincount(words[words >= 0], minlength=vocabulary) + 1
    matrices = torch.rand(2, vocabulary, d, generator=g, dtype=torch.float64).to(dtype) - 0.5
    return dict(
        input=matrices[0].clone(),
        output=matrices[1].clone(),
        words=words,
        keep=keep_probabilities(counts, 0.1),
        noise=noise_table(counts),
    )


def run(library, case, window, negative, lr, seed, position, shards):
    """As the CUDA launcher: torch's sums, sort and search between the kernels."""
    input, output, words, keep, noise = (
        library.guard(tensor, name) for name, tensor in case.items()
    )
    count, most = len(words), 2 * window * (1 + negative)

    def call(name, *tensors, round=0):
        sizes = (count, len(input), window, negative, mix(seed), position, shards, round)
        sizes = (ctypes.c_int64 * 11)(
            *sizes, input.shape[1], input.stride(0), output.stride(0)
        )  # fmt: skip
        getattr(library, name)(sizes, *(ctypes.c_void_p(t.data_ptr()) for t in tensors))

    def empty(name, *shape, dtype=torch.int64):
        return library.guard(torch.full(shape, -7, dtype=dtype), name)

    text = (words, keep, noise)
    flags, chosen = empty("flags", count), empty("chosen", count)
    call("sgns_flags", *text, flags)
    sums = flags.cumsum(0)
    call("sgns_choose", *text, flags, sums, chosen)
    keys, pairs = empty("keys", count * most, dtype=torch.int32), empty("pairs", count * most)
    call("sgns_pairs", *text, sums, chosen, keys, pairs)
    by_key, order = keys.sort(stable=True)
    starts = torch.searchsorted(by_key, torch.arange(shards**2 + 1, dtype=torch.int32))
    errors = empty("errors", shards, most, dtype=input.dtype)
    losses = empty("losses", shards**2, dtype=torch.float64)
    step = torch.tensor(lr, dtype=input.dtype)
    for round in range(shards):
        name = f"sgns_round_{str(input.dtype).removeprefix('torch.')}"
        call(name, order, starts, pairs, input, output, step, errors, losses, round=round)
    return input, output, losses.sum(), starts[-1]


def check(library, case, window=2, negative=2, lr=0.1, seed=3, position=11, shards=3):
    numbers = (window, negative, lr, seed, position, shards)
    own = {name: t.clone() for name, t in case.items()}
    loss, pairs = sgns_step(*own.values(), *numbers)
    found = run(library, case, *numbers)
    tolerance = TOLERANCE[case["input"].dtype]
    torch.testing.assert_close(found[0], own["input"], rtol=0, atol=tolerance)
    torch.testing.assert_close(found[1], own["output"], rtol=0, atol=tolerance)
    torch.testing.assert_close(found[2], loss, rtol=10 * tolerance, atol=1e-12)
    assert int(found[3]) == int(pairs)
    return int(pairs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("d", [1, 5, 40])
def test_matches_the_cpu(emulated, dtype, d):
    assert check(emulated("sgns_step"), setting(d=d, dtype=dtype)) > 50


@pytest.mark.parametrize("window, negative, shards", [(1, 0, 1), (3, 1, 2), (2, 4, 9)])
def test_numbers(emulated, window, negative, shards):
    case = setting(seed=window)
    assert check(emulated("sgns_step"), case, window, negative, seed=-5, shards=shards) > 10


@pytest.mark.parametrize("words", [[-1], [3], [-1, 3, -1, -1], [3, 3], [0, 1, -1, 2, 3]])
def test_short_texts(emulated, words):
    case = setting() | dict(words=torch.tensor(words), keep=torch.ones(7))
    check(emulated("sgns_step"), case)


def test_ids_out_of_range_end_sentences(emulated):
    case = setting() | dict(words=torch.tensor([1, 2, 99, 3, -5, 4, 5]), keep=torch.ones(7))
    clean = {name: t.clone() for name, t in case.items()}
    clean["words"] = torch.where((case["words"] < 0) | (case["words"] > 6), -1, case["words"])
    numbers = (2, 2, 0.1, 0, 0, 2)
    _, pairs = sgns_step(*clean.values(), *numbers)
    found = run(emulated("sgns_step"), case, *numbers)
    assert int(found[3]) == int(pairs)
    torch.testing.assert_close(found[0], clean["input"], rtol=0, atol=2e-6)


def test_no_race(raced):
    assert check(raced("sgns_step"), setting(count=16, d=34)) > 20
