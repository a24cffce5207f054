"""What models of instance segmentation share: their results are ``Instances``."""

from __future__ import annotations

from fastcv.models._image_model import ImageModel


class InstanceSegmenter(ImageModel):
    """A model that finds objects and a mask of each; ``postprocess`` returns ``Instances``."""
