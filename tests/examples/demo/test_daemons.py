"""What is kept of a run while it lasts."""

from types import SimpleNamespace

from infilink.examples.demo.daemons import Watched


def status(cpu_s: float, *loaded: str) -> SimpleNamespace:
    models = [
        SimpleNamespace(name=name, state="loaded" if name in loaded else "unloaded", cpu_s=cpu_s) for name in ("a", "b")
    ]
    return SimpleNamespace(models=models, memory_bytes=10 * len(loaded))


def test_a_model_is_in_memory_from_the_first_to_the_last_status_that_says_so() -> None:
    watched = Watched()
    for seconds, loaded in ((0.0, "a"), (1.0, "a"), (2.0, "b"), (3.0, "a"), (4.0, "a")):
        watched.add(seconds, status(seconds, loaded))
    assert watched.held == {"a": [(0.0, 1.0), (3.0, 4.0)], "b": [(2.0, 2.0)]}
    assert watched.memory == [(s, 10) for s in (0.0, 1.0, 2.0, 3.0, 4.0)]
    assert watched.compute[-1] == (4.0, 8.0)
