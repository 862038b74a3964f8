"""A session hands on what its inputs tell, and only to whom it may."""

import numpy as np
from infilink.cloud.sessions.session import Session, SessionKey
from infilink.links.planning.plan import Plan
from infilink.links.serving import Serving
from infilink.models.spec import parse_spec
from infilink.protos import edge_pb2

SPECS = {
    name: parse_spec({"name": name, "input": {"size": [32, 32]}, "output": {"kind": "count"}}, where=name)
    for name in ("doors", "people")
}
ONE = np.asarray([1.0], np.float32)


class Listening(Serving):
    """A real one that remembers what it was told of biased runs."""

    told = ()

    def complete(self, captured_s, exact, *, features=None, score=None, biased=(), is_late=False):
        self.told = tuple(biased)
        return super().complete(captured_s, exact, features=features, score=score, biased=biased, is_late=is_late)


def test_models_that_ran_as_their_answers_were_not_trusted_are_told_apart() -> None:
    serving = Listening(None, Plan(100, 50, ("doors",)), models=SPECS)
    session = Session(SessionKey("camera", "today"), serving)
    session.complete(0.0, {"doors": ONE, "people": ONE}, biased=("people",))
    assert serving.told == ("people",), "their answers were chosen for being doubtful: no sample of the others"


def test_how_old_an_answer_is_counts_from_when_its_model_last_ran() -> None:
    session = Session(SessionKey("camera", "today"), Serving(None, Plan(100, 50, ("doors",)), models=SPECS))
    assert session.complete(0.0, {"doors": ONE})["people"][1] == -1.0
    session.complete(1.0, {"doors": ONE, "people": ONE})
    assert {name: age for name, (_, age) in session.complete(4.0, {"doors": ONE}).items()} == {"doors": 0, "people": 3}
    assert set(session.complete(5.0, {"doors": ONE}, ("doors",))) == {"doors"}
    assert session.inputs == 4


def test_an_input_that_comes_late_does_not_take_what_is_held_back() -> None:
    session = Session(SessionKey("camera", "today"), Serving(None, Plan(100, 50, ("doors",)), models=SPECS))
    two, three = np.asarray([2.0], np.float32), np.asarray([3.0], np.float32)
    session.complete(9.0, {"doors": two, "people": two}, digests={"doors": "new", "people": "new"}, sequence=9)
    late = session.complete(4.0, {"doors": three}, digests={"doors": "old"}, sequence=4)
    assert late["doors"][0].value == three and late["doors"][1] == 0.0, "its own answer is its own"
    assert session.digest_of("doors", late["doors"][0], {}) == "old"
    assert late["people"][0].value == two and late["people"][1] == 5.0, "so far away was what it has"
    now = session.complete(10.0, {}, sequence=10)
    assert now["doors"][0].value == two and now["doors"][1] == 1.0, "what was newest before is held"
    assert session.digest_of("doors", now["doors"][0], {}) == "new"


def test_what_a_device_reports_of_its_gate_and_its_clock_is_logged_when_it_changes(caplog) -> None:
    session = Session(SessionKey("camera", "today"), Serving(None, Plan(100, 50, ("doors",)), models=SPECS))
    for _ in range(2):
        session.take_report(edge_pb2.Report(uncertified=True, audit_broken=True, audit_blocks=7, rate_far="above"))
        session.take_report(edge_pb2.Report(uncertified=True, audit_broken=True, clock_behind_s=3600.0))
    session.take_report(edge_pb2.Report(uncertified=True))
    said = [record.message for record in caplog.records]
    assert sum("not certified" in each for each in said) == 1
    assert sum("loses more than it promised: everything is sent (7 blocks audited)" in each for each in said) == 1
    assert sum("keeps its promise again" in each for each in said) == 1
    assert sum("drops far more" in each for each in said) == 2, "it fitted in between"
    assert sum("3600.0 s behind this one's" in each for each in said) == 2
