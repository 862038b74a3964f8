"""An answer as it travels: what stands behind it goes with it, and is told once when it changes."""

import numpy as np
import pytest
from infilink.cloud.sessions.answers import output_message
from infilink.cloud.sessions.session import Session, SessionKey
from infilink.device.messages import result_row
from infilink.links.answer import Answer
from infilink.links.planning.plan import Plan
from infilink.links.serving import Serving
from infilink.links.trust.calibration import LEVELS, Calibration
from infilink.models.spec import parse_spec
from infilink.protos import edge_pb2

SPEC = parse_spec({"name": "cars", "output": {"kind": "count"}}, where="cars")
CALIBRATION = Calibration(40, (1.5,) * len(LEVELS))
VALUE = np.asarray([2.0], np.float32)


def sent(linked: Answer) -> edge_pb2.Output:
    return edge_pb2.Output.FromString(output_message(SPEC, "d", linked, 3.0).SerializeToString())


def test_trust_and_region_go_over_the_wire() -> None:
    linked = Answer(VALUE, 0.9, "held", (), "certified", output=SPEC.output, calibration=CALIBRATION, calibrated_s=1.0)
    output = sent(linked)
    assert (output.trust, output.trusted, output.calibration_count) == ("certified", True, 40)
    assert output.alpha == pytest.approx(0.1)
    assert output.calibration_age_s > 0
    assert (output.region.form, list(output.region.bounds)) == ("interval", [0.5, 3.5])
    assert result_row(7, 1.0, output).trust == "certified"


def test_where_nothing_was_compared_there_is_no_region() -> None:
    output = sent(Answer(VALUE, 0.9, "held", output=SPEC.output))
    assert (output.trust, output.trusted, output.calibration_age_s) == ("uncalibrated", False, -1.0)
    assert not output.HasField("region")


def test_lost_trust_is_told_once() -> None:
    session = Session(SessionKey("gate", "1"), Serving(None, Plan(None, 0, ()), models={"cars": SPEC}))
    held = Answer(VALUE, 0.9, "held", (), "certified", output=SPEC.output, calibration=CALIBRATION)
    for _ in range(60):
        exact = np.asarray([5.0], np.float32)
        session.serving.live.observe("cars", SPEC.output, held, exact, never=False, age=1, captured_s=0.0, now_s=0.0)
    told: list[tuple[str, str]] = []
    session.note = lambda kind, text: told.append((kind, text))
    for moment in range(3):
        session.complete(float(moment), {})
    assert told == [
        ("trust_revoked", "cars held is no longer trusted: it disagreed with the model too often (4 audited)")
    ]
