"""What a sweep computes and a store holds: labels, variables, programs, chunks, and how two of them differ."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from slantgan_jax.checks import shortened

SURROUNDINGS = ("platform", "processor", "xla_flags", "threads", "lapack", "settings", "versions")
"""The attributes that, beside the program, decide each bit of a result."""

COMPARED_BY_PART = ("settings", "versions")
"""Those of them of which a difference names the parts that differ."""

SHOWN_LETTERS = 60
"""The most letters of each side of a difference."""

MAX_LABELS_KEPT = 1000
"""At most this many labels are attributes, too, so that a store that was killed while it grew can be mended."""


class Variable(NamedTuple):
    """A result of the runs: all its dimensions, its full `shape`, `dtype` and attributes."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attrs: Mapping[str, Any]


class Layout(NamedTuple):
    """What a store holds.

    Attributes:
      axes: the names of the sweep's axes, in the order of the dimensions.
      labels: by name, the labels of each axis and of each other coordinate.
      attrs: the attributes of axes and coordinates, by name.
      variables: what runs return, by name; their first dimensions are the axes.
      programs: `choice` to the digest of the program. There is one program for each combination of the static axes.
      static: the names of the static axes.
      block: the number of runs along each axis in a chunk.
      about: the attributes of the whole: `SURROUNDINGS`, and what else is worth knowing.
    """

    axes: tuple[str, ...]
    labels: Mapping[str, np.ndarray]
    attrs: Mapping[str, Mapping[str, Any]]
    variables: Mapping[str, Variable]
    programs: Mapping[str, str]
    static: tuple[str, ...]
    block: tuple[int, ...]
    about: Mapping[str, str]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of runs along each axis."""
        return tuple(len(self.labels[name]) for name in self.axes)

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of chunks along each axis."""
        return tuple(math.ceil(size / length) for size, length in zip(self.shape, self.block, strict=True))

    def chunks(self) -> list[tuple[int, ...]]:
        """The index of every chunk in the grid of chunks; those of one choice, and so of one program, are together."""
        static = [i for i, name in enumerate(self.axes) if name in self.static]
        return sorted(itertools.product(*map(range, self.counts)), key=lambda index: [index[i] for i in static])

    def place(self, index: tuple[int, ...]) -> tuple[slice, ...]:
        """Where a chunk is on the grid of runs."""
        starts = [i * length for i, length in zip(index, self.block, strict=True)]
        ends = zip(starts, self.block, self.shape, strict=True)
        return tuple(slice(start, min(start + length, size)) for start, length, size in ends)

    def runs(self, index: tuple[int, ...]) -> int:
        """The number of runs in a chunk."""
        return math.prod(part.stop - part.start for part in self.place(index))

    def choice(self, place: tuple[slice, ...]) -> str:
        """The labels of the static axes in a place, as JSON; a chunk has one of each."""
        parts = dict(zip(self.axes, place, strict=True))
        return json.dumps([self.labels[name][parts[name]][0].item() for name in self.static])


def other_identity(theirs: Layout, ours: Layout) -> Iterator[str]:
    """In words, every difference between two layouts in what decides the bits of their results."""
    for name in COMPARED_BY_PART:
        old, new = json.loads(theirs.about[name]), json.loads(ours.about[name])
        yield from (
            f"{part} {change(old.get(part), new.get(part))}"
            for part in {**old, **new}
            if old.get(part) != new.get(part)
        )
    for name in SURROUNDINGS:
        if name not in COMPARED_BY_PART and theirs.about[name] != ours.about[name]:
            yield f"{name} {change(theirs.about[name], ours.about[name])}"
    both = theirs.programs.keys() & ours.programs.keys()  # a choice that one of them lacks is a label that it lacks
    if any(ours.programs[choice] != theirs.programs[choice] for choice in both):
        named = "" if (old := theirs.about["run"]) == (new := ours.about["run"]) else f" ({change(old, new)})"
        yield f"another program: the code of the run{named}, or a number or function that it reads"


def description(layout: Layout) -> dict[str, Any]:
    """What a layout has beside its values and its identity, for comparing and for people."""

    def of_labels(name: str) -> dict[str, Any]:
        values = layout.labels[name]
        described = {"summary": summary(values), "digest": digest(values)}
        dtype = "str" if values.dtype.kind == "U" else values.dtype.str  # how long its longest text is says nothing
        return described | ({"values": values.tolist(), "dtype": dtype} if len(values) <= MAX_LABELS_KEPT else {})

    described = {
        "axes": {name: of_labels(name) for name in layout.axes},
        "coordinates": {name: of_labels(name) for name in layout.labels if name not in layout.axes},
        "variables": {
            name: {"dims": own.dims, "shape": own.shape, "dtype": str(own.dtype), "attrs": dict(own.attrs)}
            for name, own in layout.variables.items()
        },
        "attrs": layout.attrs,
        "programs": layout.programs,
        "static": layout.static,
        "block": layout.block,
    }
    return json.loads(json.dumps(described))


def other_shapes(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """In words, every difference of axes, coordinates and variables, apart from the labels of axes."""
    old, new = list(theirs["axes"]), list(ours["axes"])
    for what, before, now in (("axes", old, new), ("static axes", theirs["static"], ours["static"])):
        if before != now:
            yield f"{what} {change(', '.join(before) or 'none', ', '.join(now) or 'none')}"
    for kind in ("coordinates", "variables"):
        for name in {**theirs[kind], **ours[kind]}:
            before, now = (_outline(side[kind].get(name), len(old)) for side in (theirs, ours))
            if before != now:
                yield f"{name} {change(before, now)}"


def change(old: Any, new: Any) -> str:
    """Two values in words, as "old, now new". Of long ones the words are left out with which both begin."""
    texts = str(old), str(new)
    if max(map(len, texts)) > SHOWN_LETTERS:
        words = [text.split(" ") for text in texts]
        same = len([*itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*words, strict=False))])
        if same:
            texts = [" ".join(["...", *own[same:]]) for own in words]
    return ", now ".join(shortened(text, SHOWN_LETTERS) for text in texts)


def same_cells(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Whether two descriptions have the same labels, variables, programs and chunks, whatever their attributes."""

    def without_attributes(described: Mapping[str, Any]) -> dict[str, Any]:
        variables = {name: {**own, "attrs": None} for name, own in described["variables"].items()}
        return {**described, "attrs": None, "variables": variables}

    return without_attributes(theirs) == without_attributes(ours)


def _outline(described: Mapping[str, Any] | None, axes: int) -> str:
    if described is None:
        return "none"
    if "dims" not in described:
        return f"{described['summary']} ({described['digest'][:8]})"
    return f"{described['dtype']} of {', '.join(described['dims'])}, {tuple(described['shape'][axes:])}"


def digests_of(layout: Layout, place: tuple[slice, ...], values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The digest of each variable of a chunk, `[variables, 32]`: of what made the values, of their place, of them."""
    return np.stack([digest_of(layout, place, name, values[name]) for name in layout.variables])


def digest_of(layout: Layout, place: tuple[slice, ...], name: str, values: np.ndarray) -> np.ndarray:
    """The digest of one variable of a chunk, `[32]`."""
    made_by = [layout.programs[layout.choice(place)], *(layout.about[part] for part in SURROUNDINGS)]
    digest = hashlib.sha256(json.dumps([*made_by, name]).encode())
    for axis, part in zip(layout.axes, place, strict=True):
        digest.update(f"{axis}:".encode() + bytes_of(layout.labels[axis][part]))
    digest.update(bytes_of(np.asarray(values, layout.variables[name].dtype)))
    return np.frombuffer(digest.digest(), np.uint8)


def has_all(labels: np.ndarray, others: np.ndarray) -> bool:
    """Whether all `others` are among the labels of an axis, and are of the same kind: whole numbers are of one."""
    kinds = {"i" if one.dtype.kind == "u" else one.dtype.kind for one in (labels, others)}
    return labels is others or (len(kinds) == 1 and _exactly(others) <= _exactly(labels))


def grown(before: Layout, layout: Layout) -> Layout:
    """The layout `before` with those labels of the axes of `layout` that it lacks, behind its own."""
    labels = {**layout.labels, **{name: _joined(before.labels[name], layout.labels[name]) for name in layout.axes}}
    stored = before._replace(labels=labels)
    variables = {
        name: own._replace(shape=(*stored.shape, *own.shape[len(layout.axes) :]))
        for name, own in layout.variables.items()
    }
    return stored._replace(variables=variables)


def _joined(kept: np.ndarray, asked: np.ndarray) -> np.ndarray:
    if len(kept) == len(asked):  # then they have the same labels
        return kept
    known = _exactly(kept)
    more = asked[[repr(label) not in known for label in asked.tolist()]]
    if kept.dtype.kind != asked.dtype.kind:  # whole numbers with and without a sign; none has more than 32 bits
        return np.concatenate([kept, more], dtype=np.int64, casting="unsafe")
    return np.concatenate([kept if kept.dtype.kind == "U" else kept.astype(asked.dtype), more])


def _exactly(labels: np.ndarray) -> set[str]:
    """The labels as texts, which tell 0.0 from -0.0 and by which NaN is itself."""
    return set(map(repr, labels.tolist()))


def summary(values: np.ndarray) -> str:
    """The values in a few words."""
    return str(values.tolist()) if values.size <= 6 else f"{values.size} values from {values[0]} to {values[-1]}"


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(bytes_of(values)).hexdigest()


def bytes_of(values: np.ndarray) -> bytes:
    """What an array is, without ambiguity."""
    if values.dtype.kind == "U":
        return json.dumps(values.tolist()).encode()
    return f"{values.dtype.str}{values.shape}".encode() + np.ascontiguousarray(values).tobytes()
