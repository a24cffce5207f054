"""What panoptic segmenters share: classes are stuff and things, results are ``Panoptic``."""

from __future__ import annotations

from fastcv.models._image_model import ImageModel


class PanopticSegmenter(ImageModel):
    """A model that gives each pixel a class, and each object its own segment.

    ``postprocess`` returns ``Panoptic``. ``classes`` has the names of stuff, then those of things.
    """

    num_stuff: int
    """How many of the classes are stuff."""

    @property
    def things(self) -> tuple[int, ...]:
        """The labels of the classes that are things."""
        return tuple(range(self.num_stuff, len(self.classes)))
