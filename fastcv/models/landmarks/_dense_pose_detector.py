"""What models of dense pose share: a surface, and results that are ``DenseCorrespondence``."""

from __future__ import annotations

from fastcv.models._image_model import ImageModel


class DensePoseDetector(ImageModel):
    """A model that finds objects and where on a surface each of their pixels lies.

    ``postprocess`` returns ``DenseCorrespondence``.
    """

    charts: int
    """How many charts the surface is cut into."""
