"""Names in matplotlib's figures, in any script."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from fastcv._extras import need
from fastcv.draw.typeface import BUILT_IN, Typeface


def figure_names(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names as matplotlib can draw them, and the font families that it needs for them.

    Args:
        names: any text; characters that no font has become ``\\uXXXX``, as in ``Typeface``.

    Raises:
        ImportError: matplotlib is missing.

    Example:
        >>> from fastcv.draw.figure_names import figure_names
        >>> figure_names(["cat", "dog"])
        (['cat', 'dog'], ['sans-serif'])
    """
    matplotlib = need("matplotlib", extra="viz")
    own = Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")
    typeface = Typeface(10, own)
    parts = [typeface.parts(name) for name in names]
    others = dict.fromkeys(path for name in parts for path, _ in name)
    families = [_family(path) for path in others if path not in (BUILT_IN, str(own))]
    shown = ["".join(part for _, part in name) for name in parts]
    return shown, [*matplotlib.rcParams["font.family"], *families]


@cache
def _family(path: str) -> str:
    """What matplotlib calls the font of a file, which it is told of."""
    manager = need("matplotlib.font_manager", extra="viz")
    manager.fontManager.addfont(path)
    return str(manager.get_font(path).family_name)
