"""A small face identity transformer on drawn people: eight minutes of one core.

Chance is 0.083. It hides people well; the right password does not yet recover all, nor does a wrong
one mislead enough: both gain from more steps.

Two recognisers learn the people first. One is the players' opponent and learns on. The other is the
judge: the generator never meets it, and the table is by what it says. The generator first learns to
leave faces as they are, whatever the password; then it meets the other players. Faces are 32 x 32
pixels, passwords 8 bits, the generator a quarter as wide as the published one; the registered
``face_identity_transformer`` is the paper's.

A run has ``judge/``, ``recogniser/``, ``copy/`` and ``players/`` (each what ``fit`` writes),
``model.safetensors`` (the generator and the judge, for ``evaluate``) and
``transformer.safetensors`` (for ``fastcv translate``).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.data import DrawnIdentities
from fastcv.learn._state import write_weights
from fastcv.learn.schedules import one_cycle
from fastcv.metrics import best_threshold, psnr, verification_accuracy
from fastcv.models import Model, create_model, save_model
from fastcv.models._mode import evaluating
from fastcv.models.generative.face_identity_gan import IdentityWeights
from fastcv.models.generative.face_identity_transformer import FaceIdentityTransformer
from fastcv.models.generative.hide_identity import hide_identity
from fastcv.models.generative.passwords import draw_passwords, inverse_password, password_bits
from fastcv.nn.backbones.sphereface import SphereFace20a
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.results import Gallery

SIDE, PEOPLE, BITS = 32, 12, 8
SHOWN = 6  # faces in the demo's picture
RECOGNISER_EPOCHS = 2
SEEN = 3000  # faces that the generator learns from
# Far fewer steps than the paper's: less weight on the pixels, for the faces to change in time.
WEIGHTS = IdentityWeights(password=0.1, l1=3.0, random_reconstruction=3.0)

faces = partial(DrawnIdentities, size=(SIDE, SIDE), identities=PEOPLE)


class PasswordFaces(Model):
    """A transformer and the recogniser that judges it; classes are the people."""

    def __init__(self) -> None:
        super().__init__()
        made = create_model(
            "face_identity_transformer",
            password_length=BITS,
            blocks=2,
            width=16,
            running_statistics=True,
        )
        self.transformer = cast(FaceIdentityTransformer, made)
        self.judge = recogniser()
        self.classes = faces("test").classes


class Copy(nn.Module):
    """A transformer that is to leave faces as they are."""

    def __init__(self, transformer: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Faces in [-1, 1], and what random passwords make of them."""
        real = images * 2 - 1
        return real, self.transformer(real, draw_passwords(len(images), BITS).to(real.device))

    def loss(self, output: tuple[Tensor, Tensor], targets: Tensor) -> dict[str, Tensor]:
        """The mean distance; targets are not used."""
        real, made = output
        return {"l1": (made - real).abs().mean()}


def recogniser() -> SphereFace20a:
    """One with random weights."""
    return SphereFace20a(PEOPLE, image_size=(SIDE, SIDE), width=8, embedding_size=64)


ADAM = partial(torch.optim.Adam, betas=(0.5, 0.999))


def schedule(model: Any, device: str) -> dict[str, Any]:
    """Of the players: the paper's Adam but ten times as fast, and down to nothing."""
    return {
        "batch_size": 8,
        "optimizer": {
            "discriminator": partial(ADAM, lr=5e-4),
            "recogniser": partial(ADAM, lr=3e-4),
            "generator": partial(ADAM, lr=1e-3),
        },
        "scheduler": one_cycle(0.1),
    }


def alone(batch_size: int) -> dict[str, Any]:
    """Of one network: Adam, a short rise and a long way down."""
    return {
        "batch_size": batch_size,
        "optimizer": partial(torch.optim.Adam, lr=3e-3),
        "scheduler": one_cycle(0.2),
    }


def recognisers_then_players(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the judge and the opponent, then the generator alone, then the players."""
    drawn = recipe.data["train"]()
    people = [drawn[i] for i in range(len(drawn))]  # drawn once, for all stages
    torch.manual_seed(run.seed)
    model = PasswordFaces()
    opponent = recogniser()
    run.fit(model.judge, people, "judge", epochs=RECOGNISER_EPOCHS, **alone(32))
    run.fit(opponent, people, "recogniser", epochs=RECOGNISER_EPOCHS, **alone(32))
    some = people[:SEEN]
    run.fit(Copy(model.transformer), some, "copy", epochs=1, **alone(16))
    system = model.transformer.gan(
        opponent, image_size=SIDE, weights=WEIGHTS, judge_width=8, judge_layers=2, pool_size=200
    )
    run.fit(system, some, "players", **recipe.schedule(model, run.device))
    save_model(run.out / "transformer.safetensors", model.transformer)
    write_weights(run.out / "model.safetensors", model.state_dict())
    return recipe.evaluate(run.out / "model.safetensors", device=run.device)


def metrics(model: PasswordFaces, test: DrawnIdentities) -> dict[str, Any]:
    """Who the judge says they are: the share of right answers, of each kind of face.

    ``passwords differ`` is the share of faces of which two passwords make two different people.
    ``verified`` and ``hidden verified`` are of pairs, half of them of the same person, before and
    after ``hide_identity`` changed one of them; chance is 0.5.
    """
    device = next(model.parameters()).device
    items = [test[i] for i in range(len(test))]
    images = torch.stack([image for image, _ in items]).to(device)
    people = torch.tensor([label for _, label in items]).to(device)
    with torch.random.fork_rng([]), torch.no_grad(), evaluating(model):
        torch.manual_seed(0)
        password = draw_passwords(len(images), BITS)
        other = draw_passwords(len(images), BITS, other_than=[password])
        wrong = draw_passwords(len(images), BITS, other_than=[1 - password])
        made = {"real": images, "anonymised": change(model, images, password)}
        again = change(model, images, other)
        made["right password"] = change(model, made["anonymised"], 1 - password)
        made["wrong password"] = change(model, made["anonymised"], wrong)
        named = {kind: model.judge(x).cosines.argmax(dim=1) for kind, x in made.items()}
        found: dict[str, Any] = {
            kind: float((names == people).float().mean()) for kind, names in named.items()
        }
        differ = model.judge(again).cosines.argmax(dim=1) != named["anonymised"]
        found["passwords differ"] = float(differ.float().mean())
        found["recovered PSNR"] = float(psnr(made["right password"], images).mean())
    return found | hidden(model.judge, images, people)


def change(model: PasswordFaces, images: Tensor, passwords: Tensor) -> Tensor:
    """Images in [0, 1] with a password each, in [0, 1]."""
    made: Tensor = model.transformer(images * 2 - 1, passwords.to(images.device))
    return (made + 1) / 2


def hidden(judge: SphereFace20a, images: Tensor, people: Tensor) -> dict[str, Any]:
    """Verification by the judge of each picture with the next of the same and of another person.

    Its threshold is the best of the unchanged pairs.
    """
    changed = hide_identity(images, judge)
    with torch.no_grad(), evaluating(judge):
        first, before = (F.normalize(judge(x).embeddings, dim=1) for x in (changed, images))
    partners = [PEOPLE, PEOPLE + 1]  # item i is of person i % PEOPLE
    same = torch.cat([people == people.roll(-by) for by in partners])

    def similarities(of: Tensor) -> Tensor:
        return torch.cat([(of * before.roll(-by, dims=0)).sum(dim=1) for by in partners])

    threshold = best_threshold(similarities(before), same)
    return {
        "verified": verification_accuracy(similarities(before), same, threshold),
        "hidden verified": verification_accuracy(similarities(first), same, threshold),
        "hidden PSNR": float(psnr(changed, images).min()),
    }


def show(model: PasswordFaces, folder: Path) -> None:
    """Faces, each anonymised with three passwords, then recovered from the first of these with the
    right password and with a wrong one."""
    test, pictures, captions = faces("test"), [], []
    first, *others, wrong = (password_bits(text, BITS) for text in ("a", "b", "c", "d"))
    for i in range(SHOWN):
        face, _ = test[i]
        made = [predicted(model, face, password) for password in (first, *others)]
        again = [predicted(model, made[0], p) for p in (inverse_password(first), wrong)]
        pictures += [_picture(x) for x in (face, *made, *again)]
        captions += ["a face", "password 1", "password 2", "password 3", "right", "wrong"]
    Gallery(pictures, captions, 6, "faces").save(folder / "faces_password.png")


def predicted(model: PasswordFaces, face: Tensor, password: str) -> Tensor:
    """A face with a password, both in [0, 1]."""
    (made,) = model.transformer.predict(face, password=password)
    picture: Tensor = made.pictures[0]
    return picture


def _picture(image: Tensor) -> Image.Image:
    pixels = (image.permute(1, 2, 0) * 255).round().byte().numpy()
    return Image.fromarray(pixels).resize((3 * SIDE, 3 * SIDE), Image.Resampling.NEAREST)


RECIPE = Recipe(
    name="faces_password",
    summary="drawn people, anonymised with a password and recovered with its inverse",
    data={
        "train": partial(faces, "train", length=7200),
        "test": partial(faces, "test", length=360),
    },
    build=PasswordFaces,
    epochs=1,
    schedule=schedule,
    metrics=metrics,
    level=Level(
        {
            "real": 0.992,
            "anonymised": 0.086,
            "right password": 0.733,
            "wrong password": 0.447,
            "passwords differ": 0.578,
            "verified": 0.982,
            "hidden verified": 0.481,
        },
        on="360 faces on photographs it never saw",
        runs="seed 0, one run",
        date="2026-12-01",
    ),
    stages=recognisers_then_players,
    show=show,
    no_weights=NO_WEIGHTS.format("model.safetensors") + " as weights",
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
