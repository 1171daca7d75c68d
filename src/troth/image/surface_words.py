"""The numbers of a report of an attack surface: which there are, and what each counts."""

from typing import Final

NUMBERS: Final = {
    "files": "regular files",
    "links": "symbolic links",
    "bytes": "of files and kernel, unpacked",
    "packages": "Debian packages and wheels that have files in the image",
    "elf": "programs, libraries and kernel modules in machine code",
    "static": "programs that need no loader and no library",
    "programs": "executable files in PATH",
    "scripts": "files that begin with #!",
    "interpreters": "programs that run other programs' text",
    "shells": "programs that take orders as text",
    "compilers": "programs that make others",
    "package_managers": "programs that fetch or install others",
    "network_clients": "programs made to fetch or to send",
    "listeners": "ports of the app's that the recipe publishes, and the agent's own",
    "modules": "of the kernel",
    "units": "files of systemd, init or cron",
    "setuid": "programs that run as their owner",
    "setgid": "programs that run as their group",
    "capabilities": "programs with privileges of their own; an image's archives can't hold any",
    "world_writable": "files and folders that everybody may write",
    "devices": "device nodes",
    "python_lines": "lines of Python",
    "unowned": "files that no package brought",
    "missing_libraries": "machine code whose libraries are not where the loader looks",
    "outside_rpath": "machine code that looks for libraries in folders that are not there",
    "executable_stack": "machine code whose stack may hold code",
    "no_pie": "programs at a fixed address",
    "no_relro": "machine code whose table of calls stays writable",
    "unread": "machine code that was not read: of 32 bits, or damaged",
}

KINDS: Final = {
    "kernel": "the kernel and its modules",
    "interpreter": "the image's own Python, with the libraries that it needs",
    "agent": "troth's own part, with the wheels that it needs",
    "deb": "Debian packages that the recipe names, and what they need",
    "wheel": "Python packages that the recipe names, and what they need",
    "app": "files of the recipe",
    "root": "the root that the app brings",
    "image": "what the builder writes: names, accounts, the agent's settings",
}
"""What a megabyte can be for, in the order of a report."""
