"""No altered byte of a store is read as a result, and no result has the labels of another sweep."""

import contextlib
import functools
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

from slantgan_jax import folders, sweep, sweeps
from slantgan_jax.sweeps import _programs

pytestmark = pytest.mark.slow

AXES = {"seed": range(6), "rate": [0.1, 0.2, 0.3, 0.4]}


def run(key, rate):
    numbers = jax.random.normal(key, (3,)) * rate
    return {"numbers": numbers, "total": numbers.sum(), "positive": numbers.sum() > 0}


def make(store, axes=AXES, function=run, **options):
    options = {"dims": {"numbers": ("place",)}, "chunk_size": 4, "attrs": {"total": {"units": "1"}}} | options
    return sweep(function, axes, store=store, **options)


def assert_same(one, other):
    assert set(one.variables) == set(other.variables)
    for name in ("numbers", "total", "positive"):
        assert one[name].dtype == other[name].dtype
        assert one[name].values.tobytes() == other[name].values.tobytes(), name


@pytest.fixture(scope="module")
def expected():
    return make(None, chunk_size=None)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A finished store, and one of another sweep of the same shape."""
    folder = tmp_path_factory.mktemp("original")
    make(folder / "s.zarr")
    make(folder / "other.zarr", {"seed": range(6, 12), "rate": AXES["rate"]})
    return folder


@pytest.fixture
def store(original, tmp_path):
    shutil.copytree(original / "s.zarr", tmp_path / "s.zarr")
    return tmp_path / "s.zarr"


def found_or_harmless(store, expected, axes=AXES):
    """`load` refuses what was edited or gives the right numbers; a new call gives them, or leaves all as it is."""
    messages = []
    for call in (lambda: sweeps.load(store), lambda: make(store, axes)):
        try:
            assert_same(call(), expected)
        except ValueError as error:
            messages.append(str(error))
    assert all(str(store) in message for message in messages)
    if len(messages) < 2:
        assert_same(sweeps.load(store), expected)


def truncated(data):
    return data[: len(data) // 2]


def flipped(data):
    return data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


@pytest.mark.slow
def test_every_file_may_be_cut_short_altered_emptied_or_removed(tmp_path):
    store, axes = tmp_path / "s.zarr", {"seed": range(2), "rate": [0.1, 0.2]}
    expected = make(store, axes, chunk_size=2).load()
    files = sorted(file for file in store.rglob("*") if file.is_file())
    assert len(files) > 15
    for file in files:
        data = file.read_bytes()
        for edit in (truncated, flipped, lambda _: b"", None):
            if edit is None:
                file.unlink()
            else:
                file.write_bytes(edit(data))
            found_or_harmless(store, expected, axes)
            file.write_bytes(data)
    assert_same(sweeps.load(store), expected)


@pytest.mark.parametrize(
    "move",
    [
        ("total/c/0/0", "total/c/1/0"),
        ("numbers/c/0/0/0", "numbers/c/3/0/0"),
        ("digests/chunks/c/0/0/0/0", "digests/chunks/c/1/0/0/0"),
    ],
)
def test_a_chunk_in_a_wrong_place_is_computed_again(store, expected, move):
    one, other = (store / name for name in move)
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    with pytest.raises(ValueError, match="not finished: 2 chunks"):
        sweeps.load(store)
    assert_same(make(store), expected)


@pytest.mark.parametrize("part", ["total/c/0/0", "total", "digests", "numbers", "seed", "zarr.json"])
def test_what_was_copied_from_another_sweep_is_found(store, original, expected, part):
    source, target = original / "other.zarr" / part, store / part
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    with pytest.raises(ValueError, match=r"damaged|not finished"):
        sweeps.load(store)
    found_or_harmless(store, expected)


EXTRAS = {
    "a copy of an array": lambda store: shutil.copytree(store / "total", store / "total2"),
    "an array of another store": lambda store: shutil.copytree(store.parent / "o.zarr/seed", store / "place"),
    "a whole store": lambda store: shutil.copytree(store.parent / "o.zarr", store / "inner"),
    "an array of another size": lambda store: zarr.open_group(store).create_array(
        "mine", shape=(9,), dtype="f4", dimension_names=["seed"]
    ),
    "an array without dimensions": lambda store: zarr.open_group(store).create_array("mine", shape=(9,), dtype="f4"),
    "a renamed array": lambda store: (store / "total").rename(store / "totals"),
    "notes": lambda store: (store / "notes.txt").write_text("mine"),
    "an earlier version of Zarr": lambda store: (store / ".zgroup").write_text('{"zarr_format": 2}'),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_what_somebody_else_puts_into_a_store_is_no_part_of_the_result(store, original, expected, name):
    shutil.copytree(original / "other.zarr", store.parent / "o.zarr")
    EXTRAS[name](store)
    if name == "a renamed array":
        with pytest.raises(ValueError, match="damaged"):
            sweeps.load(store)
    else:
        assert_same(sweeps.load(store), expected)
    assert_same(make(store), expected)
    assert_same(sweeps.load(store), expected)


@pytest.mark.parametrize("place", ["total", "total/c", "total/c/0", "seed", "digests", "digests/chunks"])
@pytest.mark.parametrize("what", ["file", "link", "broken link", "loop"])
def test_what_is_in_the_place_of_a_folder_is_named_and_nothing_is_written_through_it(store, original, place, what):
    """A link leads to another store, which is left as it was."""
    shutil.copytree(original / "other.zarr", store.parent / "o.zarr")
    before = {path: path.read_bytes() for path in store.parent.glob("o.zarr/**/*") if path.is_file()}
    shutil.rmtree(store / place)
    if what == "file":
        (store / place).write_text("mine")
    else:
        target = {"link": store.parent / "o.zarr" / place, "broken link": "nowhere", "loop": store / place}[what]
        (store / place).symlink_to(target)
    with pytest.raises(ValueError, match=r"damaged|not finished"):
        sweeps.load(store)
    with pytest.raises(ValueError, match=rf"{store / place} is a (file|link), and the store needs a folder there"):
        make(store)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("place", ["total/c/0/0", "seed/c/0", "total/zarr.json"])
def test_a_folder_in_the_place_of_a_file_is_named(store, expected, place):
    (store / place).unlink()
    (store / place).mkdir()
    with pytest.raises(ValueError, match=r"damaged|not finished"):
        sweeps.load(store)
    with pytest.raises(ValueError, match=rf"{store / place} is a folder, and the store needs a file there"):
        make(store)
    (store / place).rmdir()
    assert_same(make(store), expected)


METADATA = {
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 2]}},
    "data_type": "int32",
    "fill_value": 1.0,
    "shape": [6, 3],
    "dimension_names": ["rate", "seed"],
    "codecs": [{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "crc32c"}],
    "attributes": {"scale_factor": 2.0, "_FillValue": 0.0, "units": "2"},
}


@pytest.mark.parametrize("field", METADATA)
@pytest.mark.parametrize("name", ["total", "seed"])
def test_edited_metadata_is_found_and_mended(store, expected, field, name):
    file = store / name / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: METADATA[field]}))
    with pytest.raises(ValueError, match=f"damaged \\({name}/zarr.json\\)"):
        sweeps.load(store)
    assert_same(make(store), expected)
    assert_same(sweeps.load(store), expected)


@pytest.mark.parametrize("first, then", [([0], [5]), ([5], [0]), ([False], [True]), ([0.0], [1.0])])
def test_labels_that_equal_a_fill_value_are_labels(tmp_path, first, then):
    axis = "seed" if isinstance(first[0], int) and not isinstance(first[0], bool) else "number"
    function = (lambda key: {"x": jax.random.uniform(key)}) if axis == "seed" else lambda number: {"x": number * 1.0}
    one = sweep(function, {axis: first}, store=tmp_path / "s.zarr")
    with pytest.raises(ValueError, match=rf"another sweep \({axis} "):
        sweep(function, {axis: then}, store=tmp_path / "s.zarr")
    again = sweeps.load(tmp_path / "s.zarr")
    assert again[axis].values.tolist() == first
    assert again.x.values.tobytes() == one.x.values.tobytes()


def test_the_place_of_a_result_does_not_depend_on_the_working_folder(tmp_path, monkeypatch, expected):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    ds = make("s.zarr")
    monkeypatch.chdir("elsewhere")
    assert_same(ds, expected)


def test_a_chunk_that_is_removed_after_the_sweep_is_an_error_and_no_number(store):
    ds = make(store)
    (store / "total/c/0/0").unlink()
    with pytest.raises(OSError, match="not there any more"):
        ds.total.load()


def test_a_result_that_is_open_has_no_numbers_of_another_sweep(store, original, expected):
    ds, part = make(store), make(store)
    shutil.copy(original / "other.zarr/total/c/1/0", store / "total/c/1/0")
    with pytest.raises(OSError, match=r"total/c/1/0 of .* is not what it was any more"):
        ds.total.load()
    shutil.rmtree(store)
    make(store, function=lambda key, rate: run(key, 2 * rate))
    with pytest.raises(OSError, match="is not what it was any more"):
        part.numbers.load()


@pytest.mark.parametrize("name", ["missing_value", "_FillValue", "scale_factor", "add_offset", "dtype"])
def test_attributes_by_which_readers_would_change_numbers_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}', by which readers would change numbers"):
        make(tmp_path / "s.zarr", attrs={"total": {name: 1.0}})
    assert not list(tmp_path.iterdir())


def test_units_of_time_are_not_decoded(tmp_path):
    ds = make(tmp_path / "s.zarr", attrs={"total": {"units": "seconds"}})
    assert ds.total.dtype == np.float32


@pytest.mark.parametrize("name", ["total", "rate"])
@pytest.mark.parametrize("units", ["days since 2000-01-01", "steps since the start", "insincere"])
def test_units_that_readers_take_for_dates_are_refused(tmp_path, name, units):
    """The reader is xarray, without this library."""
    make(tmp_path / "s.zarr")
    plain = zarr.open_group(tmp_path / "s.zarr")
    plain[name].attrs["units"] = units
    with contextlib.suppress(ValueError):
        assert xr.open_dataset(tmp_path / "s.zarr", engine="zarr", consolidated=False)[name].dtype.kind == "M"
    with pytest.raises(ValueError, match=f"attrs of '{name}' has units of '{units}', which readers take for dates"):
        make(tmp_path / "t.zarr", attrs={name: {"units": units}})


GROWN = {"seed": [*range(6), 20, 7], "rate": [0.05, *AXES["rate"], 0.9]}


def test_a_store_grows_and_computes_only_what_is_new(store, expected):
    computed = []

    def counted(key, rate):
        return run(key, rate)

    one = make(store.with_name("g.zarr"), AXES, counted)
    start = _programs.evaluate
    _programs.evaluate = lambda program, arguments, count, *others: (
        computed.append(count),
        start(program, arguments, count, *others),
    )[1]
    try:
        grown = make(store.with_name("g.zarr"), GROWN, counted)
    finally:
        _programs.evaluate = start
    assert sum(computed) == 8 * 6 - 6 * 4
    assert_same(one, expected)
    assert_same(grown, make(None, GROWN, counted, chunk_size=None))
    assert grown.rate.values.tolist() == GROWN["rate"]
    assert_same(make(store.with_name("g.zarr"), GROWN, counted), grown)
    with pytest.raises(ValueError, match="seed 8 values from 0 to 7, now"):
        make(store.with_name("g.zarr"), AXES, counted)


def test_a_store_whose_growth_was_interrupted_is_mended(store, monkeypatch, expected):
    writes, start = [], sweeps._files.write

    def killed(where, key, data):
        if len(writes) == 2:
            raise KeyboardInterrupt
        writes.append(key)
        start(where, key, data)

    with monkeypatch.context() as patch:
        patch.setattr(sweeps._files, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            make(store, GROWN)
    assert writes[0] == "zarr.json"
    with pytest.raises(ValueError, match="damaged"):
        sweeps.load(store)
    assert_same(make(store, GROWN), make(None, GROWN, chunk_size=None))


@pytest.mark.parametrize("moment", ["while it looks", "while it computes"])
def test_of_two_calls_that_grow_a_store_at_once_one_is_refused(store, tmp_path, monkeypatch, moment):
    """The other call grows the store and ends after this one has looked at it, or after this one has grown it."""
    mine, others = ({"seed": [*range(6), new], "rate": AXES["rate"]} for new in (20, 21))
    shutil.copytree(store, tmp_path / "other.zarr")
    make(tmp_path / "other.zarr", others)
    module, name = (sweeps._store._layout, "grown") if moment == "while it looks" else (_programs, "evaluate")
    calls, start = [], getattr(module, name)

    def after_the_other(*arguments):
        if not calls:
            shutil.copytree(tmp_path / "other.zarr", store, dirs_exist_ok=True)
        calls.append(1)
        return start(*arguments)

    monkeypatch.setattr(module, name, after_the_other)
    with pytest.raises(ValueError, match=r"another sweep \(seed 7 values from 0 to 21, now 7 values from 0 to 20\)"):
        make(store, mine)
    assert_same(sweeps.load(store), make(None, others, chunk_size=None))


def test_a_call_with_other_attributes_at_the_same_time_does_no_harm(store, expected, monkeypatch):
    calls, start = [], _programs.evaluate

    def while_another_call_ends(*arguments):
        calls.append(1)
        if len(calls) == 1:
            make(store, attrs={"total": {"units": "2"}})
        return start(*arguments)

    (store / "total/c/0/0").unlink()
    monkeypatch.setattr(_programs, "evaluate", while_another_call_ends)
    assert_same(make(store), expected)
    assert len(calls) == 2


@pytest.mark.parametrize(
    "first, then, dtype",
    [
        ([0.0, np.nan], [1.0, np.nan, 0.0], np.float32),
        (np.array([0, 1], np.int32), np.array([1, 0, 2]), np.int64),
        (np.array([0, 1], np.uint64), np.array([1, 0, 2]), np.uint32),
    ],
)
def test_a_store_grows_by_what_its_labels_are(tmp_path, monkeypatch, first, then, dtype):
    """Whatever their type and their order; 0.0 is not -0.0, and NaN is NaN."""
    counts, start = [], _programs.evaluate
    monkeypatch.setattr(_programs, "evaluate", lambda *given: counts.append(given[2]) or start(*given))
    for axis, new in ((first, 2), (first[::-1], 0), (then, 1), (np.asarray(then, dtype), 0)):
        counts.clear()
        ds = sweep(lambda x: {"y": x * 2}, {"x": axis}, store=tmp_path / "s.zarr", chunk_size=1)
        np.testing.assert_array_equal(ds.y, np.asarray(axis) * 2)
        assert sum(counts) == new
    with pytest.raises(ValueError, match="another sweep"):
        sweep(lambda x: {"y": x * 2}, {"x": [-0.0, 1.0, np.nan]}, store=tmp_path / "s.zarr")


@pytest.mark.parametrize("dtype", [">f8", ">i4", ">U3"])
def test_labels_of_another_order_of_bytes_are_those_of_this_machine(tmp_path, dtype):
    values = ["a", "bb"] if dtype == ">U3" else [1, 2]
    axes, coords = {"a": np.array(values, dtype)}, {"k": np.array(values, dtype)}

    def doubled(a):
        return {"x": jnp.ones(2) * (len(a) if isinstance(a, str) else a)}

    for store in (tmp_path / "s.zarr", tmp_path / "s.zarr", None):
        ds = sweep(doubled, axes, dims={"x": ("k",)}, coords=coords, store=store)
        assert ds.x.values.tolist() == [[1, 1], [2, 2]]
    ds = sweeps.load(tmp_path / "s.zarr")
    assert ds.a.values.tolist() == ds.k.values.tolist() == values
    assert ds.x.values.tolist() == [[1, 1], [2, 2]]


TEXTS = {
    "a list": ["a", "bb"],
    "an array": np.array(["a", "bb"]),
    "objects": np.array(["a", "bb"], object),
    "NumPy's strings": np.array(["a", "bb"], np.dtypes.StringDType()),
    "labeled": xr.DataArray(["a", "bb"], dims="name"),
    "an index": pd.Index(["a", "bb"]),
    "an index of objects": pd.Index(["a", "bb"], dtype=object),
    "a series": pd.Series(["a", "bb"], index=[5, 6]),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_an_axis_of_texts_may_be_any_array(kind):
    found = sweep(lambda name: {"x": jnp.asarray(len(name))}, {"name": TEXTS[kind]})
    assert found.x.to_series().to_dict() == {"a": 1, "bb": 2}


def test_a_static_name_is_no_list_of_letters():
    """Of one text only the axis of exactly that name is static."""
    numbers = []

    def run(steps, step):
        numbers.append(steps)
        return {"x": jnp.ones(()) * steps * step}

    found = sweep(run, {"steps": [1, 2], "step": [1.0, 2.0, 4.0]}, static="steps")
    assert found.attrs["program"] == "2 programs"
    assert found.x.values.tolist() == [[1, 2, 4], [2, 4, 8]]
    assert numbers == [1, 2]


def test_each_program_is_compiled_once_however_many_there_are(tmp_path):
    def run(rate, n):
        return {"x": rate * n}

    _programs._compiled.cache_clear()
    sweep(run, {"rate": np.arange(1.0, 5.0), "n": range(1, 41)}, static="n", store=tmp_path / "s.zarr", chunk_size=2)
    assert _programs._compiled.cache_info().misses == 40


def test_a_disk_that_is_full_while_a_store_grows_is_one_line(store, monkeypatch):
    def full(where, key, data):
        raise OSError(28, "No space left on device", key)

    with monkeypatch.context() as patch:
        patch.setattr(sweeps._files, "write", full)
        with pytest.raises(OSError, match="No space left") as caught:
            make(store, GROWN)
    assert str(caught.value).startswith(f"{store} cannot be written (No space left on device: zarr.json): finished")
    assert len(make(store, GROWN).seed) == len(GROWN["seed"])


def test_choices_and_static_numbers_are_axes(tmp_path):
    def trained(key, method, steps, rate):
        numbers = jnp.stack([jax.random.uniform(jax.random.fold_in(key, i)) for i in range(steps)])
        return {"x": (numbers.sum() if method == "sum" else numbers.max()) * rate}

    axes = {"method": ["sum", "largest"], "seed": range(3), "steps": [1, 4], "rate": [1.0, 2.0]}
    ds = sweep(trained, axes, static=["steps"])
    stored = sweep(trained, axes, static=["steps"], store=tmp_path / "s.zarr", chunk_size=2)
    assert ds.x.dims == ("method", "seed", "steps", "rate")
    assert stored.x.values.tobytes() == ds.x.values.tobytes()
    whole = sweep(trained, axes, static=["steps"], store=tmp_path / "w.zarr")
    assert whole.x.values.tobytes() == ds.x.values.tobytes()
    np.testing.assert_allclose(ds.x.sel(rate=2.0), 2 * ds.x.sel(rate=1.0))
    one = jax.jit(functools.partial(trained, method="sum", steps=4))(jax.random.key(2), rate=jnp.float32(1))["x"]
    np.testing.assert_allclose(ds.x.sel({"method": "sum", "steps": 4, "seed": 2, "rate": 1.0}), one, rtol=1e-6)
    more = {**axes, "method": ["mean", "sum", "largest"]}
    grown = sweep(trained, more, static=["steps"], store=tmp_path / "s.zarr")
    assert grown["method"].values.tolist() == more["method"]
    assert grown.x.sel({"method": ["sum", "largest"]}).values.tobytes() == ds.x.values.tobytes()
    assert sweeps.load(tmp_path / "s.zarr")["method"].values.tolist() == ["sum", "largest", "mean"]
    with pytest.raises(ValueError, match="all choices have to return the same names"):
        sweep(lambda method: {method: jnp.ones(())}, {"method": ["a", "b"]})
    with pytest.raises(ValueError, match="static names 'step', which is no axis"):
        sweep(trained, axes, static=["step"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": {"method": ["b"], "n": [1, 2]}}, r"\(method \['a', 'b'\], now \['b'\]\).*a store only grows"),
        ({"axes": {"method": ["a", "b"], "n": [2]}}, r"\(n \[1, 2\], now \[2\]\)"),
        ({"axes": {"method": ["c"], "n": [1.0]}}, r"\(method \['a', 'b'\], now \['c'\]; n \[1, 2\], now \[1.0\]\)"),
        ({"static": []}, r"\(static axes method, n, now method\)"),
        ({"factor": 3.0}, r"\(another program: the code of the run"),
    ],
)
def test_a_choice_that_is_missing_is_a_label_that_is_missing(tmp_path, change, message):
    def swept(axes, static=("n",), factor=2.0):
        run = lambda method, n: {"x": jnp.ones(()) * n * factor * (method == "a")}  # noqa: E731
        return sweep(run, axes, static=static, store=tmp_path / "s.zarr")

    axes = {"method": ["a", "b"], "n": [1, 2]}
    swept(axes)
    with pytest.raises(ValueError, match=message):
        swept(**({"axes": axes} | change))


MANY = [f"argument_{i}" for i in range(20)]


@pytest.mark.parametrize(
    ("first", "then", "difference"),
    [
        (
            {},
            {"argument_15": 7.0},
            r"\(\.\.\. argument_15=1.0, argument_16=.*, now \.\.\. argument_15=7.0, argument_16=",
        ),
        ({}, {"argument_19": 7.0}, r"\(\.\.\. argument_19=1.0\), now \.\.\. argument_19=7.0\)"),
        (
            {"rate": np.arange(6) + 1 / 3},
            {"rate": np.arange(5) + 1 / 3},
            r"5.333333333333333\], now \.\.\. 4.333333333333333\]",
        ),
    ],
)
def test_a_difference_between_long_texts_is_in_sight(tmp_path, first, then, difference):
    def swept(rate=(1.0, 2.0), **changed):
        run = functools.partial(lambda rate, **numbers: {"x": rate * sum(numbers.values())}, **dict.fromkeys(MANY, 1.0))
        return sweep(functools.partial(run, **changed), {"rate": rate}, store=tmp_path / "s.zarr")

    swept(**first)
    with pytest.raises(ValueError, match=difference) as caught:
        swept(**then)
    assert len(str(caught.value)) < 500


def test_object_stores_and_homes(tmp_path, monkeypatch, expected):
    url = f"memory://{tmp_path.name}/s.zarr"
    assert_same(make(url), expected)
    assert_same(make(url), expected)
    assert_same(sweeps.load(url), expected)
    monkeypatch.setenv("HOME", str(tmp_path))
    make("~/s.zarr")
    make(f"file://{tmp_path}/t.zarr")
    assert {file.name for file in tmp_path.iterdir()} == {"s.zarr", "t.zarr"}
    for wrong in ("nowhere://s", ""):
        with pytest.raises(ValueError, match="store is"):
            make(wrong)


@pytest.mark.parametrize(
    "name", ["a\\b", "a/b", "", "_x", ".", "..", "digests", "a\nb", "zarr.json", "a.partial", "n" * 101]
)
@pytest.mark.parametrize("kind", ["result", "dimension"])
def test_names_that_cannot_be_kept_are_refused(name, kind):
    result, dim = (name, "place") if kind == "result" else ("numbers", name)
    with pytest.raises(ValueError, match=r"cannot be kept|is taken by every store"):
        sweep(lambda rate: {result: rate * jnp.ones(3)}, {"rate": [1.0]}, dims={result: (dim,)})


@pytest.mark.parametrize(
    "options", [{"dims": {"numbers": ("place",), "number": ()}}, {"attrs": {"rates": {}}}, {"coords": {"q": [1]}}]
)
def test_names_of_nothing_are_refused(options):
    with pytest.raises(ValueError, match="is none of"):
        make(None, **options)


def test_modes_of_a_store_are_those_of_any_folder(tmp_path):
    make(tmp_path / "s.zarr")
    (tmp_path / "any").mkdir()
    assert (tmp_path / "s.zarr").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_what_killed_writers_left_is_removed(store, tmp_path, monkeypatch):
    dead, partial = tmp_path / ".s.zarr-0123456789ab.unfinished", store / f"total/c/0/0.{'0a' * 16}.partial"
    notes, folder = store / "notes.partial", store / "total" / f"mine.{'0a' * 16}.partial"
    dead.mkdir()
    folder.mkdir()
    notes.write_text("somebody's")
    monkeypatch.setattr(folders, "YOUNGEST_DEAD", -1.0)
    partial.write_bytes(b"half")
    make(store)
    make(tmp_path / "t.zarr")
    assert not partial.exists()
    assert folder.is_dir()
    assert notes.read_text() == "somebody's"
    shutil.rmtree(store)
    make(store)
    assert {file.name for file in tmp_path.iterdir()} == {"s.zarr", "t.zarr"}


def test_a_dataset_can_be_written_as_netcdf(tmp_path):
    ds = make(tmp_path / "s.zarr")
    ds.to_netcdf(tmp_path / "s.nc")
    assert (tmp_path / "s.nc").stat().st_size


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.uint8, str])
def test_labels_of_every_type_are_kept_as_they_are_while_a_store_grows(tmp_path, dtype):
    def function(label):
        return {"x": jnp.ones(()) * (len(label) if isinstance(label, str) else label)}

    first, more = np.array([3, 1], dtype), np.array([20, 1, 3], dtype)
    sweep(function, {"label": first}, store=tmp_path / "s.zarr", chunk_size=1)
    before = {path: path.read_bytes() for path in (tmp_path / "s.zarr/x/c").iterdir()}
    ds = sweep(function, {"label": more}, store=tmp_path / "s.zarr")
    assert ds.label.values.tolist() == more.tolist()
    assert ds.x.values.tolist() == ([2, 1, 1] if dtype is str else [20, 1, 3])
    assert {path: path.read_bytes() for path in before} == before
    if dtype in (np.int32, np.int64):
        with pytest.raises(ValueError, match="another sweep"):
            sweep(function, {"label": [*more.tolist(), 2.5]}, store=tmp_path / "s.zarr")


@pytest.mark.parametrize("at", [0, 3])
def test_a_store_that_is_removed_while_it_is_written_is_one_line(tmp_path, monkeypatch, at):
    calls, start = [], sweeps._store.write

    def removing(*arguments):
        calls.append(1)
        if len(calls) == at + 1:
            shutil.rmtree(tmp_path / "s.zarr")
        start(*arguments)

    monkeypatch.setattr(sweeps._store, "write", removing)
    with pytest.raises(OSError, match=rf"s.zarr cannot be written .*; {4 * at} of 24 runs are saved") as caught:
        make(tmp_path / "s.zarr")
    assert "\n" not in str(caught.value)


def test_a_place_where_no_store_can_be_is_found_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setattr(_programs, "evaluate", lambda *_: pytest.fail("work was done"))
    with pytest.raises(ValueError, match="cannot be made"):
        make(tmp_path / "file" / "s.zarr", chunk_size=None)
    for name in ("link", "loop"):
        with pytest.raises(ValueError, match=f"{name} is a link that leads nowhere"):
            make(tmp_path / name, chunk_size=None)
