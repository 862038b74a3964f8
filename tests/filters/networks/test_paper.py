"""The paper's networks are as large as the paper says, and take what their modalities prepare."""

import numpy as np
import pytest
import torch
from infilink.errors import InvalidInput
from infilink.filters.modalities import MODALITIES, fit_modality
from infilink.filters.networks.encoders import EncoderNetwork
from infilink.filters.networks.paper import PaperMapEncoder, PaperVectorEncoder, PaperVideoEncoder

from ..arrays import make


@pytest.mark.parametrize(
    ("encoder", "parameters"),
    [
        (PaperMapEncoder(3), 24_687),
        (PaperMapEncoder(1), 24_539),
        (PaperVideoEncoder(5), 121_831),
        (PaperVectorEncoder(128 * 9), 173_585),
    ],
)
def test_the_papers_networks_have_the_published_number_of_parameters(encoder, parameters):
    network = EncoderNetwork(encoder, encoder.FEATURES, plain=True)
    assert sum(each.numel() for each in network.parameters()) == parameters


@pytest.mark.parametrize("net", ["ours", "paper"])
@pytest.mark.parametrize("kind", MODALITIES)
def test_every_modality_has_both_networks(kind, net):
    random = np.random.default_rng(0)
    modality = fit_modality(kind, [make(kind, i % 2, random) for i in range(8)], net=net)
    network = EncoderNetwork(*modality.encoder(), plain=net == "paper").eval()
    prepared = np.stack([modality.prepare(make(kind, label, random)) for label in (0, 1)])
    assert prepared.dtype == np.dtype(modality.dtype)
    with torch.no_grad():
        scores = network(torch.from_numpy(prepared)).numpy()
    assert scores.shape == (2, 1) and ((scores > 0) & (scores < 1)).all()


def test_a_micro_classifier_sits_on_a_map_alone():
    random = np.random.default_rng(0)
    modality = fit_modality("map", [make("map", i % 2, random) for i in range(8)], net="filterforward")
    encoder, features = modality.encoder()
    assert features == 32 and sum(each.numel() for each in encoder.parameters()) == 4 * 32 + 32 + 32 * 32 + 32
    with pytest.raises(InvalidInput, match="--modality map"):
        fit_modality("text", [], net="filterforward")
