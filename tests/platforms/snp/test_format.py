"""The report's parser: every field where the ABI has it, and nothing else passes."""

import base64
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from troth.errors import Malformed
from troth.platforms.snp.format import SIGNED, SIZE, VMPL_HOST, Document, SigningKey, parse, unwrap
from troth.platforms.snp.product import LAYOUTS, Product, of_cpu, parts, reserved
from troth.platforms.snp.simulate import TCB, body, tcb


def sealed(report: bytes) -> bytes:
    """With a signature in range that is nobody's."""
    return (report + (1).to_bytes(72, "little") * 2).ljust(SIZE, b"\0")


GOOD = {
    version: sealed(body(Product.GENOA, version=version, chip_id=b"\x07" * 64))
    for version in (2, 3, 4, 5)
}


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def test_every_field_is_where_the_abi_has_it() -> None:
    document = parse(
        sealed(
            body(
                Product.TURIN,
                version=5,
                guest_svn=0x01020304,
                policy=0x30000 | 7 << 8 | 9,
                family_id=b"f" * 16,
                image_id=b"i" * 16,
                vmpl=2,
                platform_info=0x65,
                key_info=1 | SigningKey.VLEK << 2,
                report_data=b"d" * 64,
                measurement=b"m" * 48,
                host_data=b"h" * 32,
                id_key_digest=b"k" * 48,
                author_key_digest=b"a" * 48,
                report_id=b"r" * 32,
                report_id_ma=b"g" * 32,
                chip_id=b"c" * 8,
                current={"fmc": 5, "boot_loader": 4, "tee": 3, "snp": 2, "microcode": 1},
                launch={"fmc": 9},
                mitigations=0x3F,
            )
        )
    )
    assert document.guest_svn == 0x01020304
    assert document.policy == 0x30709
    assert (document.family_id, document.image_id) == (b"f" * 16, b"i" * 16)
    assert (document.vmpl, document.platform_info) == (2, 0x65)
    assert (document.author_key_en, document.mask_chip_key) == (True, False)
    assert document.signing_key is SigningKey.VLEK
    assert document.report_data == b"d" * 64
    assert document.measurement == b"m" * 48
    assert document.host_data == b"h" * 32
    assert document.id_key_digest == b"k" * 48
    assert document.author_key_digest == b"a" * 48
    assert document.report_id == b"r" * 32
    assert document.report_id_ma == b"g" * 32
    assert document.chip_id == b"c" * 8 + bytes(56)
    assert document.current_tcb == bytes((5, 4, 3, 2, 0, 0, 0, 1))
    assert document.reported_tcb == bytes((1, 1, 1, 4, 0, 0, 0, 81)) == document.committed_tcb
    assert document.launch_tcb == bytes((9, 0, 0, 0, 0, 0, 0, 0))
    assert (document.launch_mit_vector, document.current_mit_vector) == (0x3F, 0x3F)
    assert str(document.current_version) == str(document.committed_version) == "1.55.41"
    assert document.product is Product.TURIN
    assert len(document.signed) == SIGNED
    assert document.signature == ((1).to_bytes(48, "big")) * 2


@pytest.mark.parametrize("version", GOOD)
def test_what_each_version_carries(version: int) -> None:
    document = parse(GOOD[version])
    assert document.version == version
    assert (document.cpu is None) == (version < 3)
    assert (document.launch_mit_vector is None) == (version < 5)
    assert document.product is (None if version < 3 else Product.GENOA)


@pytest.mark.parametrize("version", [0, 1, 6, 7, 255, 0x0203, 0x03000000])
def test_unknown_versions_are_refused(version: int) -> None:
    with pytest.raises(Malformed) as raised:
        parse(patched(GOOD[5], 0, version.to_bytes(4, "little")))
    assert raised.value.field == "version"


def spans(version: int) -> list[int]:
    """The bytes that must be zero in a version."""
    ranges = [(0x4C, 0x50), (0x18B, 0x1A0), (0x1EB, 0x1EC), (0x1EF, 0x1F0), (0x208, 0x2A0)]
    ranges += [(0x2D0, 0x2E8), (0x318, 0x330), (0x330, 0x4A0)]
    if version < 3:
        ranges.append((0x188, 0x18B))
    if version < 5:
        ranges.append((0x1F8, 0x208))
    return [at for start, end in ranges for at in range(start, end)]


@pytest.mark.parametrize("version", GOOD)
def test_every_reserved_byte_is_zero(version: int) -> None:
    for at in spans(version):
        with pytest.raises(Malformed):
            parse(patched(GOOD[version], at, b"\x01"))


@pytest.mark.parametrize("start", [0x38, 0x180, 0x1E0, 0x1F0])
@pytest.mark.parametrize("product", Product)
def test_bytes_that_a_products_tcb_does_not_use_are_zero(product: Product, start: int) -> None:
    good = sealed(body(product, version=3))
    for at in set(range(8)) - set(LAYOUTS[product].values()):
        with pytest.raises(Malformed, match="reserved"):
            parse(patched(good, start + at, b"\x01"))
    for at in LAYOUTS[product].values():
        parse(patched(good, start + at, b"\xff"))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0x0A, b"\x01"),  # policy without the bit that is always one
        (0x30, b"\x04"),  # a privilege level that there is not
        (0x30, b"\xff\xff\xff\x7f"),
        (0x48, bytes((2 << 2,))),  # kinds of key that there are not
        (0x48, bytes((6 << 2,))),
        (0x48, b"\x20"),
        (0x4B, b"\x80"),
    ],
)
def test_values_that_the_abi_does_not_define_are_refused(at: int, value: bytes) -> None:
    with pytest.raises(Malformed):
        parse(patched(GOOD[3], at, value))


def test_bits_that_we_do_not_know_are_policys_affair() -> None:
    document = parse(patched(GOOD[3], 0x40, b"\xff" * 8))
    assert document.platform_info == (1 << 64) - 1
    assert parse(patched(GOOD[3], 0x0C, b"\xff" * 4)).policy >> 32 == 0xFFFFFFFF
    assert parse(patched(GOOD[3], 0x30, b"\xff" * 4)).vmpl == VMPL_HOST


def test_a_signature_of_zeros_is_one_only_where_nobody_signed() -> None:
    zeros = GOOD[3][:SIGNED].ljust(SIZE, b"\0")
    with pytest.raises(Malformed, match="range"):
        parse(zeros)
    none = patched(zeros, 0x48, bytes((SigningKey.NONE << 2,)))
    assert parse(none).signing_key is SigningKey.NONE


@given(size=st.integers(0, SIZE - 1), version=st.sampled_from(list(GOOD)))
@example(size=SIZE - 1, version=3)
def test_every_truncation_is_malformed(size: int, version: int) -> None:
    with pytest.raises(Malformed):
        parse(GOOD[version][:size])


@given(tail=st.binary(min_size=1, max_size=200))
def test_junk_behind_a_report_is_malformed(tail: bytes) -> None:
    with pytest.raises(Malformed):
        parse(GOOD[3] + tail)


@given(data=st.binary(max_size=SIZE + 64))
def test_any_bytes_are_a_report_or_malformed(data: bytes) -> None:
    for candidate in (data, GOOD[5][:1] + bytes(3) + data, GOOD[5][:0x2A0] + data):
        try:
            assert isinstance(parse(candidate), Document)
        except Malformed:
            continue


@given(at=st.integers(0, SIZE - 1), value=st.integers(0, 255), version=st.sampled_from(list(GOOD)))
def test_what_parses_is_read_without_loss(at: int, value: int, version: int) -> None:
    data = patched(GOOD[version], at, bytes((value,)))
    try:
        assert parse(data).data == data
    except Malformed:
        pass


def test_base64_text_around_a_report_is_removed() -> None:
    for good in GOOD.values():
        assert unwrap(good) == (good, "")
        text = base64.b64encode(good)
        assert unwrap(text) == (good, "base64 text")
        assert unwrap(text + b"\n") == (good, "base64 text")
        with pytest.raises(Malformed):
            unwrap(text[:-3] + b"*\n\n")
        with pytest.raises(Malformed):
            unwrap(text + b" ")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x03",
        b"\x03\0\x02\0" + bytes(2000),  # an SGX quote
        b"\x04\0\x02\0\x81\0\0\0" + bytes(2000),  # a TDX quote
        b"\0\0\0\0" + bytes(2000),
        b"\x84\x44\xa1\x01",
        b"AwACAA",
    ],
)
def test_other_evidence_is_left_alone(data: bytes) -> None:
    assert unwrap(data) is None


def test_real_reports_of_every_version_and_product_are_read(vectors: Path) -> None:
    seen = set()
    for path in sorted((vectors / "snp").glob("*.report.bin")):
        document = parse(path.read_bytes())
        seen.add((document.version, document.product))
    assert seen == {
        (2, None),
        (3, Product.MILAN),
        (3, Product.GENOA),
        (5, Product.GENOA),
        (5, Product.TURIN),
    }


@pytest.mark.parametrize(
    ("family", "model", "product"),
    [
        (0x19, 0x00, Product.MILAN),
        (0x19, 0x0F, Product.MILAN),
        (0x19, 0x10, Product.GENOA),
        (0x19, 0x1F, Product.GENOA),
        (0x19, 0x20, None),
        (0x19, 0x9F, None),
        (0x19, 0xA0, Product.GENOA),
        (0x19, 0xAF, Product.GENOA),
        (0x19, 0xB0, None),
        (0x1A, 0x00, Product.TURIN),
        (0x1A, 0x11, Product.TURIN),
        (0x1A, 0x12, None),
        (0x17, 0x31, None),
        (0, 0, None),
    ],
)
def test_products_by_cpuid(family: int, model: int, product: Product | None) -> None:
    assert of_cpu(family, model) is product


@pytest.mark.parametrize("product", Product)
def test_layouts_of_the_tcb(product: Product) -> None:
    written = tcb(product, TCB[product])
    assert parts(written, product) == TCB[product]
    for at in range(8):
        other = patched(written, at, b"\xff")
        assert reserved(other, product) == (at not in LAYOUTS[product].values())
