"""The table of options: strict, one form, and held against what came out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Unavailable
from troth.image.hardware import options

PART = b'[[part]]\ntitle = "T"\nabout = "A"\n[part.options]\n'


def parts(text: str) -> tuple[options.Part, ...]:
    return options.parse(PART + text.encode())


def test_the_table_that_ships_has_what_an_enclave_can_not_do_without() -> None:
    found = options.wanted(options.table())
    needed = """VIRTIO_MMIO VIRTIO_MMIO_CMDLINE_DEVICES X86_MPPARSE VSOCKETS VIRTIO_VSOCKETS NSM SMP KVM_GUEST
        SERIAL_8250_CONSOLE BLK_DEV_INITRD DEVTMPFS BINFMT_SCRIPT USER_NS SECCOMP_FILTER"""
    assert {found[name] for name in needed.split()} == {"y"}
    absent = "MODULES ACPI PCI BLOCK KEXEC DEVMEM DEBUG_FS BPF_SYSCALL"
    assert {found[name] for name in absent.split()} == {"n"}
    assert list(found) == sorted(found)


def test_every_mitigation_is_on_and_so_is_what_hardens() -> None:
    """The kernel's smallest configuration has none of them. One is off: only a command line that ours is not would use it."""
    found = options.wanted(options.table())
    mitigations = {name: value for name, value in found.items() if "MITIGATION" in name}
    assert mitigations.pop("MITIGATION_CALL_DEPTH_TRACKING") == "n"
    assert len(mitigations) >= 23
    assert set(mitigations.values()) == {"y"}
    hardened = """STACKPROTECTOR_STRONG RANDOMIZE_BASE RANDOMIZE_MEMORY RANDOMIZE_KSTACK_OFFSET_DEFAULT FORTIFY_SOURCE
        HARDENED_USERCOPY INIT_ON_ALLOC_DEFAULT_ON INIT_STACK_ALL_ZERO VMAP_STACK SLAB_FREELIST_RANDOM
        SLAB_FREELIST_HARDENED LIST_HARDENED BUG_ON_DATA_CORRUPTION SECURITY_DMESG_RESTRICT LEGACY_VSYSCALL_NONE"""
    assert {found[name] for name in hardened.split()} == {"y"}


def test_every_option_has_a_reason_that_reads_as_one() -> None:
    for part in options.table():
        assert part.title and part.about.endswith(".")
        for option in part.options:
            assert option.why.strip() == option.why
            assert not option.why.endswith(".")


def test_the_fragment_has_one_form() -> None:
    one = parts('B = "why"\nA = { is = "n", why = "off" }\nC = { is = "64", why = "many" }')
    other = parts('C = { is = "64", why = "x" }\nB = "y"\nA = { is = "n", why = "z" }')
    assert options.fragment(one) == b"CONFIG_A=n\nCONFIG_B=y\nCONFIG_C=64\n"
    assert options.fragment(one) == options.fragment(other)
    assert b"#" not in options.fragment(options.table())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A = 1", "A has no value"),
        ("A = true", "A has no value"),
        ('A = ""', "A has no reason"),
        ('a = "lower"', "a has no value"),
        ('A = { is = "m", why = "a module" }', "A has no value"),
        ('A = { is = "y" }', "A has no value"),
        ('A = { is = "y", why = "" }', "A has no reason"),
        ('A = { is = "y", why = "x", more = "z" }', "A has no value"),
        ('A = { is = "\\"a\\nb\\"", why = "x" }', "A has no value"),
        ('A = "x"\n' + PART.decode() + 'A = "y"', "has A twice"),
        ('A = "x"\nA = "y"', "is not TOML"),
        ('A = "x"\n[other]\n', "parts and nothing else"),
        ('A = "x"\n[[part]]\ntitle = "T"\n', "a part without"),
    ],
)
def test_tables_that_are_none(text: str, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        parts(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    try:
        options.parse(data)
    except Malformed:
        pass


def test_what_came_out_is_held_against_the_table() -> None:
    table = parts('A = "x"\nB = { is = "n", why = "x" }\nC = { is = "\\"t\\"", why = "x" }')
    good = b'# Linux\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C="t"\nCONFIG_D=y\n'
    options.check(table, good)
    for wrong, word in (
        (good.replace(b"CONFIG_A=y", b"# CONFIG_A is not set"), "A is n and must be y"),
        (good.replace(b"CONFIG_A=y\n", b""), "A is n and must be y"),
        (good.replace(b"# CONFIG_B is not set", b"CONFIG_B=y"), "B is y and must be n"),
        (good.replace(b"# CONFIG_B is not set", b"CONFIG_B=m"), "B is m and must be n"),
        (good.replace(b'"t"', b'""'), 'C is "" and must be "t"'),
        (b"", "A is n and must be y; C is n"),
    ):
        with pytest.raises(Unavailable, match=word):
            options.check(table, wrong)


def test_a_configuration_has_one_form() -> None:
    config = b"#\n# Automatically generated\n#\nCONFIG_B=y\n# CONFIG_X is not set\nCONFIG_A=1\n"
    assert options.canonical(config) == b"CONFIG_A=1\nCONFIG_B=y\n"
    assert options.canonical(options.canonical(config)) == options.canonical(config)
