"""Other values for some keys of device.toml, with all else, comments too, as it was."""

import json
import re
import tomllib
from collections.abc import Mapping

from ..errors import InvalidInput


def with_settings(text: str, settings: Mapping[str, str], *, where: str) -> str:
    """A file's text with these keys set, above its tables.

    A line that sets a key is replaced; else the commented one that shows it is; else a line is put before all others.

    Args:
        text: TOML.
        settings: by key.
        where: what the file is called, for errors.

    Raises:
        InvalidInput: it is no TOML, or can't be changed so.
    """
    before = _read(text, where)
    table = re.search(r"^\s*\[", text, re.M)
    head, tail = (text, "") if table is None else (text[: table.start()], text[table.start() :])
    for key, value in settings.items():
        line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for pattern in (rf"^{key}[ \t]*=.*$", rf"^#[ \t]*{key}[ \t]*=.*$"):
            found = re.search(pattern, head, re.M)
            if found is not None:
                head = f"{head[: found.start()]}{line}{head[found.end() :]}"
                break
        else:
            head = f"{line}\n{head}"
    after = _read(head + tail, where)
    if after != {**before, **settings}:
        names = ", ".join(f"`{key}`" for key in settings)
        raise InvalidInput(f"{where}: {names} can't be set there: write them, each on a line, above the tables")
    return head + tail


def _read(text: str, where: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{where}: can't be read as TOML: {error}") from error
