#!/usr/bin/python3.13 -IS
"""The first program of a guest that does to vsock what programs do; says how each came out, and ends."""

import ctypes, hashlib, json, os, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
said = {}


def set_up():
    for kind, path in (("proc", "/proc"), ("devtmpfs", "/dev")):
        os.makedirs(path, exist_ok=True)
        libc.mount(kind.encode(), path.encode(), kind.encode(), 0, None)
    for name in open("/usr/lib/modules/load").read().split():
        file = os.open("/usr/lib/modules/" + name, os.O_RDONLY)
        libc.syscall(313, file, b"", 0)


def connect(port, cid=3, room=None):
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    sock.settimeout(100)
    # As struct timeval, which Python does not take for vsock: a busy host has longer than Linux's 2 seconds.
    patience = (ctypes.c_long * 2)(60, 0)
    libc.setsockopt(sock.fileno(), socket.AF_VSOCK, 6, patience, ctypes.sizeof(patience))
    if room:
        sock.setsockopt(socket.AF_VSOCK, socket.SO_VM_SOCKETS_BUFFER_MIN_SIZE, room)
        sock.setsockopt(socket.AF_VSOCK, socket.SO_VM_SOCKETS_BUFFER_SIZE, room)
    sock.connect((cid, port))
    return sock


def read(sock, step=1 << 16, pause=0):
    digest, size = hashlib.sha256(), 0
    while data := sock.recv(step):
        digest.update(data)
        size += len(data)
        time.sleep(pause)
    sock.close()
    return size, digest.hexdigest()


def echoed(data, port=7000):
    """Sends and reads at once; whether it came back."""
    sock = connect(port)
    thread = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
    thread.start()
    found = read(sock)
    thread.join()
    return found == (len(data), hashlib.sha256(data).hexdigest())


def refused():
    try:
        connect(12345)
    except ConnectionResetError:
        return True


def over_unread():
    """The host speaks and goes, and never reads what it was told."""
    sock = connect(7001)
    try:
        sock.sendall(bytes(100_000))
    except OSError:
        pass
    return read(sock) == WHOLE


def little_room(room):
    return read(connect(7001, room=room), 5000, 0.001) == WHOLE


def at_once():
    came = []
    threads = [
        threading.Thread(target=lambda i=i: came.append(echoed(DATA[i * 1000 : i * 1000 + 50_000])))
        for i in range(60)
    ]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return came == [True] * 60


def in_a_row():
    return all(echoed(DATA[i : i + 5000]) for i in range(150))


def left_behind():
    """Closed over bytes that a slow reader of the host's has yet to take."""
    sock = connect(7002)
    sock.sendall(DATA)
    sock.close()
    return True


def broken_off():
    """Closed over bytes that were not read."""
    sock = connect(7001)
    sock.recv(10)
    sock.close()
    return True


def serve():
    listener = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    listener.bind((0xFFFFFFFF, 8080))
    listener.listen(128)

    def one(sock):
        with sock:
            while data := sock.recv(1 << 16):
                sock.sendall(data)

    while True:
        threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()


try:
    set_up()
    import socket

    DATA = b"".join(hashlib.sha256(i.to_bytes(2, "big")).digest() for i in range(1 << 15))
    WHOLE = len(DATA), hashlib.sha256(DATA).hexdigest()
    threading.Thread(target=serve, daemon=True).start()
    said["refused"] = refused()
    said["by the name 2"] = connect(7001, 2).recv(4) == DATA[:4]
    said["large"] = echoed(DATA * 8)
    said["over unread"] = over_unread()
    said["little room"] = [little_room(room) for room in (4096, 20_000, 1 << 18)]
    said["at once"] = at_once()
    said["in a row"] = in_a_row()
    said["left behind"] = left_behind()
    said["broken off"] = broken_off()
    connect(7003).recv(1)  # until the host has done its part
except BaseException as error:
    said["error"] = repr(error)
print("\nSAID " + json.dumps(said), flush=True)
libc.reboot(0x01234567)
time.sleep(9)
