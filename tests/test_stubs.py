"""The stubs of the kernels say what the modules are: names, parameters, C types, docstrings.

Cython embeds its own signature in the first line of a docstring (`embedsignature`); that is the
module's side. No type checker is needed here; `test_typing.py` asks one.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("compiler", "grammar", "runtime")
KERNELS = sorted(
    f"{folder}/{source.stem}" for folder in FOLDERS for source in (ROOT / folder).glob("*.pyx"))

_ANNOTATION = {
    "bytes": "bytes",
    "str": "str",
    "bint": "bool",
    "int": "int",
    "size_t": "int",
    **{f"{sign}int{width}_t": "int" for sign in ("", "u") for width in (8, 16, 32, 64)},
    "dict": "dict[",
    "list": "list[",
    "tuple": "tuple[",
}
"""What the annotation of a parameter of that C type begins with."""

_Function = ast.FunctionDef
_Parameter = tuple[str, str]


def stub_of(kernel: str) -> ast.Module:
    return ast.parse((ROOT / f"{kernel}.pyi").read_text())


def module_of(kernel: str) -> ModuleType:
    return importlib.import_module(f"iamtables.{kernel.replace('/', '.')}")


def defined(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """Names that a stub defines, private ones left out."""
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return {name: node for name, node in names.items() if is_public(name)}


def is_public(name: str) -> bool:
    return not name.startswith("_") or name == "__init__"


def members_of(cls: type) -> set[str]:
    """Public attributes of a kernel's class; `__init__` only if the class has one of its own."""
    names = {name for name in vars(cls) if is_public(name) and name != "__init__"}
    return names | ({"__init__"} if embedded(cls) is not None else set())


def embedded(thing: Any) -> list[_Parameter] | None:
    """(C type, name) of the parameters in an embedded signature, `self` left out."""
    found = re.match(r"(?:\w+\.)?\w+\((.*)\)\n?", thing.__doc__ or "")
    if found is None:
        return None
    parameters = []
    for part in found[1].split(", "):
        declaration = part.partition("=")[0].removeprefix("const ")
        kind, _, name = declaration.rpartition(" ")
        if name and name not in ("self", "*"):
            parameters.append((kind, name))
    return parameters


def documentation(thing: Any) -> str:
    """A docstring without its embedded signature, as one line."""
    text = thing.__doc__ or ""
    if embedded(thing) is not None:
        text = text.partition("\n")[2]
    return " ".join(text.split())


def arguments_of(node: _Function) -> list[ast.arg]:
    assert not node.args.vararg and not node.args.kwarg
    every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    return [a for a in every if a.arg != "self"]


def functions() -> list[Any]:
    """Every function and method of every stub, beside what the module has under that name."""
    pairs = []
    for kernel in KERNELS:
        module = module_of(kernel)
        for name, node in defined(stub_of(kernel).body).items():
            if isinstance(node, ast.FunctionDef):
                pairs.append(pytest.param(node, getattr(module, name), id=f"{kernel}.{name}"))
            elif isinstance(node, ast.ClassDef):
                cls = getattr(module, name)
                for inner, method in defined(node.body).items():
                    if isinstance(method, ast.FunctionDef) and not decorated(method, "property"):
                        thing = cls if inner == "__init__" else getattr(cls, inner)
                        pairs.append(pytest.param(method, thing, id=f"{kernel}.{name}.{inner}"))
    return pairs


def decorated(node: _Function | ast.ClassDef, name: str) -> bool:
    return any(isinstance(d, ast.Name) and d.id == name for d in node.decorator_list)


def test_every_kernel_has_a_stub_and_every_stub_a_kernel() -> None:
    assert KERNELS
    stubs = [f"{folder}/{stub.stem}" for folder in FOLDERS
             for stub in (ROOT / folder).glob("*.pyi")]
    assert sorted(stubs) == KERNELS


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_stub_defines_the_names_of_its_module(kernel: str) -> None:
    module, stub = module_of(kernel), defined(stub_of(kernel).body)
    own = {
        name
        for name, value in vars(module).items()
        if is_public(name)
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", module.__name__) == module.__name__
    }
    assert stub.keys() == own
    for name, node in stub.items():
        if isinstance(node, ast.ClassDef):
            cls = getattr(module, name)
            assert defined(node.body).keys() == members_of(cls), name


@pytest.mark.parametrize(("node", "thing"), functions())
def test_a_stub_takes_the_parameters_of_its_function(node: _Function, thing: Any) -> None:
    arguments = arguments_of(node)
    kernel = embedded(thing)
    assert kernel is not None
    assert [a.arg for a in arguments] == [name for _, name in kernel]
    for argument, (kind, name) in zip(arguments, kernel, strict=True):
        assert argument.annotation is not None, name
        annotation = ast.unparse(argument.annotation)
        if view := re.fullmatch(r"(\w+)_t\[::1\]", kind):
            assert annotation == f"NDArray[np.{view[1]}]", name
        elif kind:
            assert annotation.startswith(_ANNOTATION.get(kind, kind)), name
    assert node.returns is not None


@pytest.mark.parametrize(("node", "thing"), functions())
def test_a_stub_has_the_defaults_of_its_function(node: _Function, thing: Any) -> None:
    if inspect.isclass(thing):
        assert "=" not in (thing.__doc__ or "").partition("\n")[0]
        assert not node.args.defaults
        return
    parameters = inspect.signature(thing).parameters.values()
    defaults = [p.default for p in parameters if p.default is not inspect.Parameter.empty]
    told = [*node.args.defaults, *(default for default in node.args.kw_defaults if default)]
    assert [ast.literal_eval(default) for default in told] == defaults


@pytest.mark.parametrize(("node", "thing"), functions())
def test_a_stub_has_the_docstring_of_its_function(node: _Function, thing: Any) -> None:
    text = ast.get_docstring(node)
    assert text
    if inspect.isclass(thing):
        thing = thing.__init__
    if documentation(thing) and "help(type(self))" not in documentation(thing):
        assert " ".join(text.split()) == documentation(thing)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_stub_has_the_docstrings_of_its_classes(kernel: str) -> None:
    stub = stub_of(kernel)
    assert ast.get_docstring(stub)
    for name, node in defined(stub.body).items():
        if isinstance(node, ast.ClassDef):
            text = ast.get_docstring(node) or ""
            cls = getattr(module_of(kernel), name)
            assert " ".join(text.split()) == documentation(cls) != ""


def test_static_methods_and_read_only_attributes_are_told_as_such() -> None:
    for kernel in KERNELS:
        for name, node in defined(stub_of(kernel).body).items():
            if not isinstance(node, ast.ClassDef):
                continue
            cls = getattr(module_of(kernel), name)
            for inner, member in defined(node.body).items():
                own = vars(cls).get(inner)
                is_attribute = inspect.isgetsetdescriptor(own)
                is_told = isinstance(member, ast.AnnAssign) or (
                    isinstance(member, ast.FunctionDef) and decorated(member, "property")
                )
                assert is_attribute == is_told, inner
                is_static = isinstance(member, ast.FunctionDef) and decorated(
                    member, "staticmethod"
                )
                assert isinstance(own, staticmethod) == is_static, inner


def test_the_length_of_a_bound_column_cannot_be_set() -> None:
    column = module_of("runtime/column").BoundColumn.constant(3, 0)
    assert column.length == 3
    with pytest.raises(AttributeError):
        column.length = 4


def test_a_class_that_a_stub_calls_final_cannot_be_subclassed() -> None:
    seen = set()
    for kernel in KERNELS:
        for name, node in defined(stub_of(kernel).body).items():
            if isinstance(node, ast.ClassDef):
                is_final = decorated(node, "final")
                seen.add(is_final)
                try:
                    type("Sub", (getattr(module_of(kernel), name),), {})
                except TypeError:
                    assert is_final, name
                else:
                    assert not is_final, name
    assert seen == {True, False}
