"""What sounds are made of, and what networks take of them: numbers in, numbers out."""

from fastcv.audio.griffin_lim import griffin_lim
from fastcv.audio.mel import hz_to_mel, invert_mel, mel_filters, mel_spectrogram, mel_to_hz
from fastcv.audio.mfcc import decibels, energies, invert_mfcc, mfcc
from fastcv.audio.resample import resample
from fastcv.audio.stft import istft, power_spectrum, spectrogram, stft, stft_blocks
from fastcv.audio.windows import make_window

__all__ = [
    "decibels",
    "energies",
    "griffin_lim",
    "hz_to_mel",
    "invert_mel",
    "invert_mfcc",
    "istft",
    "make_window",
    "mel_filters",
    "mel_spectrogram",
    "mel_to_hz",
    "mfcc",
    "power_spectrum",
    "resample",
    "spectrogram",
    "stft",
    "stft_blocks",
]
