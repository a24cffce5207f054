"""Traces of windowing: what a window adds to a pure tone, and why windows overlap.

python examples/windowing.py --out windowing.png

The tone lies between two frequencies of the transform, where leakage is worst.
"""

import argparse
import math

import torch
from matplotlib.figure import Figure

from fastcv.audio import make_window
from fastcv.audio.windows import overlap_sum

RATE, SIZE, TONE = 16_000, 400, 2020.0  # Hz, samples, Hz: bins are 40 Hz apart
FINE = 64  # times as many frequencies as the transform has

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--out", default="windowing.png")
args = parser.parse_args()


def sidelobe(level: torch.Tensor) -> float:
    """The highest peak beside the main one, in dB."""
    peak = int(level.argmax())
    valley = peak + int((level[peak + 1 :] > level[peak:-1]).nonzero()[0])
    return float(level[valley:].max())


tone = torch.sin(2 * math.pi * TONE * torch.arange(SIZE) / RATE)
figure = Figure(figsize=(8, 4.6), layout="constrained")
panels = figure.subplots(2, 2)
for axes, name in zip(panels[0], ("rectangular", "hamming"), strict=True):
    window = make_window(name, SIZE)
    smooth = torch.fft.rfft(tone * window, SIZE * FINE).abs()
    level = 20 * (smooth / smooth.max()).clamp(min=1e-6).log10()
    bins = level[::FINE]
    print(f"{name}: the highest side lobe is {sidelobe(level):.1f} dB")
    hz = torch.arange(len(level)) * RATE / SIZE / FINE
    axes.plot(hz, level, linewidth=0.8)
    axes.plot(hz[::FINE], bins, ".", markersize=4)
    axes.axhline(sidelobe(level), linestyle=":", color="grey")
    axes.set(xlim=(1000, 3000), ylim=(-80, 5), xlabel="Hz", ylabel="dB")
    axes.set_title(f"a tone of 2020 Hz, {name} window")
window = make_window("hamming", SIZE)
for axes, hop, text in ((panels[1][0], SIZE, "no overlap"), (panels[1][1], 160, "60 % overlap")):
    for start in range(0, 3 * SIZE, hop):
        axes.plot(torch.arange(start, start + SIZE), window, color="tab:blue", linewidth=0.8)
    sums = overlap_sum(window, hop).repeat(4 * SIZE // hop + 1)[: 4 * SIZE]
    axes.plot(sums, color="tab:orange")
    low, high = float(sums.min()), float(sums.max())
    axes.set(xlim=(SIZE, 3 * SIZE), xlabel="samples", title=f"Hamming windows, {text}")
    print(f"{text}: the sum of the windows' squares is {low:.3f} to {high:.3f}")
figure.savefig(args.out, dpi=100)
