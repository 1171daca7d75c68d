"""What the image's `/init` runs: finds the agent's own libraries, then becomes the agent.

Run as `python3.13 -I -S boot.py`: no environment, no user folder and no `site` decide what is imported.
"""

import gc
import os
import sys

sys.path.insert(0, "/usr/lib/troth/lib")
# OpenSSL loads what a configuration names, from wherever a library was built to look: there is none.
os.environ["OPENSSL_CONF"] = ""

# One OpenSSL is enough, that of `cryptography`: `hashlib` has hashes of its own, and nobody here asks for
# `ssl`, which what reads HTTP would load.
sys.modules["_hashlib"] = sys.modules["_ssl"] = None  # type: ignore[assignment]
# Nothing that is loaded now is ever let go: looking for what could be is a tenth of the start.
gc.disable()

from troth.agent import spare  # noqa: E402

with spare.loading():
    from troth.agent.init import main

gc.freeze()
gc.enable()
sys.exit(main())
