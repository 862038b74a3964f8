"""An interrupted training goes on as if there had been no interruption."""

from pathlib import Path

import numpy as np
import pytest
import torch
from infilink.filters.training.fit_loop import Checkpoint, Recipe, train
from torch import nn

RECIPE = Recipe(epochs=6, patience=6)


class Line:
    """Learns y = 2x from 64 points."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.x = torch.linspace(-1, 1, 64)[:, None]

    def begin(self, random: np.random.Generator) -> int:
        return 64

    def loss(self, rows: np.ndarray, random: np.random.Generator) -> torch.Tensor:
        noise = torch.from_numpy(random.normal(0, 0.01, (len(rows), 1)).astype(np.float32))
        return ((self.network(self.x[rows]) - 2 * self.x[rows] + noise) ** 2).mean()

    @torch.no_grad()
    def validate(self) -> float:
        return float(((self.network(self.x) - 2 * self.x) ** 2).mean())


def run(checkpoint: Checkpoint | None = None, *, stop_after: int = 99, recipe: Recipe = RECIPE):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 1))

    def told(done: float, _: str) -> None:
        if round(done * recipe.epochs) >= stop_after:
            raise KeyboardInterrupt

    curve = train(
        network,
        Line(network),
        recipe,
        examples=64,
        random=np.random.default_rng(0),
        checkpoint=checkpoint,
        progress=told,
    )
    return curve, network.state_dict()


@pytest.mark.parametrize("one_cycle", [True, False])
def test_it_goes_on_after_an_interruption(tmp_path: Path, one_cycle: bool):
    recipe = Recipe(epochs=6, patience=6, one_cycle=one_cycle)
    checkpoint = Checkpoint(tmp_path / "f.training", "this")
    whole, wanted = run(recipe=recipe)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint, stop_after=3, recipe=recipe)
    curve, found = run(checkpoint, recipe=recipe)
    assert curve == whole and len(curve) == 6
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_what_belongs_to_another_training_or_is_damaged_is_not_gone_on_with(tmp_path: Path):
    path = tmp_path / "f.training"
    with pytest.raises(KeyboardInterrupt):
        run(Checkpoint(path, "another"), stop_after=2)
    whole, _ = run()
    assert run(Checkpoint(path, "this"))[0] == whole
    path.write_bytes(path.read_bytes()[:100])
    assert run(Checkpoint(path, "this"))[0] == whole


def test_it_stops_early_and_keeps_the_best():
    class Worse(Line):
        calls = 0

        def validate(self) -> float:
            self.calls += 1
            return float(self.calls)

    network = nn.Linear(1, 1)
    curve = train(network, Worse(network), Recipe(50, 4), examples=64, random=np.random.default_rng(0))
    assert len(curve) == 5 and not network.training
