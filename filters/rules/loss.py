"""The one loss: what is lost on an input whose models did not run, by the rule. NumPy only.

Training, certificate, evaluation, live audit and learning at work all use it.
"""

from collections.abc import Mapping

from ...outputs import Array, OutputSpec
from .parser import Rule, Unchanged


def rule_loss(
    rule: Rule, answers: Mapping[str, Array | None], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
) -> float:
    """What is lost on an input, from 0 to 1.

    For a rule on one output it is the share of the models whose output was needed and that did not run, whatever
    answered instead: an input may hold other things than the rule's answer says, if the rule did not need it. For
    `unchanged` it is one minus the mean agreement of the answers (or, with a bar, 1 if that is below the bar).

    Args:
        rule: what is redundant.
        answers: what stood in for the models that did not run; None: nothing did.
        exact: what all the models say of the input themselves, those that ran too.
        outputs: the models' output specs.

    Raises:
        InvalidInput: the rule is Python code that fails, or that nobody allowed to run.
    """
    if not exact:
        return 0.0
    if not isinstance(rule, Unchanged):
        return sum(not rule.redundant(exact[model], outputs[model]) for model in answers) / len(exact)
    agreed = float(len(exact.keys() - answers.keys()))
    for model, answer in answers.items():
        agreed += 0.0 if answer is None else rule.agreement(answer, exact[model], outputs[model])
    return float(rule.loss(agreed / len(exact)))
