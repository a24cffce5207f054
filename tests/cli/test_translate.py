"""``fastcv translate``: a picture for each picture."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv import cli, create_model, load_model, save_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("translator") / "small.safetensors"
    torch.manual_seed(0)
    model = create_model("pix2pix_unet64", width=4)
    with torch.no_grad():
        model.model.model[3].weight *= 50  # so that pictures differ by more than rounding
    save_model(path, model)
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, size in enumerate(((64, 48), (150, 130))):
        pixels = np.random.default_rng(i).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def expected(weights, path, **options):
    (made,) = load_model(weights).predict(path, **options)
    return np.asarray(made.draw())


def test_a_folder(weights, photos, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["translate", str(photos), "--weights", str(weights), "--out", str(out)]
    assert cli.main(arguments) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[1] == f"{photos / '1.png'}: Generated(1 picture of 150x130): {out / '1.png'}"
    for name in ("0.png", "1.png"):
        assert np.array_equal(pixels_of(out / name), expected(weights, photos / name))


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--mode", "paper", "--seed", "3"], {"mode": "paper", "seed": 3}),
        (["--tile", "64", "--overlap", "32"], {"tile": 64, "overlap": 32}),
    ],
)
def test_options(arguments, options, weights, photos, tmp_path):
    out, path = tmp_path / "a.png", photos / "1.png"
    given = ["translate", str(path), "--weights", str(weights), "--out", str(out), *arguments]
    assert cli.main(given) == 0
    assert np.array_equal(pixels_of(out), expected(weights, path, **options))
    assert not np.array_equal(pixels_of(out), expected(weights, path))


def test_a_password(photos, tmp_path, capsys):
    """There with one, back with its inverse; without one, or of another length, a sentence."""
    path, out, file = photos / "0.png", tmp_path / "a.png", tmp_path / "faces.safetensors"
    save_model(file, create_model("face_identity_transformer", blocks=1, width=4))
    given = ["translate", str(path), "--weights", str(file), "--out", str(out)]
    for password in ("0110100110010110", "1001011001101001"):
        assert cli.main([*given, "--password", password]) == 0
        assert np.array_equal(pixels_of(out), expected(file, path, password=password))
    for more, words in (
        ([], "a password is needed: 16 bits such as 0101010101010101"),
        (["--password", "0110"], "password must be 16 bits of 0 and 1, got '0110' of 4"),
        (["--password", "2" * 16], "password must be 16 bits of 0 and 1, got '2222"),
    ):
        capsys.readouterr()
        assert cli.main([*given, *more]) == 2
        assert capsys.readouterr().err.startswith(f"fastcv translate: {words}")


def test_others_take_no_password(weights, photos, tmp_path, capsys):
    given = ["translate", str(photos / "0.png"), "--weights", str(weights)]
    assert cli.main([*given, "--out", str(tmp_path / "a.png"), "--password", "01"]) == 2
    assert "--password: pix2pix_unet64 takes no password" in capsys.readouterr().err


def test_a_broken_picture_is_reported_and_the_others_are_done(weights, photos, tmp_path, capsys):
    (photos / "2.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    arguments = ["translate", str(photos), "--weights", str(weights), "--out", str(out)]
    assert cli.main(arguments) == 1
    assert "2.png is not an image" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["0.png", "1.png"]
    arguments[1] = str(photos / "2.png")
    assert cli.main(arguments) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "x.png"], "which model? pass --model NAME"),
        (["--weights", "LENET", "--out", "x.png"], "lenet5 is no translator: `fastcv models"),
        (["--weights", "FILE", "--out", "PICTURE"], "would overwrite the image"),
        (["--weights", "FILE", "--out", "x.png", "--tile", "65"], "tile must be a multiple of 32"),
        (["--weights", "FILE", "--out", "x.png", "--overlap", "8"], "overlap is of tiles: set"),
    ],
)
def test_sentences(arguments, words, weights, photos, tmp_path, capsys):
    save_model(tmp_path / "lenet.safetensors", create_model("lenet5"))
    files = {
        "FILE": str(weights),
        "LENET": str(tmp_path / "lenet.safetensors"),
        "PICTURE": str(photos / "0.png"),
        "x.png": str(tmp_path / "x.png"),
    }
    given = [files.get(argument, argument) for argument in arguments]
    assert cli.main(["translate", str(photos / "0.png"), *given]) == 2
    told = capsys.readouterr().err.splitlines()[-1]  # after a bar, where there are tiles
    assert told.startswith("fastcv translate: ") and words in told


def test_out_is_needed(weights, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["translate", "a.png", "--weights", str(weights)])
    assert end.value.code == 2 and "--out" in capsys.readouterr().err


def test_help_lists_it(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "\n  translate  " in capsys.readouterr().out
