"""Which keypoints an object has: their names, mirror images, lines between them, how exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KeypointSchema:
    """The keypoints of a kind of object.

    Args:
        names: in their order.
        flips: pairs of names that change places in a mirror.
        edges: pairs of names that a drawing joins with a line.
        sigmas: for each keypoint, how exactly people can place it, as a share of the object's
            size; COCO's object keypoint similarity is ``exp(-(d / (2 * sigma))^2 / (2 * area))``
            at a distance of d. One number for all, or none: 0.05.

    Raises:
        ValueError: a name that is there twice or unknown, or other numbers of sigmas.

    Example:
        >>> from fastcv.classes import KeypointSchema
        >>> ends = KeypointSchema(
        ...     ("left end", "right end"), flips=[("left end", "right end")],
        ...     edges=[("left end", "right end")], sigmas=0.1,
        ... )
        >>> ends.sigmas, ends.flip_order, ends.edge_indices
        ((0.1, 0.1), [1, 0], [(0, 1)])
    """

    names: Sequence[str]
    flips: Sequence[Sequence[str]] = ()
    edges: Sequence[Sequence[str]] = ()
    sigmas: Sequence[float] | float = 0.05

    def __post_init__(self) -> None:
        names, given = tuple(self.names), self.sigmas
        sigmas = (given,) * len(names) if isinstance(given, (int, float)) else tuple(given)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"names must be given, each once, got {list(names)}")
        if len(sigmas) != len(names) or not all(sigma > 0 for sigma in sigmas):
            raise ValueError(
                f"sigmas must be {len(names)} numbers above 0, one for each name, got "
                f"{list(sigmas)}"
            )
        for field, value in (
            ("names", names),
            ("flips", _pairs("flips", self.flips, names)),
            ("edges", _pairs("edges", self.edges, names)),
            ("sigmas", sigmas),
        ):
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def flip_order(self) -> list[int]:
        """The place of each one's mirror image, ``keypoint_order`` of ``augment.flip``."""
        other = {a: b for pair in self.flips for a, b in (pair, tuple(pair)[::-1])}
        return [self.names.index(other.get(name, name)) for name in self.names]

    @property
    def sigma_of_each(self) -> tuple[float, ...]:
        """``sigmas``, which are one for each keypoint by now."""
        given = self.sigmas
        return (given,) if isinstance(given, (int, float)) else tuple(given)

    @property
    def edge_indices(self) -> list[tuple[int, int]]:
        """``edges`` as places in ``names``."""
        return [(self.names.index(a), self.names.index(b)) for a, b in self.edges]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; ``KeypointSchema(**schema.to_dict())`` is the same."""
        return {
            "names": list(self.names),
            "flips": [list(pair) for pair in self.flips],
            "edges": [list(pair) for pair in self.edges],
            "sigmas": list(self.sigma_of_each),
        }


def keypoint_schema(
    given: KeypointSchema | Mapping[str, Any] | Sequence[str] | int,
) -> KeypointSchema:
    """A schema in whatever form it comes.

    Args:
        given: a schema, its ``to_dict()``, names, or a number: 17 are COCO's.

    Example:
        >>> from fastcv.classes import keypoint_schema
        >>> keypoint_schema(17).names[:2], keypoint_schema(3).names
        (('nose', 'left_eye'), ('keypoint 0', 'keypoint 1', 'keypoint 2'))
    """
    if isinstance(given, KeypointSchema):
        return given
    if isinstance(given, Mapping):
        return KeypointSchema(**given)
    if not isinstance(given, int):
        return KeypointSchema(given)
    if given == len(COCO_KEYPOINTS):
        return COCO_KEYPOINTS
    return KeypointSchema([f"keypoint {i}" for i in range(given)])


def _pairs(
    field: str, pairs: Sequence[Sequence[str]], names: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or any(name not in names for name in pair):
            raise ValueError(
                f"{field} must be pairs of names out of {', '.join(names)}, got {pair!r}"
            )
    return tuple((pair[0], pair[1]) for pair in pairs)


_SIDES = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_BOTH = [f"{side}_{part}" for part in _SIDES for side in ("left", "right")]

COCO_KEYPOINTS = KeypointSchema(
    names=["nose", *_BOTH],
    flips=[(f"left_{part}", f"right_{part}") for part in _SIDES],
    edges=[
        ("nose", "left_eye"),
        ("nose", "right_eye"),
        ("left_eye", "right_eye"),
        ("left_shoulder", "right_shoulder"),
        ("left_hip", "right_hip"),
        *(
            (f"{side}_{a}", f"{side}_{b}")
            for side in ("left", "right")
            for a, b in (
                ("eye", "ear"),
                ("ear", "shoulder"),
                ("shoulder", "elbow"),
                ("elbow", "wrist"),
                ("shoulder", "hip"),
                ("hip", "knee"),
                ("knee", "ankle"),
            )
        ),
    ],
    # Those of COCO's evaluation: cocoeval.py, Params.setKpParams.
    sigmas=[
        0.026,
        *(s for s in (0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089) for _ in range(2)),
    ],
)
"""The 17 of a person in COCO."""

DIGIT_KEYPOINTS = KeypointSchema(
    names=("top", "right", "bottom", "left", "centre"),
    flips=[("left", "right")],
    edges=[(end, "centre") for end in ("top", "right", "bottom", "left")],
)
"""The five of ``fastcv.data.DrawnDigits``."""

FACE_LANDMARKS = KeypointSchema(
    names=("right_eye", "left_eye", "nose", "right_mouth", "left_mouth"),
    flips=[("right_eye", "left_eye"), ("right_mouth", "left_mouth")],
    edges=[
        ("right_eye", "left_eye"),
        ("right_eye", "nose"),
        ("left_eye", "nose"),
        ("nose", "right_mouth"),
        ("nose", "left_mouth"),
        ("right_mouth", "left_mouth"),
    ],
    # Of this project: COCO has none for faces. The eyes are some 0.4 of the box's side apart, so
    # that 0.02 of the side is a twentieth of their distance; the other three are less sharp.
    sigmas=(0.02, 0.02, 0.03, 0.025, 0.025),
)
"""The five of RetinaFace: the pupils, the nose's tip, the mouth's corners; sides are the person's,
so that ``right_eye`` is at the left of a face that looks at us."""

_MPII_LEG, _MPII_ARM = ("ankle", "knee", "hip"), ("wrist", "elbow", "shoulder")  # outside first

MPII_KEYPOINTS = KeypointSchema(
    names=[
        *(f"right_{part}" for part in _MPII_LEG),
        *(f"left_{part}" for part in _MPII_LEG[::-1]),
        "pelvis",
        "thorax",
        "upper_neck",
        "head_top",
        *(f"right_{part}" for part in _MPII_ARM),
        *(f"left_{part}" for part in _MPII_ARM[::-1]),
    ],
    flips=[(f"left_{part}", f"right_{part}") for part in (*_MPII_LEG, *_MPII_ARM)],
    edges=[
        ("pelvis", "thorax"),
        ("thorax", "upper_neck"),
        ("upper_neck", "head_top"),
        *(
            (f"{side}_{a}", f"{side}_{b}")
            for side in ("left", "right")
            for a, b in (
                ("ankle", "knee"),
                ("knee", "hip"),
                ("wrist", "elbow"),
                ("elbow", "shoulder"),
            )
        ),
        *(("pelvis", f"{side}_hip") for side in ("left", "right")),
        *(("thorax", f"{side}_shoulder") for side in ("left", "right")),
    ],
)
"""The 16 of a person in MPII Human Pose."""
