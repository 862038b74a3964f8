"""Whether a cloud.toml will do: its models, links, budget, places, port, certificates and disk."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import psutil

from ..errors import InfilinkError
from ..links.graph import LinkGraph
from ..models.doctor import Finding, cards, disk, guarded, port
from ..models.providers import HOST, Execution
from ..units import format_bytes, parse_size
from .config import CloudConfig, load_config
from .endpoint import check_exposed
from .model_config import ModelConfig, execution
from .plans.fitting import misfits
from .repository import Repository
from .security.certificates import ServerCertificate, certificate_warnings


def check(path: Path) -> Iterator[Finding]:
    """Looks at a coordinator's configuration.

    Args:
        path: the TOML file.
    """
    try:
        config = load_config(path)
    except InfilinkError as error:
        yield Finding("config", "wrong", str(error))
        return
    yield Finding("config", "ok", f"{path}: a coordinator's")
    found: list[Repository] = []
    yield from guarded("models", lambda: _models(config, found))
    if found:
        yield from guarded("links", lambda: _links(config, found[0]))
        yield from guarded("places", lambda: _places(config, found[0]))
    yield from guarded("budget", lambda: _budget(config))
    yield from guarded("security", lambda: _security(config))
    yield from port(config.listen)
    web = (config.metrics_listen, config.http_listen, config.dashboard_listen)
    for listen in dict.fromkeys(listen for listen in web if listen is not None):
        yield from port(listen)
    size_bytes = sum(model.size_bytes for model in found[0].models.values()) if found else 0
    # Copies of the models while it runs, one more of each that is replaced, and the ledger.
    yield from guarded("disk", lambda: disk(config.copies.parent, 2 * size_bytes + 256 * 2**20, topic="disk"))


def _models(config: CloudConfig, found: list[Repository]) -> Iterator[Finding]:
    repository = Repository.open(config.models)
    found.append(repository)
    names = ", ".join(f"{name} {model.version}" for name, model in repository.models.items())
    yield Finding("models", "ok", f"{config.models}: {names}")
    texts = [name for name, spec in repository.specs.items() if spec.input is not None and spec.input.files()]
    if texts and importlib.util.find_spec("tokenizers") is None:
        yield Finding(
            "models", "wrong", f"{', '.join(texts)}: need the package tokenizers", "pip install 'infilink[text]'"
        )
    for name in sorted(set(config.model) - set(repository.models)):
        yield Finding(
            "models", "note", f"[model.{name}] is of no model that is there", "is the name as in its spec or file?"
        )


def _links(config: CloudConfig, repository: Repository) -> Iterator[Finding]:
    for folder in config.link_folders:
        yield from _links_in(folder, repository)


def _links_in(folder: Path, repository: Repository) -> Iterator[Finding]:
    graph = LinkGraph.load(folder)
    others = misfits(graph, repository.digests)
    for name, why in others.items():
        yield Finding("links", "note", f"{name}: {why}", "it is answered without links: record and train them again")
    for name in sorted(set(graph.digests) - set(repository.digests)):
        yield Finding("links", "wrong", f"{folder}: learnt with {name}, which is missing", "bring it back")
    yield Finding("links", "ok", f"{folder}: {len(graph.models) - len(others)} of its models are here")


def _places(config: CloudConfig, repository: Repository) -> Iterator[Finding]:
    known = cards() or []
    for name in repository.models:
        table = config.model.get(name, ModelConfig())
        wanted = config.providers if table.providers is None else table.providers
        how: Execution = execution(table, name, providers=config.providers, threads=config.threads)
        lacking = [each.name for each in wanted if each not in how.providers]
        if lacking:
            yield Finding(
                "places",
                "wrong",
                f"{name}: {', '.join(lacking)} can't be had, so the processors run it",
                "install onnxruntime-gpu in the place of onnxruntime, or take it out of `providers`",
            )
        elif how.place != HOST and how.device >= len(known):
            yield Finding(
                "places",
                "wrong",
                f"{name}: is to run on {how.place}, and there are {len(known)} cards",
                "correct `device`",
            )
        elif how.place != HOST:
            yield Finding("places", "ok", f"{name}: runs on {how.place}")


def _budget(config: CloudConfig) -> Iterator[Finding]:
    text, total_bytes = config.host_budget, psutil.virtual_memory().total
    if text == "none" or text.endswith("%"):
        yield Finding("budget", "ok", f"{text} of memory; {format_bytes(total_bytes)} are here")
        return
    budget_bytes = parse_size(text)
    fits = budget_bytes <= total_bytes
    yield Finding(
        "budget",
        "ok" if fits else "wrong",
        f"{format_bytes(budget_bytes)} of {format_bytes(total_bytes)} of memory",
        "" if fits else "give a smaller `budget`",
    )


def _security(config: CloudConfig) -> Iterator[Finding]:
    if config.phone and config.tls_cert is None:
        there = "is there" if config.authority.exists() else "is made at the start"
        yield Finding("security", "ok", f"{config.authority}: this machine's own authority, for phones, {there}")
        return
    check_exposed(config.listen, config)
    if config.tls_cert is None or config.tls_key is None:
        yield Finding("security", "ok", f"{config.listen}: without TLS")
        return
    ServerCertificate(config.tls_cert, config.tls_key, config.tls_client_ca).credentials()
    warnings = certificate_warnings(config.tls_cert)
    for warning in warnings:
        yield Finding("security", "note" if "ends at" in warning else "wrong", warning)
    if not warnings:
        yield Finding("security", "ok", f"{config.tls_cert}: valid, with its key")
