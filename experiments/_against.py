"""Is this revision slower than another one? Both are timed in turns, each in a process of its own, in about a minute.

The program uses what every revision since the second design has. Its rows are what a contributor is likely to touch:
sweeps of 4096 runs in memory with the rules that cost most, one run, two networks, and the first result of a process.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from _experiment import progress

ROOT = Path(__file__).parents[1]
TURNS = 5

PROGRAM = """
import sys, time
begin = time.perf_counter()
import jax, numpy, optax
from slantgan_jax.cpu import use_every_core
use_every_core()
from slantgan_jax import Players, datasets, distributions, fields, games, mlp, penalties, rules, slanted_land, sweep
from slantgan_jax import train

game, descent = slanted_land(), lambda rate: optax.sgd(rate)
plays = {
    "tutorial's order": (game, lambda rate: rules.tutorial(descent(rate))),
    "simultaneous": (game, lambda rate: rules.simultaneous(descent(rate))),
    "Adam": (game, lambda rate: rules.simultaneous(optax.adam(rate))),
    "R1": (games.penalized(game, penalties.r1(0.1)), lambda rate: rules.simultaneous(descent(rate))),
    "sga": (game, lambda rate: rules.simultaneous(descent(rate), fields.sga(1.0))),
    "rk4": (game, lambda rate: rules.simultaneous(descent(rate), fields.rk4(0.1))),
    "cgd": (game, lambda rate: rules.simultaneous(descent(rate), fields.cgd(0.1))),
}

def swept(name, seeds=4096, steps=2000):
    game, rule = plays[name]
    def run(key, rate):
        return {"bias": train(key, game, rule(rate), steps // (8 if name == "cgd" else 1)).players.discriminator.bias}
    sweep(run, {"seed": numpy.arange(seeds), "rate": [0.1]})

def networks():
    G, D = mlp(16, 64, 64, 2), mlp(2, 64, 64, 1)
    init = lambda key: Players(*(net.init(k) for net, k in zip((G, D), jax.random.split(key))))
    logit = lambda d, point: D.apply(d, point)[0]
    one = games.gan(init, G.apply, logit, datasets.ring(), distributions.normal((16,)))
    rule = rules.alternating(optax.adam(1e-3))
    def run(key):
        return {"bias": train(key, games.minibatch(one, 128), rule, 100).players.discriminator[-1].biases[0]}
    sweep(run, {"seed": numpy.arange(16)})

single = jax.jit(lambda key: train(key, game, plays["tutorial's order"][1](0.01), 20_000).players)
work = {name: lambda name=name: swept(name) for name in plays}
work |= {"one run": lambda: jax.block_until_ready(single(jax.random.key(0))), "two networks": networks}
work["one run"]()
print("first result of a process", time.perf_counter() - begin, flush=True)
for run in work.values():
    run()
print(*work, sep=",", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    work[line.strip()]()
    print(time.perf_counter() - start, flush=True)
"""


@contextmanager
def _process(checkout: Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"PYTHONPATH": str(checkout)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, cwd=checkout, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process of the comparison ended: its error stands above")
    return line.strip()


def _asked(process: subprocess.Popen[str], row: str) -> float:
    assert process.stdin
    print(row, file=process.stdin, flush=True)
    return float(_line(process))


def ratios(revision: str, turns: int = TURNS) -> dict[str, tuple[float, float, float]]:
    """The time of this working tree over that of `revision`, by row: the median of the turns, the least, the largest.

    Raises:
      ValueError: there is no such revision.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        other = Path(folder) / "other"
        git = ["git", "-C", str(ROOT), "worktree"]
        made = subprocess.run([*git, "add", "--detach", "--", str(other), revision], capture_output=True, text=True)
        if made.returncode:
            raise ValueError(
                f"--against is {revision!r}, which git does not know here: name a revision of this project"
            )
        stack.callback(subprocess.run, [*git, "remove", "--force", str(other)], check=True)
        processes, first = [], []
        for checkout in (ROOT, other):  # one after the other: each has the machine for itself
            process = stack.enter_context(_process(checkout))
            first.append(float(_line(process).rpartition(" ")[2]))
            rows = _line(process).split(",")
            processes.append(process)
        found = {"first result of a process": [first[0] / first[1]]}
        for turn in progress(range(turns), "turns"):
            pair = processes if turn % 2 == 0 else processes[::-1]
            for row in rows:
                times = {id(process): _asked(process, row) for process in pair}
                found.setdefault(row, []).append(times[id(processes[0])] / times[id(processes[1])])
    return {row: (statistics.median(values), min(values), max(values)) for row, values in found.items()}
