"""Questions about drawn scenes: picture, question, answers as bars, and where an answer comes from.

python examples/vqa_answers.py --out vqa_answers.png
"""

import argparse
from pathlib import Path

from PIL import Image

import fastcv
from fastcv.data import DrawnScenes
from fastcv.draw import contact_sheet
from fastcv.explain import grad_cam

WEIGHTS = Path(__file__).with_name("scenes_vqa.safetensors")  # of `fastcv train scenes_vqa`
SHOWN = 4
SIDE = 320  # pixels, of a drawing

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--out", default="vqa_answers.png")
args = parser.parse_args()

model = fastcv.load_model(WEIGHTS)
scenes = DrawnScenes("test", size=(64, 64), length=40)
drawn, maps = [], []
for image, target in (scenes[i] for i in range(len(scenes))):
    scene = target["scene"]
    if len(scene.digits) < 2:
        continue
    digit = scene.digits[0]
    questions = (
        f"what colour is the {digit.word}",
        "what is behind the digits",
        f"is there a {digit}",
        "how many digits are there",
    )
    question = questions[len(drawn)]
    (answer,) = model.predict(image, question)
    seen = grad_cam(model.about(question), image, answer.text)
    print(f"{scene.background}, {', '.join(map(str, scene.digits))}: {answer}")
    drawn.append(answer.draw(image))
    maps.append(seen.draw(names=False).resize((SIDE, SIDE)))
    if len(drawn) == SHOWN:
        break
height = max(picture.height for picture in drawn)
columns = []
for picture, seen in zip(drawn, maps, strict=True):
    column = Image.new("RGB", (SIDE, SIDE + 8 + height), "white")
    column.paste(picture, (0, 0))
    column.paste(seen, (0, height + 8))
    columns.append(column)
contact_sheet(columns, SHOWN).save(args.out)
