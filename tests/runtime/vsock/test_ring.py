"""The device's side of a ring: by the rules, and against each of them."""

import os
from collections.abc import Iterator

import pytest
from tests.runtime.vsock.front import (
    BASE,
    BUFFERS,
    ENTRIES,
    INDIRECT,
    NEXT,
    SIZE,
    USER,
    WRITE,
    Queue,
)

from troth.errors import Malformed
from troth.runtime.vsock.memory import Memory, Region
from troth.runtime.vsock.ring import Layout, Ring

LAYOUT = Layout(size=ENTRIES, descriptors=USER, available=USER + 0x1000, used=USER + 0x2000)
TABLE = 0x8000


class Driver(Queue):
    """The driver's side, without a front end."""

    def __init__(self) -> None:
        self.file = os.memfd_create("guest", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.file, SIZE)
        self.whole = Memory([Region(guest=BASE, size=SIZE, user=USER, offset=0)], [self.file])
        self.memory = self.whole.guest(BASE, SIZE)
        super().__init__(self, 0)  # type: ignore[arg-type]

    def ring(self, *, base: int = 0, writable: bool = False, indirect: bool = True) -> Ring:
        return Ring(LAYOUT, self.whole, base=base, writable=writable, indirect=indirect)

    def table(self, *entries: tuple[int, int, int, int], length: int | None = None) -> None:
        """An indirect table, named by descriptor 0, which is offered."""
        for place, (address, size, flags, following) in enumerate(entries):
            at = TABLE + 16 * place
            self.memory[at : at + 8] = address.to_bytes(8, "little")
            self.memory[at + 8 : at + 12] = size.to_bytes(4, "little")
            self.memory[at + 12 : at + 14] = flags.to_bytes(2, "little")
            self.memory[at + 14 : at + 16] = following.to_bytes(2, "little")
        size = 16 * len(entries) if length is None else length
        self.describe(0, BASE + TABLE, size, INDIRECT)
        self.offer(0)


@pytest.fixture
def driver() -> Iterator[Driver]:
    made = Driver()
    yield made
    os.close(made.file)


AT = BASE + BUFFERS


@pytest.mark.parametrize("indirect", [False, True])
@pytest.mark.parametrize("flags", [0, WRITE])
def test_chains_come_in_order_and_go_back(driver: Driver, indirect: bool, flags: int) -> None:
    ring = driver.ring(writable=bool(flags))
    assert ring.peek() is None
    heads = []
    for count in (1, 2, 5):
        parts = [(AT + 100 * i, 10 + i) for i in range(count)]
        heads.append(driver.add(parts, flags=flags, indirect=indirect))
    for head, count in zip(heads, (1, 2, 5), strict=True):
        chain = ring.peek()
        assert chain is ring.peek()
        assert chain is not None
        assert [len(view) for view in chain.views] == [10 + i for i in range(count)]
        assert chain.total == sum(10 + i for i in range(count))
        ring.push(count)
        assert driver.reap() == [(head, count)]
    assert ring.peek() is None


def test_counters_go_round(driver: Driver) -> None:
    ring = driver.ring(writable=True)
    for number in range(70_000):
        head = driver.add([(AT, 64)], flags=WRITE)
        assert ring.peek() is not None
        ring.push(number % 64)
        assert driver.reap() == [(head, number % 64)]
    assert ring.base == 70_000 % 65536


def test_a_ring_goes_on_where_it_was(driver: Driver) -> None:
    ring = driver.ring()
    for _ in range(5):
        driver.add([(AT, 64)])
    ring.peek()
    ring.push(0)
    ring.peek()  # looked at, but not taken
    again = driver.ring(base=ring.base)
    taken = 0
    while again.peek() is not None:
        again.push(0)
        taken += 1
    assert taken == 4
    assert len(driver.reap()) == 5


def test_a_batch_is_one_interrupt(driver: Driver) -> None:
    call = os.eventfd(0, os.EFD_NONBLOCK)
    ring = driver.ring()
    ring.signal(call)
    with pytest.raises(BlockingIOError):
        os.eventfd_read(call)
    for _ in range(3):
        driver.add([(AT, 64)])
        ring.peek()
        ring.push(0)
    ring.signal(call)
    ring.signal(call)
    assert os.eventfd_read(call) == 1
    os.eventfd_write(call, (1 << 64) - 2)  # full: the driver has yet to look
    driver.add([(AT, 64)])
    ring.peek()
    ring.push(0)
    ring.signal(call)
    ring.signal(None)
    os.close(call)


@pytest.mark.parametrize(
    ("descriptor", "word"),
    [
        ((AT, 0, 0, 0), "is empty"),
        ((AT, 64, WRITE, 0), "is writable in a ring of the other kind"),
        ((AT, 64, NEXT, 0), "longer than its ring"),
        ((AT, 64, NEXT, ENTRIES), "is number 128 of 128"),
        ((AT, 64, NEXT, 0xFFFF), "is number 65535 of 128"),
        ((AT, 64, 8, 0), "has flags 0x8"),
        ((AT, 64, 0x8080, 0), "has flags"),
        ((BASE - 1, 64, 0, 0), "not in one region"),
        ((BASE + SIZE - 63, 64, 0, 0), "not in one region"),
        ((BASE + SIZE, 1, 0, 0), "not in one region"),
        (((1 << 64) - 1, 2, 0, 0), "not in one region"),
        (((1 << 64) - 32, 0xFFFF_FFFF, 0, 0), "not in one region"),
        ((USER, 64, 0, 0), "not in one region"),
        ((AT, 0xFFFF_FFFF, 0, 0), "not in one region"),
        ((BASE + TABLE, 16, INDIRECT | NEXT, 1), "may not be indirect"),
        ((BASE + TABLE, 16, INDIRECT | WRITE, 1), "may not be indirect"),
        ((BASE + TABLE, 0, INDIRECT, 0), "a table of 0 bytes"),
        ((BASE + TABLE, 15, INDIRECT, 0), "a table of 15 bytes"),
        ((BASE + TABLE, 16 * ENTRIES + 16, INDIRECT, 0), "a table of"),
        ((BASE + SIZE - 16, 32, INDIRECT, 0), "not in one region"),
    ],
)
def test_descriptors_against_the_rules(driver, descriptor, word) -> None:
    ring = driver.ring()
    driver.describe(0, *descriptor)
    driver.offer(0)
    with pytest.raises(Malformed, match=word):
        ring.peek()
    with pytest.raises(Malformed, match=word):  # and it does not mend
        ring.peek()


def test_readable_buffers_are_not_written(driver: Driver) -> None:
    ring = driver.ring(writable=True)
    driver.describe(0, AT, 64, WRITE | NEXT, 1)
    driver.describe(1, AT, 64, 0)
    driver.offer(0)
    with pytest.raises(Malformed, match="is readable in a ring of the other kind"):
        ring.peek()


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ([(AT, 64, NEXT, 0)], "longer than its ring"),
        ([(AT, 64, NEXT, 1)], "is number 1 of 1"),
        ([(AT, 64, NEXT, 1), (AT, 64, NEXT, 0)], "longer than its ring"),
        ([(BASE + TABLE, 16, INDIRECT, 0)], "may not be indirect"),
        ([(BASE + SIZE, 64, 0, 0)], "not in one region"),
    ],
)
def test_tables_against_the_rules(driver: Driver, entries, word) -> None:
    ring = driver.ring()
    driver.table(*entries)
    with pytest.raises(Malformed, match=word):
        ring.peek()


def test_tables_are_taken_only_if_agreed_on(driver: Driver) -> None:
    driver.table((AT, 64, 0, 0))
    with pytest.raises(Malformed, match="may not be indirect"):
        driver.ring(indirect=False).peek()
    assert driver.ring().peek() is not None


def test_a_table_may_follow_descriptors(driver: Driver) -> None:
    driver.table((AT, 64, 0, 0))
    driver.describe(1, AT + 64, 44, NEXT, 0)
    driver.available[2] = 1
    chain = driver.ring().peek()
    assert chain is not None
    assert [len(view) for view in chain.views] == [44, 64]


@pytest.mark.parametrize("index", [129, 32768, 65535])
def test_more_cannot_wait_than_there_is_room_for(driver: Driver, index: int) -> None:
    driver.available[1] = index
    with pytest.raises(Malformed, match=f"{index} entries wait in 128"):
        driver.ring().peek()


def test_a_head_is_a_number_of_the_table(driver: Driver) -> None:
    driver.offer(ENTRIES)
    with pytest.raises(Malformed, match="is number 128 of 128"):
        driver.ring().peek()


def test_a_chain_may_be_as_long_as_its_ring_and_no_longer(driver: Driver) -> None:
    for number in range(ENTRIES):
        driver.describe(number, AT, 1, NEXT, number + 1)
    driver.describe(ENTRIES - 1, AT, 1, 0)
    driver.offer(0)
    chain = driver.ring().peek()
    assert chain is not None
    assert chain.total == ENTRIES
    driver.describe(ENTRIES - 1, AT, 1, NEXT, 0)
    with pytest.raises(Malformed, match="longer than its ring"):
        driver.ring().peek()


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"descriptors": USER + 8}, "descriptors are not at a multiple of 16"),
        ({"available": USER + 0x1001}, "available are not at a multiple of 2"),
        ({"used": USER + 0x2002}, "used are not at a multiple of 4"),
        ({"descriptors": USER + SIZE - 16}, "not in one region"),
        ({"available": USER + SIZE - 16}, "not in one region"),
        ({"used": USER + SIZE - 16}, "not in one region"),
        ({"used": BASE}, "not in one region"),
        ({"descriptors": (1 << 64) - 16}, "not in one region"),
    ],
)
def test_a_ring_is_in_the_guests_memory(driver: Driver, changed, word) -> None:
    places = {
        "size": ENTRIES,
        "descriptors": USER,
        "available": USER + 0x1000,
        "used": USER + 0x2000,
    }
    with pytest.raises(Malformed, match=word):
        Ring(Layout(**(places | changed)), driver.whole, base=0, writable=True, indirect=True)
