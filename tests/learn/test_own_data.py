"""Training on one's own pictures: what is found, what looks wrong, what is refused; going on."""

import json
import signal
from collections import Counter

import pytest
import torch
from PIL import Image, ImageDraw

import fastcv
from fastcv.images import read_image
from fastcv.learn import train_on
from fastcv.learn.own_data import boxes, classes, label_maps
from fastcv.learn.own_data import masks as own_masks
from fastcv.learn.own_data._pictures import Annotated, shared, without_objects
from fastcv.learn.own_data._plan import make_plan
from fastcv.models import create_model
from fastcv.models._tasks import TASKS
from fastcv.models.classification.linear import LinearClassifier
from fastcv.results import Segmentation

pytestmark = pytest.mark.usefixtures("quick_curves")
LEARNS = [task for task in TASKS if task.training is not None]


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


# What is found.


def test_report_counts_objects_and_pictures(tmp_path):
    box = (5, 5, 20, 20)
    where = coco(
        tmp_path,
        [(1, 1, box), (1, 1, (8, 8, 9, 9)), (2, 1, box)],
        files=("a.png", "b.png", "c.png"),
    )
    found = boxes.coco(*where)
    assert found.report("here") == [
        "here: 3 pictures of about 60 x 40 pixels, 3 objects of 2 classes; "
        "1 picture without objects",
        "  class objects  pictures",
        "  cat         3         2",
        "  dog         0         0",
    ]
    assert without_objects(found) == ["1 class has no object to learn from: dog"]
    assert found.suspicious == [] and found.to_dict()["objects"] == {"cat": 3, "dog": 0}


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ((-5, 5, 20, 20), "1 box reaches outside the picture: a.png (box 1)"),
        ((50, 5, 20, 20), "1 box reaches outside the picture: a.png (box 1)"),
        ((5, 30, 20, 20), "1 box reaches outside the picture: a.png (box 1)"),
        ((5, 5, 1.5, 20), "1 box is under 2 pixels wide or high: a.png (box 1)"),
        ((5, 5, 20, 1), "1 box is under 2 pixels wide or high: a.png (box 1)"),
        ((0, 0, 60, 40), "1 box covers the whole picture: a.png (box 1)"),
    ],
)
def test_suspicious_boxes(tmp_path, box, told):
    assert boxes.coco(*coco(tmp_path, [(1, 1, box), (2, 2, (3, 3, 30, 30))])).suspicious == [told]


def test_a_box_may_reach_a_pixel_over_the_edge(tmp_path):
    where = coco(tmp_path, [(1, 1, (-0.9, -0.9, 30, 30)), (2, 2, (40, 20, 20.9, 20.9))])
    assert boxes.coco(*where).suspicious == []


def test_suspicious_doubles(tmp_path):
    box = (5, 5, 20, 20)
    annotations = [(1, 1, box), (1, 1, box), (2, 1, box), (2, 2, box), (2, 1, (0, 0, 0, 9))]
    where = coco(tmp_path, annotations, names=("Cat", "cat "), files=("a.png", "b.png", "a.png"))
    assert boxes.coco(*where).suspicious == [
        f"{where[1]}: 1 of 5 boxes have no area and are left out",
        f"1 picture is listed twice: {tmp_path / 'i' / 'a.png'}",
        "two classes are called 'cat', but for capitals or spaces",
        "1 box is there twice with the same class: a.png (box 2)",
        "1 box is there with two classes: b.png (box 2)",
    ]


def test_sizes_are_as_a_person_sees_them(tmp_path):
    """A picture that its EXIF turns is 40 x 60; its box is of the 60 x 40 that the file says."""
    where = coco(tmp_path, [(1, 1, (30, 5, 25, 30))], files=("a.jpg", "b.jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "i" / "a.jpg", exif=exif)
    found = boxes.coco(*where)
    assert found.sizes == [(40, 60), (60, 40)] and found.suspicious == []


@pytest.mark.parametrize(
    ("annotations", "spoil", "message"),
    [
        ([], None, "2 pictures and no object of any class"),
        ([(1, 1, (0.1, 0.1, 0.5, 0.5))], None, "look like shares .* must be pixels"),
        (
            [(1, 1, (1, 1, 9, 9))],
            lambda f: (f / "b.png").unlink(),
            "1 picture is not there: .*b.png",
        ),
        (
            [(1, 1, (1, 1, 9, 9))],
            lambda f: (f / "b.png").write_text("no picture"),
            "1 picture cannot be read: .*b.png: mend or remove them",
        ),
    ],
)
def test_boxes_that_cannot_teach(tmp_path, annotations, spoil, message):
    where = coco(tmp_path, annotations)
    if spoil is not None:
        spoil(tmp_path / "i")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        boxes.coco(*where)


def test_an_empty_set(tmp_path):
    with pytest.raises(ValueError, match="there are no pictures: the set is empty"):
        boxes.coco(*coco(tmp_path, [], files=()))


def voc(root, objects, suffix="train"):
    """VOC's layout; ``objects``: by picture, names and boxes that count pixels from 1."""
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, of_one in objects.items():
        picture(root / "JPEGImages" / f"{name}.jpg")
        tags = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for label, (x1, y1, x2, y2) in of_one
        )
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{tags}</annotation>")
    (root / "ImageSets/Main" / f"{suffix}.txt").write_text("\n".join(objects) + "\n")
    return str(root), suffix


def test_files_as_other_programs_name_them(tmp_path):
    """Backslashes in COCO's names; VOC's pictures as PNG."""
    images, annotations = coco(tmp_path, [(1, 1, (5, 5, 9, 9))], files=("s/a.png", "b.png"))
    path = tmp_path / "a.json"
    path.write_text(path.read_text().replace("s/a.png", r"s\\a.png"))
    found = boxes.coco(images, annotations)
    assert found.files[0] == tmp_path / "i" / "s" / "a.png" and found.suspicious == []
    where = voc(tmp_path / "voc", {"a b": [("cat", (1, 1, 9, 9))], "c": []})
    (tmp_path / "voc/JPEGImages/a b.jpg").unlink()
    picture(tmp_path / "voc/JPEGImages/a b.png")
    found = boxes.voc(*where)
    assert found.files[0].name == "a b.png" and len(found.data[0][1]["boxes"]) == 1


def test_voc_has_classes_of_its_own(tmp_path):
    where = voc(tmp_path, {"a": [("rust", (1, 1, 9, 9)), ("crack", (2, 2, 80, 20))], "b": []})
    found = boxes.voc(*where)
    assert found.classes == ("background", "crack", "rust") and found.labels == [[2, 1], []]
    assert found.suspicious == ["1 box reaches outside the picture: a.jpg (box 2)"]
    assert found.data[0][1]["labels"].tolist() == [2, 1]
    other = voc(tmp_path / "val", {"c": [("dent", (1, 1, 9, 9))]})
    with pytest.raises(ValueError, match="name 'dent', which is not in classes"):
        boxes.voc(*other, classes=found.classes)


def folders(root, **values):
    for name, of_class in values.items():
        for i, value in enumerate(of_class):
            picture(root / name / f"{i}.png", value=value)
    return str(root)


def test_folders(tmp_path):
    found = classes.folder(folders(tmp_path, cat=[1, 2, 3], dog=[3]))
    assert found.classes == ("cat", "dog") and found.labels == [[0], [0], [0], [1]]
    assert found.suspicious == [
        f"1 picture is in the folder of another class too: {tmp_path / 'dog' / '0.png'}"
    ]
    assert found.report("here")[:3] == [
        "here: 4 pictures of about 60 x 40 pixels, of 2 classes",
        "  class  pictures",
        "  cat           3",
    ]
    (tmp_path / "owl").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*owl has no images"):
        classes.folder(str(tmp_path))


def masks(root, *maps, names=None):
    for i, labels in enumerate(maps):
        labels = torch.tensor(labels)
        picture(root / "i" / f"{i}.png", size=(labels.shape[1], labels.shape[0]))
        Segmentation(labels, ()).save_labels(root / "m" / f"{i}.png")
    if names:
        (root / "m" / "classes.txt").write_text("\n".join(names) + "\n")
    return str(root / "i"), str(root / "m")


def strip(*labels):
    """20 rows of labels, each 10 pixels wide."""
    return [[label for label in labels for _ in range(10)]] * 20


def test_label_maps(tmp_path):
    found = label_maps.masks(*masks(tmp_path, strip(0, 0, 2), strip(0, 255), strip(2, 1)))
    assert found.classes == ("background", "class 1", "class 2")
    assert found.labels == [[2], [], [1, 2]] and found.sizes == [(30, 20), (20, 20), (20, 20)]


def test_label_maps_with_names(tmp_path):
    names = ("road", "tree", "sky")
    found = label_maps.masks(*masks(tmp_path, strip(0, 0, 1), strip(0, 0), names=names))
    assert found.classes == names and found.labels == [[0, 1], [0]]  # label 0 is a class
    assert without_objects(found) == ["1 class has no object to learn from: sky"]
    with pytest.raises(ValueError, match="label 1 is 'tree' in the annotations and 'bush'"):
        label_maps.masks(*masks(tmp_path, strip(0, 1)), classes=("road", "bush", "sky"))


@pytest.mark.parametrize(
    ("maps", "names", "message"),
    [
        ([strip(0, 255)], None, "no label but 0 .* and 255 .*need 1 in place of 255"),
        ([strip(0, 0)], None, "no label but 0"),
        ([strip(0, 7)], ("background", "cat"), "has the label 7, and there are 2 classes"),
    ],
)
def test_label_maps_that_cannot_teach(tmp_path, maps, names, message):
    with pytest.raises(ValueError, match=message):
        label_maps.masks(*masks(tmp_path, *maps, names=names))


def test_a_label_map_of_another_size(tmp_path):
    where = masks(tmp_path, strip(0, 1))
    picture(tmp_path / "i" / "0.png", size=(20, 30))
    with pytest.raises(
        ValueError, match=r"differ in size: 0.png \(20 x 30, its label map 20 x 20\)"
    ):
        label_maps.masks(*where)


def test_voc_label_maps(tmp_path):
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\n")
    picture(tmp_path / "JPEGImages/a.jpg", size=(20, 20))
    Segmentation(torch.tensor(strip(0, 2)), ()).save_labels(tmp_path / "SegmentationClass/a.png")
    found = label_maps.voc(str(tmp_path), "train")
    assert found.classes[2] == "bicycle" and found.labels == [[2]]
    (tmp_path / "classes.txt").write_text("background\nroad\ncar\n")
    assert label_maps.voc(str(tmp_path), "train").classes == ("background", "road", "car")


# Parts.


def pictures(*labels):
    names = ("background", "a", "b", "c")
    files = [f"{i}.png" for i in range(len(labels))]
    sizes = [(9, 9)] * len(labels)
    return Annotated(list(labels), names, files, labels, background=True, sizes=sizes)


@pytest.mark.parametrize("seed", range(5))
def test_split_gives_each_class_some(seed):
    found = pictures(*[[1]] * 70, *[[1, 2]] * 20, *[[3]] * 10, *[[]] * 20)
    train, val = found.split(0.1, seed)
    assert len(train) == 108 and len(val) == 12
    assert Counter(map(tuple, val.labels)) == {(1,): 7, (1, 2): 2, (3,): 1, (): 2}
    assert not set(train.files) & set(val.files)
    assert val.data[0] == val.labels[0]  # an item's own annotations
    again = found.split(0.1, seed)
    assert again[1].files == val.files


@pytest.mark.parametrize(("n", "fraction", "validate"), [(2, 0.1, 1), (3, 0.9, 2), (10, 0.25, 2)])
def test_split_leaves_some_on_both_sides(n, fraction, validate):
    train, val = pictures(*[[1]] * n).split(fraction, 0)
    assert (len(train), len(val)) == (n - validate, validate)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5])
def test_split_refuses(fraction):
    with pytest.raises(ValueError, match="val_fraction must be above 0 and below 1"):
        pictures([1], [1]).split(fraction, 0)
    with pytest.raises(ValueError, match="there is 1 picture: at least two are needed"):
        pictures([1]).split(0.5, 0)


def test_pictures_in_both_sets(tmp_path):
    found = boxes.coco(*coco(tmp_path, [(1, 1, (5, 5, 20, 20))]))
    (told,) = shared(found, found.part([1]))
    assert told.startswith("1 picture is in both sets") and told.endswith("b.png")
    assert shared(found.part([0]), found.part([1])) == []


# Defaults.


@pytest.mark.parametrize("task", LEARNS, ids=lambda task: task.name)
@pytest.mark.parametrize("n", [1, 2, 3, 7, 30, 180, 5000, 10**6])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_plan_can_be_run(task, n, processes):
    if n < processes:
        return
    nothing = dict.fromkeys(("epochs", "batch_size", "lr"))
    plan = make_plan(task.training, n, processes=processes, from_weights=False, **nothing)
    assert 12 <= plan.epochs <= 100
    assert processes <= plan.batch_size <= n and plan.batch_size % processes == 0
    assert plan.lr == pytest.approx(
        task.training.lr * (plan.batch_size / task.training.batch_size) ** 0.5
    )
    tuned = make_plan(task.training, n, processes=processes, from_weights=True, **nothing)
    assert tuned.lr == plan.lr / 2 and tuned.epochs <= plan.epochs
    given = {"epochs": 3, "batch_size": 6, "lr": 0.5}
    assert make_plan(task.training, n, processes=processes, from_weights=True, **given) == (
        type(plan)(**given)
    )


@pytest.mark.parametrize("task", LEARNS, ids=lambda task: task.name)
def test_a_module_has_what_training_calls(task):
    module = __import__(task.training.module, fromlist=["truth"])
    assert set(module.AUGMENT) == set(task.training.augment)
    for name in ("config", "examples", "truth", *(data.own for data in task.data)):
        assert callable(getattr(module, name))


# Runs: the smallest model on the smallest pictures.

OPTIONS = {"val_fraction": 0.25, "epochs": 3, "batch_size": 4, "device": "cpu", "progress": False}


@pytest.fixture
def shades(tmp_path):
    return folders(tmp_path / "shades", dark=range(0, 80, 10), light=range(170, 250, 10))


def test_a_run(shades, tmp_path, capsys):
    trained = train_on(
        "linear", folder=shades, out=tmp_path / "run", **{**OPTIONS, "progress": True}
    )
    said = capsys.readouterr().out
    assert said.startswith("to train on: 12 pictures of about 60 x 40 pixels, of 2 classes\n")
    assert "linear on cpu: 3 epochs in batches of 4; AdamW up to" in said
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written >= {
        *("found.json", "batch.jpg", "best.safetensors", "metrics.json", "predictions.jpg"),
        *("curves.png", "last.pt", "history.csv", "epochs.csv", "model.safetensors"),
    }
    assert json.loads((tmp_path / "run/metrics.json").read_text()) == trained.metrics
    found = json.loads((tmp_path / "run/found.json").read_text())
    assert found["classes"] == ["dark", "light"] and found["train"]["pictures"] == 12
    with Image.open(tmp_path / "run/predictions.jpg") as sheet:  # 4 pairs, 2 in a row
        assert sheet.size == (2 * 768 + 3 * 8, 2 * 384 + 3 * 8)
    model = fastcv.models.load_model(trained.weights)
    assert model.classes == ("dark", "light")
    (dark,) = model.predict(f"{shades}/dark/0.png")
    assert torch.equal(dark.scores, trained.model.predict(f"{shades}/dark/0.png")[0].scores)


@pytest.mark.parametrize("step", [2, 3, 7])  # within, at the end of and after an epoch
def test_an_interrupt_and_a_resume(shades, tmp_path, monkeypatch, capfd, step):
    whole = train_on("linear", folder=shades, out=tmp_path / "whole", **OPTIONS)
    loss, calls = LinearClassifier.loss, []

    def interrupted(self, output, targets):
        calls.append(1)
        if len(calls) == step + 1:  # one was the rehearsal's
            signal.raise_signal(signal.SIGINT)
        return loss(self, output, targets)

    monkeypatch.setattr(LinearClassifier, "loss", interrupted)
    out = tmp_path / "run"
    with pytest.raises(
        SystemExit, match=f"after step {step}; .*, and the same with resume goes on"
    ):
        train_on("linear", folder=shades, out=out, **OPTIONS)
    with pytest.raises(ValueError, match="run holds a run already: resume goes on with it"):
        train_on("linear", folder=shades, out=out, **OPTIONS)
    resumed = train_on("linear", folder=shades, out=out, resume=True, **OPTIONS)
    assert resumed.metrics == whole.metrics
    assert not any(capfd.readouterr())  # no bar and no sentence where none is wanted
    assert (out / "history.csv").read_text() == (tmp_path / "whole/history.csv").read_text()
    state = whole.model.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in resumed.model.state_dict().items())


def test_resume_needs_the_same_run(shades, tmp_path):
    with pytest.raises(ValueError, match=r"there is no run to resume in .*nowhere"):
        train_on("linear", folder=shades, out=tmp_path / "nowhere", resume=True, **OPTIONS)
    out = tmp_path / "run"
    train_on("linear", folder=shades, out=out, **OPTIONS)
    with pytest.raises(ValueError, match="made with other settings: batch_size was 4 and is now 2"):
        train_on("linear", folder=shades, out=out, resume=True, **{**OPTIONS, "batch_size": 2})
    (tmp_path / "shades/dark").rename(tmp_path / "shades/black")
    with pytest.raises(ValueError, match=r"the classes were \['dark', 'light'\], now \['black'"):
        train_on("linear", folder=shades, out=out, resume=True, **OPTIONS)


def test_validates_on_other_pictures(shades, tmp_path, capsys):
    val = folders(tmp_path / "val", dark=[5], light=[200])
    options = {**OPTIONS, "progress": True, "epochs": 1}
    train_on("linear", folder=shades, val=val, out=tmp_path / "run", **options)
    assert "to validate on: 2 pictures" in capsys.readouterr().out
    train_on("linear", folder=shades, val=shades, out=tmp_path / "same", **options)
    assert (
        "16 pictures are in both sets, so that the metrics say too much" in capsys.readouterr().out
    )
    strange = folders(tmp_path / "strange", owl=[5])
    with pytest.raises(ValueError, match="has a folder 'owl', and the model has no such class"):
        train_on("linear", folder=shades, val=strange, out=tmp_path / "none", **OPTIONS)


def test_keeps_frozen_parts_and_starts_from_weights(shades, tmp_path):
    start = fastcv.create_model("resnet18", num_classes=5, width=8)
    fastcv.save_model(tmp_path / "start.safetensors", start)
    trained = train_on(
        weights=tmp_path / "start.safetensors",  # names its model
        folder=shades,
        size=32,
        freeze=["conv1", "layer1"],
        out=tmp_path / "run",
        **{**OPTIONS, "epochs": 1},
    )
    assert trained.model.preprocessing["crop"] == 32
    before, after = start.state_dict(), trained.model.state_dict()
    same = {key for key in before if before[key].shape == after[key].shape}
    same = {key for key in same if torch.equal(before[key], after[key])}
    kept = {key for key in before if key.startswith(("conv1.", "layer1."))}
    assert kept <= same and not any(key.startswith(("layer2.0.conv", "fc")) for key in same)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("linera", {}, "there is no model 'linera': did you mean linear"),
        (None, {}, "which model"),
        ("linear", {"folder": "nowhere"}, "there is no folder nowhere"),
        ("linear", {"folder": ("a", "b")}, "folder must be ROOT, got 2 values"),
        ("linear", {"folder": None, "coco": ("a", "b")}, "classifiers: .* one of folder, got coco"),
        ("linear", {"folder": None}, "one of folder, got none"),
        ("hypercolumns_vgg16", {}, "instance segmenters, which cannot be trained on pictures"),
        ("nearest_neighbors", {}, "there is no model|cannot learn classes"),
        ("linear", {"augment": "more"}, "augment must be one of flip, none, color, strong"),
        ("linear", {"freeze": ["head"]}, "linear has no part 'head'; it has"),
        ("linear", {"weights": "w.safetensors"}, "there is no file w.safetensors"),
        ("linear", {"device": "gpu"}, "device must be cpu, cuda or cuda:N"),
        ("lenet5", {"size": 40}, r"lenet5 cannot learn from .* as they come: .*\[B, 1, 32, 32\]"),
        ("ssd300_vgg16", {"folder": None, "coco": True, "size": 40}, "one size only"),
    ],
)
def test_refuses(shades, tmp_path, model, options, message):
    data = {"folder": shades, **options}
    if data.get("coco") is True:
        data["coco"] = coco(tmp_path, [(1, 1, (5, 5, 20, 20)), (2, 2, (5, 5, 20, 20))])
    data = {name: value for name, value in data.items() if value is not None}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train_on(model, **{**OPTIONS, "out": tmp_path / "run", **data})
    assert not (tmp_path / "run" / "last.pt").exists()


@pytest.mark.parametrize("with_objects", [1, 2])
def test_a_part_without_objects_is_told_at_once(tmp_path, with_objects):
    """Of three pictures one or two have objects, and two validate or one does."""
    box = (5, 5, 20, 20)
    where = coco(
        tmp_path, [(n + 1, 1, box) for n in range(with_objects)], files=("a.png", "b.png", "c.png")
    )
    data = boxes.coco(*where)
    told = []
    for fraction in (0.3, 0.6):
        train, val = data.split(fraction, 0)
        empty = "train" if not train.objects() else "validate" if not val.objects() else None
        if empty is None:
            continue
        told.append(empty)
        with pytest.raises(ValueError, match=f"the pictures to {empty} on have no objects: pass"):
            train_on(
                "fasterrcnn_resnet18_fpn",
                coco=where,
                **{**OPTIONS, "val_fraction": fraction, "out": tmp_path / "run"},
            )
    assert told or with_objects == 2


# What a model is given.


def drawn(size, box):
    image = Image.new("RGB", size)
    ImageDraw.Draw(image).rectangle(box, fill=(255, 255, 255))
    return read_image(image).float() / 255


class Squares(list):
    classes = ("background", "square")


@pytest.mark.parametrize("augment", ["none", "color", "flip", "strong"])
def test_boxes_stay_on_their_objects(augment):
    x1, y1, x2, y2 = 20, 30, 60, 55
    image = drawn((120, 90), (x1, y1, x2 - 1, y2 - 1))
    target = {
        "boxes": torch.tensor([[x1, y1, x2, y2]], dtype=torch.float32),
        "labels": torch.tensor([1]),
        "iscrowd": torch.tensor([False]),
        "area": torch.tensor([1000.0]),
        "image_id": 3,
        "keypoints": torch.zeros(1, 1, 3),  # left out
    }
    examples = boxes.Examples(Squares([(image, target)]), augment)
    torch.manual_seed(0)
    for _ in range(10):
        changed, moved = examples[0]
        assert set(moved) == {"boxes", "labels", "iscrowd", "area", "image_id"}
        white = changed.mean(0) > 0.3 * changed.max()
        ys, xs = white.nonzero().unbind(1)
        about = torch.tensor([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()
        assert torch.allclose(moved["boxes"][0], about, atol=1.5)
    assert target["boxes"].tolist() == [[x1, y1, x2, y2]]


@pytest.mark.parametrize("augment", ["none", "color", "flip", "strong"])
@pytest.mark.parametrize("side", [32, 64, 128])
def test_labels_stay_on_their_pixels(augment, side):
    image = drawn((90, 70), (20, 25, 59, 54))
    labels = (image[0] > 0.5).long()
    data = Squares([(image, labels)])
    model = fastcv.create_model("unet", width=4)
    examples = label_maps.Examples(model, data, augment, side)
    torch.manual_seed(1)
    for _ in range(10):
        changed, moved = examples[0]
        assert changed.shape == (3, side, side) and moved.shape == (side, side)
        counts = moved != 255
        # A border moves by half a pixel where a picture is scaled; the rest agrees.
        white = changed.mean(0) > 0.3 * max(1e-3, float(changed.max()))
        differ = (white != (moved == 1)) & counts & (moved.sum() > 0)
        assert differ.sum() <= 0.06 * counts.sum()
    images, targets = examples.collate([examples[0], examples[0]])
    assert images.shape == (2, 3, side, side) and targets.shape == (2, side, side)


def test_a_segmenter_learns_in_the_size_that_it_predicts_in():
    model = fastcv.create_model("unet", width=4)
    model.preprocessing = {**model.preprocessing, "resize": 140}
    image = drawn((90, 70), (0, 0, 89, 69))
    examples = label_maps.Examples(model, Squares([(image, (image[0] > 0).long())]), "none", 160)
    _, labels = examples[0]
    assert int((labels == 1).sum()) == 140 * 160  # of 140 x 180; the rest of the square is empty
    assert int((labels == 255).sum()) == 20 * 160


@pytest.mark.parametrize("augment", ["none", "color", "flip", "strong"])
def test_squares_for_a_classifier(augment):
    model = fastcv.create_model("resnet18", num_classes=2, width=8)
    model.preprocessing = {**model.preprocessing, "crop": 48, "resize": 56}
    images = Squares([(torch.rand(3, 70, 90), 1), (torch.rand(3, 40, 200), 0)])
    examples = classes.Examples(model, images, augment)
    items = [examples[0], examples[1]]
    assert all(image.shape == (3, 48, 48) for image, _ in items)
    batch, labels = examples.collate(items)
    assert batch.shape == (2, 3, 48, 48) and labels.tolist() == [1, 0]
    if augment == "none":
        assert torch.allclose(batch, model.prepare([image for image, _ in images]), atol=1e-5)


def test_masks_of_ones_own(tmp_path):
    """A Mask R-CNN learns from COCO's polygons."""
    images, path = coco(tmp_path, [(n + 1, 1 + n % 2, (5, 5, 20, 20)) for n in range(2)])
    content = json.loads((tmp_path / "a.json").read_text())
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[5, 5, 25, 5, 25, 25, 5, 25]]
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = own_masks.coco(images, path)
    model = create_model(
        "maskrcnn_resnet18_fpn",
        classes=found.classes,
        width=8,
        fpn_channels=16,
        head_channels=32,
        mask_channels=8,
        **own_masks.config(40, ["min_size"]),
    )
    image, target = own_masks.examples(model, found, "flip", 40)[0]
    assert target["masks"].shape == (1, 40, 60) and target["masks"].sum() == 400
    assert model.loss(model([image]), [target])["loss_mask"].isfinite()
    known = own_masks.truth(image, target, found.classes)
    assert torch.equal(known.masks, target["masks"]) and known.draw(image)
