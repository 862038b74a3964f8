"""The file of what sites learnt together: what goes in comes out, and nothing else is taken for one."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.errors import InvalidInput
from infilink.links.domains.link import DomainLink, moments_of
from infilink.links.domains.shared import read_shared, save_shared
from infilink.models.session import open_session
from onnx import TensorProto, helper


@pytest.fixture
def link(count_task, make_pairs):
    return DomainLink.start(count_task, moments_of(make_pairs(0, 50)), seed=3)


def test_what_is_read_is_what_was_saved_and_any_runtime_computes_it(link, make_pairs, tmp_path):
    save_shared(link, tmp_path / "new" / "people.onnx")
    found = read_shared(tmp_path / "new" / "people.onnx")
    assert found.task == link.task
    inputs = make_pairs(1, 20).inputs
    np.testing.assert_allclose(found.predict(inputs), link.predict(inputs), rtol=1e-5, atol=1e-5)
    session = open_session(tmp_path / "new" / "people.onnx")
    numbers = session.run(None, {"inputs": inputs.astype(np.float32)})[0]
    np.testing.assert_allclose(numbers, link.predict(inputs), rtol=1e-4, atol=1e-4)


def test_a_file_of_the_first_version_opens_and_says_what_it_said_then():
    path = Path(__file__).parents[2] / "samples" / "first" / "adapted.onnx"
    found = read_shared(path)
    assert found.task.target == "oracle" and list(found.task.sources) == ["scene"]
    inputs = np.log(np.random.default_rng(0).dirichlet(np.ones(3), 20))
    numbers = open_session(path).run(None, {"inputs": inputs.astype(np.float32)})[0]
    np.testing.assert_allclose(found.predict(inputs), numbers, rtol=1e-4, atol=1e-4)


def test_what_is_no_such_file_is_refused(link, tmp_path):
    path = tmp_path / "people.onnx"
    with pytest.raises(InvalidInput, match="there is no such file"):
        read_shared(path)
    path.write_text("no model")
    with pytest.raises(InvalidInput, match=r"people\.onnx"):
        read_shared(path)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("Abs", ["a"], ["b"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    with pytest.raises(InvalidInput, match="not what sites learnt together"):
        read_shared(path)


@pytest.mark.parametrize("part", ["first", "mean"])
def test_a_file_with_a_part_missing_is_damaged(link, tmp_path, part):
    path = tmp_path / "people.onnx"
    save_shared(link, path)
    model = onnx.load(str(path))
    for weight in model.graph.initializer:
        if weight.name == part:
            weight.name = "lost"
    for node in model.graph.node:
        node.input[:] = ["lost" if name == part else name for name in node.input]
    onnx.save(model, str(path))
    with pytest.raises(InvalidInput, match="is damaged"):
        read_shared(path)
