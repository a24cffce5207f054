"""Items of any size, through the data set's own collate; two data sets without pairs."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.utils.data import Subset

from fastcv.data import Unpaired
from fastcv.learn import fit

pytestmark = pytest.mark.usefixtures("quick_curves")


class Padded(NamedTuple):
    tokens: torch.Tensor
    lengths: torch.Tensor


@dataclass
class Clip:
    frames: torch.Tensor
    name: str


class Mesh:
    """No tensor and no collection, but it can be moved."""

    def __init__(self, faces, device=None):
        self.faces, self.device = faces, device

    def to(self, device, **options):
        return Mesh(self.faces.to(device), device)


class Texts:
    """Sentences of 1 to 5 words; the targets are clips, meshes and words of as many sizes."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        words = torch.randint(1, 9, (1 + index % 5,))
        clip = Clip(torch.full((1 + index % 3, 4), float(index)), f"clip {index}")
        return words, {"clip": clip, "mesh": Mesh(torch.arange(index)), "words": ["a"] * index}

    def collate(self, items):
        lengths = torch.tensor([len(words) for words, _ in items])
        tokens = nn.utils.rnn.pad_sequence([words for words, _ in items], batch_first=True)
        return Padded(tokens, lengths), [target for _, target in items]


class Reader(nn.Module):
    def __init__(self, seen):
        super().__init__()
        self.words = nn.Embedding(9, 3, padding_idx=0)
        self.seen = seen

    def forward(self, padded):
        return self.words(padded.tokens).sum(1) / padded.lengths[:, None]

    def loss(self, output, targets):
        self.seen.append(targets)
        return {"size": output.square().mean()}


def read(data, out, **options):
    torch.manual_seed(0)
    model = Reader([])
    history = fit(
        model,
        data,
        epochs=2,
        batch_size=4,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
        out=out,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **options,
    )
    return model, history


@pytest.mark.parametrize("data", [Texts(), Subset(Subset(Texts(), range(12)), range(12))])
def test_own_collate(tmp_path, data):
    model, history = read(data, tmp_path)
    assert len(history.steps) == 6
    for target in (target for batch in model.seen for target in batch):
        index = len(target["words"])
        assert torch.equal(target["clip"].frames, torch.full((1 + index % 3, 4), float(index)))
        assert target["clip"].name == f"clip {index}"
        assert target["mesh"].device == torch.device("cpu")  # fit did move it
        assert torch.equal(target["mesh"].faces, torch.arange(index))


def test_own_collate_with_parts_and_workers(tmp_path):
    _, whole = read(Texts(), tmp_path / "whole")
    _, workers = read(Texts(), tmp_path / "workers", workers=2)
    assert workers.steps == whole.steps
    _, parts = read(Texts(), tmp_path / "parts", accumulate=2)
    # The padding of two halves differs, their mean does not, but for rounding.
    for a, b in zip(whole.steps, parts.steps, strict=True):
        assert a == pytest.approx(b, rel=1e-5)


def test_argument_before_own_collate(tmp_path):
    def first_word_only(items):
        words = torch.stack([words[:1] for words, _ in items])
        return Padded(words, torch.ones(len(items))), "no targets"

    model, _ = read(Texts(), tmp_path, collate_fn=first_word_only)
    assert model.seen == ["no targets"] * 6


@pytest.mark.parametrize(
    "made, got", [(torch.zeros(4), "Tensor of 4"), ((1, 2, 3), "tuple of 3"), (None, "NoneType")]
)
def test_error_for_what_is_no_pair(tmp_path, made, got):
    with pytest.raises(TypeError, match=rf"must return a pair \(images, targets\), got {got}"):
        read(Texts(), tmp_path, collate_fn=lambda items: made)


def test_unpaired_data(digits, tmp_path):
    """Of 32 and 12 points: a run in two pieces, with workers, is the run in one."""
    data = digits.toy_data()
    unpaired = Unpaired(data.tensors[0], data.tensors[1][:12])
    optimizers = dict.fromkeys(("mover", "judge"), digits.make_sgd)

    def train(out, epochs, workers=0):
        torch.manual_seed(0)
        return fit(
            digits.Toy(),
            unpaired,
            epochs=epochs,
            batch_size=8,
            optimizer=optimizers,
            workers=workers,
            out=out,
            devices="cpu",
            progress=False,
            tensorboard=False,
        )

    whole = train(tmp_path / "whole", 2)
    train(tmp_path / "twice", 1)
    assert train(tmp_path / "twice", 2, workers=1).steps == whole.steps
