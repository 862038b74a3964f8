"""How far an answer is from the exact output, in the measure in which regions are wide (the nonconformity score)."""

from collections.abc import Sequence

import numpy as np

from ...outputs import Array, OutputSpec

_NARROWEST = 0.1


def forms(output: OutputSpec, values: Sequence[Array] | Array) -> Array:
    """What distances are taken between: float64 (n, classes) or (n, 1); (n, 0) where agreement says it all."""
    if output.kind in ("label", "multilabel", "count", "scalar"):
        return np.asarray(values, np.float64)
    if output.kind == "boxes" and output.measure == "counts":
        return np.asarray([output.counts(value) for value in values], np.float64).reshape(len(values), -1)
    return np.zeros((len(values), 0))


def by_agreement(output: OutputSpec) -> bool:
    """Whether the distance is what lacks to full agreement: vectors, masks, tokens, boxes by where they are."""
    return output.kind in ("vector", "mask", "tokens") or (output.kind == "boxes" and output.measure == "f1")


def spread(confidences: Array | float) -> Array:
    """What a link's residuals are divided by: the less sure it is, the wider its interval."""
    return np.asarray(_NARROWEST + 1.0 - np.clip(confidences, 0.0, 1.0), np.float64)


def distances(output: OutputSpec, answers: Array, exact: Array, agreements: Array, spreads: Array) -> Array:
    """The distance of every answer from its exact output: float64 (n,), 0 the same.

    | kind | distance |
    |---|---|
    | label | by how much the exact class was given less than the first one |
    | multilabel | how far from 0.5 the surest class is that is on the wrong side |
    | count, scalar | the difference, divided by the answer's spread |
    | boxes, by counts | the largest difference of a class's count |
    | others | 1 - agreement |

    Args:
        output: the type of the outputs.
        answers: as `forms` gives them (n, width).
        exact: likewise; one row goes with each of many.
        agreements: of each answer with the exact output (n,).
        spreads: what each answer's residual is divided by (n,).
    """
    if by_agreement(output):
        return np.asarray(1.0 - agreements, np.float64)
    if output.kind == "label":
        best = np.broadcast_to(exact.argmax(axis=1), len(answers))
        return np.asarray(answers.max(axis=1) - answers[np.arange(len(answers)), best])
    if output.kind == "multilabel":
        wrong = (answers >= 0.5) != (exact >= 0.5)
        return np.asarray(np.where(wrong, np.abs(answers - 0.5), 0.0).max(axis=1))
    differences = np.abs(answers - exact).max(axis=1)
    return np.asarray(differences / spreads if output.kind != "boxes" else differences)


def distance(output: OutputSpec, answer: Array, exact: Array, *, agreement: float, spread_of: float) -> float:
    """The same of one answer."""
    one = distances(
        output, forms(output, [answer]), forms(output, [exact]), np.asarray([agreement]), np.asarray([spread_of])
    )
    return float(one[0])
