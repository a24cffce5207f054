"""What was found in the pictures: told to a person, and noted in the run's folder."""

from __future__ import annotations

import json
from pathlib import Path

from fastcv._files import replacing
from fastcv.learn.own_data._pictures import Annotated, shared, without_objects


def what_looks_wrong(train: Annotated, val: Annotated, *, val_is_own: bool) -> list[str]:
    """A sentence for each kind of what looks wrong.

    Args:
        train: the pictures that train.
        val: those that validate.
        val_is_own: whether these were given, and are no part of the others.
    """
    told = [*without_objects(train), *train.suspicious]
    if val_is_own:
        told += shared(train, val)
        told += [f"to validate on: {sentence}" for sentence in val.suspicious]
    return told


def note(
    folder: Path, train: Annotated, val: Annotated, suspicious: list[str], resume: bool
) -> None:
    """``found.json``; a run that goes on must have the classes it had."""
    path = folder / "found.json"
    if resume and path.exists():
        before = json.loads(path.read_text("utf-8"))["classes"]
        if before != list(train.classes):
            raise ValueError(f"cannot resume: the classes were {before}, now {list(train.classes)}")
    found = {
        "classes": list(train.classes),
        "train": train.to_dict(),
        "val": val.to_dict(),
        "suspicious": suspicious,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
