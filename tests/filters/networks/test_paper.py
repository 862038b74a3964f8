"""The paper's networks are as large as the paper says, and take what their modalities prepare."""

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.filters.modalities import fit_modality
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


def test_a_micro_classifier_sits_on_a_map_alone():
    random = np.random.default_rng(0)
    modality = fit_modality("map", [make("map", i % 2, random) for i in range(8)], net="filterforward")
    encoder, features = modality.encoder()
    assert features == 32 and sum(each.numel() for each in encoder.parameters()) == 4 * 32 + 32 + 32 * 32 + 32
    with pytest.raises(InvalidInput, match="--modality map"):
        fit_modality("text", [], net="filterforward")
