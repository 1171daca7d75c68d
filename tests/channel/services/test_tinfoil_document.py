"""Version 3 of the document: the project's own vectors, and every other form refused."""

import base64
import hashlib
import json as plain
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troth.channel.services import tinfoil_document as documents
from troth.errors import Malformed
from troth.wire import json

NONCE = bytes(range(32))
KEY = bytes(range(32, 64))
# Published with tinfoil-go (verifier/envelope/testdata/attested-keys-vectors.json): one key each.
SPKI = {
    "ecdsa-p256": (
        """3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d
        812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5""",
        "e134a51739248a669e7d75a94c242d2b2b973684061d1885205cea0e1b40ec58",
    ),
    "ed25519": (
        "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "471c373ed1a81ba6b4f9469e15b61277759d825f28a7415c3de5effb1c80a5e7",
    ),
    "x25519": (
        "302a300506032b656e0321008520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "4f4049335c395580da60f8d34aacb770dc4aa3acba2d71a370c92da0d09debe2",
    ),
}
NO_DEVICES = b'{"format":"https://tinfoil.sh/device-evidence/v1","items":[]}'
# Of inference.tinfoil.sh, August 2026 (tinfoil-conformance, vectors/v3/real-frozen): an SEV-SNP machine.
REAL = {
    "nonce": "7f31a89205a4636f21bebbd1622163c4ce66ee4ba9d83aba6a6f8ab3d9b69c63",
    "tls": "198c3340b8b007efdb5aa9b2bff68eb6776c4710f0731121f195c65e6410c232",
    "hpke": "4539df144c761e852824083b1e0e23026ab8fec4fa0612ca16b2672a7a45983e",
    "report_data": "27c73cd5018258fd54c59053915cd1d22e2824de00504cf5a69a598a842b719b",
}


def keys_section(items: Any = None) -> dict[str, Any]:
    if items is None:
        items = [{"id": "hpke", "format": documents.X25519_HPKE, "data": KEY.hex()}]
    return {"format": documents.CRYPTO_MATERIAL, "items": items}


def devices_section(items: Any = ()) -> dict[str, Any]:
    return {"format": documents.DEVICE_EVIDENCE, "items": list(items)}


def device(name: str = "gpu0", **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "gpu",
        "vendor": "nvidia",
        "format": "https://tinfoil.sh/format/nvidia-gpu-evidence/v1",
        "evidence": {"any": ["thing"]},
    } | changes


def entry(name: str = "one", **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "role": "endorsement",
        "format": "f",
        "subjects": ["cpu"],
        "data": {},
    } | changes


def document(keys: Any = None, devices: Any = None, **changes: Any) -> dict[str, Any]:
    """A document that agrees with itself, whatever its sections hold."""
    crypto = json.canonical(keys_section() if keys is None else keys)
    device = json.canonical(devices_section() if devices is None else devices)
    return {
        "format": documents.FORMAT,
        "challenge": {
            "nonce": NONCE.hex(),
            "report_data": documents.report_data(NONCE, crypto, device).hex(),
            "report_data_algorithm": documents.ALGORITHM,
        },
        "cpu_evidence": {
            "format": documents.SNP_REPORT,
            "report_base64": base64.b64encode(b"report").decode(),
            "endorsed": {
                "crypto_material_hash": hashlib.sha256(crypto).hexdigest(),
                "device_evidence_hash": hashlib.sha256(device).hexdigest(),
            },
        },
        "crypto_material": base64.b64encode(crypto).decode(),
        "device_evidence": base64.b64encode(device).decode(),
    } | changes


def refused(value: Any) -> str:
    with pytest.raises(Malformed) as caught:
        documents.read(plain.dumps(value).encode())
    return str(caught.value)


@pytest.mark.parametrize("name", SPKI)
def test_the_protocol_s_own_report_data(name: str) -> None:
    spki, wanted = "".join(SPKI[name][0].split()), SPKI[name][1]
    section = (
        '{"format":"https://tinfoil.sh/crypto-material/v1","items":[{"id":"workload-key",'
        f'"format":"https://tinfoil.sh/key/spki/v1","data":"{spki}"}}]}}'
    ).encode()
    assert documents.report_data(NONCE, section, NO_DEVICES).hex() == wanted + "00" * 32


def test_the_report_data_of_a_live_enclave() -> None:
    tls, hpke = (
        f'{{"id":"{name}","format":"https://tinfoil.sh/key/{kind}/v1","data":"{REAL[name]}"}}'
        for name, kind in (("tls", "spki-fp-sha256"), ("hpke", "x25519-hpke"))
    )
    section = f'{{"format":"https://tinfoil.sh/crypto-material/v1","items":[{tls},{hpke}]}}'
    bound = documents.report_data(bytes.fromhex(REAL["nonce"]), section.encode(), NO_DEVICES)
    assert bound.hex() == REAL["report_data"] + "00" * 32


def test_a_document_is_read() -> None:
    read = documents.read(
        plain.dumps(
            document(devices=devices_section([device(), device("gpu1")]), collateral=[entry()])
        ).encode()
    )
    assert (read.nonce, read.evidence, read.cpu_format) == (NONCE, b"report", documents.SNP_REPORT)
    assert read.keys == {"hpke": documents.Key(format=documents.X25519_HPKE, data=KEY)}
    assert [one.name for one in read.devices] == ["gpu0", "gpu1"]
    assert read.devices[0].evidence == {"any": ["thing"]}
    assert [(one.name, one.subjects) for one in read.collateral] == [("one", ("cpu",))]


def test_sections_are_hashed_as_they_travel() -> None:
    """White space and order are the sender's; hashes are of his bytes."""
    section = b' { "items": [] , "format":"https://tinfoil.sh/crypto-material/v1"} '
    value = document()
    value["crypto_material"] = base64.b64encode(section).decode()
    value["cpu_evidence"]["endorsed"]["crypto_material_hash"] = hashlib.sha256(section).hexdigest()
    device = base64.b64decode(value["device_evidence"])
    value["challenge"]["report_data"] = documents.report_data(NONCE, section, device).hex()
    assert documents.read(plain.dumps(value).encode()).crypto_material == section


@pytest.mark.parametrize("member", sorted(document()))
def test_no_member_may_be_missing_or_of_another_case(member: str) -> None:
    value = document()
    kept = value.pop(member)
    assert "lacks" in refused(value)
    assert "lacks" in refused(value | {member.title(): kept})


@pytest.mark.parametrize("at", ["", "challenge", "cpu_evidence", "endorsed"])
def test_no_member_may_be_added(at: str) -> None:
    value = document()
    inner = value["cpu_evidence"]["endorsed"] if at == "endorsed" else value[at] if at else value
    inner["domain"] = "x"
    assert "unknown member" in refused(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"format":"a","format":"b"}',
        plain.dumps(document())[:-1] + ',"format":"' + documents.FORMAT + '"}',
        plain.dumps(document(collateral=[entry(data="@")])).replace('"@"', '{"a":1,"a":2}'),
        plain.dumps(document()) + "{}",
        plain.dumps(document()) + "\0",
        "[]",
        '"x"',
        "",
        "[" * 100_000,
    ],
)
def test_json_in_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        documents.read(text.encode())


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(Malformed):
        documents.read(plain.dumps(document()).encode().replace(b"report", b"\xff\xfe"))


def test_every_truncation_is_refused() -> None:
    text = plain.dumps(document(collateral=[entry()])).encode()
    for size in range(len(text)):
        with pytest.raises(Malformed):
            documents.read(text[:size])


def upper(value: dict[str, Any]) -> None:
    value["challenge"]["nonce"] = value["challenge"]["nonce"].upper()


def prefixed(value: dict[str, Any]) -> None:
    value["challenge"]["nonce"] = "0x" + value["challenge"]["nonce"]


def short(value: dict[str, Any]) -> None:
    value["challenge"]["nonce"] = value["challenge"]["nonce"][2:]


def half(value: dict[str, Any]) -> None:
    value["challenge"]["report_data"] = value["challenge"]["report_data"][:64]


def other_hash(value: dict[str, Any]) -> None:
    value["cpu_evidence"]["endorsed"]["device_evidence_hash"] = "00" * 32


def other_hash_of_keys(value: dict[str, Any]) -> None:
    value["cpu_evidence"]["endorsed"]["crypto_material_hash"] = "00" * 32


def other_keys(value: dict[str, Any]) -> None:
    section = json.canonical(keys_section([]))
    value["crypto_material"] = base64.b64encode(section).decode()


def other_report_data(value: dict[str, Any]) -> None:
    value["challenge"]["report_data"] = "00" * 64


def other_algorithm(value: dict[str, Any]) -> None:
    value["challenge"]["report_data_algorithm"] += "2"


def other_version(value: dict[str, Any]) -> None:
    value["format"] = value["format"].replace("v3", "v4")


def other_cpu(value: dict[str, Any]) -> None:
    value["cpu_evidence"]["format"] = "https://tinfoil.sh/format/cca/v1"


def no_padding(value: dict[str, Any]) -> None:
    value["cpu_evidence"]["report_base64"] = base64.b64encode(b"abcd").decode().rstrip("=")


def bits_behind(value: dict[str, Any]) -> None:
    value["cpu_evidence"]["report_base64"] = "AB=="


def line_end(value: dict[str, Any]) -> None:
    value["crypto_material"] += "\n"


def url_alphabet(value: dict[str, Any]) -> None:
    value["cpu_evidence"]["report_base64"] = base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode()


def number(value: dict[str, Any]) -> None:
    value["crypto_material"] = 1


@pytest.mark.parametrize(
    "change",
    [
        *(upper, prefixed, short, half, other_hash, other_hash_of_keys, other_keys),
        *(other_report_data, other_algorithm),
        *(other_version, other_cpu),
        *(no_padding, bits_behind, line_end, url_alphabet, number),
    ],
)
def test_values_in_any_other_form_are_refused(change: Callable[[dict[str, Any]], None]) -> None:
    value = document()
    change(value)
    refused(value)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"id": "hpke", "format": documents.X25519_HPKE, "data": "00"}, "1 bytes"),
        ({"id": "hpke", "format": documents.X25519_HPKE, "data": KEY.hex().upper()}, "lower"),
        ({"id": "x", "format": "other", "data": ""}, "no text"),
        ({"id": "x", "format": "other", "data": "abc"}, "hex"),
        ({"id": "", "format": "other", "data": "00"}, "no text"),
        ({"id": "x", "format": "", "data": "00"}, "no text"),
        ({"id": "x", "format": "other"}, "lacks"),
        ({"id": "x", "format": "other", "data": "00", "more": 1}, "unknown"),
        ("x", "object"),
    ],
)
def test_keys_in_any_other_form_are_refused(item: Any, words: str) -> None:
    assert words in refused(document(keys_section([item])))


@pytest.mark.parametrize(
    "section", [{}, {"format": documents.CRYPTO_MATERIAL}, [], keys_section({})]
)
def test_sections_in_any_other_form_are_refused(section: Any) -> None:
    refused(document(section))
    refused(document(None, section))


def test_an_id_twice_is_refused_everywhere() -> None:
    key = keys_section()["items"][0]
    assert "twice" in refused(document(keys_section([key, key])))
    assert "twice" in refused(document(None, devices_section([device(), device()])))
    assert "twice" in refused(document(collateral=[entry(), entry()]))


@pytest.mark.parametrize("member", sorted(device()))
def test_no_member_of_a_device_may_be_missing(member: str) -> None:
    item = device()
    del item[member]
    assert "lacks" in refused(document(None, devices_section([item])))


@pytest.mark.parametrize(
    "row", [entry(role="other"), entry(subjects="cpu"), entry(subjects=[1]), entry(format=""), {}]
)
def test_collateral_in_any_other_form_is_refused(row: Any) -> None:
    refused(document(collateral=[row]))
    refused(document(collateral=row))


def test_too_many_of_anything_are_refused() -> None:
    many = [device(f"gpu{at}") for at in range(33)]
    assert "at most" in refused(document(None, devices_section(many)))
    text = plain.dumps(document(None, devices_section(many[1:]))).encode()
    assert len(documents.read(text).devices) == 32


def test_the_section_for_another_tls_key_differs_in_that_key_alone() -> None:
    keys = [
        {"id": "tls", "format": documents.SPKI_SHA256, "data": "11" * 32},
        {"id": "hpke", "format": documents.X25519_HPKE, "data": KEY.hex()},
    ]
    read = documents.read(plain.dumps(document(keys_section(keys))).encode())
    named = json.parse(documents.naming(read, bytes(32)), field="")
    keys[0]["data"] = "00" * 32
    assert named == keys_section(keys)


def test_a_document_of_50_mb_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="larger"):
        documents.read(b" " * 50_000_000)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        documents.read(data)
