"""The systems' tables are what docs/systems.py writes, and name every registered model."""

import importlib.util
import re
from pathlib import Path

import pytest

from fastcv.models import list_models
from fastcv.models._tasks import TASKS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def systems():
    spec = importlib.util.spec_from_file_location("systems", ROOT / "docs" / "systems.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_what_the_program_writes(systems):
    found, readme = systems.pages(), systems.README.read_text()
    behind = "run python docs/systems.py"
    assert systems.INDEX.read_text() == systems.index(found), behind
    assert readme == systems.with_table(readme, systems.compact(found)), behind


def test_every_model_and_every_page_is_there(systems):
    index = systems.INDEX.read_text()
    for task in TASKS:
        (part,) = re.findall(rf"(?ms)^## {task.title}\n(.*?)(?=^## |\Z)", index)
        cells = [line.split(" | ")[1] for line in part.splitlines() if line.startswith("| [")]
        assert sorted(re.findall(r"`(\w+)`", " ".join(cells))) == list_models(task.name)
    for page in sorted(systems.PAGES.glob("*.md")):
        if page != systems.INDEX:
            assert f"]({page.name})" in index
            assert f"](docs/models/{page.name})" in systems.README.read_text()


def test_readme_is_short(systems):
    assert len(systems.README.read_text().splitlines()) <= 120


def test_numbers_count_as_numbers(systems):
    names = ["vgg11_bn", "resnet101", "resnet50", "vgg11"]
    assert sorted(names, key=systems.numbers_as_numbers) == [
        "resnet50",
        "resnet101",
        "vgg11",
        "vgg11_bn",
    ]


def test_what_is_missing_is_said(systems, tmp_path, monkeypatch):
    monkeypatch.setattr(systems, "ROOT", tmp_path)
    monkeypatch.setattr(systems, "PAGES", tmp_path)
    monkeypatch.setattr(systems, "INDEX", tmp_path / "index.md")
    monkeypatch.setattr(systems, "names_by_module", lambda: {"new": {"detection": ["new18"]}})
    page, nav = tmp_path / "new.md", tmp_path / "mkdocs.yml"
    page.write_text("# New\n")
    nav.write_text("nav:\n  - models/index.md\n  - models/old.md\n")
    with pytest.raises(ValueError, match=r"differ in new\.md, old\.md"):
        systems.pages()
    nav.write_text("nav:\n  - models/index.md\n  - models/new.md\n")
    with pytest.raises(ValueError, match=r"must begin with title, checkpoints, checked between"):
        systems.pages()
    page.write_text('---\ntitle: "New"\nmodules: other\ncheckpoints: none\nchecked: "a: b"\n---\n')
    with pytest.raises(ValueError, match="no page, or two, for the models of new"):
        systems.pages()
    page.write_text(page.read_text().replace("modules: other\n", ""))
    (found,) = systems.pages()
    assert found == systems.Page("new.md", "New", "none", "a: b", {"detection": ["new18"]})
    row = "| [New](new.md) | `new18` | none | a: b |"
    detection = systems.index([found]).split("## Detection\n")[1].split("##")[0]
    assert detection.splitlines()[-2:] == [row, ""]
