"""The rules of the house that no linter holds: no circle of imports of any kind, a docstring for every public name."""

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import unrolled

SOURCE = Path(unrolled.__file__).parent
MODULES = ["unrolled", *(found.name for found in pkgutil.walk_packages(unrolled.__path__, "unrolled."))]


@cache
def imports(module: str) -> dict[str, set[str]]:
    """What a module of the package imports from the package: at its start, when called, and for annotations alone."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    found: dict[str, set[str]] = {"start": set(), "call": set(), "types": set()}

    def walk(node: ast.AST, when: str) -> None:
        for child in ast.iter_child_nodes(node):
            match child:
                case ast.Import(names=names):
                    found[when].update(alias.name for alias in names)
                case ast.ImportFrom(module=str(source), names=names):
                    parts = {f"{source}.{alias.name}" for alias in names} & set(MODULES)
                    found[when].update(parts or {source})
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    walk(child, "call" if when == "start" else when)
                case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                    walk(child, "types")
                case _:
                    walk(child, when)

    walk(ast.parse(Path(spec.origin).read_text("utf-8")), "start")
    if module == "unrolled":
        found["types"].clear()  # the public face: its names are loaded when they are used
    return {when: names & set(MODULES) - {module} for when, names in found.items()}


def graph(*kinds: str) -> dict[str, set[str]]:
    """The imports of some kinds of all modules."""
    return {module: set[str]().union(*(imports(module)[kind] for kind in kinds)) for module in MODULES}


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other():
    assert len(MODULES) > 100
    assert circle(graph("start")) == []
    assert circle(graph("start", "call")) == []
    assert circle(graph("start", "call", "types")) == []


def test_a_circle_would_be_found():
    assert imports("unrolled.text.encoded")["start"] >= {"unrolled.text.corpus", "unrolled.files"}
    assert imports("unrolled.look.units.scan")["call"]
    assert set(circle({"one": {"two"}, "two": {"three"}, "three": {"two"}})) == {"two", "three"}


def public(module: str) -> Iterator[tuple[str, object]]:
    """The public names that a module defines, and those of its classes."""
    home = import_module(module)
    for name, value in vars(home).items():
        is_ours = getattr(value, "__module__", "") == module and getattr(value, "__name__", "") == name
        if is_ours and not name.startswith("_"):
            yield f"{module}.{name}", value
            if inspect.isclass(value):
                for inner in vars(value):
                    member = inspect.getattr_static(value, inner)
                    is_ours = not inner.startswith("_") and inner not in inspect.get_annotations(value)
                    if is_ours and (inspect.isroutine(member) or isinstance(member, property)):
                        yield f"{module}.{name}.{inner}", getattr(value, inner)


def documented(value: object) -> bool:
    """Whether there is a docstring, and not the list of fields that a dataclass has in place of one."""
    words = inspect.getdoc(value) or ""
    return bool(words) and not (inspect.isclass(value) and words.startswith(f"{value.__name__}("))


@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__main__")])
def test_every_public_name_has_a_docstring(module):
    """A method may have that of the class whose method it replaces."""
    assert import_module(module).__doc__ or not vars(import_module(module)).get("__file__"), module
    assert [name for name, value in public(module) if not documented(value)] == []
