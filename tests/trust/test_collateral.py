"""Collateral files: what goes in comes out, in one form; everything else is refused by our errors."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.errors import Malformed, Misuse, Unavailable
from troth.model.collateral import Collateral, Item, Kind
from troth.trust.collateral import MAX_BYTES, TEXT, freeze, load

PLATFORM = "tdx/collateral/tdx-00806f050000-eval18-20251202-platform.json"
AT = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)


@pytest.fixture
def frozen(vectors: Path) -> bytes:
    return freeze(load(vectors / PLATFORM))


def _shown(collateral: Collateral) -> list[tuple[Any, ...]]:
    return [(i.kind, i.early, i.data, i.chain) for i in collateral.items]


def test_the_quote_collateral_of_the_vectors_becomes_what_intel_serves(vectors: Path) -> None:
    files = sorted(vectors.glob("*/collateral/*.json"))
    assert len(files) >= 20
    for path in files:
        given = json.loads(path.read_text())
        by_kind = {item.kind: item for item in load(path).items}
        info = by_kind[Kind.INTEL_TCB_INFO]
        assert f'{{"tcbInfo":{given["tcb_info"]},"signature":"'.encode() in info.data
        assert json.loads(info.data)["signature"] == given["tcb_info_signature"]
        assert info.chain.decode() == given["tcb_info_issuer_chain"]
        identity = by_kind[Kind.INTEL_QE_IDENTITY]
        assert f'{{"enclaveIdentity":{given["qe_identity"]},'.encode() in identity.data
        assert by_kind[Kind.INTEL_ROOT_CRL].data.hex() == given["root_ca_crl"]
        assert by_kind[Kind.INTEL_PCK_CRL].data.hex() == given["pck_crl"]
        assert by_kind[Kind.INTEL_PCK_CRL].chain.decode() == given["pck_crl_issuer_chain"]


def test_one_file_and_back(vectors: Path) -> None:
    everything = load(vectors / PLATFORM) + load(vectors / "snp" / "certs")
    once = freeze(everything)
    assert freeze(load(once)) == once
    assert freeze(Collateral(items=everything.items[::-1])) == once
    assert freeze(everything + everything) == once
    assert sorted(_shown(load(once))) == sorted(set(_shown(everything)))


def test_the_youngest_copy_of_the_same_bytes_stays() -> None:
    old = Item(kind=Kind.AMD_CRL, data=b"\x30\x00", source="old", fetched_at=AT)
    new = Item(kind=Kind.AMD_CRL, data=b"\x30\x00", source="a", fetched_at=AT.replace(hour=9))
    for order in ((old, new), (new, old)):
        (kept,) = load(freeze(Collateral(items=order))).items
        assert kept == new


ITEMS = st.builds(
    Item,
    kind=st.sampled_from(sorted(TEXT)),
    data=st.text(st.characters(exclude_categories=("Cs",))).map(str.encode),
    chain=st.text(st.characters(max_codepoint=127)).map(str.encode),
    early=st.booleans(),
    source=st.text(st.characters(exclude_categories=("Cs",))),
    fetched_at=st.none()
    | st.datetimes(timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)),
) | st.builds(
    Item,
    kind=st.sampled_from(sorted(set(Kind) - TEXT)),
    data=st.binary(),
    early=st.booleans(),
)


@given(st.lists(ITEMS, max_size=4))
def test_any_items_and_back(items: list[Item]) -> None:
    once = freeze(Collateral(items=tuple(items)))
    assert freeze(load(once)) == once
    assert {(i.kind, i.early, i.data, i.chain) for i in load(once).items} == {
        (i.kind, i.early, i.data, i.chain) for i in items
    }


def test_bare_files_as_they_are_served(vectors: Path, tmp_path: Path) -> None:
    served = {item.kind: item for item in load(vectors / PLATFORM).items}
    for kind, item in served.items():
        (alone,) = load(item.data, name="x").items
        assert (alone.kind, alone.data) == (kind, item.data)
    crl = served[Kind.INTEL_PCK_CRL]
    assert load(crl.data.hex().encode()).items[0].data == crl.data
    pem = base64.encodebytes(crl.data)
    pem = b"-----BEGIN X509 CRL-----\n" + pem + b"-----END X509 CRL-----\n"
    assert load(pem).items[0].data == crl.data
    # A folder: each with the chain that can have issued it.
    for kind, item in served.items():
        (tmp_path / kind).write_bytes(item.data)
    (tmp_path / "tcb-chain.pem").write_bytes(served[Kind.INTEL_TCB_INFO].chain)
    (tmp_path / "pck-ca.pem").write_bytes(crl.chain)
    (tmp_path / ".hidden").write_bytes(b"?")
    found = {item.kind: item for item in load(tmp_path).items}
    assert {k: i.data for k, i in found.items()} == {k: i.data for k, i in served.items()}
    for kind in (Kind.INTEL_TCB_INFO, Kind.INTEL_QE_IDENTITY, Kind.INTEL_PCK_CRL):
        assert found[kind].chain == served[kind].chain


def test_intels_samples_write_the_root_first(vectors: Path, tmp_path: Path) -> None:
    for name in ("tcbInfo.json", "qeIdentity.json", "rootCaCrl.der", "intermediateCaCrl.der"):
        data = (vectors / "tdx" / f"intel-qvl-test-pki-{name}").read_bytes()
        (tmp_path / name).write_bytes(data)
    for name in ("tcbSignChain.pem", "pckSignChain.pem"):
        data = (vectors / "tdx" / f"intel-qvl-test-pki-{name}").read_bytes()
        (tmp_path / name).write_bytes(data)
    from troth.wire import x509

    for item in load(tmp_path).items:
        if item.kind is not Kind.INTEL_ROOT_CRL:
            first = x509.read(x509.read_pem(item.chain, field="chain")[0])
            assert first.subject != first.issuer


def test_amds_certificates(vectors: Path) -> None:
    for path in sorted((vectors / "snp" / "certs").glob("*.der")):
        (item,) = load(path).items
        assert (item.kind, item.data) == (Kind.AMD_ENDORSEMENT, path.read_bytes())
    for path in sorted((vectors / "snp" / "certs").glob("*.pem")):
        (item,) = load(path).items
        assert (item.kind, item.data) == (Kind.AMD_CHAIN, path.read_bytes())


EDITS: dict[str, Any] = {
    "another schema": lambda v: v.update(schema="troth/collateral/2"),
    "a member too many": lambda v: v.update(more=1),
    "items that are none": lambda v: v.update(items={}),
    "an item that is none": lambda v: v["items"].append([]),
    "an unknown kind": lambda v: v["items"][0].update(kind="intel"),
    "a kind that is a number": lambda v: v["items"][0].update(kind=1),
    "early as text": lambda v: v["items"][0].update(early="false"),
    "early as a number": lambda v: v["items"][0].update(early=0),
    "data missing": lambda v: v["items"][0].pop("data"),
    "data null": lambda v: v["items"][0].update(data=None),
    "data no base64": lambda v: v["items"][-1].update(kind="amd-crl", data="é"),
    "another order": lambda v: v["items"].reverse(),
    "one twice": lambda v: v["items"].append(v["items"][-1]),
    "an instant without zone": lambda v: v["items"][0].update(fetched_at="2026-11-23T03:10:00"),
    "an instant in another form": lambda v: v["items"][0].update(fetched_at="2026-11-23 03:10Z"),
    "a number for an instant": lambda v: v["items"][0].update(fetched_at=3),
    "a chain that is not ASCII": lambda v: v["items"][0].update(chain="é"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_file(frozen: bytes, name: str) -> None:
    value = json.loads(frozen)
    EDITS[name](value)
    with pytest.raises(Malformed):
        load(json.dumps(value, separators=(",", ":"), sort_keys=True).encode() + b"\n")


def test_other_spellings_of_the_same_file(frozen: bytes) -> None:
    for data in (frozen[:-1], frozen + b"\n", b" " + frozen, frozen.replace(b",", b", ", 1)):
        with pytest.raises(Malformed):
            load(data)
    with pytest.raises(Malformed, match="twice"):
        load(frozen.replace(b'"early":', b'"early":false,"early":', 1))


def test_half_a_piece(vectors: Path) -> None:
    value = json.loads((vectors / PLATFORM).read_text())
    for change in (
        {"tcb_info_signature": None},
        {"qe_identity": None},
        {"stranger": "x"},
        {"pck_crl": "zz"},
        {"pck_crl": "3000"},
        {"root_ca_crl": ""},
        {"tcb_info": {"id": "TDX"}},
        {"tcb_info_signature": "g" * 128},
        {"tcb_info_issuer_chain": "nothing"},
    ):
        edited = {k: v for k, v in {**value, **change}.items() if v is not None}
        with pytest.raises(Malformed):
            load(json.dumps(edited).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"{}", b"[]", b"nothing", b"\x30", b"\x30\x00", b"\x30\x80\x00\x00", b"3000",
        b"00", b"\xff" * 64, b'{"tcbInfo":{}}', b'{"tcbInfo":{},"signature":"","x":1}',
        b'{"schema":1}', b'{"schema":"troth/collateral/1"}', b"{" + b"[" * 100_000,
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        b"-----BEGIN X509 CRL-----\nAAA\n-----END X509 CRL-----\n",
        b"-----BEGIN PRIVATE KEY-----\n", b" " * 10 + b"\0",
    ],
)  # fmt: skip
def test_no_collateral(data: bytes) -> None:
    with pytest.raises(Malformed):
        load(data)


def test_too_large(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="larger"):
        load(b" " * (MAX_BYTES + 1))
    (tmp_path / "x").write_bytes(bytes(MAX_BYTES + 1))
    for place in (tmp_path / "x", tmp_path):
        with pytest.raises(Malformed, match="larger"):
            load(place)


def test_a_folder_of_nothing_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="no collateral"):
        load(tmp_path)
    with pytest.raises(Unavailable):
        load(tmp_path / "absent")


def test_what_cannot_be_written() -> None:
    with pytest.raises(Misuse):
        freeze(Collateral(items=(Item(kind=Kind.INTEL_TCB_INFO, data=b"\xff"),)))


@given(st.binary(max_size=200))
def test_junk(data: bytes) -> None:
    try:
        load(data)
    except Malformed:
        pass


def test_every_cut_and_some_flips(vectors: Path) -> None:
    kinds = [(vectors / PLATFORM).read_bytes()]
    kinds += [item.data for item in load(kinds[0]).items]
    kinds += [
        (vectors / "snp" / "certs" / n).read_bytes()
        for n in ("sev-milan.pem", "oak-milan-v3.vcek.der")
    ]
    for data in kinds:
        for at in range(0, len(data), max(1, len(data) // 60)):
            with pytest.raises(Malformed):
                load(data[:at])
            changed = bytearray(data)
            changed[at] ^= 0x41
            try:
                load(bytes(changed))
            except Malformed:
                pass


def test_a_pck_chain(vectors: Path) -> None:
    """Of a quote that only says which one to ask for: in dcap-qvl's JSON, and as a bare file."""
    folder = vectors / "tdx"
    leaf = (folder / "intel-qvl-test-pki-pckCert.pem").read_bytes()
    value = json.loads((vectors / PLATFORM).read_text())
    given = value | {"pck_certificate_chain": leaf.decode()}
    chains = load(json.dumps(given).encode()).of(Kind.INTEL_PCK_CHAIN)
    assert [item.data for item in chains] == [leaf]
    assert [item.data for item in load(leaf).of(Kind.INTEL_PCK_CHAIN)] == [leaf]
    with pytest.raises(Malformed):
        load(json.dumps(value | {"pck_certificate_chain": "x"}).encode())
    with pytest.raises(Malformed, match="surrogate"):
        load(json.dumps(given | {"tcb_info": "\ud800"}).encode())


def test_strangers(vectors: Path) -> None:
    """Certificates and lists of nobody's that troth knows, alone."""
    for name in ("trustedRootCaCert.pem", "tcbSignChain.pem", "pckSignChain.pem"):
        data = (vectors / "tdx" / f"intel-qvl-test-pki-{name}").read_bytes()
        with pytest.raises(Malformed):
            load(data)
    crl = (vectors / "tdx" / "intel-qvl-test-pki-rootCaCrl.der").read_bytes()
    with pytest.raises(Malformed, match="does not know"):
        load(crl.replace(b"Intel SGX Root CA", b"Intel SGX Boot CA"))


def test_two_chains_that_fit_are_no_chain(vectors: Path, tmp_path: Path) -> None:
    """Which of them issued it is not guessed: the platform then says that there is none."""
    (info,) = load(vectors / PLATFORM).of(Kind.INTEL_TCB_INFO)
    other = (vectors / "tdx" / "intel-qvl-test-pki-tcbSignChain.pem").read_bytes()
    (tmp_path / "info.json").write_bytes(info.data)
    (tmp_path / "a.pem").write_bytes(info.chain)
    assert load(tmp_path).items[0].chain == info.chain
    (tmp_path / "b.pem").write_bytes(info.chain)
    assert load(tmp_path).items[0].chain == info.chain
    (tmp_path / "c.pem").write_bytes(other)
    assert load(tmp_path).items[0].chain == b""
    (tmp_path / "d.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    with pytest.raises(Malformed):
        load(tmp_path)


def test_too_many_files(tmp_path: Path) -> None:
    for number in range(1025):
        (tmp_path / str(number)).write_bytes(b"")
    with pytest.raises(Malformed, match="1025 files"):
        load(tmp_path)


def test_too_many_items() -> None:
    items = tuple(Item(kind=Kind.AMD_CRL, data=b"%d" % number) for number in range(4097))
    with pytest.raises(Malformed, match="at most"):
        load(freeze(Collateral(items=items)))
