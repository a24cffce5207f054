"""The CUDA kernel of panoptic_counts, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

DTYPES = [torch.int32, torch.int64]
FULL, REFUSED = 1, 2


def run(library, predicted, target, bits, probes=64):
    """What the kernel leaves: the status, and what is in the tables, by rising triples."""
    images, pixels = len(predicted), predicted[0].numel()
    tensors = dict(
        predicted=predicted,
        target=target,
        keys=torch.full((images, 2**bits), -1),
        counts=torch.zeros(images, 2**bits, dtype=torch.int64),
        status=torch.zeros(1, dtype=torch.int32),
    )
    tensors = {name: library.guard(t, name) for name, t in tensors.items()}
    at = [ctypes.c_void_p(t.data_ptr()) for t in tensors.values()]
    sizes = (ctypes.c_int64 * 4)(images, pixels, bits, probes)
    getattr(library, f"panoptic_counts_{str(predicted.dtype).removeprefix('torch.')}")(sizes, *at)
    keys, counts = tensors["keys"], tensors["counts"]
    found = [
        (image, key >> 32, key & 0xFFFFFFFF, count)
        for image in range(images)
        for key, count in zip(keys[image].tolist(), counts[image].tolist(), strict=True)
        if count
    ]
    assert ((keys == -1) == (counts == 0)).all()
    return int(tensors["status"]), sorted(found)


def expected(predicted, target):
    pairs, counts = torch.ops.fastcv.panoptic_counts(predicted, target)
    return [(*pair, count) for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)]


def regions(size, dtype, seed=0):
    """Regions of some pixels, with ids of 24 bits and of 31; void; the last rows are noise."""
    g = torch.Generator().manual_seed(seed)
    ids = torch.tensor([0, 1, 2, 70_000, 2**24 - 1, 2**31 - 1])
    made = ids[torch.randint(len(ids), size, generator=g)]
    made = made.repeat_interleave(5, 1).repeat_interleave(9, 2)
    made[:, -3:] = torch.randint(60, made[:, -3:].shape, generator=g)
    return made.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_matches_the_cpu(emulated, dtype):
    predicted, target = (regions((2, 3, 10), dtype, seed) for seed in (0, 1))
    status, found = run(emulated("panoptic_counts"), predicted, target, bits=12)
    assert status == 0 and found == expected(predicted, target)


def test_a_table_with_a_slot_for_every_pixel(emulated):
    predicted, target = torch.arange(128, dtype=torch.int32).view(2, 1, 64).unbind(0)
    predicted, target = predicted[None], target[None]
    status, found = run(emulated("panoptic_counts"), predicted, target, bits=6, probes=64)
    assert status == 0 and found == expected(predicted, target)


def test_what_cannot_be_counted(emulated):
    library = emulated("panoptic_counts")
    many = torch.arange(300, dtype=torch.int32).view(1, 3, 100)
    assert run(library, many, many, bits=6)[0] == FULL
    for bad in (-1, -(2**31), 2**31 - 1):
        ids = torch.full((1, 2, 3), 5, dtype=torch.int32)
        ids[0, 1, 1] = bad
        wanted = 0 if bad > 0 else REFUSED
        assert run(library, ids, ids.clamp(min=0), bits=6)[0] == wanted
        assert run(library, ids.clamp(min=0), ids, bits=6)[0] == wanted
    wide = torch.full((1, 2, 3), 2**31)
    assert run(library, wide, wide, bits=6)[0] == REFUSED


def test_no_race(raced):
    predicted, target = (regions((2, 2, 6), torch.int32, seed) for seed in (2, 3))
    status, found = run(raced("panoptic_counts"), predicted, target, bits=9)
    assert status == 0 and found == expected(predicted, target)
