"""Builds fastcv._C. What to build is the tree itself: every csrc/*/*.cpp and, with CUDA, *.cu.

FASTCV_CUDA=0|1          leave CUDA out, or insist on it (default: where torch and nvcc have it)
FASTCV_SANITIZE=1        AddressSanitizer and UndefinedBehaviorSanitizer (`make asan`)
TORCH_CUDA_ARCH_LIST     architectures, as for any torch extension
MAX_JOBS                 compile jobs at a time
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
TORCH_MIN = "2.11"


def sources(*patterns: str) -> list[str]:
    found = sorted(p for pattern in patterns for p in (ROOT / "csrc").glob(pattern))
    return [p.relative_to(ROOT).as_posix() for p in found]


def stop(message: str) -> None:
    sys.exit(f"fastcv: {message}")


def find_toolkit() -> tuple[str, str] | None:
    """The CUDA toolkit's folder and version, from nvcc itself: the one on PATH may be a wrapper."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    nvcc = str(Path(home, "bin", "nvcc")) if home else shutil.which("nvcc")
    if nvcc is None and Path("/usr/local/cuda/bin/nvcc").exists():
        nvcc = "/usr/local/cuda/bin/nvcc"
    if nvcc is None or not Path(nvcc).exists():
        return None
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout
    version = re.search(r"release (\d+\.\d+)", text)
    if version is None:
        return None
    plan = subprocess.run(
        [nvcc, "--dryrun", "-E", "-x", "cu", os.devnull], capture_output=True, text=True
    ).stderr
    top = re.search(r"TOP=(.+)", plan)
    home = home or (
        str(Path(top.group(1).strip()).resolve()) if top else str(Path(nvcc).parents[1])
    )
    return home, version.group(1)


def want_cuda(torch_cuda: str | None, toolkit: str | None) -> bool:
    """Whether to build the CUDA side; stops with one sentence where that cannot work."""
    asked = os.environ.get("FASTCV_CUDA", "")
    if asked not in ("", "0", "1"):
        stop(f"FASTCV_CUDA must be 0 or 1, got {asked!r}.")
    if asked == "0":
        return False
    if asked == "1" and torch_cuda is None:
        stop(
            "FASTCV_CUDA=1, but the installed torch is a CPU build: install a CUDA build of torch "
            "or build with FASTCV_CUDA=0."
        )
    if asked == "1" and toolkit is None:
        stop(
            "FASTCV_CUDA=1, but no nvcc was found: install the CUDA toolkit "
            f"{torch_cuda} (or set CUDA_HOME) or build with FASTCV_CUDA=0."
        )
    if torch_cuda is None or toolkit is None:
        return False
    if torch_cuda.split(".")[0] != toolkit.split(".")[0]:
        stop(
            f"torch was built for CUDA {torch_cuda}, but nvcc is {toolkit}: install CUDA toolkit "
            f"{torch_cuda.split('.')[0]}.x (and point CUDA_HOME at it) or build with FASTCV_CUDA=0."
        )
    return True


def default_archs(toolkit: str) -> str:
    major, minor = (int(x) for x in toolkit.split(".")[:2])
    return "8.0;9.0;10.0;12.0+PTX" if (major, minor) >= (12, 8) else "8.0;9.0+PTX"


def nvidia_package_dirs(kind: str) -> list[str]:
    """Folders of the pip-installed CUDA libraries: headers and libraries the toolkit may lack."""
    site = [Path(p, "nvidia") for p in sys.path if Path(p, "nvidia").is_dir()]
    return sorted({str(d) for s in site for d in s.glob(f"*/{kind}") if d.is_dir()})


def cpp_compiler() -> str:
    return os.environ.get("CXX", "c++").split()[0]


def shared_cpp_runtime() -> list[str]:
    """The C++ runtime that torch has loaded, for a compiler that has but a static one.

    With a runtime of its own in the extension, an exception that torch throws through it ends the
    process.
    """
    if shutil.which(cpp_compiler()) is None:
        return []
    name = "libstdc++.so"
    asked = [cpp_compiler(), f"-print-file-name={name}"]  # the bare name, where there is none
    if subprocess.run(asked, capture_output=True, text=True).stdout.strip() != name:
        return []
    loaded = re.search(r"/\S*/libstdc\+\+\.so\.6\S*", Path("/proc/self/maps").read_text())
    return [loaded.group()] if loaded else []


def extension_and_command() -> tuple[Extension, type]:
    toolkit = find_toolkit()
    if toolkit is not None:
        os.environ["CUDA_HOME"] = toolkit[0]  # cpp_extension reads it when imported
    try:
        import torch
        from torch.utils import cpp_extension
    except ImportError:

        class NoTorch(build_ext):
            def run(self) -> None:
                stop(
                    f"building needs torch >= {TORCH_MIN}, and this Python has none: run "
                    f"`pip install 'torch>={TORCH_MIN}' pybind11 ninja setuptools` and then "
                    "`pip install --no-build-isolation .`"
                )

        return Extension("fastcv._C", []), NoTorch

    if tuple(int(x) for x in torch.__version__.split(".")[:2]) < tuple(
        int(x) for x in TORCH_MIN.split(".")
    ):
        stop(
            f"torch >= {TORCH_MIN} is needed, found {torch.__version__}: run "
            f"`pip install 'torch>={TORCH_MIN}'`."
        )

    cuda = want_cuda(torch.version.cuda, toolkit[1] if toolkit else None)
    macros = [("FASTCV_TORCH_VERSION", torch.__version__)]
    flags = [
        "-O3",
        "-std=c++20",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-fvisibility=hidden",
        "-g0",
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter",
        "-Wno-psabi",
    ]
    # at::parallel_for is inline and threads by these pragmas. Not at link time: the OpenMP runtime
    # must be torch's own, which comes with libtorch; a second one would have threads of its own.
    if torch.backends.openmp.is_available():
        flags.append("-fopenmp")
    if platform.machine() in ("x86_64", "AMD64"):
        flags.append("-march=x86-64-v2")
    link = ["-Wl,-s", *shared_cpp_runtime()]
    if os.environ.get("FASTCV_SANITIZE") == "1":
        sanitize = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"]
        flags, link = [*flags, *sanitize, "-O1"], [*sanitize, *shared_cpp_runtime()]
    include_dirs = [str(ROOT / "csrc")]
    if cuda:
        assert toolkit is not None
        cuda_home, cuda_version = toolkit
        archs = os.environ.setdefault("TORCH_CUDA_ARCH_LIST", default_archs(cuda_version))
        macros += [
            ("FASTCV_CUDA_VERSION", cuda_version),
            ("FASTCV_CUDA_ARCHS", re.sub(r"[;,\s]+", " ", archs.strip())),
        ]
        # The toolkit first: the pip packages' runtime headers are not whole.
        include_dirs += [str(Path(cuda_home, "include"))]
        include_dirs += nvidia_package_dirs("include")
    make = cpp_extension.CUDAExtension if cuda else cpp_extension.CppExtension
    files = sources("*.cpp", "*/*.cpp", "*/*/*.cpp", "*/*.cu")
    if not cuda:
        files = [f for f in files if not f.endswith(("_cuda.cpp", ".cu"))]
    extension = make(
        "fastcv._C",
        files,
        include_dirs=include_dirs,
        library_dirs=nvidia_package_dirs("lib") if cuda else [],
        define_macros=macros,
        extra_compile_args={"cxx": flags, "nvcc": ["-O3", "-std=c++20", "--fmad=false"]},
        extra_link_args=link,
    )

    # One folder for every way of building, so that a rebuild compiles only what changed.
    variant = [f"torch{torch.__version__}", f"py{sys.version_info.major}.{sys.version_info.minor}"]
    variant += ["cuda"] * cuda + ["sanitize"] * (os.environ.get("FASTCV_SANITIZE") == "1")
    build_folder = str(ROOT / "build" / "-".join(variant))

    class Build(cpp_extension.BuildExtension):
        def finalize_options(self) -> None:
            super().finalize_options()
            self.build_temp = build_folder

        def run(self) -> None:
            if shutil.which(cpp_compiler()) is None:
                stop(
                    f"no C++ compiler: {cpp_compiler()!r} was not found; install one (Debian and "
                    "Ubuntu: `apt-get install g++`) or name it in CXX."
                )
            super().run()

    return extension, Build


extension, command = extension_and_command()
setup(ext_modules=[extension], cmdclass={"build_ext": command})
