"""`make asan`: the CPU op tests against a build under ASan and UBSan.

python tests/run_sanitized.py BUILD_FOLDER [pytest arguments]
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def runtime(name: str) -> str:
    """The sanitizer's runtime: the interpreter is not built with it, so it is loaded first."""
    out = subprocess.run(
        [os.environ.get("CXX", "c++"), f"-print-file-name={name}"], capture_output=True, text=True
    )
    return out.stdout.strip()


def main() -> int:
    build, *arguments = sys.argv[1:]
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(build).resolve()),
        # libstdc++ beside it: a C++ exception must not meet an interceptor that has not found it.
        "LD_PRELOAD": " ".join(map(runtime, ["libasan.so", "libubsan.so", "libstdc++.so.6"])),
        # CPython and torch keep memory to the end of the process on purpose.
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        # The compiler's own processes would inherit the preload.
        "TORCHDYNAMO_DISABLE": "1",
    }
    # From a folder where `import fastcv` finds the sanitized build, not the source tree.
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-q",
        f"--rootdir={ROOT}",
        str(ROOT / "tests/ops"),
    ]
    return subprocess.run([*command, *arguments], env=env, cwd=build).returncode


if __name__ == "__main__":
    sys.exit(main())
