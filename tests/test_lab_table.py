import json
from pathlib import Path

import benchmark
import bilinear
import dirac_gan
import jax
import lab_table
import pytest
import zoo

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_every_row_names_what_the_experiments_measure():
    with jax.enable_x64(True):
        known = dirac_gan.methods(0.1)
    for row in lab_table.ROWS:
        if not isinstance(row.bilinear, str):
            assert set(row.bilinear) - {""} <= {method.name for method in bilinear.METHODS}
        if not isinstance(row.dirac, str):
            assert set(row.dirac) <= set(known)
        assert row.zoo in {*zoo.METHODS, "smoothed", "third number"}
        assert row.benchmark in benchmark.METHODS


def test_the_readme_has_a_row_for_each_method():
    table = README.partition("<!-- lab -->")[2].partition("<!-- end of lab -->")[0].strip().splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in table[2:]] == [row.name for row in lab_table.ROWS]
    assert len({line.count(" | ") for line in table[:1] + table[2:]}) == 1


def test_numbers_stand_where_they_belong(tmp_path, capsys):
    """Numbers made up, but for the names: a step size that is 0 or infinite, a verdict, quartiles without a median."""
    methods = {row.benchmark: 10.0 + i for i, row in enumerate(lab_table.ROWS)}
    entries = [
        {"objective": "non-saturating", "rule": rule, "method": name, "rate": 3.0, "strength": 0.5,
         "steps": [10.0, median, None], "verdict": "circling"}
        for rule in zoo.RULES for name, median in (("plain", None), ("sga", 1234.0))
    ]  # fmt: skip
    bounds = {"gradients, simultaneous": 0.0, "CGD, simultaneous": None}
    data = {
        "bilinear/data.json": {
            "methods": [
                {"method": method.name, "threshold": {"closed": bounds.get(method.name, 0.75)}}
                for method in bilinear.METHODS
            ]
        },
        "dirac_gan/data.json": {
            "methods": {name: {"run verdict": "linear"} for row in lab_table.ROWS for name in row.dirac}
        },
        "zoo/zoo.json": {"ranking": entries},
        "benchmark/benchmark.json": {"methods_ns_per_gan_and_step": methods},
    }
    for name, content in data.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- lab -->\nold\n<!-- end of lab -->\nb\n<!-- zoo -->\nold\n<!-- end of zoo -->\nc\n")
    lab_table.lab_table(tmp_path, readme)
    text = readme.read_text()
    assert "old" not in text
    assert text.startswith("a\n<!-- lab -->\n| method |")
    assert text.endswith("\n<!-- end of zoo -->\nc\n")
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[4:] for line in text.splitlines() if " | " in line}
    assert rows["gradient descent"] == ["never / 0.75", "linear / linear", "circles / circles / circles", "10 |"]
    assert rows["symplectic gradient adjustment"][2] == "1,234 / 1,234 / 1,234"
    assert rows["competitive gradient descent"][0] == "always / 0.75"
    assert "| 2 | non-saturating | tutorial | sga | 3 | 0.5 | 1234 [10, ∞] |" in text
    assert "gradient descent" in capsys.readouterr().out
    (tmp_path / "benchmark/benchmark.json").write_text('{"methods_ns_per_gan_and_step": {}}')
    with pytest.raises(ValueError, match="without --no-methods"):
        lab_table.lab_table(tmp_path, readme)
    assert readme.read_text() == text


def test_missing_data_is_named(complaint, tmp_path):
    said = complaint(lab_table.lab_table, "--folder", tmp_path)
    assert "run experiments/bilinear.py first" in said
    with pytest.raises(ValueError, match="there is no"):
        lab_table.lab_table(tmp_path)
