"""Tries each way in that it is asked for, from inside, and answers with what happened."""

import ctypes
import fcntl
import http.client
import json
import mmap
import os
import shutil
import socket
import struct
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ELF = "/usr/bin/python3.13"
LOADER = "/lib64/ld-linux-x86-64.so.2"
libc = ctypes.CDLL(None, use_errno=True)


def attempt(step):
    """`done: …` if it worked, else the error's name."""
    try:
        return f"done: {step()}"
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def copied(folder="/tmp"):
    path = f"{folder}/program"
    shutil.copyfile(ELF, path)
    os.chmod(path, 0o755)
    return path


def exec_from_tmp():
    return subprocess.run([copied(), "-c", "print(1)"], capture_output=True, check=True).stdout


def loader_on_tmp():
    return subprocess.run(
        [LOADER, copied(), "-c", "print(1)"], capture_output=True, check=True
    ).stdout


def map_from_tmp():
    with open(copied(), "rb") as file:
        mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
    return "mapped"


def write_to_scratch():
    with open("/var/lib/probe/data", "w") as file:
        return file.write("kept")


def exec_from_scratch():
    path = copied("/var/lib/probe")
    return subprocess.run([path, "-c", "print(1)"], capture_output=True, check=True).stdout


def fill_scratch():
    """A quarter of the memory is what it may take."""
    with open("/var/lib/probe/large", "wb") as file:
        for _ in range(65):
            file.write(bytes(1 << 20))
    return "it took 65 MiB"


def exec_from_memory():
    descriptor = os.memfd_create("program", 0)
    with open(ELF, "rb") as file:
        os.write(descriptor, file.read())
    return subprocess.run(
        [f"/proc/self/fd/{descriptor}", "-c", "print(1)"],
        pass_fds=[descriptor],
        capture_output=True,
        check=True,
    ).stdout


def loader_on_sealed_memory():
    """Sealed against execution (flag 8): the loader does not execute it, it maps it."""
    descriptor = os.memfd_create("program", 8)
    with open(ELF, "rb") as file:
        os.write(descriptor, file.read())
    return subprocess.run(
        [LOADER, f"/proc/self/fd/{descriptor}", "-c", "print(1)"],
        pass_fds=[descriptor],
        capture_output=True,
        check=True,
    ).stdout


def loader_on_own_output():
    """What the app prints goes to the host: it must be no file that can be opened again and mapped."""
    descriptor = os.open("/proc/self/fd/1", os.O_RDWR)
    mmap.mmap(descriptor, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
    return "mapped"


def shared_memory():
    with open("/dev/shm/data", "wb+") as file:
        file.truncate(4096)
        mmap.mmap(file.fileno(), 4096).close()
    return "made"


def code_below_home():
    """A .pth file and a usercustomize where Python looks for what a user has installed."""
    script = "import site; print(site.getusersitepackages())"
    folder = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    folder = folder.decode().strip()
    os.makedirs(folder, exist_ok=True)
    for name in ("evil.pth", "usercustomize.py"):
        with open(f"{folder}/{name}", "w") as file:
            file.write("import sys; sys.stdout.write('in')\n")
    return subprocess.run([sys.executable, "-c", ""], capture_output=True, check=True).stdout


def vsock_of_its_own():
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return "made"


def write_to_root():
    for path in (
        "/app/main.py",
        "/usr/lib/python3.13/sitecustomize.py",
        "/usr/local/lib/python3.13/dist-packages/x.pth",
        "/etc/troth/app.json",
        "/new",
    ):
        try:
            with open(path, "a"):
                return path
        except OSError:
            continue
    raise OSError("nothing is writable")


def writable_import_paths():
    return [p for p in sys.path if p and os.access(p, os.W_OK)]


def mount_over_app():
    if libc.mount(b"/tmp", b"/app", None, 4096, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "mounted"


def remount_root():
    if libc.mount(None, b"/", None, 32 | 4096, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "remounted"


def new_user_namespace():
    os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNS)
    return "made"


def become_root():
    os.setuid(0)
    return os.getuid()


def open_nsm():
    os.open("/dev/nsm", os.O_RDWR)
    return "opened"


def connect_nsm():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("/dev/nsm")
    return "connected"


def ask_nsm():
    """The driver's one call, as any client makes it: DescribeNSM. The answer in hex."""
    request, reply = (
        ctypes.create_string_buffer(b"\x6bDescribeNSM", 12),
        ctypes.create_string_buffer(0x3000),
    )
    message = struct.pack("=QQQQ", ctypes.addressof(request), 12, ctypes.addressof(reply), 0x3000)
    descriptor = os.open("/dev/nsm", os.O_RDWR)
    told = fcntl.ioctl(descriptor, 0xC0200A00, message)
    return reply.raw[: struct.unpack("=QQQQ", told)[3]].hex()


def other_processes():
    return sorted(
        int(p)
        for p in os.listdir("/proc")
        if p.isdigit() and not os.path.samefile(f"/proc/{p}", "/proc/self")
    )


def memory_of_first():
    with open("/proc/1/mem", "rb") as file:
        file.seek(4096)
        file.read(1)
    return "read"


def shells():
    names = ("sh", "bash", "dash", "busybox", "perl", "curl", "apt", "dpkg")
    return [
        n for n in names if shutil.which(n, path="/bin:/usr/bin:/sbin:/usr/sbin:/usr/local/bin")
    ]


def host_files():
    return sorted(os.listdir("/"))


def sysctl():
    with open("/proc/sys/kernel/hostname", "w") as file:
        file.write("mine")
    return "written"


def shared_folder():
    return sorted(os.listdir("/run")), sorted(os.listdir("/run/troth"))


def network():
    with socket.create_connection(("192.0.2.1", 80), timeout=1):
        return "connected"


def interfaces():
    return sorted(name for _, name in socket.if_nameindex())


def capabilities():
    with open("/proc/self/status") as file:
        return {
            k: v.strip()
            for k, _, v in (line.partition(":") for line in file)
            if k.startswith(("Cap", "NoNewPrivs"))
        }


STEPS = {
    f.__name__: f
    for f in (
        exec_from_tmp,
        loader_on_tmp,
        map_from_tmp,
        write_to_scratch,
        exec_from_scratch,
        fill_scratch,
        exec_from_memory,
        loader_on_sealed_memory,
        loader_on_own_output,
        shared_memory,
        code_below_home,
        vsock_of_its_own,
        write_to_root,
        mount_over_app,
        remount_root,
        new_user_namespace,
        become_root,
        open_nsm,
        connect_nsm,
        ask_nsm,
        memory_of_first,
        sysctl,
        network,
    )
}
FACTS = {
    f.__name__: f
    for f in (
        writable_import_paths,
        other_processes,
        shells,
        host_files,
        shared_folder,
        interfaces,
        capabilities,
    )
}


class Agent(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/run/troth/agent.sock")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path[1:]
        if name in STEPS:
            answer = attempt(STEPS[name])
        elif name in FACTS:
            answer = FACTS[name]()
        elif name == "environment":
            answer = dict(os.environ)
        elif name == "descriptors":
            answer = sorted(os.listdir("/proc/self/fd"))
        else:
            answer = None
        self.send(200 if answer is not None else 404, json.dumps(answer).encode())

    def do_POST(self):
        """Passes a request on to the agent: POST /agent with {method, path, body}."""
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        agent = Agent("agent")
        agent.request(
            given["method"],
            given["path"],
            json.dumps(given["body"]) if given["body"] is not None else None,
        )
        response = agent.getresponse()
        self.send(response.status, response.read())

    def send(self, status, data):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
