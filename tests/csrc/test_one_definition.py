"""One name, one body: a second definition of a name in another file of csrc/ is found.

Two inline functions or templates of the same name and parameters are one function to the linker,
which keeps either body without a word. So are two types of one name. Anonymous namespaces and
`static` are what a file may repeat.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = {".h", ".cuh", ".cpp", ".cu"}
TYPE = re.compile(r"^(?:struct|class|union|enum(?: class)?)\b(?: alignas\(.*?\))? (\w[\w:]*)(.*)$")


def without_comments(text: str) -> str:
    """Code alone: no comments, strings, preprocessor lines or attributes."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"'(?:\\.|[^'\\\n])'", "' '", text)
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.MULTILINE)
    return re.sub(r"__attribute__\s*\(\(.*?\)\)\s*|__launch_bounds__\(.*?\)\s*", "", text)


def closing(text: str, start: int, pair: str) -> int:
    """Where the bracket at ``start`` is closed."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] == pair[0]) - (text[i] == pair[1])
        if depth == 0:
            return i
    return len(text) - 1


def without_template(head: str) -> str:
    """One line of the declaration behind ``template <...>`` and ``requires(...)``."""
    while m := re.match(r"\s*(template\s*<|requires\s*\()", head):
        pair = "<>" if head[m.end() - 1] == "<" else "()"
        head = head[closing(head, m.end() - 1, pair) + 1 :]
    return " ".join(head.replace("decltype(auto)", "auto").split())


def parameter_types(parameters: str) -> str:
    """Parameters without their names and defaults."""
    parts, depth, part = [], 0, ""
    for c in parameters + ",":
        depth += (c in "(<[{") - (c in ")>]}")
        if c == "," and depth == 0:
            parts.append(part.split("=")[0].strip())
            part = ""
        else:
            part += c
    types = [re.sub(r"\(&\w+\)", "(&)", p) for p in parts]
    return ", ".join(re.sub(r"(?<=[\s&*>])(?!const\b|int\b)\w+$", "", t).strip() for t in types)


def defined_name(head: str) -> str | None:
    """What ``head { ...`` or ``head;`` defines for other files; None: nothing."""
    declaration = without_template(head)
    if re.match(r"static\b|using\b|typedef\b|extern\b|friend\b", declaration):
        return None
    if found := TYPE.match(declaration):
        specialised = re.match(r"\s*(<.*?>)", found[2])
        return f"type {found[1]}{specialised[1] if specialised else ''}"
    variable = re.split(r"[={]", declaration)[0]
    if found := re.match(r"inline const(?:expr)?\b[^(]*?(\w+)(?:\[[^]]*\])?\s*$", variable):
        return f"variable {found[1]}"
    found = re.search(r"([~\w:]+(?:<[^()]*>)?)\s*\(", declaration)
    if found is None or "=" in declaration[: found.start()]:
        return None
    if re.fullmatch(r"[A-Z_0-9]+", found[1]):  # a macro
        return None
    end = closing(declaration, found.end() - 1, "()")
    return f"function {found[1]}({parameter_types(declaration[found.end() : end])})"


def definitions(text: str) -> set[str]:
    """The names with external linkage that a file defines at namespace scope."""
    names: set[str] = set()
    scopes: list[str | None] = []  # namespaces; None: anything else in braces
    head = ""

    def note() -> None:
        if all(scopes) and (name := defined_name(head)) is not None:  # "" is the anonymous one
            names.add("".join(f"{space}::" for space in scopes) + f" {name}")

    for c in without_comments(text):
        if c == "{":
            space = re.fullmatch(r"\s*(?:inline\s+)?namespace\s*([\w:]*)\s*", head)
            if space is None:
                note()
            scopes.append(space[1] if space else None)
            head = ""
        elif c == "}":
            scopes.pop()
            head = ""
        elif c == ";":
            if head.lstrip().startswith("inline const"):
                note()
            head = ""
        else:
            head += c
    return names


def twice(files: dict[str, str]) -> dict[str, list[str]]:
    """Names that more than one of ``files`` (a path and its text) defines, and where."""
    where: defaultdict[str, list[str]] = defaultdict(list)
    for path, text in files.items():
        for name in definitions(text):
            where[name].append(path)
    return {name: sorted(paths) for name, paths in where.items() if len(paths) > 1}


def sources() -> dict[str, str]:
    paths = [p for p in (ROOT / "csrc").rglob("*") if p.suffix in SUFFIXES]
    return {p.relative_to(ROOT).as_posix(): p.read_text() for p in paths}


def test_every_name_is_defined_once():
    assert twice(sources()) == {}


def test_the_definitions_of_the_tree_are_seen():
    found = {name for text in sources().values() for name in definitions(text)}
    assert "fastcv:: function check_floating(const char*, const at::Tensor&, const char*)" in found
    assert "fastcv::cuda:: type Strided" in found
    assert "fastcv::cuda:: variable warp_rows" in found
    assert "fastcv::FASTCV_ISA:: function madd(float, float, float)" in found
    assert len(found) > 400


CPU = """
namespace fastcv {
inline at::Tensor empty_in_format_of(const at::Tensor& like, at::IntArrayRef shape) {
  at::Tensor t = at::empty(shape, like.options(), like.suggest_memory_format());
  advise_huge_pages(t);
  return t;
}
}  // namespace fastcv
"""
CUDA = """
namespace fastcv {
inline at::Tensor empty_in_format_of(const at::Tensor& other, at::IntArrayRef sizes) {
  return at::empty(sizes, other.options(), other.suggest_memory_format());
}
}  // namespace fastcv
"""


def test_a_function_with_two_bodies_is_found():
    name = "fastcv:: function empty_in_format_of(const at::Tensor&, at::IntArrayRef)"
    assert twice({"roi_cpu.h": CPU, "roi_launcher.h": CUDA}) == {
        name: ["roi_cpu.h", "roi_launcher.h"]
    }


def test_templates_types_and_constants_are_found():
    one = """
namespace fastcv::cuda {
inline constexpr int rows = 64;
template <typename T>
struct Tile { T x; };
template <typename T, int n> __device__ __forceinline__ T sum(const T (&values)[n], T first = {}) {
  return first;
}
}
"""
    other = one.replace("64", "32").replace("values", "of").replace("T x", "T y")
    assert sorted(twice({"a.cuh": one, "b.cuh": other})) == [
        "fastcv::cuda:: function sum(const T (&)[n], T)",
        "fastcv::cuda:: type Tile",
        "fastcv::cuda:: variable rows",
    ]


def test_what_a_file_may_repeat_is_not():
    own = """
namespace fastcv {
namespace {
int helper(int x) { return x; }
struct Job { int x; };
}  // namespace
static int other(int x) { return x; }
constexpr int size = 4;
inline int declared(int x);
TORCH_LIBRARY_IMPL(fastcv, CPU, m) { m.impl("op", op); }
}
"""
    assert twice({"a.cpp": own, "b.cpp": own}) == {}
    overload = "namespace fastcv { inline int f(int x) { return x; } }"
    assert twice({"a.h": overload, "b.h": overload.replace("int x", "float x")}) == {}
    elsewhere = overload.replace("fastcv", "fastcv::cuda")
    assert twice({"a.h": overload, "b.h": elsewhere}) == {}
