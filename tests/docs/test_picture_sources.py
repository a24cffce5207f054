"""The hash of a picture's sources changes with what the picture is made of, and with that alone."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fastcv
from fastcv import _extension

ROOT = Path(__file__).parents[2]

# A small repository: the program draws a circle, calls an op, and builds two models by name.
FILES = {
    "examples/program.py": '''
        """Draws."""
        import fastcv
        import fastcv.ops as ops
        from fastcv.shapes import circle
        def main(size):
            circle(size), ops.nms()
            fastcv.create_model("Small-Net"), fastcv.create_model(f"big_{size}")
    ''',
    "fastcv/__init__.py": """
        if TYPE_CHECKING:
            from fastcv.models import create_model
        def __getattr__(name): return import_module(name)
    """,
    "fastcv/shapes/__init__.py": """
        from fastcv.shapes._circle import circle
        from fastcv.shapes._square import square
    """,
    "fastcv/shapes/_circle.py": """
        from pathlib import Path
        from fastcv.colours import RED
        POINTS = Path(__file__).with_suffix(".json")
        def circle(): return POINTS, RED
    """,
    "fastcv/shapes/_circle.json": "[1, 2]",
    "fastcv/shapes/_circle.txt": "not read",
    "fastcv/shapes/_square.py": "square = 4",
    "fastcv/colours.py": "RED = 1",
    "fastcv/models/__init__.py": "from fastcv.models._registry import create_model, register",
    "fastcv/models/_registry.py": "def create_model(name): ...",
    "fastcv/models/small.py": '@register("small_net", task="a")\ndef small(): ...',
    "fastcv/models/big.py": '@register("big_18", task="a")\ndef big(): ...',
    "fastcv/models/other.py": '@register("other", task="a")\ndef other(): ...',
    "fastcv/ops/__init__.py": "from fastcv.ops.boxes import nms, area",
    "fastcv/ops/boxes.py": "def nms(): return torch.ops.fastcv.nms()\nimport torch",
    "csrc/nms/nms.cpp": """
        #include "nms/greedy.h"
        #include "common/sort.h"
        void f() { m.def(
            "nms(Tensor x)"); }
    """,
    "csrc/nms/greedy.h": "int greedy();",
    "csrc/nms/nms_cuda.cpp": "int on_cuda();",
    "csrc/nms/nms_kernel.cu": "int kernel();",
    "csrc/common/sort.h": "int sort();",
    "csrc/common/sort.cpp": "int sort() { return 1; }",
    "csrc/common/heap.h": "int heap();",
    "csrc/hog/hog.cpp": 'm.def("hog(Tensor x)");',
}


@pytest.fixture
def sources(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    return importlib.import_module("picture_sources").Sources


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedented(text))
    return tmp_path


def dedented(text):
    lines = text.strip("\n").split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line[indent:] for line in lines) + "\n"


def changes(sources, tree, name, text):
    """Whether the program's hash is another once a file has another text."""
    program = tree / "examples/program.py"
    before = sources(tree).hash_of(program)
    assert sources(tree).hash_of(program) == before
    (tree / name).write_text(text)
    return sources(tree).hash_of(program) != before


@pytest.mark.parametrize(
    "name",
    [
        "fastcv/shapes/_circle.py",
        "fastcv/colours.py",  # imported by what is imported
        "fastcv/models/_registry.py",  # through two packages
        "fastcv/models/small.py",  # by the model's name
        "fastcv/models/big.py",  # by the beginning of its name
        "fastcv/ops/boxes.py",
    ],
)
def test_changes_with_what_is_imported_or_named(sources, tree, name):
    assert changes(sources, tree, name, dedented(FILES[name]) + "\nx = 5\n")


@pytest.mark.parametrize(
    "name", ["csrc/nms/nms.cpp", "csrc/nms/greedy.h", "csrc/common/sort.h", "csrc/common/sort.cpp"]
)
def test_changes_with_the_cpp_of_an_op(sources, tree, name):
    assert changes(sources, tree, name, dedented(FILES[name]) + "int x;")


def test_changes_with_a_data_file(sources, tree):
    assert changes(sources, tree, "fastcv/shapes/_circle.json", "[1, 3]")


def test_changes_with_arguments(sources, tree):
    program = tree / "examples/program.py"
    assert sources(tree).hash_of(program, "a") != sources(tree).hash_of(program, "b")
    assert tree / "fastcv/models/other.py" in sources(tree).of(program, "other")


@pytest.mark.parametrize(
    "name",
    [
        "fastcv/shapes/_square.py",
        "fastcv/shapes/_circle.txt",
        "fastcv/models/other.py",
        "csrc/hog/hog.cpp",
        "csrc/common/heap.h",
        "csrc/nms/nms_cuda.cpp",
        "csrc/nms/nms_kernel.cu",
    ],
)
def test_stays_with_what_is_not_used(sources, tree, name):
    assert not changes(sources, tree, name, dedented(FILES[name]) + "\nx = 5\n")


def test_stays_when_a_package_offers_more(sources, tree):
    text = dedented(FILES["fastcv/shapes/__init__.py"]) + "from fastcv.shapes._oval import oval\n"
    (tree / "fastcv/shapes/_oval.py").write_text("oval = 2")
    assert not changes(sources, tree, "fastcv/shapes/__init__.py", text)


def test_a_package_in_a_variable_is_all_of_it(sources, tree):
    program = tree / "examples/program.py"
    assert tree / "fastcv/shapes/_square.py" not in sources(tree).of(program)
    program.write_text("from fastcv import shapes\nname = 'square'\ngetattr(shapes, name)\n")
    assert tree / "fastcv/shapes/_square.py" in sources(tree).of(program)


def test_stays_with_comments_docstrings_and_layout(sources, tree):
    text = '"""Circles."""\n# a comment\n' + dedented(FILES["fastcv/shapes/_circle.py"])
    text = text.replace(
        "return POINTS, RED", '\n    """A circle."""\n    return (\n  POINTS, RED,\n )'
    )
    assert not changes(sources, tree, "fastcv/shapes/_circle.py", text)
    text = "// what sorts\nint  sort()\n{ /* always */ return 1;\n}"
    assert not changes(sources, tree, "csrc/common/sort.cpp", text)


def test_every_model_and_op_is_found(sources):
    found = sources(ROOT)
    names = {name.lower().replace("_", "").replace("-", "") for name in fastcv.list_models()}
    assert found.models.keys() == names
    assert found.op_folders.keys() >= set(_extension.load().op_names())


def test_what_a_program_runs_is_known(sources, tmp_path):
    """No function runs of a file that the hash does not know."""
    program = ROOT / "examples" / "receptive_fields.py"
    files = tmp_path / "files.txt"
    subprocess.run(
        [sys.executable, "-c", RECORD, ROOT, files, program, "--out", tmp_path / "a.png"],
        check=True,
    )
    ran = {Path(name) for name in files.read_text().splitlines()}
    known = sources(ROOT).of(program)
    assert len(ran) > 5
    finds_names = {path for path in ran if path.name in ("__init__.py", "_old_names.py")}
    assert ran - finds_names <= known


# Runs a program, and notes the files of functions that were called (flag 1: neither modules nor
# class bodies). The registry's import of every model is left out: it runs what no picture needs.
RECORD = """
import runpy, sys
root, out, *sys.argv = sys.argv[1:]
sys.path.insert(0, root)
import fastcv
fastcv.list_models()
called = set()
sys.setprofile(lambda frame, event, argument: called.add(frame.f_code))
runpy.run_path(sys.argv[0], run_name="__main__")
sys.setprofile(None)
names = {code.co_filename for code in called if code.co_flags & 1}
ours = [name for name in names if name.startswith(root) and "site-packages" not in name]
open(out, "w").write("\\n".join(ours))
"""
