"""`python -m troth.image APP OUT STORE [KERNEL|- [ROOT]]`: one build in a process of its own.

For `check`, which builds in other environments, and under other Pythons.
"""

import sys
from pathlib import Path

from troth.errors import TrothError
from troth.image.budget import NONE
from troth.image.build import build, write
from troth.image.lock import load
from troth.image.store import Store


def main(arguments: list[str]) -> int:
    """Builds once.

    Args:
        arguments: the app's folder, the path of the image, the folder of the package store, and
            perhaps a kernel in the place of the recipe's (`-` for that one), and what the app's root is
            taken from.
    """
    if len(arguments) not in (3, 4, 5):
        sys.stderr.write("usage: python -m troth.image APP OUT STORE [KERNEL|- [ROOT]]\n")
        return 2
    app, out, store = (Path(argument) for argument in arguments[:3])
    kernel = None if arguments[3:4] in ([], ["-"]) else arguments[3]
    root = Path(arguments[4]) if arguments[4:] else None
    try:
        vendor = load(app).vendor
        place = Store(folder=store, vendored=app / vendor if vendor else None)
        # Whoever compares what came out holds it against the budget.
        write(build(app, store=place, kernel=kernel, root=root, budget=NONE), out)
    except TrothError as error:
        sys.stderr.write(f"error: {error}\n")
        if error.fix:
            sys.stderr.write(f"fix: {error.fix}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
