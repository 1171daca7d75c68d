"""`troth release provenance` and `check`: from a built image to a verified statement, and what is refused."""

import base64
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.platforms.nitro.signer import DAY, identity, signature, with_section
from tests.platforms.nitro.signer import image as small
from tests.release.simulated import OWNER, TAG, WORKFLOW, bundle, instance
from tests.release.supplied import Desk, desk, image, record

from troth.cli.main import run
from troth.release import provenance
from troth.wire import eif
from troth.wire import json as strict

BUILDER = "https://example.com/ci"
WHO = f"https://github.com/{OWNER}/.github/workflows/{WORKFLOW}@refs/tags/{TAG}"
ISSUER = "https://token.actions.githubusercontent.com"
Says = pytest.CaptureFixture[str]


@pytest.fixture
def made(tmp_path: Path) -> Desk:
    return desk(tmp_path)


@pytest.fixture
def says(capsys: Says) -> Says:
    return capsys


def state(made: Desk, *more: str, out: str = "app.provenance.json", source: str = "app.eif") -> int:
    key = (
        ()
        if any(w in more for w in ("--key", "--pkcs11", "--command"))
        else ("--key", made.path("ed.pem"))
    )
    builder = () if "--builder" in more else ("--builder", BUILDER)
    return run(["release", "provenance", made.path(source), *builder, *key, *more, "-o", made.path(out)])  # fmt: skip


def check(
    made: Desk, *more: str, source: str = "app.eif", file: str = "app.provenance.json"
) -> int:
    who = (
        () if any("sigstore" in w or w == "--key" for w in more) else ("--key", made.path("ed.pub"))
    )
    argv = ["release", "check", made.path(source), "--provenance", made.path(file), *who, *more]
    return run(argv)


@pytest.mark.parametrize("key", ["ed", "p256", "p384"])
def test_the_whole_way(made: Desk, says: Says, key: str) -> None:
    assert state(made, "--key", made.path(f"{key}.pem")) == 0
    assert "9 inputs" in says.readouterr().err
    public = ("--key", made.path(f"{key}.pub"))
    assert check(made, *public) == 0
    shown = says.readouterr().out
    assert shown.startswith("verified   app\n") and "as the signer says" in shown
    assert check(made, *public, "--builder", BUILDER, "--json") == 0
    found = json.loads(says.readouterr().out)
    assert (found["result"], found["builder"], found["inputs_compared"]) == (
        "verified",
        BUILDER,
        True,
    )
    assert found["problems"] == []


def test_the_file_is_the_same_each_time_with_a_key_of_edwards(made: Desk) -> None:
    assert state(made) == state(made, out="again.json") == 0
    assert (made.folder / "again.json").read_bytes() == (
        made.folder / "app.provenance.json"
    ).read_bytes()


def test_a_wrong_key(made: Desk, says: Says) -> None:
    assert state(made) == 0
    assert check(made, "--key", made.path("p256.pub")) == 1
    shown = says.readouterr().out
    assert shown.startswith("refused") and "verified" not in shown
    # Two keys are asked for, and one signed.
    assert check(made, "--key", made.path("ed.pub"), "--key", made.path("p256.pub")) == 1
    assert "did not sign" in says.readouterr().out
    assert check(made, "--key", made.path("ed.pub"), "--key", made.path("ed.pub")) == 2
    assert check(made, "--key", made.path("ed.pem")) == 2
    assert "private key" in says.readouterr().err


def test_a_statement_of_another_image(made: Desk, says: Says) -> None:
    from dataclasses import replace

    other = replace(image(), default_cpus=3)
    made.put("other.eif", eif.pack(other))
    made.put("other.build.json", strict.canonical(record(other)))
    assert state(made, source="other.eif", out="other.provenance.json") == 0
    assert check(made, source="other.eif", file="other.provenance.json") == 0
    says.readouterr()
    assert check(made, file="other.provenance.json") == 1
    assert "and this image is" in says.readouterr().out
    # The image and the record of another.
    made.put("app.eif", eif.pack(other))
    assert state(made) == 2
    assert "is of another image" in says.readouterr().err
    assert check(made, file="other.provenance.json") == 2


def test_another_record_than_was_signed(made: Desk, says: Says) -> None:
    assert state(made) == 0
    value = record()
    value["packages"][3]["sha256"] = "0" * 64
    made.put("app.build.json", strict.canonical(value))
    assert check(made) == 1
    assert "resolvedDependencies[3].digest.sha256" in says.readouterr().out


def test_without_the_record_it_is_undecided(made: Desk, says: Says) -> None:
    assert state(made) == 0
    (made.folder / "app.build.json").rename(made.folder / "kept.json")
    assert check(made) == 4
    assert says.readouterr().out.startswith("undecided")
    assert check(made, "--json") == 4
    assert json.loads(says.readouterr().out)["inputs_compared"] is False
    assert check(made, "--record", made.path("kept.json")) == 0
    assert check(made, "--record", made.path("absent.json")) == 5
    assert state(made, out="new.json") == 2
    assert not (made.folder / "new.json").exists()


def test_another_builder(made: Desk, says: Says) -> None:
    assert state(made) == 0
    assert check(made, "--builder", "https://example.com/other") == 1
    assert "should be" in says.readouterr().out
    assert state(made, "--builder", "here", out="new.json") == 2


def test_an_image_that_is_signed_afterwards(made: Desk, says: Says) -> None:
    now = datetime.now(UTC)
    by = identity(begin=now - DAY, end=now + DAY)
    made.put("cert.pem", by.pem)
    made.put("key.pem", by.key_pem())
    assert state(made) == 0
    argv = ["--pcr8", "--certificate", made.path("cert.pem"), "--key", made.path("key.pem")]
    assert run(["release", "sign", made.path("app.eif"), *argv, "-o", made.path("app.pcr8")]) == 0
    assert run(["release", "attach", made.path("app.eif"), made.path("app.pcr8")]) == 0
    says.readouterr()
    assert check(made) == 0
    assert "signed for PCR8" in says.readouterr().out


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is absent")
def test_an_image_whose_signature_is_another_image_s(made: Desk, says: Says) -> None:
    """The statement is about all but the signature: so that place may hold a signature and nothing else."""
    assert state(made) == 0
    path = Path(made.path("app.eif"))
    plain = eif.read(path.read_bytes())
    path.write_bytes(eif.pack(with_section(plain, signature(small(), identity()))))
    assert check(made) == 1
    assert "the signature is over another image" in says.readouterr().out


def test_a_key_behind_a_command(made: Desk, says: Says) -> None:
    command = f"openssl dgst -sha384 -sign {made.path('p384.pem')}"
    assert state(made, "--command", command) == 2
    assert "--public-key" in says.readouterr().err
    for wrong in ("p256.pub", "ed.pub"):
        assert state(made, "--command", command, "--public-key", made.path(wrong)) == 2
    assert not (made.folder / "app.provenance.json").exists()
    assert state(made, "--command", command, "--public-key", made.path("p384.pub")) == 0
    assert check(made, "--key", made.path("p384.pub")) == 0
    assert (
        state(made, "--key", made.path("ed.pem"), "--public-key", made.path("p256.pub"), out="n")
        == 2
    )


def test_ed25519_signs_no_digest(made: Desk, says: Says) -> None:
    program = f"{sys.executable} -c pass"
    more = ("--command", program, "--command-gets", "digest", "--public-key", made.path("ed.pub"))
    assert state(made, *more) == 2
    assert "no digest" in says.readouterr().err


def test_nothing_is_written_over(made: Desk) -> None:
    assert state(made) == 0
    assert state(made) == 2
    assert state(made, source="app.build.json", out="x") == 2


def test_several_sign_one_statement(made: Desk, says: Says) -> None:
    assert state(made) == 0
    other = ("--key", made.path("p384.pem"), "--beside", made.path("app.provenance.json"))
    assert state(made, *other, out="both.json") == 0
    keys = [word for name in ("ed", "p384") for word in ("--key", made.path(f"{name}.pub"))]
    assert check(made, *keys, file="both.json") == 0
    assert says.readouterr().out.count("  signed   ") == 2
    assert check(made, *keys[:2], file="both.json") == 1
    assert "was not given" in says.readouterr().out
    assert state(made, *other[:2], "--beside", made.path("both.json"), out="x.json") == 2
    assert "already" in says.readouterr().err
    assert state(made, *other, "--builder", "https://example.com/else", out="x.json") == 2
    assert "something else" in says.readouterr().err
    assert not (made.folder / "x.json").exists()


def test_a_bare_statement_is_for_others_to_sign(made: Desk, says: Says) -> None:
    argv = ["release", "provenance", made.path("app.eif"), "--builder", BUILDER, "--unsigned"]
    assert run([*argv, "-o", made.path("bare.json")]) == 0
    assert "signed by nobody" in says.readouterr().err
    assert state(made) == 0
    signed = json.loads((made.folder / "app.provenance.json").read_bytes())["payload"]
    assert base64.b64decode(signed) == (made.folder / "bare.json").read_bytes()
    assert check(made, file="bare.json") == 3
    assert run([*argv, "--key", made.path("ed.pem"), "-o", made.path("x.json")]) == 2


def test_who_must_have_signed_has_to_be_said(made: Desk, says: Says) -> None:
    assert state(made) == 0
    base = [
        "release",
        "check",
        made.path("app.eif"),
        "--provenance",
        made.path("app.provenance.json"),
    ]
    for more in (
        [],
        ["--sigstore-identity", WHO],
        ["--sigstore-issuer", ISSUER],
        ["--key", made.path("ed.pub"), "--sigstore-identity", WHO, "--sigstore-issuer", ISSUER],
        ["--key", made.path("ed.pub"), "--trusted-root", made.path("ed.pub")],
    ):
        assert run([*base, *more]) == 2, more
        assert says.readouterr().out == ""


def test_a_bundle_of_sigstore(made: Desk, says: Says) -> None:
    by = instance()
    made.put("root.json", by.trusted_root())
    from troth.image.store import digest
    from troth.release.provenance import statement

    data = (made.folder / "app.build.json").read_bytes()
    said = statement(record(), record_sha256=digest(data), name="app.eif", builder=BUILDER)
    made.put("app.provenance.json", bundle(by, said))
    who = ("--sigstore-identity", WHO, "--sigstore-issuer", ISSUER, "--trusted-root", made.path("root.json"))  # fmt: skip
    assert check(made, *who) == 0
    assert WHO in says.readouterr().out
    for wrong in (
        ("--sigstore-identity", "x@example.com", *who[2:]),
        (*who[:2], "--sigstore-issuer", "https://issuer.example", *who[4:]),
        who[:4],
    ):
        assert check(made, *wrong) == 1
        assert "does not verify" in says.readouterr().out
    made.put("app.provenance.json", bundle(by, said, payload_type="text/plain"))
    assert check(made, *who) == 3
    other = provenance.statement(record(), record_sha256="0" * 64, name="app.eif", builder=BUILDER)
    made.put("app.provenance.json", bundle(by, other))
    assert check(made, *who) == 1
    # A bundle is no envelope, nor the other way round.
    assert check(made) == 3
    assert state(made, out="envelope.json") == 0
    assert check(made, *who, file="envelope.json") == 1


def test_another_payload_type_and_no_signature(made: Desk, says: Says) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from troth.crypto import public
    from troth.release import dsse
    from troth.release.keys import FileKey

    assert state(made) == 0
    good = dsse.read((made.folder / "app.provenance.json").read_bytes())
    key = load_pem_private_key((made.folder / "ed.pem").read_bytes(), None)
    pair = (public.of(key.public_key()), FileKey(private=key))  # type: ignore[arg-type]
    for payload, kind in (
        (good.payload, "application/vnd.other+json"),
        (b"{}", dsse.IN_TOTO),
        (good.payload + b"\n", dsse.IN_TOTO),
    ):
        envelope = dsse.sign(payload, payload_type=kind, keys=[pair])
        made.put("odd.json", envelope.to_json())
        assert check(made, file="odd.json") == 3
        assert "verified" not in says.readouterr().out
    value = json.loads((made.folder / "app.provenance.json").read_bytes())
    made.put("odd.json", strict.canonical(value | {"signatures": []}))
    assert check(made, file="odd.json") == 3
    made.put("odd.json", good.payload)
    assert check(made, file="odd.json") == 3


def test_no_bit_of_the_file_can_be_turned(made: Desk, says: Says) -> None:
    """Every bit is turned in tests/release/test_dsse.py; here through the command, as many as there is time for."""
    assert state(made) == 0
    data = (made.folder / "app.provenance.json").read_bytes()
    for place in range(0, len(data) * 8, len(data) * 8 // 150):
        bad = bytearray(data)
        bad[place // 8] ^= 1 << place % 8
        made.put("bad.json", bytes(bad))
        assert check(made, file="bad.json") in (1, 3), place
        assert "verified" not in says.readouterr().out


def test_it_runs_as_a_program(made: Desk) -> None:
    assert state(made) == 0
    argv = [sys.executable, "-m", "troth", "release", "check", made.path("app.eif"),
            "--provenance", made.path("app.provenance.json"), "--key", made.path("ed.pub")]  # fmt: skip
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
