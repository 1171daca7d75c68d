"""`troth clean`: remove what dead runs left behind."""


def clean() -> int:
    """Remove what ended runs, and runs whose supervisor was killed, left on disk.

    troth clean
    """
    from troth.cli._console import out
    from troth.runtime import runs

    for name in runs.clean():
        out(name)
    return 0
