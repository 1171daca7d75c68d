"""Run by the image's own interpreter: deflates each file that standard input names, several side by side.

One JSON list a line: the file, and where its compressed form goes. Not a part of the package that is
imported; it must run under the image's Python with nothing but the standard library.
"""

import json
import os
import sys
import threading
import zlib

LEVEL = 4  # half the time of 6, for 3 % more
RAW = -15  # a window of 32 KiB, and nothing around it
PIECE = 1 << 20


def squeeze(jobs: list[list[str]], failed: list[str]) -> None:
    """Compresses one file after the other; what goes wrong is in `failed`, as a thread's end tells nobody."""
    while jobs:
        try:
            source, target = jobs.pop()
        except IndexError:  # another thread has taken the last
            return
        try:
            tool = zlib.compressobj(LEVEL, zlib.DEFLATED, RAW)
            with open(source, "rb") as file, open(target, "wb") as out:  # noqa: PTH123 - starts in half the time
                while piece := file.read(PIECE):
                    out.write(tool.compress(piece))
                # Up to a whole byte, and no block is the last.
                out.write(tool.flush(zlib.Z_SYNC_FLUSH))
        except BaseException as error:  # noqa: BLE001 - a lack of memory, say, leaves half a ramdisk
            failed.append(f"{target}: {error!r}")


def main() -> None:
    """Compresses all of them."""
    failed: list[str] = []
    jobs = [json.loads(line) for line in sys.stdin]
    threads = [
        threading.Thread(target=squeeze, args=(jobs, failed)) for _ in range(os.cpu_count() or 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        sys.exit("; ".join(failed))


if __name__ == "__main__":
    main()
