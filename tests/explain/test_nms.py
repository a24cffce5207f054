"""The example's steps are nms's, and it writes a picture."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import skimage
import torch
from PIL import Image

from fastcv.explain import nms_steps
from fastcv.ops import box_iou, nms

SCRIPT = Path(__file__).parents[2] / "examples" / "nms_steps.py"


def load():
    spec = importlib.util.spec_from_file_location("nms_steps", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_steps_account_for_every_box():
    demo = load()
    boxes, scores = demo.candidates(skimage.data.coins(), range(18, 30, 4), min_votes=0.4)
    taken = nms_steps(boxes, scores, 0.2)
    assert [box for box, _ in taken] == nms(boxes, scores, 0.2).tolist()
    assert sorted(i for box, gone in taken for i in [box, *gone]) == list(range(len(boxes)))
    for box, gone in taken:
        assert torch.all(box_iou(boxes[[box]], boxes[gone]) > 0.2)
        assert torch.all(scores[gone] <= scores[box])


def test_writes_a_picture(tmp_path):
    out = tmp_path / "new" / "steps.png"
    run = subprocess.run(
        [sys.executable, str(SCRIPT), "--out", str(out)], capture_output=True, text=True, check=True
    )
    assert run.stdout.endswith(f" 24 left: {out}\n")  # the photograph shows 24 coins
    with Image.open(out) as picture:
        assert picture.size[0] > 1000
    assert [p.name for p in out.parent.iterdir()] == ["steps.png"]
