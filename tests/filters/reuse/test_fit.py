"""What an embedding is trained on: pairs, proxies and outliers; and that its head is a distance."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.filters.networks.encoders import SignalEncoder
from infilink.filters.reuse.fit import PairNetwork, Proxies, draw_batches, draw_hard, draw_outliers, draw_partners

KEYS = st.lists(st.integers(0, 5), min_size=2, max_size=80).map(np.asarray)


@given(KEYS, st.integers(0, 99))
def test_a_partner_has_the_same_result_and_is_another_input(keys, seed):
    partners = draw_partners(keys, np.random.default_rng(seed))
    for i, partner in enumerate(partners):
        if partner < 0:
            assert (keys == keys[i]).sum() == 1
        else:
            assert partner != i and keys[partner] == keys[i]


def test_every_partner_is_as_likely():
    keys, random = np.asarray([0, 1, 0, 1, 0, 0]), np.random.default_rng(0)
    drawn = np.bincount([draw_partners(keys, random)[0] for _ in range(3000)], minlength=6)
    assert drawn[[0, 1, 3]].sum() == 0 and (abs(drawn[[2, 4, 5]] - 1000) < 120).all()


@given(KEYS, st.integers(0, 99))
def test_what_is_mistaken_has_another_result_and_is_nearer_than_by_chance(keys, seed):
    random = np.random.default_rng(seed)
    embeddings = random.normal(0, 1, (len(keys), 4)).astype(np.float32)
    hard = draw_hard(embeddings, keys, random)
    there = hard >= 0
    assert (keys[hard[there]] != keys[there]).all()


def test_what_is_mistaken_is_near():
    random = np.random.default_rng(0)
    embeddings, keys = random.normal(0, 1, (500, 4)).astype(np.float32), random.integers(0, 3, 500)
    hard = draw_hard(embeddings, keys, random)
    by_chance = np.abs(embeddings - embeddings[random.permutation(500)]).sum(axis=1)
    assert np.median(np.abs(embeddings - embeddings[hard]).sum(axis=1)) < 0.6 * np.median(by_chance)


@given(KEYS, st.integers(0, 99))
def test_batches_hold_every_input_and_none_twice(keys, seed):
    embeddings = np.zeros((len(keys), 2), np.float32)
    batches = draw_batches(embeddings, keys, np.random.default_rng(seed))
    assert set(np.concatenate(batches)) == set(range(len(keys)))
    assert all(len(set(rows)) == len(rows) <= 72 for rows in batches)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999))
def test_no_input_is_nearer_to_another_than_to_itself(seed):
    torch.manual_seed(seed)
    network = PairNetwork(SignalEncoder(2), 96, dims=8, scored=False).eval()
    with torch.no_grad():
        network.raw_weights.normal_(0, 5)
        network.bias.normal_(0, 5)
        (embedding,) = network(torch.randn(20, 2, 32))
        logits = network.pair_logits(embedding, embedding)
    assert torch.equal(logits.diagonal(), network.bias.expand(20))
    assert (logits <= network.bias).all()
    distances = np.abs(embedding.numpy()[:, None] - embedding.numpy()[None]).sum(axis=2)
    assert np.allclose(logits.numpy(), float(network.bias.detach()) - distances, atol=1e-3)


def test_it_starts_on_the_border_of_sameness():
    torch.manual_seed(0)
    network = PairNetwork(SignalEncoder(2), 96, dims=8, scored=True).eval()
    inputs = torch.randn(50, 2, 32)
    with torch.no_grad():
        network.start_from(float(torch.pdist(network(inputs)[0], p=1).mean()))
        embedding, score = network(inputs)
        assert abs(float(torch.pdist(embedding, p=1).mean()) - float(network.bias)) < 0.1
    assert score.shape == (50, 1)


def test_outliers_are_of_the_inputs_kind():
    random = np.random.default_rng(0)
    floats = draw_outliers(random.normal(0, 2, (10, 3, 8)).astype(np.float32), 7, random)
    assert floats.shape == (7, 3, 8) and floats.dtype == np.float32 and np.isfinite(floats).all()
    words = draw_outliers(random.integers(0, 50, (10, 8)), 6, random)
    assert words.shape == (6, 8) and words.dtype == np.int64 and words.min() >= 0 and words.max() < 50


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
