"""The network of one link, in torch: what each must do."""

from abc import ABC, abstractmethod

import torch
from torch import nn

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
