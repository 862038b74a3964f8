"""Learns and measures one target after another: of one recording, of all cameras together, or of one beside others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from ... import __version__
from ...outputs import Array
from ..linear.link import SUFFIX
from ..link import LinkSpec, Net, reads_ids
from ..sequences.search import Decoding
from ..table import STEM, Table
from .certified import certified
from .design import Design
from .expect import learn_expectation
from .fit_linear import FittedLinear
from .judge import Judge
from .linkability import Linkability
from .measure import TargetCases, measure_links
from .predictor import NetworkPredictor
from .pull import fit_pulled
from .samples import Samples, Situations
from .sets import winning

if TYPE_CHECKING:
    from ..networks.vector import LinkNetwork

Fit = Callable[[Situations, Judge], "LinkNetwork | FittedLinear"]
"""Makes a target's link: a network in evaluation mode, or regressions."""
Learnt = tuple[Table, Array, str, Linkability]
"""A target's table, best constant, why it has no link, and every pair."""

_NO_LINK = "no link is better than holding its last output or a constant"


@dataclass(frozen=True)
class Learner:
    """Learns a target's links and writes them.

    Attributes:
        samples: the recording, or all cameras'.
        digests: of each model's file.
        seed: of everything random.
        net: what is learnt.
        fit: makes a target's link, in the place of what `net` says; None: nothing does.
        stem: the digest of the stem; empty: none is read.
        camera: whose recording this is; empty: nobody's among others.
        pooled: what learnt from all cameras, before this one; None: there are no others.
        fitted: what was learnt, by target; cameras go on from that.
        tables: what was measured of it, likewise.
    """

    samples: Samples
    digests: Mapping[str, str]
    seed: int
    net: Net
    fit: Fit | None
    stem: str
    camera: str = ""
    pooled: "Learner | None" = None
    fitted: dict[str, "FittedLinear | LinkNetwork"] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)

    def of(self, camera: str) -> "Learner":
        """What learns one camera's links, beside those of all."""
        samples = self.samples.camera(camera)
        return Learner(samples, self.digests, self.seed, self.net, self.fit, self.stem, camera, self)

    @cached_property
    def design(self) -> Design:
        """All sources as numbers, made once."""
        return Design.of(self.samples)

    @cached_property
    def shared_design(self) -> Design:
        """The same as all cameras' numbers."""
        assert self.pooled is not None
        return Design.of(self.samples, self.pooled.design.bases)

    def learn(self, target: str, folder: Path) -> Learnt:
        """Learns a target; its link is written to `folder`."""
        found = self._learn(target, folder)
        self.tables[target] = found[0]
        return found

    def _learn(self, target: str, folder: Path) -> Learnt:
        encoding, judge = self.samples.encodings[target], Judge(self.samples, target)
        if encoding.length == 0:
            return self._free(target, "its output never changes in the recording")
        if self.fit is None and self.net == "ours" and encoding.tokens is None:
            return self._regressions(self._fitted(judge), folder)
        situations = Situations(self.samples, target, ids=reads_ids(self.net, encoding))
        if self.net == "paper" and not any(situations.layout.lengths.values()):
            return self._free(target, "no other model's output changes in the recording")
        found = self._trained(situations, judge)
        if isinstance(found, FittedLinear):
            return self._regressions(found, folder)
        return self._network(found, situations, folder)

    def _fitted(self, judge: Judge) -> FittedLinear:
        known = None if self.pooled is None else self.pooled.fitted.get(judge.target)
        if isinstance(known, FittedLinear):
            return fit_pulled(self.design, self.shared_design, judge, known, self.camera)
        fitted = self.fitted[judge.target] = FittedLinear.fit(self.design, judge)
        return fitted

    def _trained(self, situations: Situations, judge: Judge) -> "LinkNetwork | FittedLinear":
        """A network: of all cameras, of which each knows how far it serves there."""
        if self.fit is not None:
            return self.fit(situations, judge)
        from .networks import fit_network

        target = situations.target
        if self.pooled is not None:
            return self.pooled.fitted[target]
        found = self.fitted[target] = fit_network(situations, judge, net=self.net, seed=self.seed)
        return found

    def _regressions(self, fitted: FittedLinear, folder: Path) -> Learnt:
        target, design = fitted.judge.target, fitted.design
        cases = self._cases(target, chosen_on=design.learnt)
        measured = winning(measure_links(fitted, cases))
        # By what nothing or the stem tells held answers are judged, also where no link is of use.
        sets = list(dict.fromkeys([*measured.linked, *(each for each in ((), (STEM,)) if fitted.can_say(each))]))
        known = None if self.pooled is None else self.pooled.fitted.get(target)
        prior = known.expectation if isinstance(known, FittedLinear) else None
        constant = cases.free.constant.validation
        fitted.expectation = learn_expectation(fitted, sets, constant=constant, seed=self.seed, prior=prior)
        serves = bool(measured.linked) or fitted.reads_stem
        table = certified(measured, cases, fitted if serves else None)
        linkable = Linkability.measure(cases, fitted)
        if not serves:
            return table, cases.constant, _NO_LINK, linkable
        fitted.link(self._spec(target), sets, self.stem).write(folder / f"{target}{SUFFIX}")
        return table, cases.constant, "" if table.linked else _NO_LINK, linkable

    def _network(self, network: "LinkNetwork", situations: Situations, folder: Path) -> Learnt:
        from ..networks.export import export_link
        from ..sequences.network import SequenceNetwork
        from .fit import one_thread, predict

        target = situations.target
        cases = self._cases(target)
        predictor = NetworkPredictor(partial(predict, network), situations)
        with one_thread():
            table = certified(winning(measure_links(predictor, cases)), cases, predictor)
            linkable = Linkability.measure(cases, predictor)
        if not table.linked:
            return table, cases.constant, _NO_LINK, linkable
        decoding = network.decoding if isinstance(network, SequenceNetwork) else None
        # Of several cameras it is one network; it lies where all cameras find it.
        top = folder if self.pooled is None else folder.parent.parent
        if not (top / f"{target}.onnx").is_file():
            export_link(network, self._spec(target, decoding), top / f"{target}.onnx")
        return table, cases.constant, "", linkable

    def _free(self, target: str, why: str) -> Learnt:
        cases = self._cases(target)
        return certified(cases.free, cases), cases.constant, why, Linkability.measure(cases, None)

    def _cases(self, target: str, *, chosen_on: Array | None = None) -> TargetCases:
        beside = None if self.pooled is None else self.pooled.tables[target]
        return TargetCases.of(self.samples, target, seed=self.seed, chosen_on=chosen_on, beside=beside)

    def _spec(self, target: str, decoding: Decoding | None = None) -> LinkSpec:
        encodings = {name: self.samples.encodings[name] for name in (*self.samples.sources(target), target)}
        return LinkSpec(target, encodings, self.digests, __version__, self.net, decoding)
