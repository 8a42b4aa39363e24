import ast
from pathlib import Path

import slantgan_jax

ORDER = ["types", "numerics", "faces", "distributions", "networks", "losses", "penalties", "games", "fields", "rules"]
ORDER += ["training", "analysis", "cpu", "provenance", "sweeps", "plots", "sweep_plots", "lab_plots"]
ORDER += ["spectrum_plots", "landscape_plots"]
PACKAGE = Path(slantgan_jax.__file__).parent


def imported(path):
    """Names of every module that the file imports, relative to the package where they are its own."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_point_one_way():
    parts = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in PACKAGE.rglob("*.py")}
    assert parts == {*ORDER, "__init__"}
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).with_suffix("").parts[0]
        own = {name.split(".")[1] for name in imported(path) if name.startswith("slantgan_jax.")}
        allowed = ORDER if module == "__init__" else ORDER[: ORDER.index(module) + (path.parent != PACKAGE)]
        assert own - set(slantgan_jax.__all__) <= set(allowed), f"{path} imports {own}"


def test_plots_import_no_jax_and_nothing_prints_or_writes():
    for path in PACKAGE.glob("*plots.py"):
        assert not any(module.partition(".")[0] == "jax" for module in imported(path))
    for path in PACKAGE.glob("*.py"):
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"print", "open", "input"}, path


def test_everything_exported_exists():
    assert all(hasattr(slantgan_jax, name) for name in slantgan_jax.__all__)
