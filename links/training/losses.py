"""What the networks of each kind of output are trained with; ours, and those of the MLink paper."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ..encoding import Encoding

_COUNTS_WEIGHT = 0.7

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From predicted vectors (n, length) and the exact ones to one number."""


def loss_of(encoding: Encoding) -> Loss:
    """Soft labels for classes; for boxes their counts before their places; what outliers don't rule for numbers."""
    is_count = torch.from_numpy(encoding.columns < len(encoding.output.classes)).float()
    weights = is_count * _COUNTS_WEIGHT / max(1.0, float(is_count.sum()))
    weights += (1 - is_count) * (1 - _COUNTS_WEIGHT) / max(1.0, float((1 - is_count).sum()))

    def boxes(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return (F.smooth_l1_loss(predicted, wanted, beta=0.3, reduction="none") * weights).sum(dim=1).mean()

    def numbers(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.smooth_l1_loss(predicted, wanted, beta=0.3)

    kind = encoding.output.kind
    return _of_classes(encoding) or (boxes if kind == "boxes" else numbers)


def paper_loss_of(encoding: Encoding) -> Loss:
    """The paper's: cross-entropy on soft labels for classes, MAE for counts and scalars, MSE for the rest.

    Unlike there, numbers are standardised.
    """
    mean_absolute = encoding.output.kind in ("count", "scalar")
    return _of_classes(encoding) or (F.l1_loss if mean_absolute else F.mse_loss)


def sequence_loss(logits: torch.Tensor, ids: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of logits (n, steps, ids) with ids (n, steps), over what `counts` (n, steps), by their number.

    Divided by the true lengths: neither padding nor the batch's longest sequence changes it.
    """
    each = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none").reshape(ids.shape)
    return (each * counts).sum() / counts.sum().clamp(min=1.0)


def _of_classes(encoding: Encoding) -> Loss | None:
    mean, std = torch.from_numpy(encoding.mean), torch.from_numpy(encoding.std)

    def label(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(predicted * std + mean, torch.softmax(wanted * std + mean, dim=1))

    def multilabel(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(predicted * std + mean, torch.sigmoid(wanted * std + mean))

    return {"label": label, "multilabel": multilabel}.get(encoding.output.kind)
