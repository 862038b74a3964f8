"""The process that trains and judges for the tuner: it reads one question, tells how far it is, and answers once.

`python -m infilink.cloud.dashboard.tuner_work`, a question as one line of JSON on its standard input; on its standard
output a line `{"done": share, "doing": words}` now and then, and at the end `{"answer": ...}` or `{"error": words}`. It
ends when its standard input does.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from ...errors import InfilinkError, NotCertified
from ...reporting import Progress
from .tuner_questions import Asked, Compare, Make

_NICE = 10
_TELL_EVERY_S = 0.25
_IN_A_TERMINAL = ", or have it without a proof"
_FIRST_TO_GO = "800"
"""Where memory ends, the system ends this process before the coordinator (from -1000 to 1000)."""


def main() -> None:
    """Reads a question and answers it."""
    out = _own_output()
    os.nice(_NICE)
    with suppress(OSError):  # Linux alone has it.
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    line = sys.stdin.readline()
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        asked = Asked.model_validate_json(line)
        told: dict[str, Any] = {"answer": answer(asked, _teller(out))}
    except NotCertified as error:
        # How a terminal has it all the same is no way on a page.
        found = str(error).partition(_IN_A_TERMINAL)[0].replace(f"{asked.folder}/", "")
        told = {"error": f"{found}, or tick “also without a proof”"}
    except InfilinkError as error:
        told = {"error": str(error).replace(f"{asked.folder}/", "")}
    except MemoryError:
        told = {"error": "there is not enough memory for this recording: take a shorter one"}
    print(json.dumps(told, separators=(",", ":")), file=out, flush=True)


def answer(asked: Asked, progress: Progress) -> dict[str, Any]:
    """What comes of a question.

    Raises:
        InfilinkError: it can't be done; the text says why.
    """
    # Here, so that the coordinator, which knows the questions, loads none of what training needs.
    from .tuner_drawn import corrected
    from .tuner_tasks import compared, made, tuned

    folder, question = asked.folder, asked.question
    with corrected(folder / question.recording) as trace:
        if isinstance(question, Make):
            found = made(folder, question, trace, progress)
        elif isinstance(question, Compare):
            found = compared(folder, question.filters, trace, progress)
        else:
            found = tuned(folder, question, trace, progress)
        added = sum(each.there for each in trace.corrections)
        return found | {"corrected": len(trace.corrections) - added, "added": added}


def _own_output() -> TextIO:
    """Where answers go; what libraries print goes to the log instead."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _end_with_input() -> None:
    """Whoever asked is gone, or wants no answer: nobody else would end this."""
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(1)


def _teller(out: TextIO) -> Callable[[float, str], None]:
    told_s = -1.0

    def tell(done: float, doing: str) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s < _TELL_EVERY_S:
            return
        told_s = now_s
        print(json.dumps({"done": round(done, 4), "doing": doing}), file=out, flush=True)

    return tell


if __name__ == "__main__":
    main()
