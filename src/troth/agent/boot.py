"""What the image's `/init` runs: finds the agent's own libraries, then becomes the agent.

Run as `python3.13 -I -S boot.py`: no environment, no user folder and no `site` decide what is imported.
"""

import sys

sys.path.insert(0, "/usr/lib/troth/lib")

from troth.agent.init import main

sys.exit(main())
