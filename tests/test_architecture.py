"""The import rule, and what no file may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("caiseg", "app", "train")
FORBIDDEN_IMPORTS = {
    "caiseg": {"app", "train", "gradio"},
    "app": {"train"},
    "train": {"app", "gradio"},
}
UNPICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def sources(package: str) -> list[Path]:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files, f"{package} holds no Python file"
    return files


PRODUCT = [ROOT / "app.py", *(file for package in PACKAGES for file in sources(package))]


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imported_names(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    """Dotted names of everything a module imports, relative imports resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called in {"__import__", "import_module", "importlib.import_module"}:
                yield str(node.args[0].value)


def imports_of(file: Path) -> set[str]:
    package = file.relative_to(ROOT).parent.parts
    return {
        name.split(".")[0] for name in imported_names(ast.parse(file.read_text("utf-8")), package)
    }


def unsafe_loads(tree: ast.AST) -> Iterator[int]:
    """Lines that call ``torch.load`` without ``weights_only=True``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            weights_only = [key.value for key in node.keywords if key.arg == "weights_only"]
            if not (weights_only and ast.unparse(weights_only[0]) == "True"):
                yield node.lineno


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package: str) -> None:
    found = {
        name_of(file): sorted(forbidden)
        for file in sources(package)
        if (forbidden := imports_of(file) & FORBIDDEN_IMPORTS[package])
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import gradio as gr", "gradio"),
        ("def f():\n    from train.loop import fit", "train"),
        ("from ..app import viewer", "app"),
        ("import importlib\nimportlib.import_module('app.viewer')", "app"),
    ],
)
def test_the_import_rule_sees_every_way_to_import(source: str, name: str) -> None:
    names = imported_names(ast.parse(source), ("caiseg",))
    assert name in {dotted.split(".")[0] for dotted in names if dotted != "importlib"}


@pytest.mark.parametrize("file", PRODUCT, ids=name_of)
def test_nothing_is_unpickled(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    assert imports_of(file).isdisjoint(UNPICKLERS)
    assert list(unsafe_loads(tree)) == []
    assert "allow_pickle=True" not in ast.unparse(tree)


@pytest.mark.parametrize(
    "call", ["torch.load(path)", "torch.load(path, weights_only=False)", "torch.load(path, 'cpu')"]
)
def test_a_load_that_unpickles_is_seen(call: str) -> None:
    assert list(unsafe_loads(ast.parse(call))) == [1]


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def test_import_app_finds_the_package() -> None:
    done = run_python("-c", "import app; print(app.__file__)")
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == ROOT / "app" / "__init__.py"


def test_app_py_runs_as_a_script() -> None:
    done = run_python("app.py", "--help")
    assert done.returncode == 0, done.stderr
    assert "--checkpoint" in done.stdout


def test_caiseg_runs_without_gradio() -> None:
    done = run_python("-c", "import sys; sys.modules['gradio'] = None; import caiseg")
    assert done.returncode == 0, done.stderr
