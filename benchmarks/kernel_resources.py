"""What the compiled CUDA kernels take of an SM and which instructions they have, without a GPU.

make kernels    # writes docs/cuda_kernels.md from the built extension

Of every kernel for compute capability 9.0: registers, stack (what did not fit into registers, or is
an array indexed at run time), shared memory, how many threads are resident on an SM, and whether
16-byte loads and tensor-core instructions are there. Fails where a kernel cannot be launched with
its block, or lacks an instruction that it was written for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastcv._files import replacing

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "cuda_kernels.md"
BEGIN = "<!-- table -->\n"

# CUDA C++ Programming Guide, compute capability 9.0.
REGISTERS, THREADS, BLOCKS, SHARED = 65536, 2048, 32, 228 * 1024
REGISTER_UNIT = 256  # a warp gets a multiple of it
SYSTEM_SHARED = 1024  # of each block; not reported where the kernel has none of its own
SIZES = {"__half": 2, "__nv_bfloat16": 2, "float": 4, "double": 8}

# Threads of a block, as the launches have them; the greatest where they differ.
BLOCK = {
    "bins_kernel": 256,
    "box_iou_rotated_kernel": 256,
    "correlated::forward_kernel": 256,
    "correlated::gradient_kernel": 256,
    "greedy::chunk_mask_kernel": 256,
    "deform::columns_kernel": 256,
    "decode_heatmaps_kernel": 256,
    "depthwise_kernel": 128,
    "encode_heatmaps_backward_kernel": 256,
    "encode_heatmaps_kernel": 256,
    "deform::gradients_kernel": 256,
    "fast_nms_kernel": 256,
    "gather::gather_kernel": 256,
    "greedy::gather_kernel": 256,
    "gemm_mma_kernel": 512,
    "gemm_plain_kernel": 128,
    "gram_kernel": 256,
    "gram_mma_kernel": 128,
    "gram_write_kernel": 256,
    "hog_blocks_kernel": 256,
    "hog_cells_kernel": 256,
    "identity_kernel": 256,
    "lattice_blur_kernel": 256,
    "lattice_join_kernel": 256,
    "lattice_neighbours_kernel": 256,
    "lattice_points_kernel": 256,
    "lattice_slice_kernel": 256,
    "lattice_splat_kernel": 256,
    "lines_one_by_one_kernel": 256,
    "lines_side_by_side_kernel": 256,
    "deform::ordered_scatter_kernel": 1024,
    "greedy::resolve_kernel": 1024,
    "deform::samples_kernel": 256,
    "mel::frames_kernel": 128,
    "mel::tables_kernel": 128,
    "vq::nearest_kernel": 256,
    "vq::sums_kernel": 128,
    "panoptic::count_kernel": 256,
    "paste_masks_kernel": 256,
    "proto_masks_kernel": 256,
    "proto_samples_kernel": 256,
    "sigmoid_focal_loss_backward_kernel": 256,
    "sigmoid_focal_loss_kernel": 256,
    "sigmoid_focal_loss_sum_kernel": 256,
    "soft_gather_kernel": 256,
    "soft_nms_kernel": 1024,
    "softmax_focal_loss_backward_kernel": 128,
    "softmax_focal_loss_kernel": 128,
    "softmax_focal_loss_sum_kernel": 128,
    "sum_parts_kernel": 256,
    "greedy::suppress_kernel": 256,
    "sgns::choose_kernel": 256,
    "sgns::flags_kernel": 256,
    "sgns::pairs_kernel": 256,
    "sgns::round_kernel": 32,
    "topk::merge_kernel": 128,
    "warped::flow_gradient_kernel": 256,
    "warped::forward_kernel": 256,
    "warped::ordered_scatter_kernel": 512,
    "warped::scatter_kernel": 256,
    "window::window_kernel": 256,
}
# Which forms, by the template's arguments, were written for 16-byte loads and for tensor cores.
HALVES = ("__half", "__nv_bfloat16")
WIDE: dict[str, Callable[[list[str]], bool]] = {
    "bins_kernel": lambda a: a[0] != "1" and a[1] == "true",
    "deform::columns_kernel": lambda a: a[1] != "1",
    "deform::gradients_kernel": lambda a: a[1] != "1" and a[0] not in HALVES,
    "gram_kernel": lambda a: a[1] != "1",
    "gram_mma_kernel": lambda a: a[1] != "1",
    "sigmoid_focal_loss_backward_kernel": lambda a: a[2] != "1",
    "sigmoid_focal_loss_kernel": lambda a: a[2] != "1",
    "sigmoid_focal_loss_sum_kernel": lambda a: a[2] != "1",
    "gemm_mma_kernel": lambda a: True,
    "gemm_plain_kernel": lambda a: True,
    "warped::forward_kernel": lambda a: a[1] != "1",
    "window::window_kernel": lambda a: a[0] != "1",
}
TENSOR_CORES: dict[str, Callable[[list[str]], bool]] = {
    "gram_mma_kernel": lambda a: True,
    "gemm_mma_kernel": lambda a: True,
}


@dataclass
class Kernel:
    """One instantiation."""

    name: str
    """With the namespace within ``fastcv::cuda``."""
    arguments: list[str]
    """Of the template."""
    registers: int
    stack: int
    shared: int
    """Bytes, those set at launch and the system's included."""
    wide: bool = False
    """Reads 16 bytes at once."""
    tensor_cores: bool = False

    @property
    def threads(self) -> int:
        """Of a block."""
        if self.name == "gemm_mma_kernel":
            return 2 * int(self.arguments[1])
        return BLOCK[self.name]

    @property
    def resident(self) -> int:
        """Threads of the kernel on an SM at once; 0: not even one block."""
        a_warp = -(-self.registers * 32 // REGISTER_UNIT) * REGISTER_UNIT
        of_registers = REGISTERS // a_warp * 32 // self.threads
        fits = min(of_registers, SHARED // self.shared, THREADS // self.threads, BLOCKS)
        return fits * self.threads


def set_at_launch(name: str, arguments: list[str]) -> int:
    """Bytes of shared memory that a launch asks for beside the static ones."""
    if name == "gemm_plain_kernel":  # (rows + columns) * step, gemm_plain.cuh
        return (64 + 128) * 40 * SIZES[arguments[0]]
    if name == "gemm_mma_kernel":  # (2 * rows + slots * columns) * depth, gemm_mma.cuh
        return (2 * 128 + 4 * int(arguments[1])) * 64 * 2  # at most 4 slots
    if name == "gather::gather_kernel" and "SeparableGather" in arguments[1]:
        return 24 * 1024  # separable_gather.cuh
    if name in ("deform::columns_kernel", "deform::gradients_kernel"):
        return 32 * 1024  # at most, deform_device.cuh
    if name == "window::window_kernel":
        return 40 * 1024  # window_forward.cuh
    if name in ("gram_kernel", "gram_mma_kernel"):  # stages * 2 * side * 64, gram_matrix_kernel.cuh
        return 4 * 2 * int(arguments[3]) * 64
    return 0


def tool(name: str) -> str:
    """Of the CUDA toolkit, or of Triton, which comes with a CUDA build of torch."""
    found = shutil.which(name)
    if found is not None:
        return found
    try:
        import triton
    except ImportError:
        sys.exit(f"fastcv: {name} was not found: it comes with the CUDA toolkit, or with Triton.")
    return str(Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name)


def read(extension: Path) -> list[Kernel]:
    """Every kernel of the built extension."""
    usage = demangled(output(tool("cuobjdump"), "--dump-resource-usage", str(extension)))
    kernels = {}
    pattern = r"Function (\S.*?):\n\s+REG:(\d+) STACK:(\d+) SHARED:(\d+)"
    for signature, registers, stack, shared in re.findall(pattern, usage):
        name, arguments = split(signature)
        kernels[signature] = Kernel(
            name,
            arguments,
            int(registers),
            int(stack),
            max(int(shared), SYSTEM_SHARED) + set_at_launch(name, arguments),
        )
    code = output(tool("cuobjdump"), "-sass", str(extension)).split("Function : ")[1:]
    signatures = demangled("\n".join(part.split("\n", 1)[0] for part in code)).split("\n")
    for signature, part in zip(signatures, code, strict=True):
        kernel = kernels[signature]
        kernel.wide = re.search(r"LDG(STS)?\.E(\.\w+)*\.128", part) is not None
        kernel.tensor_cores = "HMMA" in part
    return list(kernels.values())


def split(signature: str) -> tuple[str, list[str]]:
    """Name and template arguments of ``void fastcv::cuda::name<arguments>(parameters)``; of a
    kernel that is no template there are none.
    """
    found = re.search(r"fastcv::cuda::([\w:]+?_kernel)([<(])", signature)
    assert found is not None, signature
    name, depth, arguments = found[1], 0, [""]
    if found[2] == "(":
        return name, []
    for letter in signature[found.end() :]:
        depth += (letter == "<") - (letter == ">")
        if depth < 0:
            return name, [a.strip() for a in arguments]
        if letter == "," and depth == 0:
            arguments.append("")
        else:
            arguments[-1] += letter
    raise ValueError(f"no end of the template's arguments: {signature}")


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def demangled(text: str) -> str:
    return subprocess.run(
        ["c++filt"], input=text, capture_output=True, text=True, check=True
    ).stdout.rstrip("\n")


def faults(kernels: list[Kernel]) -> list[str]:
    """Sentences: what cannot run, and what is not as it was written to be."""
    found = []
    for kernel in kernels:
        title = f"{kernel.name}<{', '.join(kernel.arguments)}>"
        if kernel.resident == 0:
            found.append(f"{title}: not one block of {kernel.threads} threads fits an SM")
        for what, expected, there in (
            ("16-byte loads", WIDE, kernel.wide),
            ("tensor cores", TENSOR_CORES, kernel.tensor_cores),
        ):
            if kernel.name in expected and expected[kernel.name](kernel.arguments) and not there:
                found.append(f"{title}: no instruction of {what}")
    return found


def table(kernels: list[Kernel]) -> str:
    """Markdown: a row for each kernel, the range over its instantiations."""
    by_name: dict[str, list[Kernel]] = defaultdict(list)
    for kernel in kernels:
        by_name[kernel.name].append(kernel)
    lines = [
        "| kernel | forms | threads of a block | registers | stack, bytes | shared, KiB | "
        "resident threads | 16-byte loads | tensor cores |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, forms in sorted(by_name.items()):
        cells = [
            f"`{name}`",
            str(len(forms)),
            span([k.threads for k in forms]),
            span([k.registers for k in forms]),
            span([k.stack for k in forms]),
            span([round(k.shared / 1024, 1) for k in forms]),
            span([k.resident for k in forms]),
            share([k.wide for k in forms]),
            share([k.tensor_cores for k in forms]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def share(there: list[bool]) -> str:
    """In how many of the forms; nothing where in none."""
    return "" if not any(there) else "all" if all(there) else f"{sum(there)}"


def main() -> None:
    found = sorted((ROOT / "fastcv").glob("_C*.so"))
    if not found:
        sys.exit("fastcv: no extension is built: run `make build` first")
    kernels = read(found[0])
    if not kernels:
        sys.exit("fastcv: the extension has no CUDA kernels: it was built without nvcc")
    with replacing(PAGE) as temporary:
        head = PAGE.read_text().split(BEGIN)[0]
        temporary.write_text(head + BEGIN + table(kernels))
    wrong = faults(kernels)
    print(f"{len(kernels)} kernels: {PAGE.relative_to(ROOT)}")
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
