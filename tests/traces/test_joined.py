from pathlib import Path

import numpy as np
from infilink.traces.joined import JoinedTrace
from infilink.traces.trace import Trace

from .test_trace import frame, outputs, write


def test_stretches_read_as_one_trace(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.trace", range(6)), write(tmp_path / "b.trace", range(0, 8, 2))
    with JoinedTrace([Trace(first).part(1, 4), Trace(second), Trace(first).part(4, 6)]) as joined:
        sources = [1, 2, 3, 0, 2, 4, 6, 4, 5]
        assert (len(joined), joined.starts) == (9, (0, 3, 7))
        assert (np.diff(joined.captured_s) > 0).all() and np.flatnonzero(np.diff(joined.captured_s) > 100).tolist() == [
            2,
            6,
        ]
        assert [float(value[0]) for value in joined.outputs("light")] == [
            float(outputs(i)["light"][0]) for i in sources
        ]
        assert [int(value.mean().round()) for value in joined.frames()] == [int(frame(i).mean()) for i in sources]
        part = joined.part(2, 8)
        assert (len(part), part.starts) == (6, (0, 1, 5))
        assert [float(value[0]) for value in part.outputs("light")] == [float(i) for i in sources[2:8]]
    with Trace(first) as alone:
        assert alone.starts == (0,)
        assert np.array_equal(JoinedTrace([alone]).captured_s, alone.captured_s)
