"""The command line: which commands there are, and which exit code each error has."""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError, Parameter

from troth import _version
from troth.cli._console import complain, say
from troth.cli._help import PlainHelp
from troth.errors import EXIT_BUG, TrothError
from troth.model.report import Rejected, Undecided
from troth.render.escape import visible

EXIT_MISUSE: Final = 2
EXIT_UNAVAILABLE: Final = 5
EXIT_INTERRUPTED: Final = 130

_HELP: Final = """Build, run, attest and verify applications in trusted execution environments.

    troth up examples/auction                   the whole life of an enclave, step by step
    troth verify evidence.bin --image app.eif   is it genuine, and is it what I expect?
    troth explain M201                          what a finding means, and what to do

Exit codes: 0 done, and where a verdict was asked for: accepted
            1 rejected, or differs        2 misuse            3 malformed input
            4 undecided                   5 could not be done
            6 acceptable only with the waivers you named
           70 a bug in troth            130 interrupted"""

# Name, import path and line of help: nothing is imported before it is asked for.
COMMANDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("up", "troth.cli.up:up", "Build, run, verify and connect in one go, telling each step."),
    ("init", "troth.cli.init:init", "Start a new app from a template."),
    ("lock", "troth.cli.lock:lock", "Pin everything that goes into an image."),
    ("build", "troth.cli.build:build", "Build an image; --check builds it twice and compares."),
    ("rebuild", "troth.cli.rebuild:rebuild", "Build an image again from its source, and compare."),
    ("kernel", "troth.cli.kernel:app", "Build the hardware kernel, once for all apps."),
    ("measure", "troth.cli.measure:measure", "Say what an image will measure to."),
    (
        "release",
        "troth.cli.release:app",
        "Sign what was built, state how it came to be, and log it.",
    ),
    ("run", "troth.cli.run:run", "Start an image."),
    (
        "crosscheck",
        "troth.cli.crosscheck:crosscheck",
        "Boot an image in QEMU's enclave machine, and compare what that measures.",
    ),
    ("ps", "troth.cli.ps:ps", "List what runs."),
    ("logs", "troth.cli.logs:logs", "Show what a run printed."),
    ("console", "troth.cli.console:console", "Follow what a guest prints: kernel, agent and app."),
    ("stop", "troth.cli.stop:stop", "Stop a run."),
    ("clean", "troth.cli.clean:clean", "Remove what dead runs left behind."),
    ("verify", "troth.cli.verify:verify", "Is it genuine, and is it what I expect?"),
    ("inspect", "troth.cli.inspect:inspect", "What does it say? Never a verdict."),
    ("connect", "troth.cli.connect:connect", "Open an attested channel to an enclave."),
    ("explain", "troth.cli.explain:explain", "The page for a code, offline."),
    ("policy", "troth.cli.policy:app", "Write, check, show and pin policies."),
    ("watch", "troth.cli.watch:watch", "Is it still good, and what expires next?"),
    (
        "trust",
        "troth.cli.trust:app",
        "The roots that count; collateral: fetched, frozen, what expires when.",
    ),
    ("tlog", "troth.cli.tlog:app", "Keep a log of releases; witness one; watch one."),
    ("doctor", "troth.cli.doctor:doctor", "What this machine can do."),
)


def make_app() -> App:
    """The program with every command, none of them imported yet."""
    app = App(
        name="troth",
        help=_HELP,
        version=_version.__version__,
        default_parameter=Parameter(negative=()),
        help_format="plaintext",
        help_formatter=PlainHelp({name: summary for name, _, summary in COMMANDS}),
        suppress_keyboard_interrupt=False,
    )
    app.register_install_completion_command("--install-completion")
    for place, (name, path, _) in enumerate(COMMANDS):
        # Without `help=`, which would stand in the place of the command's own docstring.
        app.command(path, name=name, sort_key=place)
    return app


def run(argv: Sequence[str] | None = None) -> int:
    """Runs one command line.

    Args:
        argv: words after the program's name; None takes the process's own.

    Returns:
        The exit code. Each command's own is passed on; errors map to theirs here and nowhere else.
    """
    tokens = list(sys.argv[1:] if argv is None else argv)
    with warnings.catch_warnings():
        if not os.environ.get("TROTH_TRACEBACK"):
            # What a library thinks of hostile bytes is no talk of ours, and `PYTHONWARNINGS=error`
            # must not make a bug of it.
            warnings.simplefilter("ignore")
        return _run(tokens)


def _run(tokens: list[str]) -> int:
    try:
        code = _dispatch(tokens)
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone: nothing can be said any more, and success is not claimed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNAVAILABLE
    except (Rejected, Undecided) as judged:
        from troth.render.text import report_text

        say(report_text(judged.report))
        return judged.report.verdict.exit_code or EXIT_BUG
    except TrothError as error:
        complain(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last stop: everything else is a bug in troth
        return _bug(error, tokens)
    return code


def _dispatch(tokens: list[str]) -> int:
    app = make_app()
    try:
        result = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        from troth.errors import Misuse

        where = " ".join(("troth", *(error.command_chain or ())))
        words = " ".join(str(error).split())
        raise Misuse(words[:1].lower() + words[1:].rstrip("."), fix=f"{where} --help") from None
    return result if isinstance(result, int) else 0


def _bug(error: Exception, tokens: list[str]) -> int:
    if isinstance(error, OSError) and error.errno is not None and error.filename is None:
        # Writing to stdout failed: a full disk behind a redirection.
        say(f"error: cannot write the output: {error.strerror}")
        return EXIT_UNAVAILABLE
    if os.environ.get("TROTH_TRACEBACK") or "-v" in tokens or "--verbose" in tokens:
        traceback.print_exception(error)
    say(f"error: a bug in troth: {type(error).__name__}: {visible(str(error))}")
    say("  fix: please report it, with the output of the same command under TROTH_TRACEBACK=1")
    return EXIT_BUG


if __name__ == "__main__":
    sys.exit(run())
