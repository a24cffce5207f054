"""What a model's accuracy comes from: questions that tell their answers, and modality dropout.

Two of the three models are trained here, as `fastcv train scenes_vqa` does it: some two minutes.

python examples/modality_shares.py --out modality_shares.png
"""

import argparse
import tempfile
from pathlib import Path

import torch

import fastcv
from fastcv.draw import draw_modality_shares
from fastcv.learn import fit, freeze
from fastcv.metrics import modality_share
from fastcv.recipes.language._asked_scenes import AskedScenes, answerer
from fastcv.recipes.language.scenes_vqa import DROPPED, LEAK, build

WEIGHTS = Path(__file__).with_name("scenes_vqa.safetensors")  # of `fastcv train scenes_vqa`
TRAINED, TESTED, EPOCHS = 3000, 400, 12  # scenes, and passes

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--out", default="modality_shares.png")
args = parser.parse_args()

balanced = fastcv.load_model(WEIGHTS)
found = {"balanced": modality_share(balanced, AskedScenes("test", TESTED))}
for name, options in (("leaky", {}), ("dropout", {"drop_question": DROPPED})):
    torch.manual_seed(0)
    model = build(**options)
    model.image_encoder.load_state_dict(balanced.image_encoder.state_dict())
    freeze(model.image_encoder)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model,
            AskedScenes("train", TRAINED, LEAK),
            epochs=EPOCHS,
            out=folder,
            devices="cpu",
            progress=False,
            tensorboard=False,
            **answerer(model, "cpu"),
        )
    found[name] = modality_share(model, AskedScenes("test", TESTED, LEAK))
for name, share in found.items():
    print(name, share)
draw_modality_shares(found, args.out)
