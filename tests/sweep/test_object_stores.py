"""Stores behind URLs: in memory, and on an S3 server of this machine."""

import sys
import threading

import fsspec
import pytest

from slantgan_jax import sweeps
from slantgan_jax.sweeps import _files, _programs, _store
from tests.sweep.test_integrity import GROWN, assert_same, flipped, make

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("object stores")]


@pytest.fixture(scope="module")
def expected():
    return make(None, chunk_size=None)


@pytest.fixture(scope="module")
def expected_grown():
    return make(None, GROWN, chunk_size=None)


@pytest.fixture(scope="module")
def server():
    """An S3 server with a bucket, to which the environment leads."""
    one = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    one.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*one.get_host_and_port()))
        patch.setenv("AWS_ACCESS_KEY_ID", "anyone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        fsspec.filesystem("s3").mkdir("bucket")
        yield
    one.stop()


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.slow)])
def url(request, tmp_path):
    """A place for a store."""
    if request.param == "s3":
        request.getfixturevalue("server")
    return f"{request.param}://bucket/{tmp_path.name}/s.zarr"


@pytest.fixture
def evaluated(monkeypatch):
    """A list of how many runs were computed at a time."""
    counts, evaluate = [], _programs.evaluate

    def counting(program, arguments, count, *others):
        counts.append(count)
        return evaluate(program, arguments, count, *others)

    monkeypatch.setattr(_programs, "evaluate", counting)
    return counts


def test_a_sweep_is_interrupted_resumed_grown_and_read(url, expected, expected_grown, evaluated, monkeypatch):
    write = _store.write

    def stopping(*arguments):
        if len(evaluated) == 4:
            raise KeyboardInterrupt
        write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(_store, "write", stopping)
        with pytest.raises(KeyboardInterrupt, match="12 of 24 runs saved: call it again"):
            make(url)
    with pytest.raises(ValueError, match=f"{url} is not finished: 3 chunks"):
        sweeps.load(url)
    evaluated.clear()
    assert_same(make(url), expected)
    assert_same(make(url), expected)
    assert sum(evaluated) == 12
    evaluated.clear()
    assert_same(make(url, GROWN), expected_grown)
    assert sum(evaluated) == 8 * 6 - 6 * 4
    ds = sweeps.load(url)
    assert ds.seed.values.tolist() == [*range(6), 20, 7]
    assert_same(ds.sel(seed=GROWN["seed"], rate=GROWN["rate"]), expected_grown)
    with pytest.raises(ValueError, match=r"another sweep \(seed 8 values"):
        make(url)


DAMAGES = {
    "total/c/0/0": "not finished: 1 chunks",
    "digests/chunks/c/0/0/0/0": "not finished: 1 chunks",
    "seed/c/0": r"damaged \(seed/c/0\)",
    "total/zarr.json": r"damaged \(total/zarr.json\)",
}


def test_what_is_damaged_removed_or_exchanged_is_found_and_mended(url, expected):
    make(url)
    files, path = fsspec.core.url_to_fs(url)
    for i, (key, message) in enumerate(DAMAGES.items()):
        if i % 2:
            files.rm_file(f"{path}/{key}")
        else:
            files.pipe_file(f"{path}/{key}", flipped(files.cat_file(f"{path}/{key}")))
        with pytest.raises(ValueError, match=f"{url} is {message}"):
            sweeps.load(url)
        assert_same(make(url), expected)
    one, other = files.cat_file(f"{path}/total/c/0/0"), files.cat_file(f"{path}/total/c/1/0")
    files.pipe({f"{path}/total/c/0/0": other, f"{path}/total/c/1/0": one})
    with pytest.raises(ValueError, match="not finished: 2 chunks"):
        sweeps.load(url)
    assert_same(make(url), expected)
    ds = make(url)
    files.rm_file(f"{path}/total/c/0/0")
    with pytest.raises(OSError, match=f"total/c/0/0 of {url} is not there any more"):
        ds.total.load()
    files.rm_file(f"{path}/zarr.json")
    for use in (sweeps.load, make):
        with pytest.raises(ValueError, match="not a store of a sweep that can be read"):
            use(url)


def test_two_calls_on_one_store_at_once_do_no_harm(url, expected):
    """Their chunks differ, and an object store has no rename that only one of them could win."""
    found, sizes = [], (4, 6)
    threads = [threading.Thread(target=lambda size=size: found.append(make(url, chunk_size=size))) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    for ds in (*found, sweeps.load(url)):
        assert_same(ds, expected)


def test_what_another_process_wrote_is_seen_though_the_folder_was_listed_before(url):
    files, path = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{path}/one", b"1")
    files.ls(path)
    type(files)(skip_instance_cache=True).pipe_file(f"{path}/other", b"2")
    assert _files.read(url, "other") == b"2"


def test_what_a_killed_call_left_does_not_take_the_place(url, expected):
    files, path = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{path}/{'0a' * 16}.partial", b"")
    assert_same(make(url), expected)


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_found_before_any_work(server, monkeypatch):
    monkeypatch.setattr(_programs, "evaluate", lambda *_: pytest.fail("work was done"))
    with pytest.raises(OSError, match="bucket does not exist"):
        make("s3://nowhere/s.zarr", chunk_size=None)


def test_a_url_where_no_store_can_be_is_one_line_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(_programs, "evaluate", lambda *_: pytest.fail("work was done"))
    fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/notes.txt", b"precious")
    with pytest.raises(ValueError, match="not a store of a sweep"):
        make(f"memory://{tmp_path.name}")
    for wrong in ("s3://", "memory:///", "file://"):
        with pytest.raises(ValueError, match="give a path, or a URL"):
            make(wrong)

    def unreachable(*_, **__):
        raise RuntimeError("no\nconnection")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec.get_filesystem_class("memory"), "ls", unreachable)
        with pytest.raises(OSError, match=r"memory://a/s.zarr cannot be reached \(no connection\)"):
            make("memory://a/s.zarr")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gcsfs", None)
        with pytest.raises(ValueError, match=r"store is 'gs://a/s.zarr', but .*gcsfs"):
            make("gs://a/s.zarr")
