"""The steps of the path one by one, also those that another step would catch as well."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec
from tests.platforms.nitro.forge import chain, specs

from troth.crypto import path
from troth.crypto.signature import ecdsa_p384_raw


def test_a_path_needs_two_certificates() -> None:
    root = path.read(chain(specs())[0][0])
    assert path.problems([]) == path.problems([root]) == ["the path needs a root and a leaf"]


def test_a_link_needs_a_key_of_the_profile_above_it() -> None:
    wanted = specs()
    wanted[2] = replace(wanted[2], curve=ec.SECP256R1())
    certificates, _ = chain(wanted)
    assert path._link(certificates[3], certificates[2]) == ("its issuer has no P-384 key",)
    assert path._link(certificates[2], certificates[1]) == ()


def test_a_signature_is_of_the_profile() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert ecdsa_p384_raw(key, bytes(96), b"") == "the key is on secp256r1, should be on P-384"
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert ecdsa_p384_raw(key, bytes(95), b"") == "the signature is 95 bytes, should be 96"
    assert ecdsa_p384_raw(key, bytes(96), b"") == "the signature does not verify"
