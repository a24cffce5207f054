"""What a person sees when a build cannot work: one sentence, with what was found and the cure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fastcv import _extension

ROOT = Path(__file__).parents[1]


def build(tmp_path: Path, prelude: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """`python setup.py build_ext` after `prelude`, into a folder of its own."""
    script = (
        f"{prelude}\nimport sys, runpy\nsys.argv = ['setup.py', 'build_ext', '-b', r'{tmp_path}']\n"
    )
    script += f"runpy.run_path(r'{ROOT / 'setup.py'}', run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_without_torch(tmp_path):
    done = build(tmp_path, "import sys; sys.modules['torch'] = None")
    assert done.returncode != 0
    assert "building needs torch >= 2.11" in done.stderr and "pip install" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_an_old_torch(tmp_path):
    done = build(tmp_path, "import torch; torch.__version__ = '2.5.1'", FASTCV_CUDA="0")
    assert done.returncode != 0
    assert "torch >= 2.11 is needed, found 2.5.1" in done.stderr


def test_without_a_compiler(tmp_path):
    done = build(tmp_path, CXX="no-such-compiler", FASTCV_CUDA="0")
    assert done.returncode != 0
    assert "no C++ compiler: 'no-such-compiler' was not found" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("has_a_shared_one", [True, False])
def test_a_compiler_with_a_static_cpp_runtime_alone(tmp_path, has_a_shared_one):
    """Torch's exceptions would not pass through two runtimes."""
    compiler = tmp_path / "g++"
    found = "/usr/lib/libstdc++.so" if has_a_shared_one else "libstdc++.so"
    compiler.write_text(f"#!/bin/sh\necho {found}\n")
    compiler.chmod(0o755)
    show = "lambda **options: print('linked:', options['ext_modules'][0].extra_link_args)"
    done = build(tmp_path, f"import setuptools; setuptools.setup = {show}", CXX=str(compiler))
    linked = done.stdout.split("linked: ")[1]
    assert ("libstdc++.so.6" in linked) is not has_a_shared_one


@pytest.fixture
def fake_toolkit(tmp_path):
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 11.8, V11.8.89'\n")
    nvcc.chmod(0o755)
    return str(tmp_path / "cuda")


def test_with_another_cuda_major(tmp_path, fake_toolkit):
    done = build(
        tmp_path,
        "import torch; torch.version.cuda = '13.0'",
        CUDA_HOME=fake_toolkit,
        FASTCV_CUDA="1",
    )
    assert done.returncode != 0
    assert "torch was built for CUDA 13.0, but nvcc is 11.8" in done.stderr
    assert "FASTCV_CUDA=0" in done.stderr


def test_cuda_wanted_from_a_cpu_torch(tmp_path):
    done = build(tmp_path, "import torch; torch.version.cuda = None", FASTCV_CUDA="1")
    assert done.returncode != 0
    assert "the installed torch is a CPU build" in done.stderr


def test_a_switch_with_a_typo(tmp_path):
    done = build(tmp_path, "import torch; torch.version.cuda = '13.0'", FASTCV_CUDA="yes")
    assert done.returncode != 0
    assert "FASTCV_CUDA must be 0 or 1, got 'yes'" in done.stderr


def test_module_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(_extension, "__file__", str(tmp_path / "_extension.py"))
    message = _extension._why_not(ImportError("No module named fastcv._C"))
    assert "fastcv._C is missing" in message and "pip install" in message


def test_built_for_another_torch(tmp_path, monkeypatch):
    (tmp_path / "_C.so").write_bytes(b"\x7fELF...FASTCV_BUILT_FOR_TORCH=2.3.0+cu121;...")
    monkeypatch.setattr(_extension, "__file__", str(tmp_path / "_extension.py"))
    message = _extension._why_not(ImportError("undefined symbol: _ZN3c10"))
    assert f"built for torch 2.3.0+cu121, but torch {torch.__version__} is installed" in message
    assert "pip install" in message


def test_the_real_library_carries_its_marker(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "1.0.0")
    built_for = _extension.importlib.import_module("fastcv._C").build_info()["torch"]
    assert f"built for torch {built_for}" in _extension._why_not(ImportError("undefined symbol"))


@pytest.mark.parametrize(
    "smi, has_gpu",
    [
        ("GPU 0: NVIDIA H100 (UUID: GPU-1)", True),
        ("NVIDIA-SMI has failed because it could not talk to the driver.", False),
        ("No devices found.", False),
    ],
)
def test_the_demo_needs_no_cuda_where_there_is_no_gpu(tmp_path, smi, has_gpu):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{smi}'\n")
    program.chmod(0o755)
    planned = subprocess.run(
        ["make", "-n", "--no-print-directory", "demo"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout
    assert planned.endswith("-m fastcv demo --out demo\n")
    assert ("FASTCV_CUDA=0" in planned) is not has_gpu
