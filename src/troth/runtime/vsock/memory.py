"""The guest's memory: regions of files that the front end hands over, and nothing beside them.

Only the pages of a region are mapped, so there is no address by which a byte outside could be named; a
range is looked up whole in one region before a view of it exists.

A mapping of a file that shrinks ends its reader by SIGBUS. So a file must be one that can't shrink: a
memfd with the seal for that, which QEMU sets of its own accord, or which is set here. Huge pages are
refused for the same reason: a hole in them may not be filled. What remains is the machine's own memory
running out.
"""

import fcntl
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from troth.errors import Malformed

MOST_REGIONS: Final = 8
# Pages that are touched cost page tables of ours, a 512th of them.
MOST_BYTES: Final = 64 << 30
_PAGE: Final = mmap.PAGESIZE
_SPACE: Final = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region as the front end states it.

    Attributes:
        guest: its first address as the guest counts.
        size: in bytes.
        user: its first address as the front end counts; the rings are named so.
        offset: where it begins in its file.
    """

    guest: int
    size: int
    user: int
    offset: int


class Memory:
    """The regions of one table, mapped.

    Args:
        regions: as stated.
        descriptors: the file of each; they stay the caller's.

    Raises:
        Malformed: a region is none, overlaps another or its address space, or its file can't hold it.
    """

    def __init__(self, regions: Sequence[Region], descriptors: Sequence[int]) -> None:
        self._maps: list[mmap.mmap] = []
        self._guest: list[tuple[int, int, memoryview]] = []
        self._user: list[tuple[int, int, memoryview]] = []
        _check(regions, descriptors)
        try:
            for place, (region, descriptor) in enumerate(zip(regions, descriptors, strict=True)):
                self._map(f"region {place}", region, descriptor)
        except BaseException:
            self.close()
            raise

    def guest(self, address: int, length: int) -> memoryview:
        """The bytes at a guest's physical address.

        Raises:
            Malformed: not all of them are in one region.
        """
        return _find(self._guest, address, length)

    def user(self, address: int, length: int) -> memoryview:
        """The bytes at an address of the front end's.

        Raises:
            Malformed: not all of them are in one region.
        """
        return _find(self._user, address, length)

    def close(self) -> None:
        """Lets go of the memory. A view that is still held keeps its region until it is dropped."""
        for _, _, view in self._guest:
            view.release()
        self._guest, self._user = [], []
        for mapped in self._maps:
            try:
                mapped.close()
            except BufferError:
                continue
        self._maps = []

    def _map(self, field: str, region: Region, descriptor: int) -> None:
        _check_file(field, region, descriptor)
        try:
            mapped = mmap.mmap(
                descriptor,
                region.size,
                mmap.MAP_SHARED,
                mmap.PROT_READ | mmap.PROT_WRITE,
                offset=region.offset,
            )
        except (OSError, ValueError, OverflowError) as error:
            raise Malformed(f"can't be mapped: {error}", field=field) from None
        self._maps.append(mapped)
        # A guest's memory belongs neither into our core dump nor into the programs that we start.
        mapped.madvise(mmap.MADV_DONTDUMP)
        mapped.madvise(mmap.MADV_DONTFORK)
        view = memoryview(mapped)
        self._guest.append((region.guest, region.guest + region.size, view))
        self._user.append((region.user, region.user + region.size, view))


def _find(regions: Sequence[tuple[int, int, memoryview]], address: int, length: int) -> memoryview:
    for start, end, view in regions:
        if start <= address and address + length <= end:
            at = address - start
            return view[at : at + length]
    raise Malformed(f"{length} bytes at {address:#x} are not in one region", field="address")


def _check(regions: Sequence[Region], descriptors: Sequence[int]) -> None:
    if not 1 <= len(regions) <= MOST_REGIONS:
        raise Malformed(f"{len(regions)} regions; 1 to {MOST_REGIONS} can be", field="regions")
    if len(regions) != len(descriptors):
        raise Malformed(f"{len(regions)} regions with {len(descriptors)} files", field="regions")
    for place, region in enumerate(regions):
        _check_region(f"region {place}", region)
    if sum(region.size for region in regions) > MOST_BYTES:
        raise Malformed(f"more than {MOST_BYTES >> 30} GiB", field="regions")
    for name in ("guest", "user"):
        spans = sorted((getattr(region, name), region.size) for region in regions)
        for (start, size), (following, _) in pairwise(spans):
            if start + size > following:
                raise Malformed(f"two overlap by their {name} addresses", field="regions")


def _check_region(field: str, region: Region) -> None:
    if not region.size:
        raise Malformed("is empty", field=field)
    for name in ("guest", "size", "user", "offset"):
        if getattr(region, name) % _PAGE:
            raise Malformed(f"its {name} is not in whole pages", field=field)
    for name in ("guest", "user", "offset"):
        if getattr(region, name) + region.size > _SPACE:
            raise Malformed(f"its {name} and size pass 2^64", field=field)


def _check_file(field: str, region: Region, descriptor: int) -> None:
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        if not seals & fcntl.F_SEAL_SHRINK:
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    except OSError:
        raise Malformed(
            "its file may shrink and can't be sealed against that",
            field=field,
            fix="give QEMU its memory by -object memory-backend-memfd,share=on",
        ) from None
    if os.fstatvfs(descriptor).f_bsize != _PAGE:
        raise Malformed(
            "its file has huge pages", field=field, fix="leave hugetlb away from QEMU's memory"
        )
    # Only after the seal: what was long enough then stays so.
    size = os.fstat(descriptor).st_size
    if region.offset + region.size > size:
        raise Malformed(f"ends beyond its file of {size} bytes", field=field)
