"""The ledger's tables, the same in SQLite and PostgreSQL; all times are Unix times in UTC."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()
# Only a column that is an INTEGER is SQLite's own row number.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

FORMATS = Table("ledger_format", METADATA, Column("number", Integer, primary_key=True, autoincrement=False))
"""One row: the format. A SQLite file says it as its `user_version`, too, where versions before this look for it."""

ANSWERS = Table(
    "answers",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=False),
    Column("device", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    # On the source's own clock; absent: a ledger of format 1 did not say.
    Column("captured_ns", BigInteger),
    Column("answered_us", BigInteger, nullable=False),
    Column("executed_s", Float, nullable=False),
    # The picture's; absent where there was none.
    Column("width", Integer),
    Column("height", Integer),
    Column("size_bytes", BigInteger, nullable=False),
    UniqueConstraint("device", "session", "sequence"),
)
"""Each input that was answered, once: (device, session, sequence) names it."""

# With the size in it, what is kept is summed up without reading the answers.
Index("answers_answered", ANSWERS.c.answered_us, ANSWERS.c.size_bytes)
# A stream's page looks at some hours of it, of all that is kept of all of them.
Index("answers_of_device", ANSWERS.c.device, ANSWERS.c.answered_us)

RESULTS = Table(
    "results",
    METADATA,
    Column("answer", _NUMBER, ForeignKey("answers.number", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("model", Text, nullable=False),
    # Of `specs`; absent where it is not known.
    Column("spec", BigInteger),
    Column("origin", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Column("why", Text, nullable=False),
    # The classes that it names, each between two line feeds.
    Column("classes", Text, nullable=False),
    # A message `Output` of edge.proto.
    Column("output", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""What each model said of it; `origin` "local": on the device, which is not sent back."""

SPECS = Table(
    "specs",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("spec", Text, nullable=False),
)
"""The specs of the models, as JSON: what the numbers of an output mean."""

AUDITS = Table(
    "audits",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("device", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Column("agreement", Float, nullable=False),
    Index("audits_at", "at_us"),
)
"""What would have been answered without the model, compared with what it said; of inputs that were drawn for it."""

JOURNAL = Table(
    "journal",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("text", Text, nullable=False),
    # JSON; empty: there is no more to it than the text.
    Column("data", Text, nullable=False),
    Index("journal_at", "at_us"),
)
"""What was decided and what happened: plans, loads and unloads with their reasons, trust lost and regained."""

LEARNT = Table(
    "learnt",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("links", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kept_s", Float, nullable=False),
    Column("value", LargeBinary, nullable=False),
    UniqueConstraint("links", "name"),
)
"""What was learned about links while serving (`cloud/learned_state.py`)."""
