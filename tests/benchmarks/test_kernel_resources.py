"""The table of CUDA kernels: every kernel is in it, and its arithmetic is that of the hardware."""

import re
from pathlib import Path

import kernel_resources
import pytest

ROOT = Path(__file__).parents[2]
Kernel = kernel_resources.Kernel


def kernel(name="hog_cells_kernel", arguments=("float",), registers=32, shared=1024, **more):
    return Kernel(name, list(arguments), registers, stack=0, shared=shared, **more)


def test_every_kernel_has_its_block_and_its_row():
    written = set()
    for path in ROOT.glob("csrc/**/*.cuh"):
        written |= set(re.findall(r"__global__ void[^;{]*?\b(\w+_kernel)\(", path.read_text()))
    assert len(written) > 30
    assert {name.split("::")[-1] for name in kernel_resources.BLOCK} == written
    page = kernel_resources.PAGE.read_text()
    assert [name for name in kernel_resources.BLOCK if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize(
    ("registers", "shared", "resident"),
    [
        (32, 1024, 2048),  # nothing is short
        (33, 1024, 1536),  # 40 a thread by units of 256 a warp: 6 blocks of 256
        (255, 1024, 256),
        (32, 100 * 1024, 512),  # two blocks' shared memory
        (32, 229 * 1024, 0),
    ],
)
def test_resident_threads(registers, shared, resident):
    assert kernel(registers=registers, shared=shared).resident == resident


def test_the_name_and_the_arguments_of_a_template():
    signature = (
        "void fastcv::cuda::gather::gather_kernel<true, fastcv::cuda::A<float, 4>, float>"
        "(fastcv::cuda::A<float, 4>, float*)"
    )
    name, arguments = kernel_resources.split(signature)
    assert name == "gather::gather_kernel"
    assert arguments == ["true", "fastcv::cuda::A<float, 4>", "float"]
    plain = "fastcv::cuda::sgns::flags_kernel(fastcv::SgnsText, long*)"
    assert kernel_resources.split(plain) == ("sgns::flags_kernel", [])


def test_shared_memory_that_a_launch_asks_for():
    # 64 rows and 128 columns, 40 numbers each.
    assert kernel_resources.set_at_launch("gemm_plain_kernel", ["float"]) == 192 * 40 * 4
    assert kernel_resources.set_at_launch("hog_cells_kernel", ["float"]) == 0


def test_what_cannot_run_or_lacks_its_instructions_is_named():
    good = kernel("sigmoid_focal_loss_kernel", ["float", "float", "4"], wide=True)
    narrow = kernel("sigmoid_focal_loss_kernel", ["float", "float", "4"])
    large = kernel("soft_nms_kernel", registers=80)  # 1024 threads
    plain = kernel("gram_mma_kernel", ["__half", "1", "true"])
    found = kernel_resources.faults([good, narrow, large, plain])
    assert found == [
        "sigmoid_focal_loss_kernel<float, float, 4>: no instruction of 16-byte loads",
        "soft_nms_kernel<float>: not one block of 1024 threads fits an SM",
        "gram_mma_kernel<__half, 1, true>: no instruction of tensor cores",
    ]


def test_a_row_is_the_range_over_the_forms():
    forms = [kernel(registers=32, wide=True), kernel(registers=48)]
    row = kernel_resources.table(forms).splitlines()[2]
    assert row == "| `hog_cells_kernel` | 2 | 256 | 32 to 48 | 0 | 1 | 1280 to 2048 | 1 |  |"
