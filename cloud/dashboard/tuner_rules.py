"""Who competes for a question."""

from collections.abc import Mapping

from ...filters.rules.parser import Rule, Unchanged
from .tuner_questions import Question

_QUICK: Mapping[tuple[bool, bool], tuple[str, ...]] = {
    (False, False): ("background", "difference", "age"),
    (True, False): ("blend", "kept-blocks", "age"),
    (True, True): ("blend", "kept-blocks", "age"),
}
"""Who is there in seconds where there is no stem, by whether events are asked for and the rule is `unchanged`."""


def candidates_of(question: Question, rule: Rule, *, stem: bool, pictures: bool) -> tuple[str, ...]:
    """Who competes: of pictures without a stem those that need no network, unless networks are asked for.

    Empty: those that training enters by itself.
    """
    if question.networks or stem or not pictures:
        return ()
    return _QUICK.get((question.aim == "events", isinstance(rule, Unchanged)), ())
