"""Optional packages: imported where they are used, with one line on how to get them."""

from __future__ import annotations

import importlib
from types import ModuleType


def need(module: str, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: what to import, such as ``"pycocotools.coco"``.
        extra: the extra of fastcv that brings it.

    Raises:
        ImportError: it is not installed; the message says what to run.

    Example:
        >>> from fastcv._extras import need
        >>> need("no_such_package", extra="data")
        Traceback (most recent call last):
        ...
        ImportError: no_such_package is needed here: run `pip install 'fastcv[data]'`
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or module.split(".")[0] != error.name.split(".")[0]:
            raise  # the package is there and lacks something of its own
        raise ImportError(
            f"{module.split('.')[0]} is needed here: run `pip install 'fastcv[{extra}]'`"
        ) from error
