"""The emulator itself: what it runs right, and the planted mistakes it must find."""

import ctypes

import pytest
import torch

ORDERS = ["ascending", "descending", "random:1", "random:2"]


def pointer(t):
    return ctypes.c_void_p(t.data_ptr())


@pytest.fixture(params=["switch", "ucontext"])
def selfcheck(request, emulator):
    """With the x86-64 switch and with its portable twin."""
    return emulator.load("selfcheck", ucontext=request.param == "ucontext")


@pytest.fixture
def races(emulator):
    library = emulator.load("selfcheck", race=True)
    library.set_order("ascending")
    return library


def reverse(library, barrier, n=500):
    x, y = torch.arange(float(n)), torch.full((n,), -1.0)
    library.reverse(pointer(x), pointer(y), n, int(barrier))
    return torch.equal(y, torch.cat([block.flip(0) for block in x.split(96)]))


@pytest.mark.parametrize("order", ORDERS)
def test_barriers_shuffles_votes_atomics(selfcheck, order):
    selfcheck.set_order(order)
    assert reverse(selfcheck, barrier=True)
    x, y = torch.arange(32.0), torch.zeros(32)
    selfcheck.swap_lanes(pointer(x), pointer(y), 1)
    assert torch.equal(y, x.flip(0))
    selfcheck.sum(pointer(x), pointer(y), 20, 0)
    assert y[0] == x[:20].sum()
    total = torch.zeros(1, dtype=torch.int32)
    selfcheck.count(pointer(total), 7, 100, 1)
    assert total.item() == 700
    out = torch.zeros(192)
    selfcheck.dynamic(pointer(out))
    assert torch.equal(out, torch.cat([torch.arange(63.0, -1, -1) + 100 * b for b in range(3)]))
    votes = torch.zeros(64, 7, dtype=torch.int32)
    selfcheck.votes(pointer(votes))
    for t in range(64):
        lane = t % 32
        up = t if lane == 0 else t - 1
        assert votes[t].tolist() == [1, 40, 1, 0, up, t - lane + lane // 8 * 8 + 5, t ^ 3]


def test_a_missing_barrier_gives_a_wrong_result_in_some_order(selfcheck):
    results = []
    for order in ORDERS:
        selfcheck.set_order(order)
        results.append(reverse(selfcheck, barrier=False))
    assert not all(results)


def test_a_missing_barrier_is_a_race(races, emulator):
    assert reverse(races, barrier=True)
    with pytest.raises(
        emulator.EmulatorError, match=r"race: a read and a write.*selfcheck.cpp:\d+"
    ):
        reverse(races, barrier=False)


def test_a_missing_syncwarp_is_a_race(races, emulator):
    x, y = torch.arange(32.0), torch.zeros(32)
    races.swap_lanes(pointer(x), pointer(y), 1)
    assert torch.equal(y, x.flip(0))
    with pytest.raises(emulator.EmulatorError, match="race: "):
        races.swap_lanes(pointer(x), pointer(y), 0)


@pytest.mark.parametrize("blocks, threads", [(1, 64), (2, 1)], ids=["within a block", "between"])
def test_a_plain_add_where_an_atomic_belongs_is_a_race(races, emulator, blocks, threads):
    total = torch.zeros(1, dtype=torch.int32)
    races.count(pointer(total), blocks, threads, 1)
    assert total.item() == blocks * threads
    with pytest.raises(emulator.EmulatorError, match=r"race: .*selfcheck.cpp:\d+"):
        races.count(pointer(total), blocks, threads, 0)


@pytest.mark.parametrize(
    "function, words",
    [
        ("divergent", r"divergent barrier: 54 threads ended before __syncthreads at selfcheck.cpp"),
        ("two_barriers", r"divergent barrier: __syncthreads at selfcheck.cpp:\d+ \(thread 0\) and"),
        ("not_in_mask", "__syncwarp at selfcheck.cpp.*the calling lane is not in its mask"),
        ("too_much_shared", "static shared memory is 49153 bytes: at most 48 KiB"),
        ("too_much_dynamic", "at most 227 KiB of dynamic shared memory, got 233472"),
    ],
)
def test_mistakes_are_named(selfcheck, emulator, function, words):
    selfcheck.set_order("ascending")
    with pytest.raises(emulator.EmulatorError, match=words):
        getattr(selfcheck, function)()
    assert reverse(selfcheck, barrier=True)  # and the next launch is none the worse


def test_a_shuffle_from_a_lane_that_ended(selfcheck, emulator):
    x, y = torch.arange(32.0), torch.zeros(1)
    with pytest.raises(emulator.EmulatorError, match=r"reads lane 2\d, which is inactive"):
        selfcheck.sum(pointer(x), pointer(y), 20, 1)


@pytest.mark.parametrize(
    "shape, words",
    [
        ((1, 1, 1025, 1), "a block must have 1 to 1024 threads, got 1025 x 1 x 1"),
        ((1, 1, 1, 65), "a block must have 1 to 1024 threads, got 1 x 1 x 65"),
        ((0, 1, 1, 1), "a grid must have 1 to .*, got 0 x 1 x 1"),
        ((1, 65536, 1, 1), "a grid must have 1 to .*, got 1 x 65536 x 1"),
    ],
)
def test_launches_that_cuda_refuses(selfcheck, emulator, shape, words):
    with pytest.raises(emulator.EmulatorError, match=words):
        selfcheck.launch_shape(*shape)


def test_shared_memory_is_unset(selfcheck):
    out = torch.zeros(32)
    selfcheck.unset(pointer(out))
    assert out.isnan().all()


@pytest.mark.parametrize("name, dtype", [("half", torch.float16), ("bfloat16", torch.bfloat16)])
def test_conversions(emulator, name, dtype):
    library = emulator.load("selfcheck")
    narrow = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(dtype)
    wide = torch.empty(2**16)
    getattr(library, f"{name}_to_float")(pointer(narrow), pointer(wide), ctypes.c_int64(2**16))
    assert torch.equal(wide.nan_to_num(7), narrow.float().nan_to_num(7))
    # All numbers of either type, those half-way between two, and their neighbours.
    finite = narrow[narrow.isfinite()].float().sort()[0]
    middle = (finite[1:].double() / 2 + finite[:-1].double() / 2).float()
    near = [torch.nextafter(middle, torch.tensor(side)) for side in (-3.4e38, 3.4e38)]
    odd = torch.tensor([float("inf"), float("-inf"), float("nan"), 65519.99, 65520.0, 3.4e38])
    values = torch.cat([finite, middle, *near, odd, -odd])
    back = torch.empty(len(values), dtype=dtype)
    getattr(library, f"float_to_{name}")(
        pointer(values), pointer(back), ctypes.c_int64(len(values))
    )
    assert torch.equal(back.float().nan_to_num(7), values.to(dtype).float().nan_to_num(7))
