"""What a stream's gate promises, and whether it keeps that: its terms, its live audit, and what it goes on to learn."""

import logging
from collections.abc import Mapping

from ..filters.gates.audit import AuditReport
from ..filters.gates.base import Gate, ModelOutput, Substitute
from ..filters.local.state import Learning, Learnt
from ..filters.serves import can_judge
from ..filters.terms import Terms, terms_of
from ..outputs import Array, OutputSpec
from .auditor import Asked, Auditor

logger = logging.getLogger(__name__)


class Promise:
    """What one stream's gate promises.

    Args:
        gate: the gate.
        name: what the settings call it, for the log.
        audit: the share of unsent inputs that is audited; 0: nothing is.

    Attributes:
        terms: what is promised; None: nothing.
        moved: whether the camera sees something else than what the promise was proven of.
    """

    def __init__(self, gate: Gate, name: str, *, audit: float) -> None:
        self.gate = gate
        self.name = name
        self.share = audit
        self.terms: Terms | None = terms_of(gate)
        self._learning = gate if isinstance(gate, Learning) else None
        self.moved = False
        self._auditor: Auditor | None = None

    @property
    def uncertified(self) -> bool:
        """Whether something is promised that nothing proves."""
        return self.terms is not None and not self._is_certified()

    @property
    def proven(self) -> bool:
        """Whether the audit has proven what the gate's file can't: as it has learnt on, or the camera has moved."""
        return self._changed and self._is_certified()

    def tell(self) -> None:
        """Says what nothing proves."""
        if self.terms is not None and not self.terms.certified:
            logger.warning(
                "%s is NOT certified %s: %s. Its answers are marked as uncalibrated",
                self.name,
                self.terms.text,
                self.terms.reason,
            )

    def audit(
        self, outputs: Mapping[str, OutputSpec], substitutes: Mapping[str, Substitute], *, inputs_stay: bool
    ) -> None:
        """Begins the live audit, if there is something to audit and it can be.

        Args:
            outputs: the coordinator's models.
            substitutes: what the gate answers instead of each.
            inputs_stay: whether no input itself travels, whatever happens.
        """
        if self.terms is None or not self.share:
            return
        if inputs_stay:
            logger.warning('%s: `send = "features"`: no model looks at a frame, so nothing is audited', self.name)
            return
        if not can_judge(self.gate):
            logger.warning(
                "%s: its rule is Python code, so nothing is audited: name its file as `rule_file`", self.name
            )
            return
        learnt = {name: output for name, output in outputs.items() if substitutes[name].confidence}
        self._auditor = Auditor(self.name, self.share, self.terms, self.gate.lost, learnt)

    def take(
        self,
        sequence: int,
        substitutes: Mapping[str, Substitute],
        *,
        kept: bool,
        reference: int | None,
        captured_s: float,
        image: Array,
    ) -> Asked:
        """Takes note of a decision, and draws whether it is audited; the arguments are those of `Auditor.take`."""
        if self._auditor is None:
            return Asked()
        return self._auditor.take(
            sequence, substitutes, kept=kept, reference=reference, captured_s=captured_s, image=image
        )

    def answered(self, sequence: int, values: Mapping[str, Array], exact: Mapping[str, ModelOutput]) -> None:
        """An input's answer came; from the uplink's thread."""
        if self._auditor is not None:
            self._auditor.answered(sequence, values, exact)

    def unanswered(self, sequence: int) -> None:
        """An input will have no answer; from any thread."""
        if self._auditor is not None:
            self._auditor.unanswered(sequence)

    def forget(self) -> None:
        """The camera is not stable: what still waits for its answer shows nothing of the gate."""
        if self._auditor is not None:
            self._auditor.forget()

    def rebase(self, *, first_view: bool) -> None:
        """The camera is stable again and has another view: what was found before says nothing of that.

        Args:
            first_view: whether it sees what it saw when the stream was opened, of which the promise was proven.
        """
        if self._auditor is not None:
            self._auditor.begin_anew()
        self.moved = not first_view

    def report(self) -> AuditReport | None:
        """What the audit has found; None: nothing is audited."""
        return self._auditor.report() if self._auditor is not None else None

    def learnt(self) -> Learnt:
        """What the gate has learnt since it was opened."""
        return Learnt() if self._learning is None else self._learning.learnt()

    def _is_certified(self) -> bool:
        """Whether what the gate promises is proven: by its file, or by the audit where that proves nothing."""
        certified = self.terms is not None and self.terms.certified
        return certified and (not self._changed or (self._auditor is not None and self._auditor.shown))

    @property
    def _changed(self) -> bool:
        """Whether the file's proof is of something else: other weights, or another view."""
        return self.moved or (self._learning is not None and self._learning.changed)
