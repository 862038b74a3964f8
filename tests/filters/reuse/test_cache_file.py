"""A cache over a restart, and files that are none of its own."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.reuse.cache import Hit, Miss, ResultCache
from infilink.filters.reuse.cache_file import load_cache, save_cache
from infilink.filters.reuse.store import CacheSettings
from infilink.outputs import OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("car", "bus"))


def new_cache(output=BOXES, version="v1", dims=4, **options) -> ResultCache:
    return ResultCache(output, dims=dims, version=version, gate=0.5, settings=CacheSettings(**options))


def boxes(count: int) -> np.ndarray:
    return np.tile(np.asarray([[0, 0, 0.1, 0.1, 0.9, 1]], np.float32), (count, 1))


@pytest.fixture
def saved(tmp_path):
    cache = new_cache()
    for i in range(6):
        cache.insert(np.full(4, i, np.float32), boxes(i), "v1", 10.0 * i)
    for _ in range(3):
        cache.lookup(np.zeros(4, np.float32), 60.0)
    path = tmp_path / "kept" / "reuse.cache"
    save_cache(path, cache, embedding="e1")
    return path


def test_all_is_there_again_with_its_age_its_uses_and_its_turn(saved):
    cache = new_cache(ttl_s=60.0)
    load_cache(saved, cache, embedding="e1")
    hit = cache.lookup(np.full(4, 3, np.float32), 70.0)
    assert isinstance(hit, Hit) and len(hit.output) == 3 and hit.age_s == 40.0
    assert isinstance(cache.lookup(np.zeros(4, np.float32), 70.0), Miss)
    again = new_cache()
    load_cache(saved, again, embedding="e1")
    assert [entry.uses for entry in again.entries()] == [0, 0, 0, 0, 0, 3]
    assert list(saved.parent.iterdir()) == [saved]


def test_a_smaller_cache_takes_what_was_used_last(saved):
    cache = new_cache(capacity=2)
    load_cache(saved, cache, embedding="e1")
    assert sorted(entry.embedding[0] for entry in cache.entries()) == [0.0, 5.0]


def test_an_empty_one_too(tmp_path):
    save_cache(tmp_path / "c", new_cache(), embedding="e1")
    cache = new_cache()
    load_cache(tmp_path / "c", cache, embedding="e1")
    assert len(cache) == 0


def test_results_of_another_version_of_the_model_stay_out(saved):
    cache = new_cache(version="v2")
    load_cache(saved, cache, embedding="e1")
    assert len(cache) == 0


def test_another_embeddings_file_is_refused(saved):
    with pytest.raises(InvalidInput, match=r"made by the reuse file e1, not by e2; .*delete it"):
        load_cache(saved, new_cache(), embedding="e2")
    with pytest.raises(InvalidInput, match="e1"):
        load_cache(saved, new_cache(dims=5), embedding="e1")


def test_another_models_outputs_are_refused(saved):
    with pytest.raises(InvalidInput, match="holds what this cache can't"):
        load_cache(saved, new_cache(OutputSpec(kind="count")), embedding="e1")


@pytest.mark.parametrize("where", [0.0, 0.1, 0.4, 0.6, 0.9, 0.999])
def test_a_damaged_one_is_refused(saved, where):
    data = bytearray(saved.read_bytes())
    saved.write_bytes(data[: int(len(data) * where)])
    with pytest.raises(InvalidInput, match="damaged or no result cache"):
        load_cache(saved, new_cache(), embedding="e1")


def test_changed_bytes_are_noticed(saved):
    data = bytearray(saved.read_bytes())
    at = data.index(np.full(4, 3, np.float32).tobytes())
    data[at] ^= 1
    saved.write_bytes(data)
    cache = new_cache()
    with pytest.raises(InvalidInput, match="damaged"):
        load_cache(saved, cache, embedding="e1")
    assert len(cache) == 0
