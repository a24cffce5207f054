"""Which files a picture is made of, and a hash of them: it changes when the picture might.

Imports are followed without running anything. Names that only run time knows are found by their
strings: those of models, of recipes, and of data files. Of C++, what the CPU runs of the ops that
are called. Comments, docstrings and layout do not count, nor does where a file lies.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


class Sources:
    """The sources under a folder that holds ``fastcv/`` and ``csrc/``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Programs share most of what they are made of: each file is read once.
        self._parsed = functools.cache(lambda path: ast.parse(path.read_bytes()))
        self._imported = functools.cache(lambda path: _imports(self._parsed(path)))
        self._content = functools.cache(self._read_content)
        self._next = functools.cache(lambda path: set(self._find_next(path)))

    def hash_of(self, program: Path, *arguments: str) -> str:
        """16 hexadecimal digits for a program with its arguments and all it is made of."""
        contents = sorted(self._content(path) for path in self.of(program, *arguments))
        return _sha256(repr((arguments, contents)).encode())[:16]

    def of(self, program: Path, *arguments: str) -> set[Path]:
        """The program's file and every file that can have a part in what it draws."""
        found: set[Path] = set()
        waiting = {program, *self._named_by(arguments)}
        while waiting:
            path = waiting.pop()
            found.add(path)
            waiting |= self._next(path) - found
        return found

    def _read_content(self, path: Path) -> str:
        if path.suffix == ".py":
            return _sha256(repr(_skeleton(self._parsed(path))).encode())
        if path.suffix in (".cpp", ".h"):
            text = re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
            return _sha256("".join(text.split()).encode())
        return _sha256(path.read_bytes())

    def _find_next(self, path: Path) -> Iterator[Path]:
        """The files that this one names."""
        if path.suffix in (".cpp", ".h"):
            for name in re.findall(r'#include "([^"]+)"', path.read_text("utf-8")):
                yield from self._included(Path(name))
        if path.suffix != ".py":
            return
        strings = list(_strings(self._parsed(path)))
        yield from self._named_by(strings)
        yield from _data_files(path, strings)
        for name in _used_names(self._parsed(path)):
            yield from self._home_of(name, path.parent)
        if path.parent == self.root / "fastcv" / "ops":
            yield from self._cpu_sources(path.stem)

    def _home_of(self, name: str, beside: Path) -> Iterator[Path]:
        """The files in which a dotted name lives; none for what is not of this repository."""
        first, *rest = name.split(".")
        if name.startswith("torch.ops.fastcv."):
            yield from self._cpu_sources(self.op_folders.get(rest[2], ""))
        elif (self.root / first / "__init__.py").exists():
            yield from self._in_package(self.root / first, rest)
        elif (beside / f"{first}.py").exists():
            yield beside / f"{first}.py"

    def _in_package(self, package: Path, names: list[str]) -> Iterator[Path]:
        """Where ``package.names[0].names[1]...`` lives: ``__init__`` is looked through, so that a
        package's users do not depend on all that it offers."""
        init = package / "__init__.py"
        if not names:  # the package itself, in a variable: who knows what is taken of it
            yield from package.glob("*.py")
        elif (package / names[0] / "__init__.py").exists():
            yield from self._in_package(package / names[0], names[1:])
        elif (package / f"{names[0]}.py").exists():
            yield package / f"{names[0]}.py"
        elif names[0] in self._imported(init):
            names = [self._imported(init)[names[0]], *names[1:]]
            yield from self._home_of(".".join(names), package)
        elif not names[0].startswith("__"):
            yield init

    def _named_by(self, strings: Iterable[str]) -> Iterator[Path]:
        """The modules of the models and recipes whose names are among the strings."""
        for string in strings:
            key = _key(string)
            begins = isinstance(string, Beginning) and len(key) >= 3
            for name, path in self.models.items():
                if name == key or (begins and name.startswith(key)):
                    yield path
            if string in self.recipes:
                yield self.recipes[string]

    @functools.cached_property
    def models(self) -> dict[str, Path]:
        """The file in which each model is registered, by the model's name."""
        calls = (
            (node, path)
            for path in self.root.glob("fastcv/models/**/*.py")
            for node in ast.walk(self._parsed(path))
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "register"
        )
        return {_key(ast.literal_eval(call.args[0])): path for call, path in calls}

    @functools.cached_property
    def recipes(self) -> dict[str, Path]:
        """The file of each recipe, by its name: a module's, or a package's."""
        paths = self.root.glob("fastcv/recipes/**/*.py")
        return {p.parent.name if p.name == "__init__.py" else p.stem: p for p in paths}

    @functools.cached_property
    def op_folders(self) -> dict[str, str]:
        """The folder under csrc in which each ``torch.ops.fastcv`` op is declared."""
        return {
            op: path.parent.name
            for path in self.root.glob("csrc/*/*.cpp")
            for op in re.findall(r'def\(\s*"(\w+)\(', path.read_text("utf-8"))
        }

    def _included(self, header: Path) -> Iterator[Path]:
        """A common header and its .cpp; of an op's header all that the op's folder holds."""
        if header.parts[0] != "common":
            yield from self._cpu_sources(header.parts[0])
            return
        for path in ((self.root / "csrc" / header).with_suffix(s) for s in (".h", ".cpp")):
            if path.exists() and "cuda" not in header.as_posix():
                yield path

    def _cpu_sources(self, folder: str) -> Iterator[Path]:
        for path in (self.root / "csrc" / folder).glob("*.*") if folder else ():
            if path.suffix in (".cpp", ".h") and "cuda" not in path.name:
                yield path


class Beginning(str):
    """What an f-string starts with."""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _key(model: str) -> str:
    """Models' names are compared without case, ``_`` and ``-``."""
    return model.lower().replace("_", "").replace("-", "")


def _skeleton(value: Any) -> Any:
    """A syntax tree as tuples, without docstrings and without what some Pythons leave empty."""
    if isinstance(value, list):
        return [_skeleton(x) for x in value if not _is_bare_string(x)]
    if not isinstance(value, ast.AST):
        return value
    fields = ((name, _skeleton(x)) for name, x in ast.iter_fields(value))
    return (type(value).__name__, [(name, x) for name, x in fields if x not in (None, [])])


def _is_bare_string(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _strings(tree: ast.AST) -> Iterator[str]:
    """The strings of a program, without docstrings."""
    for node in ast.iter_child_nodes(tree):
        if _is_bare_string(node):
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            yield Beginning(node.values[0].value)
        yield from _strings(node)


def _data_files(module: Path, strings: list[str]) -> Iterator[Path]:
    """What lies beside a module and is named by it, whole or by its ending."""
    for path in module.parent.glob("*.*"):
        if path.suffix not in (".py", ".so") and {path.name, path.suffix} & set(strings):
            yield path


def _imports(tree: ast.AST) -> dict[str, str]:
    """The dotted name that each imported name stands for."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.update({a.asname or a.name: f"{node.module}.{a.name}" for a in node.names})
        elif isinstance(node, ast.Import):
            for a in node.names:
                first = a.name.split(".")[0]
                found[a.asname or first] = a.name if a.asname else first
    return found


def _used_names(tree: ast.AST) -> set[str]:
    """Dotted names that begin with an imported one, each as long as it is written."""
    imports = _imports(tree)
    found = set()

    def visit(node: ast.AST, tail: tuple[str, ...] = ()) -> None:
        if isinstance(node, ast.Name) and node.id in imports:
            found.add(".".join([imports[node.id], *tail]))
        above = (node.attr, *tail) if isinstance(node, ast.Attribute) else ()
        for child in ast.iter_child_nodes(node):
            visit(child, above)

    visit(tree)
    return found
