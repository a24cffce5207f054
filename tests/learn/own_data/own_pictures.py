"""Writes small data sets as somebody would bring them."""

import json

from PIL import Image


def picture(path, size=(60, 40), value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def coco(folder, annotations, *, names=("cat", "dog"), files=("a.png", "b.png")):
    """Pictures of 60 x 40 pixels; ``annotations``: image (from 1), category (from 1), xywh."""
    (folder / "i").mkdir(parents=True, exist_ok=True)
    for file in files:
        picture(folder / "i" / file)
    content = {
        "images": [
            {"id": n, "file_name": file, "width": 60, "height": 40}
            for n, file in enumerate(files, start=1)
        ],
        "annotations": [
            {"id": n, "image_id": image, "category_id": label, "bbox": list(box)}
            for n, (image, label, box) in enumerate(annotations, start=1)
        ],
        "categories": [{"id": n, "name": name} for n, name in enumerate(names, start=1)],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return str(folder / "i"), str(folder / "a.json")


def folders(root, **values):
    for name, of_class in values.items():
        for i, value in enumerate(of_class):
            picture(root / name / f"{i}.png", value=value)
    return str(root)
