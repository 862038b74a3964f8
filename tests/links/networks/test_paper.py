import pytest
import torch
from infilink.links.networks.paper_sequence import UNITS, PaperDecoder, SeqEncoder, VecEncoder
from infilink.links.networks.paper_vector import SeqToVec, VecToVec


def trainable(module: torch.nn.Module) -> int:
    """How many numbers a module learns."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(("source", "target", "count"), [(1, 1, 7), (2, 12, 372), (16, 16, 1_072), (100, 100, 40_300)])
def test_a_link_between_vectors_is_as_large_as_the_papers(source: int, target: int, count: int) -> None:
    assert trainable(VecToVec(source, target)) == count == 2 * target**2 + 2 * source * target + 3 * target


def test_a_link_from_a_sequence_is_as_large_as_the_papers() -> None:
    assert trainable(SeqToVec(5000, 12)) == 125_004


def test_a_link_to_a_sequence_trains_for_any_vocabulary() -> None:
    torch.manual_seed(0)
    for size in (5, 32, 50):
        encoder, decoder = VecEncoder(3, size), PaperDecoder(size)
        memory, there, state = encoder(torch.ones(2, 3))
        assert state.shape == (2, UNITS)
        for token in (size, 0, 1):
            keys = decoder.attention.key(memory)
            logits, state = decoder(memory, keys, there, state, torch.full((2,), token))
            assert logits.shape == (2, size)


def test_a_gru_reads_a_sequence_to_its_end() -> None:
    torch.manual_seed(0)
    encoder = SeqEncoder(9, 4)
    memory, there, state = encoder(torch.tensor([[3, 4, 0, 0], [0, 0, 0, 0]]))
    assert torch.equal(state[0], memory[0, 1])
    assert there.sum(dim=1).tolist() == [2.0, 0.0]
    assert not state[1].any()
