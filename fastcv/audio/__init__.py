"""What sounds are made of, and what networks take of them: numbers in, numbers out."""

from fastcv.audio.resample import resample

__all__ = ["resample"]
