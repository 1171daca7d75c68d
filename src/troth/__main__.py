"""`python -m troth`."""

import sys

from troth.cli.main import run

sys.exit(run())
