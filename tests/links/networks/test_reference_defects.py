"""What the MLink paper's reference code gets wrong about links, and ours must not: a test for each, by its number.

The numbers are those of the table of defects in the paper's specification; what is not about links is not here.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from infilink.links.networks.paper_sequence import UNITS, PaperDecoder, PaperSequenceNetwork
from infilink.links.networks.paper_vector import PaperNetwork, SeqToVec
from infilink.links.networks.vector import LinkNetwork
from infilink.links.sequences.fit import fit_sequence
from infilink.links.sequences.network import SequenceNetwork, counted
from infilink.links.training.fit import predict, sequence_loss
from infilink.links.training.fit_paper import fit_paper, fit_paper_sequence
from infilink.links.training.judge import Judge
from infilink.links.training.samples import Samples, Situations
from infilink.models.encoding.encoding import Encoding
from infilink.outputs import OutputSpec

Trained = Callable[[str, str], tuple[LinkNetwork, Situations, Path]]
PhraseSamples = Callable[..., Samples]

NETS = pytest.mark.parametrize("net", ["ours", "paper"])
TO_SEQUENCES = pytest.mark.parametrize("kind", ["vec->seq", "seq->seq"])


def features_of(situations: Situations, count: int) -> torch.Tensor:
    draws = situations.draw(np.random.default_rng(3), situations.samples.blocks.report, count)
    return torch.from_numpy(situations.features(draws))


@pytest.mark.parametrize("size", [3, 32, 50])
def test_1_a_sequence_is_decoded_whatever_the_vocabulary(phrase_samples: PhraseSamples, size: int) -> None:
    samples = phrase_samples("reply", ("width",))
    encoding = samples.encodings["reply"]
    assert encoding.tokens is not None
    tokens = replace(encoding.tokens, kept=np.arange(size))
    encodings = {**samples.encodings, "reply": replace(encoding, tokens=tokens)}
    network = PaperSequenceNetwork(Situations(samples, "reply", ids=True).layout, encodings, "reply")
    situations = Situations(samples, "reply", ids=True)
    logits = network.forced(features_of(situations, 4), torch.full((4, 5), 2))
    assert logits.shape == (4, 5, size + 2)


@NETS
@TO_SEQUENCES
def test_2_attention_never_runs_over_the_batch(trained: Trained, net: str, kind: str) -> None:
    network, situations, _ = trained(net, kind)
    assert isinstance(network, SequenceNetwork)
    features, ids = features_of(situations, 6), torch.full((6, 4), 2)
    with torch.no_grad():
        before = network.forced(features, ids)
        features[3] = features[4]
        after = network.forced(features, ids)
    rest = torch.arange(6) != 3
    assert torch.equal(before[rest], after[rest])


def test_3_the_decoder_carries_its_state_from_token_to_token() -> None:
    torch.manual_seed(0)
    decoder = PaperDecoder(6)
    memory, there = torch.zeros(1, 1, UNITS), torch.ones(1, 1)
    reached = []
    for first in (2, 3):
        state = torch.zeros(1, UNITS)
        for token in (first, 4):
            logits, state = decoder(memory, decoder.attention.key(memory), there, state, torch.tensor([token]))
        reached.append(logits)
    # There is nothing to look at: what was said two tokens ago can only be known from the state.
    assert not torch.allclose(reached[0], reached[1])


@NETS
@TO_SEQUENCES
def test_4_the_number_of_inputs_need_not_fit_the_batch(trained: Trained, net: str, kind: str) -> None:
    network, situations, _ = trained(net, kind)
    assert len(situations.samples.blocks.train) % 32 != 0
    everything, _ = predict(network, features_of(situations, 13).numpy())
    parts = [predict(network, part.numpy())[0] for part in torch.split(features_of(situations, 13), 5)]
    assert np.array_equal(everything, np.concatenate(parts))


def test_5_many_links_live_in_one_process(trained: Trained) -> None:
    kinds = {"ours": ("vec->seq", "seq->seq"), "paper": ("vec->seq", "seq->seq", "seq->vec", "vec->vec")}
    for net, own in kinds.items():
        for kind in own:
            network, situations, _ = trained(net, kind)
            assert len(predict(network, features_of(situations, 3).numpy())[0]) == 3


def test_6_a_decoder_can_be_read_and_copies_a_toy_sequence(phrase_samples: PhraseSamples) -> None:
    samples = phrase_samples("reply", ("spoken",), count=240)
    situations, judge = Situations(samples, "reply", ids=True), Judge(samples, "reply")
    # A source of the same vocabulary is copied by a short cut of the network: that takes a few steps to learn.
    network = fit_sequence(situations, judge, seed=0, steps=25)
    report = samples.blocks.report
    draws = situations.fixed(report, np.full(len(report), -1), ("spoken",))
    for width in (1, 3):
        network.decoding = replace(network.decoding, width=width)
        ids, confidence = predict(network, situations.features(draws))
        agreements = judge.linked(ids, draws.inputs, draws.earlier, [("spoken",)] * len(report))
        assert agreements.mean() > 0.9
        assert confidence.mean() == pytest.approx(agreements.mean(), abs=0.2)


def test_6_the_loss_is_divided_by_true_lengths() -> None:
    torch.manual_seed(0)
    ids, logits = torch.tensor([[2, 3, 0], [4, 0, 0]]), torch.randn(2, 3, 6)
    padded_ids, padded = torch.nn.functional.pad(ids, (0, 5)), torch.nn.functional.pad(logits, (0, 0, 0, 5))
    short = sequence_loss(logits, ids, counted(ids))
    assert torch.isclose(short, sequence_loss(padded, padded_ids, counted(padded_ids)))
    assert counted(ids).sum() == 5  # three tokens and two ends
    exact = torch.nn.functional.one_hot(ids, 6) * 50.0
    assert float(sequence_loss(exact, ids, counted(ids))) < 1e-6


@pytest.mark.parametrize("count", [1, 7, 32])
def test_12_a_perfect_mask_scores_1_at_any_batch_size(count: int) -> None:
    spec, rng = OutputSpec(kind="mask"), np.random.default_rng(0)
    masks = [(rng.random((12, 18)) > 0.5).astype(np.float32) for _ in range(count)]
    assert np.mean([spec.agreement(mask, mask) for mask in masks]) == 1.0
    nothing = np.zeros((12, 18), np.float32)
    assert spec.agreement(nothing, nothing) == 1.0


@pytest.mark.parametrize("kind", ["vec->vec", "seq->vec"])
def test_15_the_same_ensemble_serves_any_subset_and_one_source_is_its_link(trained: Trained, kind: str) -> None:
    network, situations, _ = trained("paper", kind)
    assert isinstance(network, PaperNetwork)
    rows = situations.samples.blocks.report[:5]
    with torch.no_grad():
        for index, name in enumerate(network.links):
            draws = situations.fixed(rows, np.full(5, -1), (name,))
            features = torch.from_numpy(situations.features(draws))
            linked = network.linked(features)[:, index]
            assert torch.allclose(network.predict(features)[0], linked, atol=1e-6)
        draws = situations.fixed(rows, np.full(5, -1), situations.sources)
        features = torch.from_numpy(situations.features(draws))
        together = (network.linked(features) * network.weights).sum(dim=1)
        assert torch.allclose(network.predict(features)[0], together, atol=1e-6)


@pytest.mark.parametrize(
    ("net", "target", "source"),
    [("paper", "alarm", "words"), ("paper", "reply", "spoken"), ("ours", "reply", "spoken")],
)
def test_16_and_20_a_seed_gives_the_same_link_and_another_seed_another(
    phrase_samples: PhraseSamples, net: str, target: str, source: str
) -> None:
    samples = phrase_samples(target, (source,), count=80)
    situations, judge = Situations(samples, target, ids=True), Judge(samples, target)

    def fit(seed: int) -> LinkNetwork:
        if net == "paper":
            return (fit_paper if target == "alarm" else fit_paper_sequence)(situations, judge, seed=seed, epochs=1)
        return fit_sequence(situations, judge, seed=seed, steps=25)

    first, again, other = (torch.cat([p.flatten() for p in fit(seed).parameters()]) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_17_padding_does_not_matter_to_a_link_that_reads_a_sequence() -> None:
    torch.manual_seed(0)
    link = SeqToVec(9, 3)
    ids = torch.tensor([[3, 4, 5], [6, 0, 0], [0, 0, 0]])
    with torch.no_grad():
        short, long = link(ids), link(torch.nn.functional.pad(ids, (0, 6)))
        assert torch.allclose(short, long, atol=1e-6)
        # Nor do the other rows: the recurrence is over the tokens, not over the batch.
        assert torch.allclose(link(ids[1:2]), short[1:2], atol=1e-6)


@NETS
@TO_SEQUENCES
def test_17_what_lies_behind_the_end_does_not_matter(trained: Trained, net: str, kind: str) -> None:
    network, situations, _ = trained(net, kind)
    assert isinstance(network, SequenceNetwork)
    features, ids = features_of(situations, 4), torch.tensor([[2, 3, 0, 0]] * 4)
    longer = torch.nn.functional.pad(ids, (0, 1))
    with torch.no_grad():
        assert torch.allclose(network.forced(features, ids), network.forced(features, longer)[:, :4], atol=1e-5)


def test_18_all_four_types_are_there_and_numbers_too(trained: Trained, phrase_samples: PhraseSamples) -> None:
    for kind in ("vec->vec", "seq->vec", "vec->seq", "seq->seq"):
        assert trained("paper", kind)[2].is_file()
    samples = phrase_samples("width", ("words", "alarm"), count=80)
    situations = Situations(samples, "width", ids=True)
    torch.manual_seed(0)
    network = PaperNetwork(situations.layout, samples.encodings, "width")
    vectors, _ = predict(network, features_of(situations, 40).numpy() * 10.0)
    # Linear, so below the mean as well as above it.
    assert vectors.min() < 0.0 < vectors.max()


def test_20_the_unit_a_number_is_in_makes_no_difference() -> None:
    numbers = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
    spec = OutputSpec(kind="scalar")
    plain = Encoding.fit(spec, list(numbers))
    scaled = Encoding.fit(spec, list(numbers * 1000 + 5000))
    for value in numbers[:9]:
        assert np.allclose(plain.encode(value), scaled.encode(value * 1000 + 5000), atol=1e-3)
        assert abs(float(plain.encode(value)[0])) < 5.0
