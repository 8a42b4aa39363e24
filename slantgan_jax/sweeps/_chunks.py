"""One chunk of a sweep: how large it should be, and how it is computed.

A chunk is a pure function of the run, the labels and its place, whichever process computes it.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from slantgan_jax.sweeps import _checks, _programs, _store, _tracing
from slantgan_jax.sweeps._layout import Layout
from slantgan_jax.sweeps._programs import Program

CHUNK_SECONDS = 20.0
"""A chunk takes about this long, unless one batch takes longer: so often something is saved."""

CHUNK_BYTES = 2**27
"""The results of a chunk take no more than this, unless those of one run do."""

LARGEST_CHUNK = 2**18
"""Runs in a chunk."""


class Progress:
    """A bar of computed runs, and how many of all are saved."""

    def __init__(self, total: int) -> None:
        self.total, self.saved = total, 0
        self.bar = tqdm(total=total, unit=" runs", unit_scale=True, disable=None)

    def save(self, runs: int, computed: bool = True) -> None:
        """Counts runs that are saved; those of them that were not `computed` move the bar."""
        self.saved += runs
        if not computed:
            self.bar.update(runs)


class First(NamedTuple):
    """A batch that was computed to see how long it takes: its arguments `[runs]` and its results `[runs, ...]`."""

    program: Program
    arguments: list[np.ndarray]
    runs: int
    results: dict[str, np.ndarray]


def preferred_block(layout: Layout, programs: Mapping[str, Program]) -> tuple[tuple[int, ...], First]:
    """The shape of a chunk for the choice that takes longest, and the batch that was computed to find it."""
    program = max(programs.values(), key=lambda program: program.work)
    largest = min(LARGEST_CHUNK, max(1, CHUNK_BYTES // max(1, _programs.bytes_of_run(program.outputs))))
    block = _checks.block_of(layout, largest)
    arguments = [part[: program.width()] for part in _arguments(layout, tuple(map(slice, block)))]
    _programs.compiled(program, math.prod(block))
    start = time.perf_counter()
    count = min(program.width(), math.prod(block))
    results = _programs.evaluate(program, arguments, count, lambda _: None, math.prod(block))
    batches = max(1, int(CHUNK_SECONDS / (time.perf_counter() - start)))
    block = _checks.block_of(layout, min(largest, batches * program.width()))
    return _checks.roomy(block, layout, min(largest, program.width())), First(program, arguments, count, results)


def compute_all(
    programs: Mapping[str, Program],
    first: First | None,
    where: Path | str,
    layout: Layout,
    before: Layout,
    progress: Progress,
) -> None:
    """Computes and writes every chunk of a store that is not done."""
    arrays = _store.open_arrays(where, layout)
    for index in layout.chunks():
        done = _store.is_done(arrays, layout, index)
        if not done:
            known, place = known_part(arrays, before, index), layout.place(index)
            values = computed(layout, programs, place, progress.bar.update, known, first)
            _store.write(where, layout, index, values)
        progress.save(layout.runs(index), computed=not done)


def known_part(
    arrays: Mapping[str, Any], before: Layout, index: tuple[int, ...]
) -> tuple[tuple[slice, ...], dict[str, np.ndarray]] | None:
    """Where a chunk had runs before its store grew, and their results."""
    if all(i < count for i, count in zip(index, before.counts, strict=True)) and _store.is_done(arrays, before, index):
        place = before.place(index)
        return place, _store.read(arrays, before, place)
    return None


def computed(
    layout: Layout,
    programs: Mapping[str, Program],
    place: tuple[slice, ...],
    advance: Callable[[int], Any],
    known: tuple[tuple[slice, ...], dict[str, np.ndarray]] | None = None,
    first: First | None = None,
) -> dict[str, np.ndarray]:
    """The results of the runs in a place on the grid, but for those that are `known`."""
    program = programs[layout.choice(place)]
    shape = tuple(part.stop - part.start for part in place)
    arguments, count, ahead = _arguments(layout, place), math.prod(shape), 0
    wanted = np.ones(shape, bool)
    if known is not None:
        wanted[tuple(slice(part.stop - part.start) for part in known[0])] = False
        arguments = [argument[wanted.ravel()] for argument in arguments]
        count = int(wanted.sum())
        advance(wanted.size - count)
    if first is not None and first.program == program and all(map(_begins_with, arguments, first.arguments)):
        ahead = first.runs
        advance(ahead)
    rest = [part[ahead:] for part in arguments]
    values = _programs.evaluate(program, rest, count - ahead, advance, math.prod(layout.block))
    for name, out in program.outputs.items():
        if first is not None and ahead:
            values[name] = np.concatenate([first.results[name], values[name]])
        if known is None:
            values[name] = values[name].reshape(*shape, *out.shape)
        else:
            whole = np.empty((*shape, *out.shape), out.dtype)
            whole[wanted], whole[~wanted] = values[name], known[1][name].reshape(wanted.size - count, *out.shape)
            values[name] = whole
    return values


def _arguments(layout: Layout, place: tuple[slice, ...]) -> list[np.ndarray]:
    """The arguments `[runs]` of the runs in a place, for each axis that is traced."""
    parts = {name: layout.labels[name][part] for name, part in zip(layout.axes, place, strict=True)}
    traced = _tracing.traced_arguments({name: part for name, part in parts.items() if name not in layout.static})
    sizes = [len(part) for part in parts.values()]
    return [
        np.broadcast_to(values.reshape([-1 if axis == name else 1 for axis in layout.axes]), sizes).ravel()
        for name, values in traced.items()
    ]


def _begins_with(values: np.ndarray, start: np.ndarray) -> bool:
    return np.array_equal(values[: len(start)], start)
