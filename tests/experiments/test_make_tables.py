import json
from pathlib import Path

import benchmark
import jax
import make_tables
import pytest
from closed_forms.bilinear import CLOSED_FORMS
from closed_forms.dirac import closed_forms

PAGES = [path.read_text() for path in sorted((Path(__file__).parents[2] / "docs/methods").glob("*.md"))]
ORDERS = ("tutorial", "simultaneous", "alternating")


@pytest.mark.slow
def test_every_row_names_what_the_experiments_measure():
    with jax.enable_x64(True):
        known = closed_forms(0.1)
    for name, bilinear, *dirac in make_tables.ROWS.values():
        forms = {form.name.removesuffix(", simultaneous").removesuffix(", alternating") for form in CLOSED_FORMS}
        assert bilinear in forms.union(make_tables.TEXTS)
        assert set(dirac) <= known.keys() | set(make_tables.TEXTS)
        assert benchmark.NAMES.get(name, name) in benchmark.TIMED


def test_the_pages_have_a_row_for_each_method():
    tables = [page.partition("<!-- lab -->")[2].partition("<!-- end of lab -->")[0].strip() for page in PAGES]
    rows = [table.splitlines() for table in tables if table]
    found = [line.split(" | ")[0].strip("| ") for table in rows for line in table[2:]]
    assert sorted(found) == sorted(make_tables.ROWS)
    assert len({line.count(" | ") for table in rows for line in table[:1] + table[2:]}) == 1


def test_numbers_stand_where_they_belong(tmp_path, capsys):
    """Numbers made up, but for the names: a step size that is 0 or infinite, a verdict, quartiles without a median."""
    rows = make_tables.ROWS.values()
    methods = {benchmark.NAMES.get(name, name): 10.0 + i for i, (name, *_) in enumerate(rows)}
    entries = [
        {"objective": "non-saturating", "rule": rule, "method": name, "rate": 3.0, "strength": 0.5,
         "steps": [10.0, median, None], "verdict": "oscillating"}
        for rule in ORDERS for name, median in (("plain", None), ("sga", 1234.0))
    ]  # fmt: skip
    played = {name for name, *_ in rows} - {make_tables.ORDER, make_tables.SMOOTHING, "plain", "sga"}
    entries += [entries[0] | {"method": name, "rule": rule} for name in sorted(played) for rule in ORDERS]
    entries += [entries[0] | {"objective": "smoothed", "rule": rule} for rule in ORDERS]
    bounds = {"gradients, simultaneous": 0.0, "CGD, simultaneous": None}
    thresholds = {form.name: {"closed": bounds.get(form.name, 0.75)} for form in CLOSED_FORMS}
    verdicts = {name: {"run verdict": "linear"} for _, _, *dirac in rows for name in dirac}
    data = {
        "bilinear/data.json": {"methods": [{"method": name, "threshold": row} for name, row in thresholds.items()]},
        "dirac_gan/data.json": {"methods": verdicts},
        "compare_methods/data.json": {"ranking": entries},
        "benchmark/data.json": {
            "methods_ns_per_gan_and_step": methods,
            "ns_per_gan_and_step": {"NumPy program": 49091.0, "JAX sweep, 4096 GANs": 8.35},
        },
    }
    for name, content in data.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    page, performance = tmp_path / "methods.md", tmp_path / "performance.md"
    performance.write_text("<!-- benchmark -->\n<!-- end of benchmark -->\n")
    page.write_text(
        "a\n<!-- lab -->\n| method | of it | by | call | bilinear | Dirac | slanted land | ns |\n|---|---|\n"
        "| gradient descent | ξ | x | `y` | old | old | old | old |\n"
        "| symplectic gradient adjustment | Aᵀξ | x | `y` | old | old | old | old |\n"
        "| competitive gradient descent | η | x | `y` | old | old | old | old |\n"
        "<!-- end of lab -->\nb\n<!-- zoo -->\nold\n<!-- end of zoo -->\nc\n"
    )
    make_tables.make_tables(tmp_path, (page, performance))
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("a\n<!-- lab -->\n| method |")
    assert text.endswith("\n<!-- end of zoo -->\nc\n")
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[4:] for line in text.splitlines() if " | " in line}
    assert "| gradient descent | ξ | x | `y` | never" in text
    assert rows["gradient descent"] == ["never / 0.75", "linear / linear", "circles / circles / circles", "10 |"]
    assert rows["symplectic gradient adjustment"][2] == "1,234 / 1,234 / 1,234"
    assert rows["competitive gradient descent"][0] == "always / 0.75"
    assert "| 1 | non-saturating | tutorial | sga | 3 | 0.5 | 1234 [10, ∞] |" in text
    assert "∞ [" not in text  # a combination whose median does not arrive is none of the fastest
    assert performance.read_text().endswith("\n| JAX sweep, 4096 GANs | 8.35 | 5,880 |\n<!-- end of benchmark -->\n")
    assert "gradient descent" in capsys.readouterr().out
    without = tmp_path / "without.md"
    without.write_text("no markers")
    with pytest.raises(ValueError, match=f"{without} has no <!-- lab -->"):
        make_tables.make_tables(tmp_path, (page, without))
    (tmp_path / "compare_methods/data.json").write_text(json.dumps({"ranking": entries[1:]}))
    with pytest.raises(ValueError, match=r"KeyError: .*'non-saturating', 'tutorial', 'plain'"):
        make_tables.make_tables(tmp_path, (page,))
    (tmp_path / "compare_methods/data.json").write_text(json.dumps({"ranking": entries}))
    del data["dirac_gan/data.json"]["methods"]["CGD"]
    (tmp_path / "dirac_gan/data.json").write_text(json.dumps(data["dirac_gan/data.json"]))
    with pytest.raises(ValueError, match="KeyError: 'CGD'"):
        make_tables.make_tables(tmp_path, (page,))
    (tmp_path / "benchmark/data.json").write_text('{"methods_ns_per_gan_and_step": {}}')
    with pytest.raises(ValueError, match="without --no-methods"):
        make_tables.make_tables(tmp_path, (page,))
    assert page.read_text() == text


def test_missing_data_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no .*: run experiments/bilinear.py first"):
        make_tables.make_tables(tmp_path)
