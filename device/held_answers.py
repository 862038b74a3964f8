"""The answers of the last input that was looked at, as they stand in for the inputs after it that nobody decoded."""

from collections.abc import Iterable, Mapping

from ..filters.gates.base import Substitute
from .result_rows import ResultRow
from .sources.base import Input


class HeldAnswers:
    """Knows per model what was answered last: by itself on a kept input, or by a substitute."""

    def __init__(self) -> None:
        self._models: tuple[str, ...] = ()
        self._reference: int | None = None
        self._last: dict[str, tuple[Substitute, int | None]] = {}

    def serve(self, models: Iterable[str]) -> None:
        """Takes note of the coordinator's models."""
        self._models = tuple(models)

    def take(self, sequence: int, substitutes: Mapping[str, Substitute], reference: int | None, *, kept: bool) -> None:
        """Takes note of what became of an input that was looked at.

        Args:
            sequence: the input's.
            substitutes: the models that did not run on it, each with what stands in.
            reference: the kept input that these refer to.
            kept: whether the other models run on it.
        """
        if kept:
            self._reference = sequence
        self._last = {model: (each, reference) for model, each in substitutes.items()}

    def rows(self, taken: Input, confidences: Mapping[str, float], *, trusted: bool) -> tuple[ResultRow, ...]:
        """The results of an input that was not decoded; none before anything was answered.

        Args:
            taken: the input.
            confidences: per model, how far held answers were right in calibration.
            trusted: whether that is certified.
        """
        found = []
        for model in self._models:
            substitute, reference = self._last.get(model, (None, self._reference))
            value = None if substitute is None else substitute.value
            if value is None and reference is None:
                continue
            confidence = confidences.get(model, 0.0) * (1.0 if substitute is None else substitute.confidence)
            found.append(
                ResultRow(
                    model=model,
                    sequence=taken.sequence,
                    captured_s=taken.captured_s,
                    origin="reused",
                    confidence=confidence,
                    trusted=trusted and confidence > 0.0 and (substitute is None or substitute.trusted),
                    sources=(),
                    reference=reference if value is None else None,
                    value=value,
                )
            )
        return tuple(found)
