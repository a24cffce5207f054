"""What setup.py is made of: CUDA and its GPUs, build isolation, compiling."""

import sys
from typing import NoReturn


def stop(message: str) -> NoReturn:
    sys.exit(f"fastcv: {message}")
