"""Builds fastcv._C. What to build is the tree itself: every csrc/*/*.cpp and, with CUDA, *.cu.

    python setup.py -q build_ext --inplace     into fastcv/, a line for each file as it is compiled
    pip install -v --no-build-isolation .      the same lines, and the package installed

FASTCV_CUDA=0|1          leave CUDA out, or insist on it (default: where torch and nvcc have it)
FASTCV_SANITIZE=1        AddressSanitizer and UndefinedBehaviorSanitizer (`make asan`)
TORCH_CUDA_ARCH_LIST     architectures, as for any torch extension (default: of the GPUs that are
                         here; without one, those of the data centre and the newest desktop's)
MAX_JOBS                 compile jobs at a time
CXX                      the C++ compiler
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()
sys.path.insert(0, str(ROOT))  # pip does not
# ninja may lie beside a Python whose environment is not active
os.environ["PATH"] += os.pathsep + str(Path(sys.executable).parent)

from buildlib import compiling, cuda, isolation, stop  # noqa: E402

TORCH_MIN = "2.11"


def sources(*patterns: str) -> list[str]:
    found = sorted(p for pattern in patterns for p in (ROOT / "csrc").glob(pattern))
    return [p.relative_to(ROOT).as_posix() for p in found]


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
    toolkit = cuda.find_toolkit()
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

    isolation.check_torch(torch.__file__)

    with_cuda = cuda.want_cuda(torch.version.cuda, toolkit[1] if toolkit else None)
    sanitize = os.environ.get("FASTCV_SANITIZE") == "1"
    # What the build says of itself; no other file depends on it.
    macros = [f"-DFASTCV_TORCH_VERSION={torch.__version__}"]
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
    if sanitize:
        options = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g"]
        flags, link = [*flags, *options, "-O1"], [*options, *shared_cpp_runtime()]
    files = sources("*.cpp", "*/*.cpp", "*/*/*.cpp")
    cuda_includes: list[str] = []
    if with_cuda:
        assert toolkit is not None
        home, version = toolkit
        archs = cuda.archs(version, str(Path(home, "bin", "nvcc")))
        os.environ["TORCH_CUDA_ARCH_LIST"] = archs  # cpp_extension reads it
        archs = re.sub(r"[;,\s]+", " ", archs.strip())
        macros += [f"-DFASTCV_CUDA_VERSION={version}", f"-DFASTCV_CUDA_ARCHS={archs}"]
        # The toolkit first: the pip packages' runtime headers are not whole.
        cuda_includes = [str(Path(home, "include")), *cuda.nvidia_package_dirs("include")]
        files += sources("*/*.cu")
    else:
        files = [f for f in files if not f.endswith("_cuda.cpp")]
    make = cpp_extension.CUDAExtension if with_cuda else cpp_extension.CppExtension
    extension = make(
        "fastcv._C",
        files,
        include_dirs=[str(ROOT / "csrc")],
        library_dirs=cuda.nvidia_package_dirs("lib") if with_cuda else [],
        extra_compile_args={"cxx": flags, "nvcc": ["-O3", "-std=c++20", "--fmad=false"]},
        extra_link_args=link,
    )

    # One folder for every way of building, so that a rebuild compiles only what changed.
    variant = [f"torch{torch.__version__}", f"py{sys.version_info.major}.{sys.version_info.minor}"]
    variant += ["sanitize"] * sanitize
    folder = ROOT / "build" / "-".join(variant)

    class Build(cpp_extension.BuildExtension):
        def finalize_options(self) -> None:
            super().finalize_options()
            self.build_temp = str(folder)
            self.force = True  # what is up to date, ninja says: it knows the headers too

        def run(self) -> None:
            if shutil.which(cpp_compiler()) is None:
                stop(
                    f"no C++ compiler: {cpp_compiler()!r} was not found; install one (Debian and "
                    "Ubuntu: `apt-get install g++`) or name it in CXX."
                )
            if shutil.which("ninja") is None:
                stop("building needs ninja, which was not found: run `pip install ninja`.")
            super().run()

        def build_extension(self, ext: Extension) -> None:
            self.compiler.compile = self.compile_with_ninja
            super().build_extension(ext)

        def compile_with_ninja(
            self, sources: list[str], extra_postargs: dict[str, list[str]], **_: object
        ) -> list[str]:
            """The objects of all sources: what the compiler's own method does one by one."""
            cxx = shlex.split(cpp_extension.get_cxx_compiler())
            others = [*cpp_extension.include_paths(), *self.compiler.include_dirs]  # torch, Python
            compilers = compiling.Compilers(
                cxx=compiling.cached(cxx),
                flags=[
                    *self.compiler.compiler_so[1:],
                    f"-I{ROOT / 'csrc'}",
                    # Of others' headers no warnings: GCC forgets their pragmas in compiled form.
                    *(word for other in others for word in ("-isystem", other)),
                    *extra_postargs["cxx"],
                ],
                cuda_includes=cuda_includes,
            )
            if with_cuda:
                compilers.nvcc = compiling.cached([str(Path(os.environ["CUDA_HOME"], "bin/nvcc"))])
                compilers.cuda_flags = [
                    *(f"-I{folder}" for folder in [ROOT / "csrc", *cuda_includes]),
                    *cpp_extension.COMMON_NVCC_FLAGS,
                    *("--compiler-options", "-fPIC"),
                    *(("-ccbin", os.environ["CC"]) if "CC" in os.environ else ()),
                    *extra_postargs["nvcc"],
                    *cpp_extension._get_cuda_arch_flags(),
                ]
            objects = self.compiler.object_filenames(sources, output_dir=self.build_temp)
            compiling.run(
                ROOT,
                folder,
                dict(zip(sources, objects, strict=True)),
                compilers,
                macros={"csrc/bindings.cpp": macros},
                # Sanitized, every file is compiled by what it includes itself.
                precompiled=not sanitize and compiling.is_gcc(cxx),
            )
            return objects

    return extension, Build


extension, command = extension_and_command()
setup(ext_modules=[extension], cmdclass={"build_ext": command})
