"""Five forms of one sound: waveform, power spectrum, spectrogram, mel bands, MFCC.

python examples/five_forms.py --out five_forms.png

The sound is made here: a voice of pulses, through the resonances of three vowels, a-i-u.
"""

import argparse
import math
from collections.abc import Sequence

import torch

from fastcv.audio import mel_spectrogram, mfcc, power_spectrum, spectrogram
from fastcv.data._additive_voice import VOWELS
from fastcv.draw.sound import KINDS, columns_of, draw_sound

RATE = 16_000
A_I_U = VOWELS[[0, 2, 4]]


def vowel(resonances: Sequence[float], pitch: torch.Tensor) -> torch.Tensor:
    """Harmonics of a pitch that moves, louder near the resonances."""
    phase = 2 * math.pi * torch.cumsum(pitch, 0) / RATE
    wave = torch.zeros_like(pitch)
    for number in range(1, 40):
        frequency = number * pitch
        loudness = sum(1 / (1 + ((frequency - f) / 90) ** 2) for f in resonances)
        wave += loudness * (frequency < 0.45 * RATE) * torch.sin(number * phase)
    fade = torch.linspace(0, 1, len(pitch)).mul(math.pi).sin().clamp(max=0.5) * 2
    return wave * fade / wave.abs().max()


def voice() -> torch.Tensor:
    """Half a second of each vowel, falling in pitch."""
    pitch = torch.linspace(150, 110, RATE // 2)
    return torch.cat([vowel(resonances, pitch) for resonances in A_I_U])


parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--out", default="five_forms.png")
args = parser.parse_args()

wave = voice()
draw_sound(columns_of([wave], RATE, len(wave)), KINDS).save(args.out)

second = wave[:RATE]
print("numbers of one second at 16 kHz, frames of 25 ms each 10 ms")
forms = {
    "waveform": second,
    "power spectrum": power_spectrum(second),
    "spectrogram": spectrogram(second, RATE),
    "40 mel bands": mel_spectrogram(second, RATE, n_fft=400, hop=160, mels=40),
    "13 MFCC": mfcc(second, RATE, 13, n_fft=400, hop=160, mels=40),
}
for name, form in forms.items():
    print(f"{name:15} {' x '.join(map(str, form.shape)):>9} = {form.numel():6}")
