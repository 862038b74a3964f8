"""An agent within a program of yours: prints its results as they come, and hands boxes to `supervision` if it is there.

    python -m infilink.examples.results device.toml

Written to be copied: it imports by full names.
"""

import logging
import sys
from pathlib import Path

from infilink.device.agent import Agent
from infilink.device.config import load_config
from infilink.device.sinks.callback import Callback
from infilink.device.sinks.delivered import Delivered
from infilink.errors import Unavailable


def show(delivered: Delivered) -> None:
    """Prints what is known of an input."""
    for said in delivered.results:
        print(f"{delivered.stream} #{delivered.sequence} {said.model}: {said.summary or 'no result yet'}", end=" ")
        print(f"({said.origin}, {said.trust}{', late' if delivered.late else ''})")
        if said.output.kind == "boxes" and delivered.picture is not None:
            try:
                found = said.to_supervision(delivered.picture.width, delivered.picture.height)
            except Unavailable:
                continue  # pip install supervision
            print(f"  areas in pixels: {found.area.round().tolist()}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    Agent(load_config(Path(sys.argv[1])), sinks=[Callback(show, pictures=True)]).run()
