"""Small real training that tests share, run in their process or as a script under torchrun:
handwritten digits of scikit-learn, a network with dropout, two loss terms, random augmentation."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Dataset

from fastcv.learn import fit


class Digits(Dataset):
    def __init__(self, length=256, noise=0.1):
        digits = load_digits()
        self.images = torch.tensor(digits.images[:length], dtype=torch.float32)[:, None] / 16
        self.labels = torch.tensor(digits.target[:length])
        self.noise = noise

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        return image + self.noise * torch.randn(image.shape), self.labels[index]


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x).relu()


class Classifier(nn.Module):
    """Its loss runs a layer that forward does not, as a detector's does."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(128, 10)
        self.parity = nn.Linear(128, 1)
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        features = self.dropout(self.blocks(self.stem(x).relu()).flatten(1))
        return {"features": features, "logits": self.head(features)}

    def loss(self, output, targets):
        self.batches += 1
        odd = self.parity(output["features"])[:, 0]
        return {
            "digit": nn.functional.cross_entropy(output["logits"], targets),
            "parity": nn.functional.binary_cross_entropy_with_logits(odd, (targets % 2).float()),
        }


def accuracy(model, data):
    images = data.images.to(next(model.parameters()).device)
    right = model(images)["logits"].argmax(1).cpu() == data.labels
    return {"accuracy": right.float().mean().item()}


def make_sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-4)


def make_multistep(optimizer, steps):
    return torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps // 2, steps * 3 // 4])


class Interrupted(Classifier):
    """Process 1, and no other, is asked to stop in the middle of the third step, once."""

    asked = False

    def loss(self, output, targets):
        if os.environ["RANK"] == "1" and self.batches == 2 and not Interrupted.asked:
            Interrupted.asked = True
            signal.raise_signal(signal.SIGTERM)
        return super().loss(output, targets)


class Toy(nn.Module):
    """A small GAN: one player moves points, the other tells them from the targets."""

    def __init__(self):
        super().__init__()
        self.mover = nn.Linear(2, 2)
        self.judge = nn.Linear(2, 1)

    @property
    def players(self):
        return {"mover": self.mover, "judge": self.judge}

    def forward(self, x):
        return self.mover(x)

    def loss(self, output, targets, player):
        if player == "mover":
            fool = nn.functional.softplus(-self.judge(output)).mean()
            return {"fool": fool, "size": 0.1 * output.square().mean()}
        return {
            "real": nn.functional.softplus(-self.judge(targets)).mean(),
            "moved": nn.functional.softplus(self.judge(output)).mean(),
        }


class SharedToy(Toy):
    """The judge first, and one forward for both: the order of pix2pix."""

    shared_forward = True

    @property
    def players(self):
        return {"judge": self.judge, "mover": self.mover}


class PoolToy(SharedToy):
    """With state that is no parameter: a norm's statistics, and a pool of earlier outputs.

    The pool fills up, and then gives and takes at random.
    """

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("pool", torch.zeros(20, 2))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @property
    def players(self):
        return {"judge": self.judge, "mover": [self.mover, self.norm]}

    def forward(self, x):
        return self.norm(self.mover(x))

    def loss(self, output, targets, player):
        if player == "judge":
            return super().loss(self.query(output.detach()), targets, player)
        return super().loss(output, targets, player)

    def query(self, output):
        """Each output, or an earlier one in its place while it takes that one's."""
        given = []
        for point in output:
            if self.filled < len(self.pool):
                self.pool[self.filled] = point
                self.filled += 1
            elif torch.rand(()) < 0.5:
                i = torch.randint(len(self.pool), ())
                point, self.pool[i] = self.pool[i].clone(), point
            given.append(point)
        return torch.stack(given)


def toy_data(length=32):
    generator = torch.Generator().manual_seed(3)
    pairs = torch.randn(2, length, 2, generator=generator)
    return torch.utils.data.TensorDataset(pairs[0], pairs[1] + 2)


def train(out, make=Classifier, dropout=0.0, **options):
    """One run with all that a run can have, the model and its initial weights always the same."""
    torch.manual_seed(0)
    model = make(dropout)
    given = dict(
        train_data=Digits(),
        epochs=2,
        batch_size=32,
        optimizer=make_sgd,
        scheduler=make_multistep,
        clip_norm=1.0,
        ema_decay=0.95,
        val_data=Digits(64),
        evaluate=accuracy,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    return model, fit(model, out=out, **{**given, **options})


def train_toy(out, make=Toy, **options):
    torch.manual_seed(0)
    model = make()
    optimizers = {
        "mover": lambda p: torch.optim.SGD(p, lr=0.05),
        "judge": lambda p: torch.optim.Adam(p, lr=0.02),
    }
    given = dict(
        train_data=toy_data(),
        epochs=2,
        batch_size=8,
        optimizer=optimizers,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    return model, fit(model, out=out, **{**given, **options})


if __name__ == "__main__":  # under torchrun: all runs in one start of the processes
    folder = Path(sys.argv[1])
    train(folder / "ddp")
    train(folder / "ddp-parts", accumulate=2)
    train_toy(folder / "ddp-toy")
    train_toy(folder / "ddp-shared", SharedToy)
    train_toy(folder / "ddp-shared-parts", SharedToy, accumulate=2)
    model, _ = train_toy(folder / "ddp-pool", PoolToy)
    state = {name: value.tolist() for name, value in model.state_dict().items()}
    train(folder / "fsdp", epochs=1, scheduler=None, strategy="fsdp")
    model, _ = train(folder / "fsdp", epochs=2, scheduler=None, strategy="fsdp")
    said = {"state": state, "held": sum(p.to_local().numel() for p in model.parameters())}
    try:
        train(folder / "ddp-stopped", Interrupted)
    except SystemExit as stop:
        said["stop"] = stop.code
    train(folder / "ddp-stopped", Interrupted)
    for name, run, options in (
        ("batch", train, {"batch_size": 31}),
        ("players", train_toy, {"strategy": "fsdp"}),
    ):
        try:
            run(folder / "error", **options)
        except ValueError as error:
            said[name] = str(error)
    (folder / f"said-{os.environ['RANK']}.json").write_text(json.dumps(said))
