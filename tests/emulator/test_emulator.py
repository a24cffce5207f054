"""The emulator itself: what it runs right, and the planted mistakes it must find."""

import ctypes
import math

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


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "name, expected",
    [
        ("shuffle_is_no_fence", [32 - t for t in range(32)]),
        ("half_warp", [t ^ 16 for t in range(32)]),
    ],
    ids=["not a shuffle", "its own lanes alone"],
)
def test_syncwarp_orders(races, emulator, order, name, expected):
    races.set_order(order)
    out = torch.zeros(32, dtype=torch.int32)
    getattr(races, name)(pointer(out), 1)
    assert out.tolist() == expected
    with pytest.raises(emulator.EmulatorError, match=r"race: .*selfcheck.cpp:\d+"):
        getattr(races, name)(pointer(out), 0)


def test_a_race_for_one_byte_of_a_word(races, emulator):
    memory, out = torch.zeros(4, dtype=torch.uint8), torch.zeros(1, dtype=torch.int32)
    races.bytes(pointer(memory), pointer(out), 1)
    assert out.item() == 1
    with pytest.raises(emulator.EmulatorError, match="race: a write and a read by thread 0 of"):
        races.bytes(pointer(memory), pointer(out), 0)


def test_blocks_run_in_the_order_asked_for(selfcheck):
    first = {}
    for order in ORDERS:
        selfcheck.set_order(order)
        blocks = torch.zeros(1, dtype=torch.int32)
        first[order] = selfcheck.first_block(pointer(blocks))
    assert first["ascending"] == 0 and first["descending"] == 49
    assert len(set(first.values())) == len(ORDERS)


@pytest.mark.parametrize(
    "write, read, plain, raced",
    [
        (8, 0, "wrote byte 32 of shared tile, which has 32", "byte 32 of shared tile, .*cpp:"),
        (-1, 0, "wrote 4 bytes before shared tile", "4 bytes before shared tile at selfcheck.cpp:"),
        (0, 9, None, "byte 36 of shared tile, which has 32 at selfcheck.cpp:"),
    ],
)
def test_shared_memory_has_bounds(selfcheck, races, emulator, write, read, plain, raced):
    out = torch.zeros(1, dtype=torch.int32)
    selfcheck.shared_bounds(0, 0, pointer(out))
    for library, words in ((selfcheck, plain), (races, raced)):
        if words is None:  # a read alone leaves no trace
            continue
        with pytest.raises(emulator.EmulatorError, match=f"out of bounds: .*{words}"):
            library.shared_bounds(write, read, pointer(out))


@pytest.mark.parametrize(
    "write, read, plain, raced",
    [
        (5, 0, "wrote byte 20 of y, which has 20", "byte 20 of y, which has 20 at selfcheck.cpp:"),
        (-2, 0, "wrote 8 bytes before y", "8 bytes before y at selfcheck.cpp:"),
        (0, 5, None, "byte 20 of x, which has 20 at selfcheck.cpp:"),
    ],
)
def test_guarded_tensors_have_bounds(selfcheck, races, emulator, write, read, plain, raced):
    for library, words in ((selfcheck, plain), (races, raced)):
        x, y = library.guard(torch.arange(5.0), "x"), library.guard(torch.zeros(5), "y")
        library.global_bounds(pointer(x), pointer(y), 4, 3)
        assert y.tolist() == [0, 0, 0, 0, 3]
        if words is not None:
            with pytest.raises(emulator.EmulatorError, match=f"out of bounds: .*{words}"):
                library.global_bounds(pointer(x), pointer(y), write, read)
        library.forget_guards()


def test_a_guarded_copy_has_the_same_layout(races):
    for x in (torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5).half()[..., :0]):
        for memory_format in (torch.contiguous_format, torch.channels_last):
            x = x.contiguous(memory_format=memory_format)
            copy = races.guard(x)
            assert torch.equal(copy, x) and copy.stride() == x.stride()
    races.forget_guards()


def test_a_misaligned_vector(races, emulator):
    memory, out = torch.zeros(8), torch.zeros(4)
    races.load_vector(pointer(memory), pointer(out))
    with pytest.raises(
        emulator.EmulatorError, match=r"misaligned access of 16 bytes at selfcheck.cpp:\d+"
    ):
        races.load_vector(pointer(memory[1:]), pointer(out))


def test_device_memory_is_unwritten(selfcheck):
    selfcheck.unwritten_buffer.restype = ctypes.c_float
    assert math.isnan(selfcheck.unwritten_buffer())


@pytest.mark.parametrize(
    "name", ["float64", "float32", "int32", "uint32", "uint64", "float16", "bfloat16"]
)
def test_atomic_add(selfcheck, name):
    dtype = getattr(torch, name)
    total, two = torch.zeros(1, dtype=dtype), torch.tensor([2], dtype=dtype)
    getattr(selfcheck, f"add_{name}")(pointer(total), pointer(two))
    assert total.tolist() == [256]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_atomic_add_of_pairs(selfcheck, dtype):
    name = f"add_{str(dtype).removeprefix('torch.')}_pair"
    total, pair = torch.zeros(2, dtype=dtype), torch.tensor([2, 1], dtype=dtype)
    getattr(selfcheck, name)(pointer(total), pointer(pair))
    assert total.tolist() == [256, 128]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["int32", "uint32", "uint64"])
def test_integer_atomics(selfcheck, order, name):
    selfcheck.set_order(order)
    dtype = torch.int64 if name == "uint64" else torch.int32
    result = torch.tensor([5, 40, 0, 2**31 - 1, 0, 0, 0, 0], dtype=dtype)
    getattr(selfcheck, f"integer_atomics_{name}")(pointer(result))
    largest, smallest, either, both, xor, first, winner, total = result.tolist()
    assert (largest, smallest, either, both) == (63, 0, 2**31 - 1, 0)
    assert (xor, total) == (0, 2016) and first == winner != 0


@pytest.mark.parametrize(
    "function, words",
    [
        ("divergent", r"divergent barrier: 54 threads ended before __syncthreads at selfcheck.cpp"),
        ("two_barriers", r"divergent barrier: __syncthreads at selfcheck.cpp:\d+ \(thread 0\) and"),
        ("different_places", r"lanes wait in different places: __syncwarp at selfcheck.cpp:\d+"),
        ("deadlock", r"deadlock: __syncthreads at .*__syncwarp at selfcheck.cpp:\d+ \(thread 40\)"),
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
