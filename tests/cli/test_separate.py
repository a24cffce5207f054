"""``fastcv separate``: a file for each face, and what cannot be, in one sentence."""

import wave

import numpy as np
import pytest
import torch

from fastcv import cli, create_model, save_model
from fastcv.results import Audio

SMALL = {
    "rate": 8000,
    "channels": 4,
    "face_channels": 6,
    "face_size": 8,
    "hidden": 10,
    "width": 12,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("separate")
    torch.manual_seed(0)
    save_model(folder / "two.safetensors", create_model("looking_to_listen_2", **SMALL))
    save_model(folder / "other.safetensors", create_model("dcgan_64", size=8, width=4))
    Audio(torch.rand(2, 16_000) - 0.5, 16_000).save(folder / "mix.wav")
    random = np.random.default_rng(0)
    for name in ("anna", "ben"):
        np.save(folder / f"{name}.npy", random.random((25, 8), dtype=np.float32))
    np.save(folder / "long.npy", random.random((75, 8), dtype=np.float32))
    np.save(folder / "words.npy", np.array(["a"]))
    (folder / "broken.npy").write_bytes(b"no array")
    return folder


def test_a_file_for_each_face(files, tmp_path, capsys):
    out = tmp_path / "out"
    faces = [str(files / "anna.npy"), str(files / "ben.npy")]
    asked = ["separate", str(files / "mix.wav"), "--faces", *faces]
    assert cli.main([*asked, "--weights", str(files / "two.safetensors"), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["1_anna.wav", "2_ben.wav"]
    assert capsys.readouterr().out.count(" at 8000 Hz") == 2
    for path in out.iterdir():
        with wave.open(str(path), "rb") as file:
            assert file.getframerate() == 8000 and file.getnframes() == 8000


@pytest.mark.parametrize(
    ("sound", "faces", "weights", "words"),
    [
        ("mix.wav", ["anna"], "two", "faces must be 2, for so many speakers was the model made"),
        ("mix.wav", ["anna", "none"], "two", "there is no file"),
        ("mix.wav", ["anna", "words"], "two", "words.npy is no .npy of numbers"),
        ("mix.wav", ["anna", "broken"], "two", "broken.npy is no .npy of numbers"),
        ("mix.wav", ["long", "long"], "two", "faces must be 25 a second, 25 for 1.00 s of"),
        ("none.wav", ["anna", "ben"], "two", "none.wav"),
        ("mix.wav", ["anna", "ben"], "other", "takes no voices apart: `fastcv models --task sep"),
    ],
)
def test_sentences(sound, faces, weights, words, files, tmp_path, capsys):
    out = tmp_path / "out"
    asked = ["separate", str(files / sound), "--weights", str(files / f"{weights}.safetensors")]
    faces = [str(files / f"{name}.npy") for name in faces]
    assert cli.main([*asked, "--out", str(out), "--faces", *faces]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1 and not out.exists()
    if weights == "two":
        (tmp_path / "file").write_text("mine")
        assert cli.main([*asked, "--out", str(tmp_path / "file"), "--faces", *faces]) == 2
        assert (tmp_path / "file").read_text() == "mine"
