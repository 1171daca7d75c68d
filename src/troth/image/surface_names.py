"""Names by which a report of an attack surface knows what a program is for.

By name alone: a shell that somebody renamed, or an interpreter inside another program, is not found.
"""

import re
from typing import Final

PROGRAMS: Final = {
    "shells": re.compile(
        r"sh|bash|dash|ash|zsh|ksh\d*|mksh|csh|tcsh|fish|rbash|busybox(-\w+)?|toybox|sash"
    ),
    "interpreters": re.compile(
        r"(python|pypy|perl|ruby|lua|luajit|php|tclsh|guile|node|nodejs|deno|bun|java|jshell|erl|ghci"
        r"|Rscript|julia|ocaml|qjs|gawk|mawk|original-awk|awk|gdb|bpftrace)[-\d.]*(x86_64-linux-gnu)?"
    ),
    "compilers": re.compile(
        r"([\w.]+-)*(gcc|g\+\+|cc|c\+\+|cpp|clang(\+\+)?|tcc|ld(\.\w+)?|as|gold|rustc|cargo|go|gofmt|javac"
        r"|make|cmake|ninja|nasm|yasm|ghc|gdc|swiftc|zig)(-[\d.]+)?"
    ),
    "package_managers": re.compile(
        r"apt(-\w+)*|aptitude|dpkg(-\w+)*|apk|rpm\w*|yum|dnf\d*|microdnf|zypper|pacman|pip[\d.]*|pipx|uv"
        r"|conda|npm|npx|yarn|pnpm|corepack|gem|bundle|cpan|luarocks|composer|snap|flatpak|nix(-\w+)*|brew"
    ),
    "network_clients": re.compile(
        r"curl|wget|nc|ncat|netcat|nc\.\w+|socat|ssh|scp|sftp|ftp|tftp|telnet|rsync|dig|nslookup|host"
        r"|busybox(-\w+)?|toybox|openssl|aria2c|lynx|w3m|links|git|nmap|ping|gnutls-cli"
    ),
}
"""Kind of program to its names. busybox and toybox are many programs, so they stand under two kinds."""

UNITS: Final = re.compile(
    r"(usr/)?lib/systemd/(system|user)/.*|etc/(systemd/(system|user)|init\.d|cron\.[a-z]+|xinetd\.d)/.+"
    r"|etc/(inittab|crontab|inetd\.conf)|(var/spool/cron)/.+"
)
"""What some first process or clock would start; in an image of troth's nothing reads it."""

MODULE: Final = re.compile(r"(usr/)?lib/modules/(.*/)?[^/]+\.ko(\.(xz|gz|zst))?")

OPTIONS: Final = {
    "MODULES": "code can be loaded into the running kernel",
    "KEXEC": "another kernel can be started from it",
    "KEXEC_FILE": "and by the other call",
    "DEVMEM": "memory is a file",
    "PROC_KCORE": "the kernel's memory is a file",
    "DEBUG_FS": "files for debugging it",
    "KPROBES": "code can be put into the running kernel",
    "FTRACE": "it can be traced",
    "BPF_SYSCALL": "programs run inside the kernel",
    "IO_URING": "io_uring, where many mistakes were",
    "USERFAULTFD": "faults of memory can be held up by a program",
    "CROSS_MEMORY_ATTACH": "memory of another process can be read by a call of its own",
    "SECURITY_YAMA": "ptrace is kept to a process's children",
    "USER_NS": "a user can be root in a namespace of its own",
    "KEYS": "keys are kept by the kernel",
    "MAGIC_SYSRQ": "the console gives the kernel orders",
    "COREDUMP": "memory of a dead program is written down",
    "BINFMT_MISC": "a program says which others run what",
    "IA32_EMULATION": "the system calls of 32 bits as well",
    "MODIFY_LDT_SYSCALL": "a program makes segments of its own",
    "CHECKPOINT_RESTORE": "a process can be taken apart",
    "FW_LOADER": "firmware is loaded into devices",
    "ACPI": "an interpreter for the host's tables",
    "PCI": "the bus and what is on it",
    "BLOCK": "disks",
    "NETFILTER": "rules for packets",
    "PACKET": "packets made by hand",
    "IPV6": "the newer internet protocol",
    "VSOCKETS_LOOPBACK": "a program can call the enclave's own vsock ports",
    "SWAP": "memory can be written to a disk",
    "HIBERNATION": "and all of it at once",
    "RANDOMIZE_BASE": "the kernel stands at an address chosen at start",
    "STACKPROTECTOR_STRONG": "a written-over stack is noticed",
    "HARDENED_USERCOPY": "copies to and from programs stay inside one object",
    "SECCOMP_FILTER": "system calls can be taken away",
}
"""Options of a kernel that decide what an attacker in it has, all in the hardware kernel's own table."""
