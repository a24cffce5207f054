"""Many pictures on a local Ray: rows for all, nothing done twice, nothing lost to a broken one."""

import sys

import numpy as np
import pyarrow.parquet
import pytest
import ray
import torch
from PIL import Image

from fastcv.cli import UserError, main
from fastcv.cli._ray import _Worker, predict_to_parquet
from fastcv.models import ImageModel
from fastcv.results import Detections

SETTINGS = {"model": "brightest", "weights": None, "score_threshold": None}


class Brightest(ImageModel):
    """Finds one box: the picture's size tells where."""

    classes = ("background", "dark", "bright")

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        return images

    def postprocess(self, output):
        return [
            Detections(
                torch.tensor([[0.0, 0.0, i.shape[2], i.shape[1]]]),
                i.mean()[None],
                torch.tensor([1 + int(i.mean() > 0.5)]),
                self.classes,
                tuple(i.shape[-2:]),
            )
            for i in output
        ]


def make():
    return Brightest(), {}


@pytest.fixture(scope="module")
def local_ray():
    # The workers cannot import a test: its classes travel to them whole.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20)
    yield
    ray.shutdown()


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        pixels = np.full((10 + i, 20, 3), 40 * i, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (folder / "3.png").write_bytes(b"no picture")
    return sorted(folder.iterdir())


def read(out):
    rows = pyarrow.parquet.read_table(out).to_pylist()
    return sorted(rows, key=lambda row: row["path"])


@pytest.mark.slow
def test_predict_and_go_on(local_ray, photos, tmp_path):
    out = tmp_path / "out"
    options = {"settings": SETTINGS, "workers": 2, "batch_size": 2}
    # What an earlier run would have left.
    _Worker(make, out, SETTINGS, 2)({"paths": [str(p) for p in photos[:2]]})
    (first,) = out.iterdir()
    written = first.stat().st_mtime_ns
    assert predict_to_parquet(photos, out, make, **options) == (4, 1)
    assert first.stat().st_mtime_ns == written
    assert predict_to_parquet(photos, out, make, **options) == (0, 0)
    assert [p.suffix for p in out.iterdir()] == [".parquet"] * 3  # two workers, a file each

    rows = read(out)
    assert [row["path"] for row in rows] == [str(p) for p in photos]
    assert "3.png is not an image" in rows[3]["error"] and rows[3]["boxes"] is None
    for i in (0, 1, 2, 4, 5):
        row = rows[i]
        assert (row["height"], row["width"], row["error"]) == (10 + i, 20, None)
        assert row["boxes"] == [[0, 0, 20, 10 + i]]
        assert row["scores"] == pytest.approx([40 * i / 255], abs=1e-4)
        assert row["labels"] == [1 + (i > 3)] and row["names"] == [["dark", "bright"][i > 3]]

    with pytest.raises(UserError, match=r"has results of .*'brightest'.*: choose another --out"):
        predict_to_parquet(photos, out, make, **{**options, "settings": {"model": "other"}})


def test_arguments(photos, tmp_path, capsys):
    predict = ["predict", str(photos[0]), "--engine", "ray"]
    assert main(predict) == 2
    assert "--out must be a folder, got None" in capsys.readouterr().err
    assert main([*predict, "--out", str(photos[0])]) == 2
    assert "--out must be a folder, got" in capsys.readouterr().err
    assert main([*predict, "--out", str(tmp_path / "new"), "--json", "a.json"]) == 2
    assert "--json is of --engine local" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_name_that_is_no_utf8(local_ray, photos, tmp_path):
    odd = photos[0].with_name(b"caf\xe9.png".decode("utf-8", "surrogateescape"))
    photos[0].rename(odd)
    broken = photos[3].rename(odd.with_stem(f"no {odd.stem}"))
    for done in (2, 0):
        counts = predict_to_parquet(
            [odd, broken], tmp_path / "out", make, settings=SETTINGS, workers=1
        )
        assert counts == (done, done // 2)
    rows = read(tmp_path / "out")
    assert [row["path"].rpartition("/")[2] for row in rows] == ["caf\\xe9.png", "no caf\\xe9.png"]
