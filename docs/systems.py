"""Writes the systems' tables: docs/models/index.md, and README's row for each chapter.

python docs/systems.py

A page's head (the lines between ``---``) has what the tables say of it: ``title``, ``checkpoints``,
``checked`` (against what) and, where they are not called as the page, ``modules`` of its models.
Names come from the registry, the order of pages from mkdocs.yml, that of tasks from their list.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from fastcv._files import replacing
from fastcv.models._registry import find_model, list_models
from fastcv.models._tasks import TASKS, Task

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = ROOT / "docs" / "models"
INDEX = PAGES / "index.md"

HEAD = """\
# Systems

`create_model` and `fastcv predict --model` take the names. `weights=` takes a checkpoint: the name
of published weights, a path, or a URL. The last column says which peer or paper the tests compare
a system with.
"""

EXPLANATION = (
    "| Explanation | [activations, occlusion, saliency, deconvnet, guided backpropagation, CAM, "
    "Grad-CAM, faithfulness](docs/explain.md) · [filters, nearest neighbours, t-SNE, top patches]"
    "(docs/explain_features.md) · [class visualisation](docs/explain_classes.md) · [GAN dissection]"
    "(docs/dissection.md) |"
)
"""README's row of what is no model."""


class Page(NamedTuple):
    """What a page's head says, and the names of its models by task."""

    file: str
    title: str
    checkpoints: str
    checked: str
    names: dict[str, list[str]]


def pages() -> list[Page]:
    """The pages in the order of mkdocs.yml.

    Raises:
        ValueError: a page that is not in mkdocs.yml, a model without a page, or with two.
    """
    nav = re.findall(r"\bmodels/(?!index)(\w+\.md)", (ROOT / "mkdocs.yml").read_text())
    apart = {path.name for path in PAGES.glob("*.md") if path != INDEX} ^ set(nav)
    if apart:
        raise ValueError(f"mkdocs.yml and {PAGES} differ in {', '.join(sorted(apart))}")
    names = names_by_module()
    found = []
    for file in nav:
        head = read_head(PAGES / file)
        of_page: dict[str, list[str]] = {}
        for module in head.get("modules", file.removesuffix(".md")).split(", "):
            for task, some in names.pop(module, {}).items():
                of_page.setdefault(task, []).extend(some)
        found.append(Page(file, head["title"], head["checkpoints"], head["checked"], of_page))
    if names:
        raise ValueError(f"no page, or two, for the models of {', '.join(names)}")
    return found


def names_by_module() -> dict[str, dict[str, list[str]]]:
    """The registered names by the last part of their module's name, then by task."""
    found: dict[str, dict[str, list[str]]] = {}
    for entry in map(find_model, sorted(list_models(), key=numbers_as_numbers)):
        module = entry.build.__module__.rpartition(".")[2]
        found.setdefault(module, {}).setdefault(entry.task, []).append(entry.name)
    return found


def numbers_as_numbers(name: str) -> list[tuple[int, str]]:
    """Orders ``resnet50`` before ``resnet101``."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def read_head(page: Path) -> dict[str, str]:
    """The ``key: value`` lines between a page's first two ``---``.

    Raises:
        ValueError: one is missing.
    """
    begin, *parts = page.read_text().split("---\n", 2)
    lines = parts[0].splitlines() if not begin and len(parts) == 2 else []
    head = {key: value.strip('"') for key, value in (line.split(": ", 1) for line in lines)}
    missing = [key for key in ("title", "checkpoints", "checked") if key not in head]
    if missing:
        raise ValueError(f"{page} must begin with {', '.join(missing)} between two lines of ---")
    return head


def index(found: list[Page]) -> str:
    """docs/models/index.md: a table for each task, a row for each page."""
    parts = [HEAD]
    for task in TASKS:
        parts.append(f"## {task.title}\n")
        rows = ["| system | names | checkpoints | checked against |", "|---|---|---|---|"]
        for page in of_task(task, found):
            names = ", ".join(f"`{name}`" for name in page.names[task.name])
            link = f"[{page.title}]({page.file})"
            rows.append(f"| {link} | {names} | {page.checkpoints} | {page.checked} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def compact(found: list[Page]) -> str:
    """README's table: a row for each chapter of tasks, and one of the explanations."""
    rows = ["| task | systems |", "|---|---|"]
    for heading in dict.fromkeys(task.heading for task in TASKS):
        of_chapter = [task for task in TASKS if task.heading == heading]
        listed = {page.file: page for task in of_chapter for page in of_task(task, found)}
        links = [f"[{page.title}](docs/models/{page.file})" for page in listed.values()]
        rows.append(f"| {heading} | {' · '.join(links)} |")
    return "\n".join([*rows, EXPLANATION])


def of_task(task: Task, found: list[Page]) -> list[Page]:
    return [page for page in found if task.name in page.names]


def with_table(readme: str, table: str) -> str:
    """README with another table between its two marks."""
    before, rest = readme.split("<!-- systems -->\n")
    _, after = rest.split("<!-- end of systems -->")
    return f"{before}<!-- systems -->\n{table}\n<!-- end of systems -->{after}"


if __name__ == "__main__":
    found = pages()
    for path, text in (
        (INDEX, index(found)),
        (README, with_table(README.read_text(), compact(found))),
    ):
        with replacing(path) as temporary:
            temporary.write_text(text)
