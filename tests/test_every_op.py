"""Walks the list of registered ops: each must have everything that csrc/README.md asks of an op."""

import re
from pathlib import Path

import pytest
import torch

import fastcv.ops
from fastcv import _C

ROOT = Path(__file__).parents[1]
OPS = sorted(_C.op_names())
PUBLIC = [op for op in OPS if not op.startswith("_")]


def files_with(pattern: str, glob: str) -> list[Path]:
    return [p for p in ROOT.glob(glob) if re.search(pattern, p.read_text())]


def test_there_are_ops():
    assert "identity" in PUBLIC and "nms" in PUBLIC and "roi_align" in PUBLIC


@pytest.mark.parametrize("op", OPS)
def test_has_a_cpu_kernel(op):
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"fastcv::{op}", "CPU")


@pytest.mark.parametrize("op", OPS)
def test_has_a_cuda_kernel(op):
    if _C.build_info()["cuda"]:
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"fastcv::{op}", "CUDA")
    else:  # the source is there, this build left it out
        assert files_with(rf'm\.impl\(\s*"{op}"', "csrc/*/*_cuda.cpp")


@pytest.mark.parametrize("op", OPS)
def test_has_a_fake_kernel(op):
    entry = torch._library.simple_registry.singleton.find(f"fastcv::{op}")
    assert entry.fake_impl.kernel is not None


@pytest.mark.parametrize("op", OPS)
def test_is_bound_in_the_module(op):
    assert callable(getattr(_C, op))


@pytest.mark.parametrize("op", OPS)
def test_is_opchecked(op):
    assert files_with(rf"torch\.ops\.fastcv\.{op}\b", "tests/ops/test_*.py")
    users = files_with(rf"torch\.ops\.fastcv\.{op}\b", "tests/ops/test_*.py")
    assert any("opcheck(" in p.read_text() for p in users)


@pytest.mark.parametrize("op", PUBLIC)
def test_has_a_contract(op):
    assert files_with(rf"(?m)^// (\w+, )*{op}\(", "csrc/*/*.h"), f"no `// {op}(...)` contract"


@pytest.mark.parametrize("op", PUBLIC)
def test_has_a_documented_face(op):
    face = getattr(fastcv.ops, op)
    doc = face.__doc__ or ""
    for section in ("Args:", "Returns:", "Raises:", "Example"):
        assert section in doc, f"{op}'s docstring lacks {section}"
    assert ">>> " in doc


@pytest.mark.parametrize("op", PUBLIC)
def test_has_a_benchmark(op):
    assert files_with(rf'compare\(\s*"{op}"', "benchmarks/bench_*.py")


@pytest.mark.parametrize("op", PUBLIC)
def test_has_an_emulator_test(op):
    assert files_with(rf"\b{op}\b", "tests/emulator/test_*.py")


@pytest.mark.parametrize("op", PUBLIC)
def test_has_a_page(op):
    assert files_with(rf"(?m)^#+ .*`?{op}\b", "docs/ops/*.md")


def test_gradients_are_registered_in_python():
    """In C++ an op may only say that it has none: ``makeFallthrough``."""
    registered = re.compile(r"TORCH_LIBRARY_IMPL\(fastcv, Autograd\w*, m\) \{(.*?)\n\}", re.DOTALL)
    for path in ROOT.glob("csrc/**/*.cpp"):
        for block in registered.findall(path.read_text()):
            assert block.count("m.impl(") == block.count("makeFallthrough()"), path
