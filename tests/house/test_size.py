"""A file that nobody can read in one go is a file that nobody has checked."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
LIMIT = 400
# name: why it may be longer
EXCEPTIONS: dict[str, str] = {
    "tests/channel/test_rogue_host.py": "one host, and every attack it can make, side by side",
}

SIZES = {
    str(path.relative_to(REPOSITORY)): len(path.read_text(encoding="utf-8").splitlines())
    for folder in ("src", "tests", "scripts", "bench", "examples", "fuzz")
    for path in (REPOSITORY / folder).rglob("*.py")
}


def test_no_file_is_longer_than_the_limit() -> None:
    long = {name: size for name, size in SIZES.items() if size > LIMIT}
    assert long.keys() == EXCEPTIONS.keys(), "cut it by question, or drop the exception"


def test_the_median_is_small() -> None:
    sizes = sorted(size for name, size in SIZES.items() if name.startswith("src/"))
    assert sizes[len(sizes) // 2] <= 150
