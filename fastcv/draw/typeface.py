"""Text in any script: glyphs from the first font that has them."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw, ImageFont, features

Color = tuple[int, int, int]
FontPath = str | os.PathLike[str]

PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")  # of the extra "fonts": Noto Sans
# Fonts of many scripts that systems bring, for where the packages are not.
SYSTEM_FONTS = (
    *("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "FreeSans.ttf", "unifont.otf"),  # Linux
    *("Arial Unicode.ttf", "AppleSDGothicNeo.ttc"),  # macOS
    *("segoeui.ttf", "malgun.ttf", "msyh.ttc", "YuGothM.ttc", "Nirmala.ttc"),  # Windows
    *("LeelawUI.ttf", "ebrima.ttf", "seguisym.ttf"),
)
PROBE = 32  # pixels: the size at which a glyph is compared with that of a missing one
NO_CHARACTER = "\U0010ffff"  # Unicode gives it to none: no font has it
MISSING = (
    "no font here has some characters of the names, which are written as \\uXXXX: run "
    "`pip install 'fastcv[fonts]'`, or give font=, a font file that has them"
)
BUILT_IN = ""  # Pillow's own font: letters of English, digits, signs


class Typeface:
    """A font of a size, and others for the characters that it lacks.

    These are the fonts of ``pip install 'fastcv[fonts]'`` and those of the system. A character that
    none has is written as ``\\uXXXX``, with a warning: names that differ look different.

    Args:
        size: in pixels.
        font: a font file, or its name where the system has it; None: Pillow's own.

    Raises:
        ValueError: ``font`` is no font file, or is broken; a broken glyph may show only when it is
            drawn.
    """

    def __init__(self, size: int, font: FontPath | None = None) -> None:
        self.size = size
        self.first = BUILT_IN if font is None else os.fspath(font)
        with self._told():
            self.ascent, self.descent = _load(self.first, size).getmetrics()

    def length(self, text: str) -> float:
        """How wide the text is, in pixels."""
        with self._told():
            return sum(font.getlength(part) for font, part in self._runs(text))

    def shortened(self, text: str, room: float) -> str:
        """The text, or as much of its beginning as finds room before an "…"; in pixels."""
        if self.length(text) <= room:
            return text
        while text and self.length(text + "…") > room:
            text = text[:-1]
        return text + "…"

    def height(self, text: str) -> int:
        """How high the text is, in pixels: as the first font's letters, or higher marks are."""
        return sum(self._extent(text))

    def write(
        self, draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, color: Color
    ) -> None:
        """Draw the text; ``at`` is its left end, in the middle of its height."""
        ascent, descent = self._extent(text)
        x, y = at[0], at[1] + (ascent - descent) / 2
        with self._told():
            for font, part in self._runs(text):
                draw.text((x, y), part, color, font, anchor="ls")
                x += font.getlength(part)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A sentence where FreeType cannot read the font, or some of its glyphs."""
        try:
            yield
        except OSError:
            raise ValueError(
                f"font must be a font file, such as a .ttf or .otf, got {self.first!r}"
            ) from None

    def _extent(self, text: str) -> tuple[int, int]:
        """Pixels above and below the line that the letters stand on."""
        with self._told():
            boxes = [font.getbbox(part, anchor="ls") for font, part in self._runs(text)]
        above, below = (self.ascent, self.descent)
        for _, top, _, bottom in boxes:
            above, below = max(above, math.ceil(-top)), max(below, math.ceil(bottom))
        return above, below

    def parts(self, text: str) -> list[tuple[str, str]]:
        """The text as it is drawn, cut where the font changes: each part after its font's path."""
        text = re.sub(r"\s", " ", unicodedata.normalize("NFC", text))
        if not features.check("raqm"):  # without it they would be boxes
            text = "".join(c for c in text if not _is_ignorable(c))
        found: list[tuple[str | None, str]] = []
        for part in re.split("( +)", text):
            found += [(None, part)] if part.isspace() or not part else self._fonts_of(part)
        # A space between words of one font is of that font: they are laid out as one, which
        # scripts that run to the left need.
        paths = [path for path, _ in found]
        for i, path in enumerate(paths):
            if path is None and 0 < i < len(paths) - 1 and paths[i - 1] == paths[i + 1]:
                paths[i] = paths[i - 1]
        pairs = [(path or self.first, part) for path, (_, part) in zip(paths, found, strict=True)]
        return [
            (path, "".join(part for _, part in same))
            for path, same in groupby(pairs, key=lambda pair: pair[0])
        ]

    def _runs(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        return [(_load(path, self.size), part) for path, part in self.parts(text)]

    def _fonts_of(self, word: str) -> list[tuple[str | None, str]]:
        """One font for the word, else one for each letter with its marks, and each other sign."""
        path = self._first_with(word)
        if path is not None:
            return [(path, word)]
        letters = _letters(word)
        if len(letters) == 1:
            letters = list(word)
        if len(letters) > 1:
            return [pair for letter in letters for pair in self._fonts_of(letter)]
        warnings.warn(MISSING, stacklevel=2)
        escaped = word.encode("unicode_escape", "surrogatepass").decode("ascii")
        return [(self._first_with(escaped), escaped)]

    def _first_with(self, text: str) -> str | None:
        """The first font that has all of the characters."""
        paths = (self.first, BUILT_IN, *_other_fonts())
        return next((p for p in paths if all(_has(p, c) for c in text)), None)


def _letters(word: str) -> list[str]:
    """The word cut before each character that is no mark on the one before it."""
    letters: list[str] = []
    for c in word:
        if letters and (unicodedata.category(c)[0] == "M" or _is_ignorable(c)):
            letters[-1] += c
        else:
            letters.append(c)
    return letters


def _is_ignorable(character: str) -> bool:
    """Whether it only tells how others are to be drawn: joiners, marks of direction, variants."""
    return unicodedata.category(character) == "Cf" or "\ufe00" <= character <= "\ufe0f"


@cache
def _other_fonts() -> tuple[str, ...]:
    found: list[str] = []
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            files = sorted(p for p in Path(folder).glob("Noto*") if "Italic" not in p.name)
            # Latin, Greek and Cyrillic first: the others have some of it too.
            files.sort(key=lambda p: not p.name.startswith("NotoSans["))
            found += map(str, files)
    for name in SYSTEM_FONTS:
        try:
            found.append(str(_load(name, PROBE).path))  # where the system has it
        except OSError:
            continue
    return tuple(found)


@lru_cache(maxsize=64)  # an open font keeps its file open
def _load(path: str, size: int, layout: ImageFont.Layout | None = None) -> ImageFont.FreeTypeFont:
    if path == BUILT_IN:
        return ImageFont.load_default(size)  # type: ignore[return-value]  # FreeType's: sized
    font = ImageFont.truetype(path, size, layout_engine=layout)
    try:
        axes = font.get_variation_axes()
    except (OSError, KeyError):  # it has none, or their names are broken
        return font
    # Noto's CJK font begins as a thin one.
    font.set_variation_by_axes([400 if a["name"] == b"Weight" else a["default"] or 0 for a in axes])
    return font


@cache
def _has(path: str, character: str) -> bool:
    """Whether the font has a glyph of its own for it, and not that of a missing one."""
    if character == " " or _is_ignorable(character):
        return True
    if unicodedata.category(character) in ("Cc", "Cs"):  # control characters, halves of pairs
        return False
    font = _load(path, PROBE, ImageFont.Layout.BASIC)
    try:
        return _ink(font, character) != _ink(font, NO_CHARACTER)
    except OSError:  # a broken glyph is none
        return False


def _ink(font: ImageFont.FreeTypeFont, character: str) -> tuple[float, bytes]:
    return font.getlength(character), bytes(font.getmask(character))
