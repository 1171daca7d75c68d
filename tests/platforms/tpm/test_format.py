"""troth's own form of a quote, and others' forms: one encoding, and what is none of them."""

import base64
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.platforms.tpm import made
from tests.platforms.tpm.made import NONCE

from troth.errors import Malformed
from troth.platforms.tpm import PLATFORM, carrier, certified, claims
from troth.platforms.tpm import format as quotes
from troth.platforms.tpm.simulate import SimulatedTpm
from troth.platforms.tpm.simulate_pki import instance
from troth.wire import cbor, tpm, x509


def value(**changes: object) -> dict[str, object]:
    machine = made.booted()
    message = machine.attest(NONCE)
    return {
        "schema": quotes.SCHEMA,
        "attest": message,
        "signature": machine.sign(message),
        "pcrs": dict(enumerate(machine.registers[tpm.SHA256])),
        "ak": None,
        "public": machine.public,
        "certificates": [],
        **changes,
    }


def test_a_document_says_what_was_put_in() -> None:
    data = made.booted().evidence(NONCE, certificates=[made.certificate()])
    document = PLATFORM.parse(data)
    assert (document.bank, len(document.pcrs)) == (tpm.SHA256, 24)
    assert set(document.keys) == {"public area", "certificate"}
    assert document.ak == made.key().ak
    shown = dict(PLATFORM.fields(data))
    assert shown["extra data"] == NONCE.hex()
    assert shown["attributes"].endswith("fixedTPM, fixedParent, restricted, sign")
    assert shown["safe"] == "yes"
    assert shown["pcr0"] == document.pcrs[0].hex()
    assert list(shown)[:8] == [
        *("qualified signer", "extra data", "clock", "reset count", "restart count", "safe"),
        *("firmware version", "bank"),
    ]
    assert shown["PCR digest"] == document.attest.pcr_digest.hex()
    assert shown["attestation key (certificate)"] == document.ak.hex()
    assert shown["certificate[0]"] == made.certificate().hex()
    assert shown["signature"] == document.signature.values[0].hex()


def test_what_a_quote_says_in_the_common_words() -> None:
    machine = made.booted()
    machine.extend(16, b"anybody's")
    machine.extend(23, b"anybody's")
    said = PLATFORM.claims(PLATFORM.parse(machine.evidence(NONCE)))
    assert said.identity == tuple(f"pcr{index}" for index in range(10))
    assert (said.nonce, said.user_data, said.debug) == (NONCE, NONCE, False)
    assert said.carries(NONCE)
    assert said.numbers["firmware_version_1"] == 0x20200312
    assert said.numbers["firmware_version_2"] == 0x00120003
    empty = PLATFORM.claims(PLATFORM.parse(machine.evidence(b"")))
    assert (empty.nonce, empty.user_data) == (None, None)
    assert claims.is_empty(bytes(32))
    assert claims.is_empty(b"\xff" * 20)
    assert not claims.is_empty(bytes(31) + b"\xff")


WRONG: dict[str, Callable[[], dict[str, object]]] = {
    "another schema": lambda: value(schema="troth/tpm-quote/2"),
    "a key too many": lambda: value(more=1),
    "no attest": lambda: value(attest=b""),
    "a text for bytes": lambda: value(signature="text"),
    "nothing that names the key": lambda: value(public=None),
    "a register less": lambda: value(pcrs={i: bytes(32) for i in range(23)}),
    "a register more": lambda: value(pcrs={i: bytes(32) for i in range(25)}),
    "a register of another size": lambda: value(pcrs={i: bytes(20) for i in range(24)}),
    "a register that is no bytes": lambda: value(pcrs=dict.fromkeys(range(24), 5)),
    "registers in a list": lambda: value(pcrs=[bytes(32)] * 24),
    "certificates in a map": lambda: value(certificates={}),
    "too many certificates": lambda: value(certificates=[made.certificate()] * 9),
    "a certificate that is none": lambda: value(certificates=[b"\x30\0"]),
    "a certificate that is text": lambda: value(certificates=["text"]),
    "a certificate with zeros behind it": lambda: value(certificates=[made.certificate() + b"\0"]),
    "a huge key": lambda: value(ak=bytes(quotes.MAX_AK + 1)),
}


@pytest.mark.parametrize("name", WRONG)
def test_documents_out_of_form(name: str) -> None:
    with pytest.raises(Malformed):
        quotes.parse(cbor.encode(WRONG[name]()))


def test_another_order_of_keys_is_no_document() -> None:
    good = value()
    with pytest.raises(Malformed):
        quotes.parse(cbor.encode_in_order(good))
    assert quotes.parse(cbor.encode(good)).ak == made.key().ak
    with pytest.raises(Malformed, match="is larger than"):
        quotes.parse(bytes(quotes.MAX_DOCUMENT + 1))


def test_a_quote_over_two_banks_or_none() -> None:
    machine = made.booted()
    one = tpm.Selection(algorithm=tpm.SHA256, pcrs=(0,))
    chosen = tpm.selected((tpm.Selection(algorithm=tpm.SHA256, pcrs=tuple(range(24))),))
    message = machine.attest(NONCE)
    none_of_sha1 = tpm.Selection(algorithm=tpm.SHA1, pcrs=())
    for banks, sound in (
        ((one, tpm.Selection(algorithm=tpm.SHA1, pcrs=(0,))), False),
        ((none_of_sha1,), False),
        ((), False),
        ((none_of_sha1, one), True),
    ):
        changed = message.replace(chosen, tpm.selected(banks))
        data = cbor.encode(value(attest=changed, pcrs={0: bytes(32)}))
        if sound:
            assert quotes.parse(data).bank == tpm.SHA256
        else:
            with pytest.raises(Malformed):
                quotes.parse(data)


def trustee(machine: SimulatedTpm) -> dict[str, object]:
    message = machine.attest(NONCE)
    text = {"message": message, "signature": machine.sign(message)}
    return {
        "ak_public": base64.b64encode(machine.ak).decode(),
        "tpm_quote": {
            **{name: base64.b64encode(data).decode() for name, data in text.items()},
            "pcrs": [one.hex() for one in machine.registers[tpm.SHA256]],
        },
    }


def tlv(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def attestation(machine: SimulatedTpm, *banks: int, certificates: tuple[bytes, ...] = ()) -> bytes:
    data = tlv(1, machine.public)
    for bank in banks:
        message = machine.attest(NONCE, bank=bank)
        values = b"".join(
            tlv(2, (b"\x08" + varint(i) if i else b"") + tlv(2, one))
            for i, one in enumerate(machine.registers[bank])
        )
        registers = b"\x08" + varint(bank) + values
        data += tlv(2, tlv(1, message) + tlv(2, machine.sign(message)) + tlv(3, registers))
    data += tlv(3, machine.log())
    return data + b"".join(tlv(6 if not i else 7, c) for i, c in enumerate(certificates))


def test_an_attestation_of_go_tpm_tools() -> None:
    machine = made.booted()
    chain = (made.certificate("google") + bytes(9), *made.pki("google").chain)
    data = attestation(machine, tpm.SHA384, tpm.SHA1, tpm.SHA256, certificates=chain)
    found = PLATFORM.unwrap(data)
    assert found is not None
    assert found[1] == "attestation of go-tpm-tools; also quoted: sha384, sha1"
    assert PLATFORM.parse(found[0]).bank == tpm.SHA256
    assert PLATFORM.log_in is not None
    assert PLATFORM.log_in(data) == machine.log()
    report = made.appraised(data, like=found[0], cloud="google")
    assert made.failing(report) | made.still_open(report) == set()
    only = PLATFORM.unwrap(attestation(machine, tpm.SHA384))
    assert only is not None
    assert only[1] == "attestation of go-tpm-tools"
    for number in (8, 9):
        with_hardware = PLATFORM.unwrap(attestation(machine, tpm.SHA384) + tlv(number, b""))
        assert with_hardware is not None
        assert with_hardware[1].endswith("; the hardware's report in it is not read")


def test_attestations_out_of_form() -> None:
    machine = made.booted()
    good = attestation(machine, tpm.SHA256)
    for data in (
        attestation(machine),
        attestation(machine, tpm.SHA256, tpm.SHA256),
        attestation(machine, *[tpm.SHA256] * 9),
        good + tlv(1, machine.public),
        attestation(machine, tpm.SHA256, certificates=(made.certificate() + b"\1",)),
        *(good[:size] for size in range(8, len(good) - len(machine.log()), 97)),
    ):
        with pytest.raises(Malformed):
            PLATFORM.unwrap(data)


def test_trustees_evidence() -> None:
    machine = made.booted()
    found = PLATFORM.unwrap(json.dumps(trustee(machine)).encode())
    assert found is not None
    assert found[1] == "Trustee's TPM evidence"
    document = PLATFORM.parse(found[0])
    assert (document.given, document.public) == (machine.ak, None)
    for name in ("message", "signature", "pcrs"):
        for wrong in (None, 5, "!", "AB=", ["zz"] * 24, [5] * 24, []):
            value = trustee(machine)
            value["tpm_quote"][name] = wrong  # type: ignore[index]
            with pytest.raises(Malformed):
                PLATFORM.unwrap(json.dumps(value).encode())
    with pytest.raises(Malformed):
        PLATFORM.unwrap(b'{"ak_public": "", "tpm_quote": 1}')


def test_parameters_of_go_attestation() -> None:
    machine = made.booted()
    message = machine.attest(NONCE)
    registers = [
        {"Index": index, "Digest": base64.b64encode(one).decode(), "DigestAlg": 5}
        for index, one in reversed(list(enumerate(machine.registers[tpm.SHA256])))
    ]
    value = {
        "AK": {"Public": base64.b64encode(machine.public).decode()},
        "Quote": {
            "Quote": base64.b64encode(message).decode(),
            "Signature": base64.b64encode(machine.sign(message)).decode(),
        },
        "Log": {"PCRs": registers, "Raw": base64.b64encode(machine.log()).decode()},
    }
    data = json.dumps(value).encode()
    found = PLATFORM.unwrap(data)
    assert found is not None
    assert PLATFORM.parse(found[0]).ak == machine.ak
    assert PLATFORM.log_in is not None
    assert PLATFORM.log_in(data) == machine.log()
    for wrong in ([*registers, registers[0]], [5], [{}], {}, [{"Index": True}]):
        value["Log"]["PCRs"] = wrong  # type: ignore[index]
        with pytest.raises(Malformed):
            PLATFORM.unwrap(json.dumps(value).encode())


@pytest.mark.parametrize("data", [b"", b"\x0a", b"{", b"{}", b'{"AK": 1, "AK": 2}', b"\xa7\x62a"])
def test_what_is_no_quote(data: bytes) -> None:
    assert PLATFORM.unwrap(data) is None
    assert PLATFORM.log_in is not None
    assert PLATFORM.log_in(data) is None


def test_a_quote_in_our_form_brings_no_log() -> None:
    assert PLATFORM.log_in is not None
    assert PLATFORM.log_in(made.booted().evidence(NONCE)) is None


@given(
    data=st.binary(max_size=120),
    head=st.sampled_from([b"", b"\xa7\x62ak", b"\x0a\x98\x02\0\1\0\x0b"]),
)
def test_any_bytes_are_read_or_malformed(data: bytes, head: bytes) -> None:
    try:
        found = PLATFORM.unwrap(head + data)
        if found is not None:
            PLATFORM.parse(found[0])
    except Malformed:
        pass


def test_googles_instance_identity() -> None:
    read = x509.read(made.certificate("google"))
    found = certified.instance(read)
    assert found is not None
    assert (found.zone, found.project, found.name) == (
        "nowhere1-a",
        "troth-development",
        "simulated",
    )
    assert (found.project_number, found.instance_id, found.security_version) == (42, 43, 1)
    assert found.production
    good = instance(production=True)
    no_text = good.replace(b"nowhere1-a", b"nowhere1-\xff")
    for bad in (good[:-1], good + b"\0", good[:-1] + b"\1", b"\x30\0", b"", no_text):
        changed = x509.Certificate(
            **{
                name: getattr(read, name)
                for name in x509.Certificate.__slots__
                if name != "extensions"
            },
            extensions={certified.INSTANCE: bad},
        )
        with pytest.raises(Malformed):
            certified.instance(changed)
    assert certified.instance(x509.read(made.certificate("azure"))) is None


def test_certificates_are_trimmed_of_zeros_alone() -> None:
    good = made.certificate()
    assert carrier.trimmed(good + bytes(3000)) == good
    for bad in (good + b"\0\1", good[:-1], b"", b"\x31\0"):
        with pytest.raises(Malformed):
            carrier.trimmed(bad)
