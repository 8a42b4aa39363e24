import ast
import re
import sys
import tomllib
from pathlib import Path

import slantgan_jax

ORDER = ["types", "checks", "numerics", "faces", "distributions", "datasets", "networks", "losses", "penalties"]
ORDER += ["games", "fields", "rules", "training", "metrics", "analysis", "runs", "cpu", "provenance", "folders"]
ORDER += ["sweeps", "plots"]
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


def test_plots_import_no_jax():
    for path in (PACKAGE / "plots.py", *(PACKAGE.parent / "experiments" / "figures").glob("*.py")):
        assert not any(module.partition(".")[0] == "jax" for module in imported(path)), path


def test_nothing_prints_or_opens_files_and_the_sweep_knows_nothing_of_games():
    for path in PACKAGE.rglob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not {getattr(node.func, "id", None) for node in nodes} & {"print", "open", "input"}, path
        own = {name for name in imported(path) if name.startswith("slantgan_jax.")}
        if path.parent.name == "sweeps":
            assert {name.split(".")[1] for name in own} <= {
                "sweeps",
                "checks",
                "numerics",
                "provenance",
                "folders",
                "cpu",
            }, path


def test_what_is_imported_is_declared():
    """Each part of the project imports only what its extra, or the package, declares."""
    declared = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = {name: names_of(packages) for name, packages in declared["optional-dependencies"].items()}
    library = names_of(declared["dependencies"]) | {"slantgan_jax"}
    experiments = (
        library
        | extras["sweep"]
        | extras["experiments"]
        | {"PIL", "torch", "distributed", "submitit", *modules_of("experiments")}
    )
    for path in PACKAGE.rglob("*.py"):
        own = library | (extras["sweep"] | extras["cluster"] if "sweeps" in path.parts else set())
        own |= {"ot"} if path.name == "metrics.py" and "pot" in extras["experiments"] else set()
        assert third_party(path) <= own, path
    for path in (PACKAGE.parent / "experiments").rglob("*.py"):
        assert third_party(path) <= experiments, path


def test_every_package_is_installed():
    """Also where the project is not installed from its folder."""
    named = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(named) == there


def names_of(requirements):
    return {re.match(r"[\w-]+", text)[0].replace("-", "_") for text in requirements}


def modules_of(folder):
    paths = list((PACKAGE.parent / folder).rglob("*.py"))
    return {path.stem for path in paths} | {path.parent.name for path in paths}


def third_party(path):
    """Outside packages that the file imports; those that it imports only if they are there are torch's."""
    return {module.partition(".")[0] for module in imported(path)} - set(sys.stdlib_module_names)


def test_everything_exported_exists():
    assert all(hasattr(slantgan_jax, name) for name in slantgan_jax.__all__)
