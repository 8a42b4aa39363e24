"""The tables of docs/methods/ and docs/performance.md, from the data of four experiments.

docs/methods/index.md explains what is measured of a method. What the tables say of formulas and sources stays as it is.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import tyro
from _combinations import is_playable
from _options import command_line, options_of
from _results import replace_text
from benchmark import NAMES
from figures.compare_methods import FATES

EXPERIMENTS = ("bilinear", "dirac_gan", "compare_methods", "benchmark")
COLUMNS = ("bilinear", "Dirac", "slanted land", "ns")
ORDERS = ("simultaneous", "alternating", "tutorial")
FASTEST = 12
"""Rows of the ranking."""
DIRAC_WORDS = {
    "closed orbits": "orbits", "spirals out": "leaves", "diverges": "leaves", "stalls": "leaves", "drifts": "leaves",
}  # fmt: skip
ORDER, SMOOTHING, MOMENTUM = "tutorial", "smoothing", "negative momentum"
ROWS = {
    "gradient descent": ("plain", "gradients", "non-saturating, simultaneous", "non-saturating, alternating"),
    "tutorial's order": (ORDER, "no data", "tutorial's order"),
    MOMENTUM: (MOMENTUM, "momentum -0.5", f"{MOMENTUM}, simultaneous", f"{MOMENTUM}, alternating"),
    "optimistic": ("optimistic", "optimistic", "optimistic"),
    "past extragradient": ("past extragradient", "past extragradient", "past extragradient"),
    "extragradient": ("extragradient", "extragradient", "extragradient"),
    "consensus": ("consensus", "consensus 0.5", "consensus"),
    "symplectic gradient adjustment": ("sga", "SGA 1", "SGA"),
    "competitive gradient descent": ("cgd", "CGD", "CGD"),
    "LOLA": ("lola", "LOLA 0.3", "LOLA"),
    "stable opponent shaping": ("sos", "SOS 0.3", "SOS"),
    "unrolled generator": ("unrolled", "unrolled 2×0.3", "unrolled"),
    "Heun": ("heun", "Heun", "Heun"),
    "Runge-Kutta 4": ("rk4", "RK4", "RK4"),
    "lookahead": ("lookahead", "lookahead 5, 0.5", "lookahead"),
    "averaging": ("averaging", "as the rule", "averaged, alternating"),
    "Adam": ("Adam", "not linear", "no derivative"),
    "R1 (= R2)": ("R1", "no data", "R1", "R1, alternating"),
    "WGAN-GP (= DRAGAN)": ("WGAN-GP", "no data", "WGAN-GP"),
    "instance noise": ("instance noise", "no data", "instance noise"),
    "weight clipping": ("weight clipping", "no data", "WGAN, clipped"),
    "spectral normalization": ("spectral norm", "no data", "no equilibrium"),
    "one-sided smoothing": (SMOOTHING, "no data", "one-sided smoothing"),
}
"""What the pages of docs/methods/ call a method: its name in the catalog or in the benchmark, in the data of
bilinear.py (without its order), and in those of dirac_gan.py."""

TEXTS = ("no data", "as the rule", "not linear", "no derivative", "no equilibrium", "–")
"""Entries that are no names but are shown as they are."""


def make_tables(
    folder: Path = Path("results"),
    page: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=["--readme"])] = (),
) -> None:
    """Print the documentation's tables from the data of four experiments, and put them into pages.

    Args:
        folder: the folder with the results of bilinear.py, dirac_gan.py, compare_methods.py and benchmark.py.
        page: pages such as docs/methods/rules.md and docs/performance.md. What stands between <!-- lab -->,
            <!-- zoo --> or <!-- benchmark --> and <!-- end of lab --> and so on is replaced.
    """
    data = {name: load(folder, name) for name in EXPERIMENTS}
    try:
        costs = data["benchmark"]["methods_ns_per_gan_and_step"]
        if not costs:
            raise ValueError(f"{folder}/benchmark has no cost of methods: run benchmark.py without --no-methods")
        measured = methods(data, costs)
        tables = {
            "lab": markdown(("method", *COLUMNS), *((name, *cells) for name, cells in measured.items())),
            "zoo": ranking(data["compare_methods"]["ranking"]),
            "benchmark": programs(data["benchmark"]["ns_per_gan_and_step"]),
        }
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{folder} lacks data ({what}): run the four experiments with all methods") from None
    print(*tables.values(), sep="\n\n")
    texts = {path: replaced(path, tables, measured) for path in page}
    for path, text in texts.items():
        replace_text(path, text)


def load(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name / "data.json"
    if not path.exists():
        raise ValueError(f"there is no {path}: run experiments/{name}.py first, or name another --folder")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__}): run experiments/{name}.py again") from None


def replaced(path: Path, tables: dict[str, str], measured: dict[str, tuple[str, ...]]) -> str:
    """The text of a page with its tables replaced."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--page {path} cannot be read ({error}): name another") from None
    there = [name for name in tables if f"<!-- {name} -->\n" in text and f"<!-- end of {name} -->" in text]
    if not there:
        raise ValueError(f"{path} has no <!-- lab --> and <!-- end of lab -->, nor other markers: name another --page")
    for name in there:
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        table, end, after = rest.partition(f"<!-- end of {name} -->")
        text = f"{before}{begin}{by_hand(path, table, measured) if name == 'lab' else tables[name]}\n{end}{after}"
    return text


def by_hand(path: Path, table: str, measured: dict[str, tuple[str, ...]]) -> str:
    """The table of methods that the page has, whose first four columns are written by hand, with what is measured."""
    if table.count("\n") < 3:
        raise ValueError(f"{path} has no rows of methods after <!-- lab -->: write their first four columns")
    head, _, *rows = (tuple(line.strip("| ").split(" | ")) for line in table.splitlines())
    if unknown := [row[0] for row in rows if row[0] not in measured]:
        raise ValueError(f"{path} has the method {unknown[0]!r}, which is not measured: remove its row")
    return markdown(head, *((*row[:4], *measured[row[0]]) for row in rows))


def markdown(*lines: tuple[str, ...]) -> str:
    """A table; the first line is its head."""
    head, *body = lines
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ("---",) * len(head), *body))


def methods(data: dict[str, Any], costs: dict[str, float]) -> dict[str, tuple[str, ...]]:
    """What is measured of each method: its entries in `COLUMNS`."""
    bounds = {row["method"]: row["threshold"]["closed"] for row in data["bilinear"]["methods"]}
    verdicts = {name: row["run verdict"] for name, row in data["dirac_gan"]["methods"].items()}
    entries = {(e["objective"], e["rule"], e["method"]): e for e in data["compare_methods"]["ranking"]}

    def shown(names: Iterable[str], values: dict[str, Any], word: Callable[[Any], str]) -> str:
        return " / ".join(name if name in TEXTS else word(values[name]) for name in names)

    found = {}
    for label, (name, bilinear, *dirac) in ROWS.items():
        orders = (bilinear, "–") if bilinear in bounds else (f"{bilinear}, simultaneous", f"{bilinear}, alternating")
        objective, method = ("smoothed", "plain") if name == SMOOTHING else ("non-saturating", name)
        # The order has a row of its own, and no method of the catalog.
        on_land = "third number"
        if name != ORDER:
            played = [(objective, order, method) for order in ORDERS]
            words = (steps(entries[each]) if is_playable(*each) else "–" for each in played)
            on_land = " / ".join(words)
        found[label] = (
            shown((bilinear,) if bilinear in TEXTS else orders, bounds, bound),
            shown(dirac, verdicts, lambda verdict: DIRAC_WORDS.get(verdict) or verdict),
            on_land,
            f"{costs[NAMES.get(name, name)]:.3g}",
        )
    return found


def bound(value: float | None) -> str:
    """A largest stable step size as bilinear.py writes it: 0 for none, null for all."""
    return "always" if value is None else "never" if value == 0 else f"{value:.4g}"


def steps(entry: dict[str, Any]) -> str:
    """The median of steps, or, if it is infinite (null), what most runs do instead."""
    median = entry["steps"][1]
    return FATES[entry["verdict"]][0] if median is None else f"{median:,.0f}"


def ranking(entries: list[dict[str, Any]]) -> str:
    """The fastest combinations on slanted land whose median arrives, with the quartiles of their steps over seeds."""
    lines = [("", "objective", "order", "method", "rate", "strength", "steps to 1 %")]
    arrived = [entry for entry in entries if entry["steps"][1] is not None]
    for place, e in enumerate(arrived[:FASTEST], 1):
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
    command_line(lambda: options_of(make_tables, None, (make_tables.__doc__ or "").partition("\n")[0]))
