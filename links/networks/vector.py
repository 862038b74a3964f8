"""The network of one link, in torch: what each must do, and ours for a target that is a vector."""

from abc import ABC, abstractmethod

import torch
from torch import nn

from ..layout import FeatureLayout

WIDTH = 96
AGREE_WIDTH = 16


class LinkNetwork(nn.Module, ABC):
    """Predicts one target from feature vectors (`FeatureLayout`)."""

    @abstractmethod
    def predict(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What is predicted, one row each, and the probabilities that it agrees with the exact output (n,)."""


class VectorNetwork(LinkNetwork):
    """A network whose target is a vector; a second head says how far to trust it.

    Attributes:
        length: how long the target's vector is.
        agree_hidden: the second head's first layer.
        agree_out: its last one.
    """

    length: int
    agree_hidden: nn.Linear
    agree_out: nn.Linear

    @abstractmethod
    def hidden(self, features: torch.Tensor) -> torch.Tensor:
        """What both heads read."""

    @abstractmethod
    def vector(self, features: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """The predicted vector (n, length)."""

    @abstractmethod
    def agree_logit(self, hidden: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """The log-odds that the predicted output agrees with the exact one (n,)."""

    def predict(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The predicted vectors (n, length) and the probabilities of agreement (n,)."""
        hidden = self.hidden(features)
        vector = self.vector(features, hidden)
        return vector, torch.sigmoid(self.agree_logit(hidden, vector))


class ResidualNetwork(VectorNetwork):
    """Two hidden layers; the output is a gated mix of the last exact output and a prediction.

    It starts from the last exact output and learns when to leave it.

    Args:
        layout: what it reads.
        dropout: share of hidden units dropped in training.
    """

    def __init__(self, layout: FeatureLayout, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.last_at = layout.last_at
        self.length = layout.target_length
        self.first = nn.Linear(layout.size, WIDTH)
        self.second = nn.Linear(WIDTH, WIDTH)
        self.out = nn.Linear(WIDTH, self.length)
        self.gate = nn.Linear(WIDTH, self.length)
        self.agree_hidden = nn.Linear(WIDTH + self.length, AGREE_WIDTH)
        self.agree_out = nn.Linear(AGREE_WIDTH, 1)
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():
            # It begins as holding: the gate open, the prediction near the mean.
            self.gate.weight.mul_(0.1)
            self.gate.bias.fill_(2.0)
            self.out.weight.mul_(0.1)

    def hidden(self, features: torch.Tensor) -> torch.Tensor:
        """The last hidden layer."""
        hidden = self.dropout(torch.relu(self.first(features)))
        last: torch.Tensor = self.dropout(torch.relu(self.second(hidden)))
        return last

    def vector(self, features: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """The predicted vector."""
        last = features[:, self.last_at : self.last_at + self.length]
        mixed: torch.Tensor = self.out(hidden) + torch.sigmoid(self.gate(hidden)) * last
        return mixed

    def agree_logit(self, hidden: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        """The log-odds that the predicted output agrees with the exact one (n,)."""
        both = torch.cat([hidden, vector], dim=1)
        logit: torch.Tensor = self.agree_out(torch.relu(self.agree_hidden(both)))
        return logit[:, 0]
