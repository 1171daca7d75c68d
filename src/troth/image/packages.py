"""What packages hold of an image, put into its tree, and what they say of themselves."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from troth.errors import Malformed
from troth.image import deb, slim, unpack_wheel
from troth.image.lock import Deb, Wheel
from troth.image.memo import Memo, Parts, recall
from troth.image.store import Store, digest
from troth.image.tree import Tree, merged
from troth.wire import json

# Where a package may put nothing: the agent's own places, and what turns its interpreter or loader
# elsewhere. Any other code of a package may be the agent's too, for that is what its interpreter,
# standard library and C library are. They are the archive's, under pinned keys, and measured. A
# wheel's files stay below the folder of wheels, which is on the app's path only: with -I -S nobody
# reads a `.pth` or a `sitecustomize` for the agent, whoever brings it.
_AGENTS: Final = (
    "etc/ld.so.cache", "etc/ld.so.preload", "etc/troth", "init", "rootfs", "usr/bin/pybuilddir.txt",
    "usr/bin/pyvenv.cfg", "usr/lib/python313.zip", "usr/lib/troth", "usr/pyvenv.cfg",
)  # fmt: skip
_AT_ONCE: Final = min(8, os.cpu_count() or 1)


def install(tree: Tree, packages: Sequence[Deb], store: Store, memo: Memo | None = None) -> None:
    """Puts packages into a tree, in their order.

    Args:
        tree: changed in place.
        packages: of a lock.
        store: holds them.
        memo: remembers what is in them.

    Raises:
        Malformed: one is damaged, or holds what is the agent's.
        Misuse: two bring different files at one path.
        Unavailable: one is not in the store.
    """

    def read(package: Deb) -> list[bytes]:
        data = store.get(sha256=package.sha256, name=package.file)
        return _flat(kept(data, owner=package.name, base=package.base))

    def unpack(missing: Sequence[int]) -> list[list[bytes]]:
        # Several at once, because this is most of the work.
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            return list(pool.map(read, [packages[number] for number in missing]))

    tasks = [(package.name, package.sha256, str(package.base)) for package in packages]
    for package, parts in zip(packages, recall(memo, "package", tasks, unpack), strict=True):
        for path, member in _members(parts):
            deb.place(member, tree, path, owner=package.name)


def install_wheels(
    tree: Tree, wheels: Sequence[Wheel], store: Store, *, into: str, memo: Memo | None = None
) -> None:
    """Puts wheels into a folder of a tree, in their order, without their tests and type stubs.

    Args:
        tree: changed in place.
        wheels: of a lock.
        store: holds them.
        into: the folder.
        memo: remembers what is in them.

    Raises:
        Malformed: one is damaged.
        Misuse: two bring different files at one path.
        Unavailable: one is not in the store.
    """

    def read(missing: Sequence[int]) -> list[list[bytes]]:
        result = []
        for wheel in (wheels[number] for number in missing):
            data = store.get(sha256=wheel.sha256, name=wheel.file)
            found = {
                path: content
                for path, content in unpack_wheel.files(data, name=wheel.file)
                if not path.endswith(".pyi") and "/tests/" not in path  # which nothing runs
            }
            rows = [[path, digest(content)] for path, content in found.items()]
            result.append([json.canonical(rows), *found.values()])
        return result

    tasks = [(wheel.file, wheel.sha256) for wheel in wheels]
    for wheel, (table, *contents) in zip(wheels, recall(memo, "wheel", tasks, read), strict=True):
        rows = json.parse(bytes(table), field="wheel", limit=len(table))  # our own, of any size
        for (path, sha256), content in zip(rows, contents, strict=True):
            known = bytes.fromhex(sha256)
            tree.add_file(f"{into}/{path}", bytes(content), owner=wheel.name, known=known)


def kept(data: bytes, *, owner: str, base: bool) -> Iterator[tuple[str, deb.Member]]:
    """What an image has of a package, and where.

    Args:
        data: the package.
        owner: its name.
        base: whether it comes with every image, and is slimmed.

    Raises:
        Malformed: it is damaged, or holds what is the agent's.
    """
    for member in deb.members(data, name=owner):
        path = merged(member.path)
        if any(path == place or path.startswith(f"{place}/") for place in _AGENTS):
            raise Malformed(f"holds /{path}, which no package of Debian's has", field=owner)
        if not path or slim.unread(path) or (base and not slim.kept_of_base(path)):
            continue
        try:
            f"{path}{member.target}".encode()
        except UnicodeEncodeError:
            raise Malformed(f"has a name that is not UTF-8: {path!r}", field=owner) from None
        yield path, member


def said(packages: Sequence[Deb], store: Store, memo: Memo | None = None) -> list[dict[str, str]]:
    """What each says of itself: the fields of its control file.

    Raises:
        Malformed: one is damaged.
        Unavailable: one is not in the store.
    """

    def read(missing: Sequence[int]) -> list[list[bytes]]:
        fields = []
        for package in (packages[number] for number in missing):
            data = store.get(sha256=package.sha256, name=package.file)
            fields.append([json.canonical(deb.control(data, name=package.file))])
        return fields

    found = recall(memo, "control", [(package.sha256,) for package in packages], read)
    return [json.parse(bytes(text), field="control") for (text,) in found]


def _flat(members: Iterator[tuple[str, deb.Member]]) -> list[bytes]:
    """Members as a memo keeps them: a table, and their bytes."""
    rows, parts = [], []
    for path, member in members:
        sha256 = digest(member.data)
        rows.append([path, member.kind, member.target, member.executable, sha256])
        parts.append(member.data)
    return [json.canonical(rows), *parts]


def _members(parts: Parts) -> Iterator[tuple[str, deb.Member]]:
    """The same again."""
    # A table of our own, which for a package of many files is larger than what others may hand us.
    rows = json.parse(bytes(parts[0]), field="package", limit=len(parts[0]))
    for (path, kind, target, executable, sha256), data in zip(rows, parts[1:], strict=True):
        member = deb.Member(
            path=path,
            kind=kind,
            data=bytes(data),
            target=target,
            executable=executable,
            known=bytes.fromhex(sha256),
        )
        yield path, member
