"""One update of a filter at work, in a process of its own: `python -m infilink.filters.online.update FOLDER`.

It learns from the labels that the gate has left in the folder, and writes the state and then the filter, each beside
and then renamed: killed at any time it leaves the filter that is in force, and can be run again.
"""

import os
import sys
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from ..spec import load_filter
from .filter import OnlineFilter, OnlineSettings
from .folder import BEGAN, UPDATE, OnlineFolder
from .labels import Labels, load_labels
from .policies import Mixed
from .restored import restored_network
from .state import load_online, save_online, write_online
from .trainable import trained_rule

_NICENESS = 10


def update(folder: OnlineFolder) -> None:
    """Makes the folder's next filter.

    Raises:
        InvalidInput: something in the folder is not what it should be.
    """
    labels, facts = load_labels(folder.labels)
    online = _online(folder, labels, facts)
    if online.updates < facts["update"]:
        online.absorb(labels.memory.all(), labels.judged())
        save_online(folder.state, online)
    spec, _ = load_filter(Path(facts["filter"]))
    write_online(
        folder.filter,
        online,
        rule=trained_rule(Path(facts["filter"]), spec, spec.parsed_rule),
        models=facts["models"],
        before=spec,
        versions={BEGAN: facts["began"], UPDATE: str(online.updates)},
    )


def _online(folder: OnlineFolder, labels: Labels, facts: dict[str, Any]) -> OnlineFilter:
    """As the last update left it, or as the filter that everything began with has it."""
    if folder.state.is_file():
        online = load_online(folder.state)
        if online.updates not in (facts["update"] - 1, facts["update"]):
            raise InvalidInput(f"{folder.state}: has {online.updates} updates and the filter has not; empty the folder")
        return online
    spec, _ = load_filter(Path(facts["filter"]))
    online = OnlineFilter(Mixed(), OnlineSettings(accuracy=spec.accuracy, step_s=spec.step_s, seed=spec.seed))
    online.network = restored_network(Path(facts["filter"]), labels.memory.all().images)
    return online


def main() -> None:
    """What the process does."""
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    try:
        update(OnlineFolder(Path(sys.argv[1])))
    except InvalidInput as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
