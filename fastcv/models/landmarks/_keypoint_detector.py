"""What models of keypoints share: a schema, and results that are ``Keypoints``."""

from __future__ import annotations

from fastcv.classes.keypoints import KeypointSchema
from fastcv.models._image_model import ImageModel


class KeypointDetector(ImageModel):
    """A model that finds objects and their keypoints; ``postprocess`` returns ``Keypoints``."""

    schema: KeypointSchema
    """Which keypoints an object has."""
