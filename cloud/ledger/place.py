"""Where a ledger is, as a person writes it: a path or a URL."""

from pathlib import Path

POSTGRES = "postgresql+psycopg"


def check_place(value: str) -> Path | str:
    """A `ledger` as a person writes it: a SQLite file's path, or the URL of a PostgreSQL database.

    Raises:
        ValueError: it is another URL; the message has no password.
    """
    if "://" not in value:
        return Path(value)
    scheme, _, rest = value.partition("://")
    if scheme not in (POSTGRES, "postgresql", "postgres"):
        raise ValueError(f"must be a path, or {POSTGRES}://USER@HOST/DATABASE, not {scheme!r}://...")
    return f"{POSTGRES}://{rest}"
