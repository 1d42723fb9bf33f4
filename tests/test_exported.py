"""Whatever a reader can find by a public name says what it is and what it takes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import overlens

SOURCE = Path(overlens.__file__).parent
MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
    for path in sorted(SOURCE.rglob("*.py"))
    if not any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(SOURCE).parts)
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def public_definitions(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, ast.ClassDef | Function]]:
    """Yield public classes, functions and methods, with methods of public classes only."""
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield f"{owner}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body, f"{owner}{node.name}.")


def missing_annotations(function: Function) -> list[str]:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    arguments += [one for one in (function.args.vararg, function.args.kwarg) if one is not None]
    missing = [one.arg for one in arguments if one.annotation is None and one.arg not in ("self", "cls")]
    return missing + (["return"] if function.returns is None else [])


def is_kernel(node: ast.AST) -> bool:
    """Whether numba compiles the function, which takes its types from the arrays it is called with."""
    return any("compiled" in ast.unparse(decorator) for decorator in getattr(node, "decorator_list", ()))


def is_overload(node: ast.AST) -> bool:
    return any(ast.unparse(one) in ("overload", "typing.overload") for one in getattr(node, "decorator_list", ()))


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_is_documented(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    silent = [
        name for name, node in public_definitions(tree.body) if not ast.get_docstring(node) and not is_overload(node)
    ]
    assert ast.get_docstring(tree), f"{module} has no header that says what it answers"
    assert not silent, f"without a docstring in {module}: {', '.join(silent)}"


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_is_annotated(module):
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    bare = {
        name: missing_annotations(node)
        for name, node in public_definitions(tree.body)
        if isinstance(node, Function) and not is_kernel(node)
    }
    assert not {name: missing for name, missing in bare.items() if missing}


@pytest.mark.parametrize("name", overlens.__all__)
def test_every_exported_name_is_there(name):
    assert getattr(overlens, name) is not None
    assert name in dir(overlens)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        overlens.analyse  # noqa: B018


def test_exported_names_are_sorted_and_stand_once():
    assert list(overlens.__all__) == sorted(set(overlens.__all__))


def test_the_checks_see_what_is_missing():
    """The two checks above would pass on anything if they found nothing to look at."""
    tree = ast.parse(
        "class A:\n    def f(self, x, *, y: int):\n        pass\n    def _g(self): pass\ndef h() -> None: ..."
    )
    found = dict(public_definitions(tree.body))
    assert list(found) == ["A", "A.f", "h"]
    assert missing_annotations(found["A.f"]) == ["x", "return"]
    assert missing_annotations(found["h"]) == []
    assert len(MODULES) > 40
