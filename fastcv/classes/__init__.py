"""Class names of the data sets that published weights were trained on, a text file for each."""

from __future__ import annotations

from importlib.resources import files

IGNORE = 255
"""In a label map, the label of pixels that do not count, as in PASCAL VOC."""


def class_names(dataset: str) -> tuple[str, ...]:
    """The names by label: ``"imagenet"`` (1000), ``"coco"`` (91) or ``"voc"`` (21).

    COCO's labels leave gaps, named ``(unused)``; label 0 of COCO and VOC is the background.

    Raises:
        ValueError: no such data set.

    Example:
        >>> from fastcv.classes import class_names
        >>> class_names("coco")[17]
        'cat'
    """
    known = sorted(f.name[:-4] for f in files(__name__).iterdir() if f.name.endswith(".txt"))
    if dataset not in known:
        raise ValueError(f"dataset must be one of {', '.join(known)}, got {dataset!r}")
    return tuple((files(__name__) / f"{dataset}.txt").read_text("utf-8").splitlines())
