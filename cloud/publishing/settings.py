"""The tables `[mqtt]` and `[webhook]` of cloud.toml."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, field_validator

from ...settings import Table

Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Topic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=100)]


class SelectedConfig(Table):
    """Whose results are published.

    Attributes:
        devices: names, `*` and `?` allowed; none: all.
        models: names, `*` and `?` allowed; none: all.
    """

    devices: tuple[Pattern, ...] = ()
    models: tuple[Pattern, ...] = ()


class MqttConfig(SelectedConfig):
    """A broker to publish to.

    Attributes:
        host, port: of the broker.
        username, password: for it.
        tls: whether to use TLS.
        tls_ca: the certificate to trust; None: those that the system trusts.
        topic: what topics begin with.
        discovery: what Home Assistant's discovery topics begin with; empty: it is not told of devices.
        classes: each gets a sensor of its own in Home Assistant: whether it is there.
        every_s: what has not changed is published again so often.
    """

    host: str = Field(min_length=1)
    port: int = Field(default=1883, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    tls: bool = False
    tls_ca: Path | None = None
    topic: Topic = "infilink"
    discovery: Topic | Annotated[str, StringConstraints(max_length=0)] = "homeassistant"
    classes: tuple[str, ...] = ()
    every_s: float = Field(default=60.0, ge=1, le=86_400)


class WebhookConfig(SelectedConfig):
    """Where results are posted to.

    Attributes:
        url: http or https.
        token: sent as `Authorization: Bearer`.
        changes: only what says something else than the result before of the same device and model.
        timeout_s: how long a request may take.
        tries: how often one is tried before its results are given up.
    """

    url: str
    token: SecretStr | None = None
    changes: bool = True
    timeout_s: float = Field(default=10.0, gt=0, le=300)
    tries: int = Field(default=5, ge=1, le=100)

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a URL that begins with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must hold no password: give `token`")
        return value
