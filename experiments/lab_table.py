"""The README's tables of methods, from the data of bilinear.py, dirac_gan.py, zoo.py and benchmark.py.

A row is a method with its formula, source and call. What is measured of it:

    bilinear        the largest stable step size on min max x y, of a simultaneous step / an alternating one
    Dirac           what runs of the Dirac-GAN do at rate 0.1
    slanted land    median steps to within 1 % of equilibrium, non-saturating loss, at the best rate and strength, of
                    simultaneous / alternating steps / the tutorial's order; in words where fewer than half get there
    ns              per GAN and step, simultaneous, 4096 GANs
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import results

FOLDERS = {"bilinear": "data.json", "dirac_gan": "data.json", "zoo": "zoo.json", "benchmark": "benchmark.json"}
BEST = 12
"""Rows of the ranking."""
WORDS = {"approaching": "nears", "circling": "circles", "resting": "rests away", "drifting": "drifts",
         "diverged": "diverges", "converged": "some"}  # fmt: skip
DIRAC_WORDS = {"closed orbits": "orbits", "spirals out": "leaves", "diverges": "leaves", "stalls": "leaves"}


class Row(NamedTuple):
    """A method, and its names in the data: of `bilinear` (a pair), `dirac` (some), `zoo`, `benchmark`; or a remark."""

    name: str
    formula: str
    source: str
    call: str
    bilinear: tuple[str, str] | str = "no data"
    dirac: tuple[str, ...] | str = ""
    zoo: str = ""
    benchmark: str = ""


def both(name: str) -> tuple[str, str]:
    return f"{name}, simultaneous", f"{name}, alternating"


ROWS = (
    Row("gradient descent", "ξ", "Goodfellow 2014", "rules.simultaneous(o)`, `rules.alternating(o)", both("gradients"),
        ("non-saturating, simultaneous", "non-saturating, alternating"), "plain", "simultaneous"),
    Row("tutorial's order", "ξ of L_real, L_fake, L_G in turn", "the article", "rules.tutorial(o)", "no data",
        ("tutorial's order",), "third number", "tutorial"),
    Row("negative momentum", "heavy ball, β < 0", "Gidel 2019b", "optax.sgd(η, momentum=β)",
        both("momentum -0.5"), both("negative momentum"), "negative momentum", "momentum"),
    Row("optimistic", "2 ξ(ω) - ξ(ω₋)", "Daskalakis 2018", "optax.optimistic_gradient_descent(η)", both("optimistic"),
        ("optimistic",), "optimistic", "optimistic"),
    Row("past extragradient", "ξ(ω - η v₋)", "Popov 1980", "rules.past_extragradient(o, η)",
        ("past extragradient", ""), ("past extragradient",), "past extragradient", "past extragradient"),
    Row("extragradient", "ξ(ω - η ξ)", "Korpelevich 1976", "fields.extragradient(η)", both("extragradient"),
        ("extragradient",), "extragradient", "extragradient"),
    Row("consensus", "ξ + γ Jᵀξ", "Mescheder 2017", "fields.consensus(γ)", both("consensus 0.5"), ("consensus",),
        "consensus", "consensus"),
    Row("symplectic gradient adjustment", "ξ + λ Aᵀξ", "Balduzzi 2018", "fields.sga(λ)", both("SGA 1"),
        ("SGA",), "sga", "sga"),
    Row("competitive gradient descent", "(I + η J_o)⁻¹ ξ", "Schäfer 2019", "fields.cgd(η)", both("CGD"), ("CGD",),
        "cgd", "cgd"),
    Row("LOLA", "(I - α J_o) ξ - α χ", "Foerster 2018", "fields.lola(α)", both("LOLA 0.3"), ("LOLA",), "lola", "lola"),
    Row("stable opponent shaping", "(I - α J_o) ξ - p α χ", "Letcher 2019", "fields.sos(α)", both("SOS 0.3"), ("SOS",),
        "sos", "sos"),
    Row("unrolled generator", "∇_θ L_G(θ, ψ_k(θ))", "Metz 2017", "fields.unrolled(k, η)", both("unrolled 2×0.3"),
        ("unrolled",), "unrolled", "unrolled 5"),
    Row("Heun", "(k₁ + k₂)/2", "Qin 2020", "fields.heun(η)", both("Heun"), ("Heun",), "heun", "heun"),
    Row("Runge-Kutta 4", "(k₁ + 2k₂ + 2k₃ + k₄)/6", "Qin 2020", "fields.rk4(η)", both("RK4"), ("RK4",), "rk4", "rk4"),
    Row("lookahead", "every 5 steps half-way back", "Chavdarova 2021", "rules.lookahead(rule, 5, 0.5)",
        both("lookahead 5, 0.5"), ("lookahead",), "lookahead", "lookahead"),
    Row("averaging", "EMA of the players", "Yazici 2019", "rules.averaged(rule, optax.ema(β))", "as the rule",
        ("averaged, alternating",), "averaging", "averaged"),
    Row("Adam", "ξ over its own size", "Kingma 2015", "optax.adam(η, b1=β)", "not linear",
        "no derivative", "Adam", "Adam"),
    Row("R1 (= R2)", "L_D + γ/2 ‖∇ℓ‖²", "Mescheder 2018", "games.penalized(game, penalties.r1(γ))", "no data",
        ("R1", "R1, alternating"), "R1", "R1"),
    Row("WGAN-GP (= DRAGAN)", "L_D + λ(‖∇ℓ‖ - 1)²", "Gulrajani 2017, Kodali 2017",
        "penalties.wgan_gp(λ)`, `penalties.dragan(λ)", "no data", ("WGAN-GP",), "WGAN-GP", "WGAN-GP"),
    Row("instance noise", "D sees x + ς n", "Sønderby 2017", "slanted_land(noise=ς)", "no data", ("instance noise",),
        "instance noise", "instance noise"),
    Row("weight clipping", "ψ in a box", "Arjovsky 2017", "penalties.clipped(optax.sgd(η), c)", "no data",
        ("WGAN, clipped",), "weight clipping", "weight clipping"),
    Row("spectral normalization", "ℓ with u / ‖u‖", "Miyato 2018", "slanted_land(logit=penalties.spectral(logit))",
        "no data", "no equilibrium", "spectral norm", "spectral normalization"),
    Row("one-sided smoothing", "(1 - α) L_real + α s(ℓ)", "Salimans 2016", "losses.smoothed(objective, α)", "no data",
        ("one-sided smoothing",), "smoothed", "smoothing"),
)  # fmt: skip


def lab_table(folder: Path = Path("results"), readme: Path | None = None) -> None:
    """Print the README's tables of methods from the data of four experiments; put them into a README if one is named.

    Args:
        folder: has the folders of results bilinear, dirac_gan, zoo and benchmark.
        readme: whose text between <!-- lab --> and <!-- zoo --> and their ends is replaced.
    """
    data = {}
    for name, file in FOLDERS.items():
        path = folder / name / file
        if not path.exists():
            raise ValueError(f"there is no {path}: run experiments/{name}.py first, or name another --folder")
        data[name] = json.loads(path.read_text())
    if not data["benchmark"]["methods_ns_per_gan_and_step"]:
        raise ValueError(f"{folder}/benchmark has no cost of methods: run benchmark.py without --no-methods")
    tables = {"lab": methods(data), "zoo": ranking(data["zoo"])}
    print(*tables.values(), sep="\n\n")
    if readme is not None:
        text = readme.read_text()
        for name, table in tables.items():
            before, begin, rest = text.partition(f"<!-- {name} -->\n")
            _, end, after = rest.partition(f"<!-- end of {name} -->")
            if not end:
                raise ValueError(f"{readme} has no <!-- {name} --> and <!-- end of {name} -->: name another --readme")
            text = f"{before}{begin}{table}\n{end}{after}"
        readme.write_text(text)


def methods(data: dict[str, Any]) -> str:
    """The table of methods."""
    columns = ("method", "descends", "source", "call", "bilinear", "Dirac", "slanted land", "ns")
    bounds = {row["method"]: row["threshold"]["closed"] for row in data["bilinear"]["methods"]}
    lines = [columns, ("---",) * len(columns)]
    for row in ROWS:
        cells = (
            of_bilinear(row, bounds), of_dirac(row, data["dirac_gan"]["methods"]), of_zoo(row, data["zoo"]["ranking"]),
            f"{data['benchmark']['methods_ns_per_gan_and_step'][row.benchmark]:.3g}",
        )  # fmt: skip
        lines.append((row.name, row.formula, row.source, f"`{row.call}`", *cells))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def of_bilinear(row: Row, bounds: dict[str, float | None]) -> str:
    if isinstance(row.bilinear, str):
        return row.bilinear
    return " / ".join(bound(bounds[name]) if name else "–" for name in row.bilinear)


def bound(value: float | None) -> str:
    """A largest stable step size as bilinear.py writes it: 0 for none, null for all."""
    return "always" if value is None else "never" if value == 0 else f"{value:.4g}"


def of_dirac(row: Row, rows: dict[str, Any]) -> str:
    if isinstance(row.dirac, str):
        return row.dirac
    kinds: list[str] = [rows[name]["run verdict"] for name in row.dirac]
    return " / ".join(DIRAC_WORDS.get(kind, kind) for kind in kinds)


def of_zoo(row: Row, entries: list[dict[str, Any]]) -> str:
    if row.zoo == "third number":
        return row.zoo
    objective, method = ("smoothed", "plain") if row.zoo == "smoothed" else ("non-saturating", row.zoo)
    found = {e["rule"]: e for e in entries if (e["objective"], e["method"]) == (objective, method)}
    return " / ".join(steps(found.get(rule)) for rule in ("simultaneous", "alternating", "tutorial"))


def steps(entry: dict[str, Any] | None) -> str:
    """Median steps (null: infinite), or what most runs do instead."""
    if entry is None:
        return "–"
    median = entry["steps"][1]
    return WORDS[entry["verdict"]] if median is None else f"{median:,.0f}"


def ranking(zoo: dict[str, Any]) -> str:
    """The first of the zoo's ranking, steps with their quartiles over seeds."""
    lines = ["| | objective | order | method | rate | strength | steps to 1 % |", "| ---" * 7 + " |"]
    for place, e in enumerate(zoo["ranking"][:BEST], 1):
        low, median, high = (f"{value:.0f}" if value is not None else "∞" for value in e["steps"])
        strength = f"{e['strength']:g}" if e["strength"] else ""
        cells = (str(place), e["objective"], e["rule"], e["method"], f"{e['rate']:g}", strength)
        lines.append(f"| {' | '.join(cells)} | {median} [{low}, {high}] |")
    return "\n".join(lines)


if __name__ == "__main__":
    results.command_line(lab_table)
