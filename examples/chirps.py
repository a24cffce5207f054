"""A spectrum without time: a chirp up and the same chirp down have one power spectrum.

python examples/chirps.py --out chirps.png
"""

import argparse
import math

import numpy as np
import torch
from matplotlib.figure import Figure

from fastcv.audio import decibels, power_spectrum, spectrogram

RATE = 8000

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--out", default="chirps.png")
args = parser.parse_args()

times = torch.arange(RATE).double() / RATE
up = torch.sin(2 * math.pi * (300 * times + 1400 * times**2))  # 300 to 3100 Hz in a second
chirps = {"up": up, "down": up.flip(0)}
spectra = [power_spectrum(wave) for wave in chirps.values()]
apart = float((spectra[0] - spectra[1]).abs().max() / spectra[0].max())
print(f"power spectra differ by {apart:.0e} of the largest")

figure = Figure(figsize=(8, 4), layout="constrained")
for row, (name, wave) in zip(figure.subplots(2, 2), chirps.items(), strict=True):
    level = decibels(power_spectrum(wave))
    row[0].plot(np.linspace(0, RATE / 2, len(level)), level, linewidth=0.6)
    row[0].set(xlabel="Hz", ylabel="dB", ylim=(-60, 10), title=f"{name}: power spectrum")
    row[1].imshow(
        decibels(spectrogram(wave, RATE)),
        origin="lower",
        aspect="auto",
        extent=(0, 1, 0, RATE / 2),
        cmap="magma",
        vmin=-40,
    )
    row[1].set(xlabel="seconds", ylabel="Hz", title=f"{name}: spectrogram")
figure.savefig(args.out, dpi=100)
