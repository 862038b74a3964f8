"""What gates promise: by their files, for those who audit them and say so."""

from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.open_gate import open_gate
from infilink.filters.spec import FilterSpec, FloorResult
from infilink.filters.terms import terms_of
from infilink.filters.training.graphs import save_filter, scalar_graph

from ..certificates import certificate, event_promise


def spec_of(**fields):
    values = {
        "kind": "age",
        "rule": "unchanged",
        "models": {"m": "d0"},
        "reference": "last kept",
        "threshold": 1.0,
        "accuracy": 0.9,
        "step_s": 0.0,
        "certificate": certificate(),
    }
    return FilterSpec(**{**values, **fields})


def opened(path, spec):
    save_filter(path, scalar_graph("age"), spec)
    return FilterRuntime(path)


def test_gates_that_are_not_learned_promise_nothing():
    for name in ("all", "every:3", "random:0.5", "difference:0.1"):
        assert terms_of(open_gate(name)) is None


def test_a_filter_promises_what_its_file_says(tmp_path):
    floor = FloorResult(name="recall of car", least=0.8, inputs=50, runs=20.0, accuracy=0.9, lower_bound=0.8)
    proof = certificate().model_copy(update={"rate_interval": (0.4, 0.6)})
    terms = terms_of(opened(tmp_path / "f.onnx", spec_of(floors=(floor,), certificate=proof)))
    assert terms.certified and terms.reason == "" and terms.accuracy == 0.9
    assert terms.run_inputs == proof.inputs / proof.runs and terms.rate == (0.4, 0.6)
    assert terms.parts == {"recall of car": 0.8} and terms.text == "to lose at most 0.100"


def test_what_nothing_proves_says_why(tmp_path):
    doubt = certificate(error=0.02, upper_bound=0.2).model_copy(update={"certified": False, "more_runs": 40})
    terms = terms_of(opened(tmp_path / "f.onnx", spec_of(certificate=doubt)))
    assert not terms.certified
    assert terms.reason == ("100 independent runs show a loss of 0.020, at most 0.200; 40 more runs would probably do")
    unknown = doubt.model_copy(update={"runs": 0.0, "method": "of an earlier format"})
    terms = terms_of(opened(tmp_path / "g.onnx", spec_of(certificate=unknown)))
    assert terms.reason == "of an earlier format" and terms.run_inputs is None


def test_a_filter_for_events_promises_these_and_no_accuracy(tmp_path):
    promise = event_promise(
        recall=0.95,
        certified=False,
        events=20,
        clusters=20,
        found=20,
        lower_bound=0.86,
        rate=0.9,
        more_events=39,
        agreement=0.8,
    )
    doubt = certificate().model_copy(update={"certified": False})
    terms = terms_of(opened(tmp_path / "f.onnx", spec_of(events=promise, accuracy=0.0, certificate=doubt)))
    assert terms.accuracy is None and terms.events == promise and not terms.certified
    assert terms.text == "to find at least 0.95 of the events within 2 s"
    assert "39 more events" in terms.reason
