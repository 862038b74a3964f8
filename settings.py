"""Settings in a TOML file, read and checked against their pydantic model: every mistake names the file and the key."""

import codecs
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Tag, ValidationError, ValidationInfo, field_validator

from .errors import InvalidInput
from .files import replacing
from .units import parse_link, parse_seconds, parse_size

Settings = TypeVar("Settings", bound=BaseModel)

_LONGEST_S = 1e9
"""32 years: no system's clock can say when a wait ends that is much longer."""


class Table(BaseModel):
    """A table of settings: unknown keys are refused, and amounts may be written as people write them.

    The unit in a key's name says how: `late_s = "2min"`, `size_bytes = "1GiB"`, `send_bytes_per_s = "64kbit"`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _amount(cls, value: Any, info: ValidationInfo) -> Any:
        key = info.field_name or ""
        try:
            if isinstance(value, str) and "bytes" in key:
                value = round(parse_link(value) / 8) if key.endswith("_per_s") else parse_size(value)
            elif isinstance(value, str) and key.endswith("_s"):
                value = parse_seconds(value)
        except InvalidInput as error:
            # As pydantic takes it: with the key in front.
            raise ValueError(str(error)) from error
        if key.endswith("_s") and "bytes" not in key and isinstance(value, int | float) and value > _LONGEST_S:
            raise ValueError(f"can't be more than {_LONGEST_S:.0f} seconds")
        return value


def load_settings(
    model: type[Settings],
    path: Path | None,
    overrides: Mapping[str, Any] | None,
    *,
    init: str,
    rebased: Callable[[str, Any, Path], Any] = lambda key, value, folder: value,
) -> Settings:
    """The settings in a TOML file, with those of `overrides` that are not None in their place.

    Args:
        model: what they are checked against.
        path: the file; without one there are only the overrides.
        overrides: settings by key; their paths start at the current folder, those in the file at its own.
        init: what `infilink init` writes such a file with.
        rebased: a key's value in the file, with the paths in it starting at the file's folder.

    Raises:
        InvalidInput: naming the file, the key and what is allowed.
    """
    data: dict[str, Any] = {}
    if path is not None:
        data = read_toml(path, advice=f"write one: `infilink init {init}`")
        data = {key: rebased(key, value, path.parent) for key, value in data.items()}
    data.update({key: value for key, value in (overrides or {}).items() if value is not None})
    return checked(model, data, where=str(path or "the options"))


def write_settings(out: Path, text: str) -> None:
    """Writes a commented configuration to start from.

    Raises:
        InvalidInput: there is a file already, or no room for one.
    """
    if out.exists():
        raise InvalidInput(f"{out}: is there already; give another --out")
    with replacing(out) as part:
        part.write_text(text, encoding="utf-8")


def read_toml(path: Path, *, advice: str = "") -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        InvalidInput: it is not there (with the advice), or can't be read as TOML.
    """
    try:
        content = path.read_bytes()
        # TOML is UTF-8; Windows' shell and editors write UTF-16 as well, with a mark.
        marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return tomllib.loads(content.decode("utf-16" if marked else "utf-8-sig"))
    except FileNotFoundError as error:
        raise InvalidInput(f"{path}: there is no such file" + (f" ({advice})" if advice else "")) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: can't be read as TOML: it is not in UTF-8; save it so ({error})") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path}: can't be read as TOML: {error}") from error


def checked(model: type[Settings], data: Mapping[str, Any], *, where: str) -> Settings:
    """Parsed TOML or JSON as the model's object.

    Raises:
        InvalidInput: naming `where`, the key, and what is wrong with it.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(f"{where}: {validation_text(error, model)}") from error


def validation_text(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """What pydantic complains of, in one line, each naming its key and what is allowed.

    Args:
        error: what `model_validate` raised.
        model: whose: with it an unknown key is answered with the known ones.
    """
    told = []
    for item in error.errors():
        place, known = _place(model, item["loc"])
        key = f"{'.'.join(place)}: " if place else ""
        text = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            text = "there is no such key" + _suggestion(place[-1], known)
        told.append(f"{key}{text}")
    return "; ".join(told)


def _place(model: Any, loc: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """Where something is wrong, as the user wrote it, and the keys that are allowed there; none if not known."""
    place: list[str] = []
    known: list[str] = []
    for part in loc:
        found = _models(model)
        if part in found and len(found) > 1:
            model = found[str(part)]  # Which of several tables it is, as one of its keys says: no key by itself.
            continue
        place.append(str(part))
        if isinstance(part, int):
            continue  # The items of a list are all alike.
        fields = getattr(next(iter(found.values()), None), "model_fields", {})
        known = list(fields)
        model = fields[part].annotation if part in fields else None
    return place, known


def _models(annotation: Any) -> dict[str, Any]:
    """The tables that a key may hold: of "a table or none" the table's, of several each by its tag."""
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return {"": annotation}
    tags = [each.tag for each in getattr(annotation, "__metadata__", ()) if isinstance(each, Tag)]
    found: dict[str, Any] = {}
    for each in get_args(annotation):
        for tag, model in _models(each).items():
            found.setdefault(tags[0] if tags else tag, model)
    return found


def _suggestion(key: str, known: list[str]) -> str:
    if not known:
        return ""
    near = get_close_matches(key, known, n=1)
    return (f"; did you mean {near[0]!r}?" if near else "") + f" (keys: {', '.join(known)})"


_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s]+):(\d{1,5})")


def _check_address(value: str, *, least_port: int) -> str:
    found = _ADDRESS.fullmatch(value)
    if found is None or not least_port <= int(found.group(2)) < 65536:
        # What comes before an @ may be a password.
        raise ValueError(f'must be "HOST:PORT", such as "127.0.0.1:7420", not {value.rpartition("@")[2]!r}')
    return value


Address = Annotated[str, AfterValidator(partial(_check_address, least_port=1))]
"""HOST:PORT to connect to; an IPv6 host stands in brackets."""

ListenAddress = Annotated[str, AfterValidator(partial(_check_address, least_port=0))]
"""HOST:PORT to listen on; port 0 takes a free one."""


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches what listens at HOST:PORT; of a name this is not known, but for localhost."""
    host = address.rpartition(":")[0].strip("[]")
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
