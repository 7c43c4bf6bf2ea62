"""Database URLs as nobody should write them, each with what it must not show."""

from pathlib import Path

SECRET = "SECRET"
SERVER = "postgresql+psycopg://"

# each is refused with an error of ours; none of them may make anything else fail
HOSTILE_URLS = (
    f"{SERVER}u:{SECRET}@127.0.0.1:port/db",
    f"{SERVER}u:{SECRET}@h1:5432,h2:5432/db",
    f"{SERVER}u:{SECRET}@127.0.0.1:99999/db",
    f"{SERVER}u:{SECRET}@127.0.0.1:0/db",
    f"https://hooks.example/{SECRET}",
    f"{SERVER}u:{SECRET}@127.0.0.1:{'9' * 5000}/db",
    f"{SERVER}u:{SECRET}@127.0.0.1:\u0665/db",
    f"{SERVER}u:{SECRET}@127.0.0.1/db?port=99999",
    f"{SERVER}u:{SECRET}@[::1",
    f"{SERVER}u:{SECRET}@[::1/db",
    f"{SERVER}u:{SECRET}@[{SECRET}]/db",
    f"{SERVER}user:p@ss{SECRET}@127.0.0.1/db",
    f"{SERVER}user:p@ss/{SECRET}@127.0.0.1/db",
    f"{SERVER}user:p@ss?host={SECRET}&x=@127.0.0.1/db",
    f"{SERVER}to/ken:{SECRET}@127.0.0.1/db",
    f"{SERVER}user:{SECRET}/db",
    f"{SERVER}u@127.0.0.1/db?pasword={SECRET}",
    f"{SERVER}u@127.0.0.1/db?{SECRET}=1",
    f"{SERVER}u:{SECRET}@127.0.0.1/a%00b",
    f"{SERVER}u:{SECRET}\x1b[2J@127.0.0.1/db",
    f"{SERVER}u:{SECRET}@127.0.0.1",
    f"postgresql://u:{SECRET}@127.0.0.1/db",
    f"host=127.0.0.1 password={SECRET} dbname=db",
    f"sqlite://u:{SECRET}@h/x.db",
    "sqlite:///~nouser/x.db",
    "sqlite:///a%00b.db",
    "sqlite:///a%1B[2J.db",
    f"sqlite:///{'x' * 5000}.db",
    "sqlite:///loop/x.db",
)
# one of each kind, for tests that take longer
SOME_HOSTILE_URLS = (
    f"{SERVER}u:{SECRET}@127.0.0.1:port/db",
    f"{SERVER}u:{SECRET}@h1:5432,h2:5432/db",
    f"{SERVER}u:{SECRET}@[::1/db",
    f"{SERVER}user:p@ss{SECRET}@127.0.0.1/db",
    "sqlite:///~nouser/x.db",
    "sqlite:///loop/x.db",
)


def make_loop(directory: Path) -> None:
    """Make what one of the URLs leads through where this is the present directory."""
    (directory / "loop").symlink_to(directory / "pool")
    (directory / "pool").symlink_to(directory / "loop")
