"""Changes that suit pictures of any task: another light, and the mirror."""

from fastcv.augment import Compose, Flip, Vary, brightness, contrast, saturation

LIGHT = Compose(Vary(brightness, 0.7, 1.3), Vary(contrast, 0.7, 1.3), Vary(saturation, 0.6, 1.4))
MIRROR = Flip(0.5)
