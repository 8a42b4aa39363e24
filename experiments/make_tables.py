"""The tables of docs/methods.md and docs/performance.md, from the data of four experiments.

A row of the table of methods is a method of the catalog. docs/methods.md explains what is measured of it.
"""

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from _experiment import command_line
from _methods import METHODS, Method
from figures.compare_methods import FATES

EXPERIMENTS = ("bilinear", "dirac_gan", "compare_methods", "benchmark")
FASTEST = 12
"""Rows of the ranking."""
DIRAC_WORDS = {
    "closed orbits": "orbits", "spirals out": "leaves", "diverges": "leaves", "stalls": "leaves", "drifts": "leaves",
}  # fmt: skip
ORDER, SMOOTHING = "tutorial's order", "one-sided smoothing"
OTHERS = {
    ORDER: Method(ORDER, "ξ of L_real, L_fake, L_G in turn", "the article", "rules.tutorial(o)"),
    SMOOTHING: Method(SMOOTHING, "(1 - α) L_real + α s(ℓ)", "Salimans 2016", "losses.smoothed(objective, α)"),
}
"""Rows that are no methods of the catalog."""


class Row(NamedTuple):
    """The names of a method in the data of bilinear.py, dirac_gan.py and benchmark.py; a text is shown as it is."""

    bilinear: tuple[str, ...] | str
    dirac: tuple[str, ...] | str
    benchmark: str


def in_both_orders(name: str) -> tuple[str, str]:
    return f"{name}, simultaneous", f"{name}, alternating"


ROWS = {
    "plain": Row(in_both_orders("gradients"), in_both_orders("non-saturating"), "simultaneous"),
    ORDER: Row("no data", ("tutorial's order",), "tutorial"),
    "negative momentum": Row(in_both_orders("momentum -0.5"), in_both_orders("negative momentum"), "momentum"),
    "optimistic": Row(in_both_orders("optimistic"), ("optimistic",), "optimistic"),
    "past extragradient": Row(("past extragradient", ""), ("past extragradient",), "past extragradient"),
    "extragradient": Row(in_both_orders("extragradient"), ("extragradient",), "extragradient"),
    "consensus": Row(in_both_orders("consensus 0.5"), ("consensus",), "consensus"),
    "sga": Row(in_both_orders("SGA 1"), ("SGA",), "sga"),
    "cgd": Row(in_both_orders("CGD"), ("CGD",), "cgd"),
    "lola": Row(in_both_orders("LOLA 0.3"), ("LOLA",), "lola"),
    "sos": Row(in_both_orders("SOS 0.3"), ("SOS",), "sos"),
    "unrolled": Row(in_both_orders("unrolled 2×0.3"), ("unrolled",), "unrolled 5"),
    "heun": Row(in_both_orders("Heun"), ("Heun",), "heun"),
    "rk4": Row(in_both_orders("RK4"), ("RK4",), "rk4"),
    "lookahead": Row(in_both_orders("lookahead 5, 0.5"), ("lookahead",), "lookahead"),
    "averaging": Row("as the rule", ("averaged, alternating",), "averaged"),
    "Adam": Row("not linear", "no derivative", "Adam"),
    "R1": Row("no data", ("R1", "R1, alternating"), "R1"),
    "WGAN-GP": Row("no data", ("WGAN-GP",), "WGAN-GP"),
    "instance noise": Row("no data", ("instance noise",), "instance noise"),
    "weight clipping": Row("no data", ("WGAN, clipped",), "weight clipping"),
    "spectral norm": Row("no data", "no equilibrium", "spectral normalization"),
    SMOOTHING: Row("no data", ("one-sided smoothing",), "smoothing"),
}


def make_tables(
    folder: Path = Path("results"),
    page: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=["--readme"])] = (),
) -> None:
    """Print the documentation's tables from the data of four experiments, and put them into pages.

    Args:
        folder: the folder with the results of bilinear.py, dirac_gan.py, compare_methods.py and benchmark.py.
        page: pages such as docs/methods.md and docs/performance.md. What stands between <!-- lab -->, <!-- zoo --> or
            <!-- benchmark --> and <!-- end of lab --> and so on is replaced.
    """
    data = {name: load(folder, name) for name in EXPERIMENTS}
    costs = data["benchmark"]["methods_ns_per_gan_and_step"]
    if not costs:
        raise ValueError(f"{folder}/benchmark has no cost of methods: run benchmark.py without --no-methods")
    try:
        tables = {
            "lab": methods(data, costs),
            "zoo": ranking(data["compare_methods"]["ranking"]),
            "benchmark": programs(data["benchmark"]["ns_per_gan_and_step"]),
        }
    except KeyError as missing:
        raise ValueError(f"the data in {folder} have no {missing}: run the four experiments with all methods") from None
    print(*tables.values(), sep="\n\n")
    texts = {path: replaced(path, tables) for path in page}
    for path, text in texts.items():
        path.write_text(text)


def load(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name / "data.json"
    if not path.exists():
        raise ValueError(f"there is no {path}: run experiments/{name}.py first, or name another --folder")
    return json.loads(path.read_text())


def replaced(path: Path, tables: dict[str, str]) -> str:
    """The text of a page with its tables replaced."""
    text = path.read_text()
    there = [name for name in tables if f"<!-- {name} -->\n" in text and f"<!-- end of {name} -->" in text]
    if not there:
        raise ValueError(f"{path} has no <!-- lab --> and <!-- end of lab -->, nor other markers: name another --page")
    for name in there:
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end of {name} -->")
        text = f"{before}{begin}{tables[name]}\n{end}{after}"
    return text


def markdown(*lines: tuple[str, ...]) -> str:
    """A table; the first line is its head."""
    head, *body = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *body))


def methods(data: dict[str, Any], costs: dict[str, float]) -> str:
    """The table of methods."""
    bounds = {row["method"]: row["threshold"]["closed"] for row in data["bilinear"]["methods"]}
    verdicts: dict[str, str] = {name: row["run verdict"] for name, row in data["dirac_gan"]["methods"].items()}
    entries = {(e["objective"], e["method"], e["rule"]): e for e in data["compare_methods"]["ranking"]}

    def of_slanted_land(name: str) -> str:
        if name == ORDER:
            return "third number"
        objective, method = ("smoothed", "plain") if name == SMOOTHING else ("non-saturating", name)
        orders = ("simultaneous", "alternating", "tutorial")
        return " / ".join(steps(entries.get((objective, method, order))) for order in orders)

    lines = [("method", "descends", "source", "call", "bilinear", "Dirac", "slanted land", "ns")]
    for name, row in ROWS.items():
        method = (METHODS | OTHERS)[name]
        bilinear, dirac = row.bilinear, row.dirac
        if not isinstance(bilinear, str):
            bilinear = " / ".join(bound(bounds[key]) if key else "–" for key in bilinear)
        if not isinstance(dirac, str):
            dirac = " / ".join(DIRAC_WORDS.get(verdicts[key], verdicts[key]) for key in dirac)
        cost = f"{costs[row.benchmark]:.3g}"
        call = f"`{method.call}`"
        lines.append((method.label, method.formula, method.source, call, bilinear, dirac, of_slanted_land(name), cost))
    return markdown(*lines)


def bound(value: float | None) -> str:
    """A largest stable step size as bilinear.py writes it: 0 for none, null for all."""
    return "always" if value is None else "never" if value == 0 else f"{value:.4g}"


def steps(entry: dict[str, Any] | None) -> str:
    """The median of steps, or, if it is infinite (null), what most runs do instead."""
    if entry is None:
        return "–"
    median = entry["steps"][1]
    return FATES[entry["verdict"]][0] if median is None else f"{median:,.0f}"


def ranking(entries: list[dict[str, Any]]) -> str:
    """The fastest combinations on slanted land, with the quartiles of their steps over seeds."""
    lines = [("", "objective", "order", "method", "rate", "strength", "steps to 1 %")]
    for place, e in enumerate(entries[:FASTEST], 1):
        low, median, high = (f"{value:.0f}" if value is not None else "∞" for value in e["steps"])
        strength = f"{e['strength']:g}" if e["strength"] else ""
        quartiles = f"{median} [{low}, {high}]"
        lines.append((str(place), e["objective"], e["rule"], e["method"], f"{e['rate']:g}", strength, quartiles))
    return markdown(*lines)


def programs(times: dict[str, float]) -> str:
    """The cost of a step in every program, and how many times as fast as the NumPy program it is."""
    lines = [("", "ns per GAN and step", "times as fast")]
    for name, time in times.items():
        ratio = float(f"{times['NumPy program'] / time:.3g}")
        lines.append((name, f"{time:,.0f}" if time >= 1000 else f"{time:.3g}", f"{ratio:,.10g}"))
    return markdown(*lines)


if __name__ == "__main__":
    command_line(lambda: tyro.cli(make_tables, description=(make_tables.__doc__ or "").partition("\n")[0]))
