"""Three files and a header, compiled: what is shown, what is compiled again and what is not."""

import os
import shutil
from pathlib import Path

import pytest

from buildlib import compiling

FILES = {
    "torch/library.h": "#include <string>\n",
    "csrc/precompiled.h": "#pragma once\n#include <torch/library.h>\n",
    "csrc/nms/nms.cpp": "#include <torch/library.h>\nstd::string nms() { return {}; }\n",
    "csrc/nms/grid.cpp": "int grid() { return 1; }\n",
    "csrc/bindings.cpp": "#include <torch/library.h>\nconst char* version = VERSION;\n",
}
SOURCES = [name for name in FILES if name.endswith(".cpp")]
CXX = os.environ.get("CXX", "c++").split()

needs_gcc = pytest.mark.skipif(not compiling.is_gcc(CXX), reason="clang has no header of this kind")


class Tree:
    def __init__(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.root, self.capfd = root, capfd
        self.folder = root / "a build $1"  # characters that ninja and the shell read otherwise
        for name, text in FILES.items():
            self.edit(name, text)

    def edit(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def compile(self, version: str = "1", precompiled: bool = True) -> list[str]:
        """The lines shown."""
        compiling.run(
            self.root,
            self.folder,
            {s: str(self.folder / s).replace(".cpp", ".o") for s in SOURCES},
            compiling.Compilers(
                cxx=CXX, flags=["-fPIC", "-isystem", str(self.root)], cuda_includes=[]
            ),
            macros={"csrc/bindings.cpp": [f'-DVERSION="{version}"']},
            precompiled=precompiled,
        )
        return self.capfd.readouterr().out.splitlines()

    def compiled(self, **options: str) -> set[str]:
        return {line.split()[1] for line in self.compile(**options) if line.startswith("[")}


@pytest.fixture
def tree(tmp_path, capfd):
    return Tree(tmp_path, capfd)


@needs_gcc
def test_a_line_for_each_file(tree):
    lines = tree.compile()
    assert sorted(line.split()[0] for line in lines) == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert {line.split()[1] for line in lines} == {"csrc/precompiled.h", *SOURCES}
    assert all((tree.folder / s).with_suffix(".o").exists() for s in SOURCES)
    assert tree.compile() == ["ninja: no work to do."]


@needs_gcc
def test_what_is_compiled_again(tree):
    tree.compile()
    assert tree.compiled(version="2") == {"csrc/bindings.cpp"}
    tree.edit("csrc/nms/grid.cpp", "int grid() { return 2; }\n")
    assert tree.compiled(version="2") == {"csrc/nms/grid.cpp"}
    tree.edit("torch/library.h", "#include <string>\nusing Text = std::string;\n")
    with_torch = {"csrc/precompiled.h", "csrc/nms/nms.cpp", "csrc/bindings.cpp"}
    assert tree.compiled(version="2") == with_torch


@needs_gcc
def test_a_compiled_header_that_does_not_fit(tree):
    """The compiler says so and reads the header itself."""
    tree.compile()
    header = tree.folder / "precompiled.h.gch"
    made = header.stat()
    header.write_bytes(b"of another compiler")
    os.utime(header, ns=(made.st_atime_ns, made.st_mtime_ns))
    tree.edit("csrc/nms/nms.cpp", FILES["csrc/nms/nms.cpp"] + "int more;\n")
    lines = tree.compile()
    assert any("[-Winvalid-pch]" in line for line in lines)
    assert any(line.endswith("csrc/nms/nms.cpp") for line in lines)


def test_without_a_compiled_header(tree):
    assert tree.compiled(precompiled=False) == set(SOURCES)


def test_a_file_that_does_not_compile(tree, capfd):
    tree.edit("csrc/nms/grid.cpp", "int grid() { return one; }\n")
    with pytest.raises(SystemExit, match=r"fastcv: a file of csrc/ did not compile"):
        tree.compile()
    assert "was not declared in this scope" in capfd.readouterr().out


def test_is_gcc(tmp_path):
    for macros, expected in (
        ("#define __GNUC__ 12", True),
        ("#define __GNUC__ 4\n#define __clang__ 1", False),
        ("", False),
    ):
        compiler = tmp_path / "c++"
        compiler.write_text(f"#!/bin/sh\necho '{macros}'\n")
        compiler.chmod(0o755)
        assert compiling.is_gcc([str(compiler)]) is expected


def test_through_ccache_where_there_is_one(monkeypatch):
    monkeypatch.delenv("TORCH_NO_COMPILER_WRAPPER", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert compiling.cached(["c++"]) == ["ccache", "c++"]
    assert compiling.cached(["ccache", "c++"]) == ["ccache", "c++"]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert compiling.cached(["c++"]) == ["c++"]
