"""What fit writes says which model it is, and what its classes are called."""

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from torch.utils.data import ConcatDataset, Dataset, Subset

from fastcv import cli
from fastcv.learn import Distillation, fit
from fastcv.learn._classes import take_class_names
from fastcv.models import create_model, load_model

NAMES = ("zebra", "gnu", "kudu")


class Pictures(Dataset):
    def __init__(self, classes=NAMES):
        self.classes = classes

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.rand(3, 32, 32), index % 3


def small(**config):
    torch.manual_seed(0)
    return create_model("resnet18", num_classes=3, width=8, **config)


def train(model, folder, data=None, **options):
    fit(
        model,
        data or Pictures(),
        epochs=1,
        batch_size=2,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.01),
        evaluate=lambda *_: {"x": 1},
        best="x",
        out=folder,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **options,
    )


def test_the_files_load_by_themselves(tmp_path, capsys):
    model = small()
    train(model, tmp_path, ema_decay=0.9)
    assert model.classes == NAMES
    for name in ("model.safetensors", "best.safetensors"):
        again = load_model(tmp_path / name)
        assert again.model_name == "resnet18" and again.classes == NAMES
        state = again.state_dict()
        assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    for more in ([], ["--model", "resnet18"]):
        weights = ["--weights", str(tmp_path / "best.safetensors"), *more, "--device", "cpu"]
        assert cli.main(["predict", str(tmp_path / "a.png"), *weights]) == 0
        assert any(name in capsys.readouterr().out for name in NAMES)


def test_a_compiled_model(tmp_path):
    model = small()
    train(torch.compile(model, backend="eager"), tmp_path)
    state = load_model(tmp_path / "best.safetensors").state_dict()
    assert list(state) == list(model.state_dict())
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("kind", ["no name", "no JSON"])
def test_what_cannot_be_noted_is_left_out(kind, tmp_path):
    model = small()
    if kind == "no name":
        model.model_name = ""
    else:
        model.model_config = {"norm_layer": torch.nn.BatchNorm2d}
    train(model, tmp_path)
    with safe_open(tmp_path / "best.safetensors", "pt") as file:
        assert file.metadata() is None
    again = create_model("resnet18", str(tmp_path / "best.safetensors"), num_classes=3, width=8)
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in again.state_dict().items())


OWN = small().classes


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (Pictures(), NAMES),
        (Pictures(list(NAMES)), NAMES),
        (Subset(Subset(Pictures(), [0, 1]), [0]), NAMES),
        (ConcatDataset([Pictures(), Subset(Pictures(), [0])]), NAMES),
        (ConcatDataset([Pictures(), Pictures(("a", "b", "c"))]), OWN),
        (Pictures(("two", "names")), OWN),
        (Pictures((1, 2, 3)), OWN),
        (Pictures("abc"), OWN),
        (Pictures(None), OWN),
        ([(torch.zeros(3, 8, 8), 0)], OWN),
    ],
)
def test_whose_names(data, expected):
    model = small()
    take_class_names(model, data)
    assert model.classes == expected


def test_names_of_a_student():
    student = small()
    model = Distillation(small(), student)
    take_class_names(model, Pictures())
    assert model.classes == student.classes == NAMES
    take_class_names(torch.nn.Linear(1, 1), Pictures())
