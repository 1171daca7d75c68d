"""`troth` and `python -m troth`: the first lines that run, so that Ctrl-C among the imports is said, too."""

import sys

EXIT_INTERRUPTED = 130


def main() -> int:
    """Runs the command line of this process, and returns its exit code."""
    try:
        from troth.cli.main import run

        return run()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
