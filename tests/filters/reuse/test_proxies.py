"""The places of results in the embedding: for the commonest ones, and none where there is nothing to tell apart."""

import numpy as np
import torch
from infilink.filters.reuse.fit import Proxies


def test_the_nearest_place_is_that_of_the_result():
    keys = np.asarray([5, 5, 9, 9, 9, 7])
    embeddings = np.asarray([[0, 0], [0, 2], [8, 8], [8, 9], [8, 10], [4, 4]], np.float32)
    proxies = Proxies(embeddings, keys)
    assert proxies.places.tolist() == [[0, 1], [8, 9]]
    right = proxies.loss(torch.from_numpy(embeddings), keys)
    wrong = proxies.loss(torch.from_numpy(embeddings), np.asarray([9, 9, 5, 5, 5, 7]))
    assert right.item() < 0.01 < wrong.item()


def test_where_there_is_one_result_or_none_is_known_nothing_is_lost():
    embeddings = np.ones((4, 2), np.float32)
    assert Proxies(embeddings, np.zeros(4, int)).loss(torch.ones(4, 2), np.zeros(4, int)).item() == 0
    known = Proxies(embeddings, np.asarray([1, 1, 2, 2]))
    assert known.loss(torch.ones(2, 2), np.asarray([3, 0])).item() == 0
    assert len(Proxies(embeddings, np.arange(4)).places) == 0


def test_only_the_commonest_have_one():
    keys = np.repeat(np.arange(400), np.r_[np.full(200, 2), np.full(200, 3)])
    proxies = Proxies(np.zeros((len(keys), 3), np.float32), keys)
    assert len(proxies.places) == 256
