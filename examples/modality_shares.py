"""What a model's accuracy comes from: questions that tell their answers, and modality dropout.

Trains three small models for some 150 steps each; a minute or two.

python examples/modality_shares.py --out modality_shares.png
"""

import argparse
import tempfile

import torch

from fastcv.draw import draw_modality_shares
from fastcv.learn import fit
from fastcv.metrics import modality_share
from fastcv.recipes.language._asked_scenes import AskedScenes, answerer
from fastcv.recipes.language.scenes_vqa import DROPPED, LEAK, build

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--out", default="modality_shares.png")
args = parser.parse_args()

SCENES, EPOCHS = 1200, 4
found = {}
for name, leak, options in (
    ("balanced", 0.0, {}),
    ("leaky", LEAK, {}),
    ("leaky,\nmodality dropout", LEAK, {"drop_question": DROPPED}),
):
    torch.manual_seed(0)
    model = build(**options)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model,
            AskedScenes("train", SCENES, leak),
            epochs=EPOCHS,
            out=folder,
            devices="cpu",
            progress=False,
            tensorboard=False,
            **answerer(model, "cpu"),
        )
    found[name] = modality_share(model, AskedScenes("test", 100, leak))
    print(name.replace("\n", " "), found[name])
draw_modality_shares(found, args.out)
