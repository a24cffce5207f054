"""The ops: `import fastcv.ops as ops` in place of `torchvision.ops`, and what that lacks.

One file per op family, each function a docstring and one call of ``torch.ops.fastcv.<op>``.
"""

from fastcv import _extension

_extension.load()  # registers torch.ops.fastcv.*, which the modules below refer to

from fastcv.ops.identity import identity  # noqa: E402

__all__ = ["identity"]
