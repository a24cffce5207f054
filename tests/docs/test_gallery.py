"""Pictures are drawn where something changed; a program that fails is named, and others go on."""

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GOOD = "import sys; open(sys.argv[2], 'w').write('drawn')"
PAIR = "import sys; [open(f'{sys.argv[2]}/{name}.png', 'w').close() for name in 'bc']"
BAD = "print('begun'); raise ValueError('no such colour')"
IDLE = "print('nothing to draw')"


@pytest.fixture
def gallery(monkeypatch, tmp_path):
    """The module, with four programs of its own."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    module = importlib.import_module("gallery")
    for name, text in {"good": GOOD, "pair": PAIR, "bad": BAD, "idle": IDLE}.items():
        (tmp_path / f"{name}.py").write_text(text)
    programs = {
        f"{tmp_path}/bad.py": "bad.png",
        f"{tmp_path}/idle.py": "idle.png",
        f"{tmp_path}/good.py": "good.png",
        f"{tmp_path}/pair.py": ("b.png", "c.png"),
    }
    monkeypatch.setattr(module, "PROGRAMS", programs)
    monkeypatch.setattr(module, "SHARED", ())
    return module


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


def test_failing_programs_are_named_after_all_are_tried(gallery, images, capfd):
    bad, idle, good, pair = gallery.PROGRAMS
    hashes = dict(zip(gallery.PROGRAMS, ("1", "2", "3", "4"), strict=True))
    assert gallery.changed(hashes, images) == [bad, idle, good, pair]
    assert sorted(gallery.draw([bad, idle, good, pair], hashes, images)) == [bad, idle]
    output = capfd.readouterr()
    assert f"{bad}: exit status 1" in output.out
    assert f"{idle}: did not write idle.png" in output.out
    assert f"{good}: drawn" in output.out
    assert "ValueError: no such colour" in output.err
    assert (images / "good.png").read_text() == "drawn"
    assert json.loads((images / "drawn.json").read_text()) == {
        "good.png": "3",
        "b.png": "4",
        "c.png": "4",
    }
    assert gallery.changed(hashes, images) == [bad, idle]


def test_draws_what_changed_or_is_missing(gallery, images):
    bad, idle, good, pair = gallery.PROGRAMS
    hashes = dict.fromkeys(gallery.PROGRAMS, "1")
    gallery.draw([good, pair], hashes, images)
    assert gallery.changed(hashes, images) == [bad, idle]
    assert gallery.changed(hashes | {pair: "2"}, images) == [bad, idle, pair]
    (images / "good.png").unlink()
    assert gallery.changed(hashes, images) == [bad, idle, good]


def test_every_picture_of_the_page_has_its_program(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    gallery = importlib.import_module("gallery")
    sources = importlib.import_module("picture_sources").Sources(ROOT)
    assert all(gallery.hash_of(program, sources) for program in gallery.PROGRAMS)
    drawn = [picture for x in gallery.PROGRAMS.values() for picture in gallery.names(x)]
    assert len(drawn) == len(set(drawn))
    page = (ROOT / "docs" / "gallery.md").read_text("utf-8")
    assert set(re.findall(r"\(images/([^)]+)\)", page)) <= set(drawn)
    # Committed with the pictures; else each clone would draw them all.
    assert gallery.read_drawn(gallery.IMAGES).keys() >= set(drawn)
