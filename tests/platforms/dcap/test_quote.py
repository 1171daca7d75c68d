"""The bytes of a quote: one form, exact lengths, and `Malformed` for everything else."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.platforms.dcap.changes import parts, rebuilt
from tests.platforms.dcap.made import KINDS, PKI, good

from troth.errors import Malformed
from troth.platforms import detect
from troth.platforms.dcap import quote
from troth.platforms.dcap.quote import Tee
from troth.platforms.dcap.simulate import QuoteKind
from troth.platforms.sgx import PLATFORM as SGX
from troth.platforms.tdx import PLATFORM as TDX
from troth.platforms.tdx.format import LAYOUTS

QUOTES = {kind: good(kind).data for kind in KINDS}
EVERY = pytest.mark.parametrize("kind", KINDS)


def read(data: bytes) -> None:
    """Everything that may read hostile bytes; `Malformed` is an answer, anything else fails."""
    for tee in Tee:
        try:
            quote.unwrap(data, tee)
        except Malformed:
            pass
    for platform in (SGX, TDX):
        try:
            document = platform.parse(data)
        except Malformed:
            continue
        platform.claims(document)
        assert list(platform.fields(data))


@given(data=st.binary(max_size=1200))
@example(data=b"")
@example(data=b"0x0")
@example(data=b"AwACAA==")
def test_random_bytes(data: bytes) -> None:
    read(data)
    try:
        detect(data)
    except Malformed:
        pass


@given(
    kind=st.sampled_from(KINDS),
    at=st.integers(0, 6000),
    new=st.binary(min_size=1, max_size=12),
    drop=st.integers(0, 12),
)
def test_a_quote_with_a_part_replaced(kind: QuoteKind, at: int, new: bytes, drop: int) -> None:
    data = QUOTES[kind]
    at %= len(data)
    read(data[:at] + new + data[at + drop :])


@given(kind=st.sampled_from(KINDS), size=st.integers(0, 6000))
def test_a_quote_cut(kind: QuoteKind, size: int) -> None:
    data = QUOTES[kind]
    size %= len(data)
    read(data[:size])
    with pytest.raises(Malformed):
        quote.parse(data[:size])


@given(kind=st.sampled_from(KINDS), pem=st.binary(max_size=600), type_=st.integers(0, 9))
def test_any_certification_data(kind: QuoteKind, pem: bytes, type_: int) -> None:
    read(rebuilt(QUOTES[kind], pem, kind=type_.to_bytes(2, "little")))


@EVERY
def test_a_right_one_is_read_whole(kind: QuoteKind) -> None:
    parsed = quote.parse(QUOTES[kind])
    assert QUOTES[kind].startswith(parsed.signed)
    assert len(parsed.pck_chain) == 3
    assert parsed.numbers is None
    assert rebuilt(QUOTES[kind], parts(QUOTES[kind])[2]) == QUOTES[kind]
    other = SGX if kind.tdx else TDX
    with pytest.raises(Malformed, match="TEE type"):
        other.parse(QUOTES[kind])
    assert other.unwrap(QUOTES[kind]) is None


@pytest.mark.parametrize("body", LAYOUTS)
def test_the_layout_of_a_tds_body_has_no_holes(body: quote.Body) -> None:
    at = 0
    for start, size, _, _ in LAYOUTS[body]:
        assert start == at
        at += size
    assert at == quote.SIZES[body]


def put(at: int, value: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + value + data[at + len(value) :]


HEADER = {
    "version 2": put(0, b"\2"),
    "version 6": put(0, b"\6"),
    "key type 3, P-384": put(2, b"\3"),
    "another TEE": put(4, b"\x82"),
    "another vendor": put(12, b"\0"),
}


@EVERY
@pytest.mark.parametrize("name", HEADER)
def test_headers_that_are_refused(kind: QuoteKind, name: str) -> None:
    with pytest.raises(Malformed):
        quote.parse(HEADER[name](QUOTES[kind]))


def test_version_3_is_of_sgx_alone() -> None:
    with pytest.raises(Malformed, match="TEE type"):
        quote.parse(put(4, b"\x81")(QUOTES[QuoteKind.SGX_3]))


@pytest.mark.parametrize("kind", [k for k in KINDS if k.version == 5])
def test_the_type_of_a_body_goes_with_its_size_and_tee(kind: QuoteKind) -> None:
    data = QUOTES[kind]
    mine = int.from_bytes(data[48:50], "little")
    for value in (*range(6), 0xFFFF):
        if value != mine:
            with pytest.raises(Malformed, match="body"):
                quote.parse(put(48, value.to_bytes(2, "little"))(data))
    size = int.from_bytes(data[50:54], "little")
    for other in (0, size - 1, size + 1, 0xFFFFFFFF, *quote.SIZES.values()):
        if other != size:
            with pytest.raises(Malformed, match="body"):
                quote.parse(put(50, other.to_bytes(4, "little"))(data))
    with pytest.raises(Malformed, match="which TEE type"):
        quote.parse(put(4, b"\0" if kind.tdx else b"\x81")(data))


@EVERY
@pytest.mark.parametrize("value", [0, 1, -1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_every_length_is_exact(kind: QuoteKind, value: int) -> None:
    """Signature data, outer element, authentication data, certification data: nothing is left over."""
    data = QUOTES[kind]
    start = len(quote.parse(data).signed)
    places = [(start, 4)]
    if kind.version > 3:
        places.append((start + 4 + 128 + 2, 4))
    auth = start + 4 + 128 + (6 if kind.version > 3 else 0) + 384 + 64
    places += [(auth, 2), (auth + 2 + 32 + 2, 4)]
    for at, width in places:
        right = int.from_bytes(data[at : at + width], "little")
        for wrong in {value % (1 << 8 * width), (right + value) % (1 << 8 * width)} - {right}:
            with pytest.raises(Malformed):
                quote.parse(put(at, wrong.to_bytes(width, "little"))(data))


@pytest.mark.parametrize("kind", [k for k in KINDS if k.version > 3])
@pytest.mark.parametrize("value", [0, 5, 7, 0x0106])
def test_the_outer_type_is_6(kind: QuoteKind, value: int) -> None:
    at = len(quote.parse(QUOTES[kind]).signed) + 4 + 128
    with pytest.raises(Malformed, match="should be 6"):
        quote.parse(put(at, struct.pack("<H", value))(QUOTES[kind]))


LEAF, AUTHORITY, ROOT = PKI.machine.leaf.pem, PKI.platform_ca.pem, PKI.root.pem
WRONG_PEM = {
    "nothing": b"",
    "a leaf alone": LEAF,
    "no root": LEAF + AUTHORITY,
    "a fourth": LEAF + AUTHORITY + ROOT + ROOT,
    "text before": b"a\n" + LEAF + AUTHORITY + ROOT,
    "text between": LEAF + b"a\n" + AUTHORITY + ROOT,
    "an empty line between": LEAF + b"\n" + AUTHORITY + ROOT,
    "text behind": LEAF + AUTHORITY + ROOT + b"a",
    "text behind a NUL": LEAF + AUTHORITY + ROOT + b"\0a\0",
    "blanks at the ends of lines": (LEAF + AUTHORITY + ROOT).replace(b"\n", b" \n"),
    "another label": (LEAF + AUTHORITY + ROOT).replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
    "bad base64": (LEAF + AUTHORITY + ROOT).replace(b"M", b"*", 1),
    "cut": (LEAF + AUTHORITY + ROOT)[:-8],
    "DER": PKI.machine.leaf.der + PKI.platform_ca.der + PKI.root.der,
}


@EVERY
@pytest.mark.parametrize("name", WRONG_PEM)
def test_a_chain_is_three_certificates_and_nothing_else(kind: QuoteKind, name: str) -> None:
    with pytest.raises(Malformed, match="certification data"):
        quote.parse(rebuilt(QUOTES[kind], WRONG_PEM[name]))


@pytest.mark.parametrize("type_", [0, 6, 8, 0xFFFF])
def test_types_that_carry_no_certificate(type_: int) -> None:
    with pytest.raises(Malformed):
        quote.parse(rebuilt(QUOTES[KINDS[0]], b"", kind=struct.pack("<H", type_)))


@pytest.mark.parametrize(("type_", "ppid"), [(1, 16), (2, 256), (3, 384)])
def test_numbers_that_name_a_platform(type_: int, ppid: int) -> None:
    numbers = bytes(range(16)) + b"\x0d\0" + b"\1\2"
    for kind in KINDS:
        parsed = quote.parse(
            rebuilt(QUOTES[kind], bytes(ppid) + numbers, kind=struct.pack("<H", type_))
        )
        assert parsed.numbers is not None
        assert parsed.numbers.cpu_svn == bytes(range(16))
        assert (parsed.numbers.pce_svn, parsed.numbers.pce_id) == (13, b"\1\2")
        for size in (ppid - 1, ppid + 1):
            with pytest.raises(Malformed):
                quote.parse(
                    rebuilt(QUOTES[kind], bytes(size) + numbers, kind=struct.pack("<H", type_))
                )


@EVERY
def test_bytes_inside_the_outer_element_and_behind_the_inner_one(kind: QuoteKind) -> None:
    data = QUOTES[kind]
    with pytest.raises(Malformed):
        quote.parse(rebuilt(data, parts(data)[2], behind=bytes(16)))


def test_a_huge_quote_is_not_read() -> None:
    data = QUOTES[KINDS[0]]
    with pytest.raises(Malformed, match="larger"):
        quote.parse(data + bytes(quote.MAX_QUOTE))
    assert detect(data + bytes(quote.MAX_QUOTE)) is not None


@EVERY
def test_words_for_people(kind: QuoteKind) -> None:
    platform = TDX if kind.tdx else SGX
    for certification in (1, 2, 3, 4, 5, 7):
        data = good(kind, certification=certification).data
        names = [name for name, _ in platform.fields(data)]
        assert len(names) == len(set(names))
        assert names[0] == "version"
        assert ("pck.ppid" in names) == (certification in (4, 5))
