"""Lists of machines: what is signed counts, and nothing else."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.policy import made
from tests.policy.made import CHIP, NOW, PPID, claims, policy, wrong

from troth.cli.main import run
from troth.errors import Malformed, Misuse
from troth.model.check import Outcome
from troth.policy import Policy
from troth.policy.machines import SCHEMA, onto, read
from troth.policy.profiles import profile

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\1")
SECOND = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\2")
KEY, OTHER = (k.public_key().public_bytes_raw() for k in (SIGNER, SECOND))
HEAD = {"schema": SCHEMA, "name": "seen", "expires": "2026-12-31"}
TDX, SGX, SNP = f"intel:tdx:ppid:{PPID}", f"intel:sgx:ppid:{PPID}", f"amd:snp:chipid:{CHIP}"


def entry(name: Any, level: Any = 1, method: Any = "seen on the console") -> dict[str, Any]:
    return {"id": name, "level": level, "method": method}


ENTRIES = [entry(TDX, 2), entry(SNP, 1), entry("intel:tdx:ppid:" + "0c" * 16, 3)]


def lines(*items: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def signature(signed: bytes, by: Ed25519PrivateKey = SIGNER) -> bytes:
    key = by.public_key().public_bytes_raw().hex()
    return lines({"key": key, "signature": by.sign(signed).hex()})


def listed(*items: dict[str, Any], by: Any = (SIGNER,)) -> bytes:
    signed = lines(*(items or (HEAD, *ENTRIES)))
    return signed + b"".join(signature(signed, key) for key in by)


def test_a_list_that_is_signed() -> None:
    found = read(listed(), keys=[KEY])
    assert found.name == "seen"
    assert found.expires == date(2026, 12, 31)
    assert found.machines == {
        "tdx": frozenset({PPID, "0c" * 16}),
        "snp": frozenset({CHIP}),
    }
    assert read(listed(), keys=[KEY], level=2).machines == {"tdx": frozenset({PPID, "0c" * 16})}
    assert read(listed(), keys=[KEY], level=3).machines == {"tdx": frozenset({"0c" * 16})}


def test_every_key_that_is_named_must_have_signed() -> None:
    assert read(listed(by=(SIGNER, SECOND)), keys=[KEY, OTHER])
    assert read(listed(by=(SECOND, SIGNER)), keys=[KEY])
    for keys in ([OTHER], [KEY, OTHER]):
        with pytest.raises(Malformed, match="there is no signature"):
            read(listed(), keys=keys)
    signed = lines(HEAD, *ENTRIES)
    forged = signature(signed, SECOND).replace(OTHER.hex().encode(), KEY.hex().encode())
    with pytest.raises(Malformed, match="does not verify"):
        read(signed + forged, keys=[KEY])


@pytest.mark.parametrize(
    "more", [{"keys": []}, {"keys": [KEY[:-1]]}, {"keys": [KEY], "level": 0}, {"level": 4}]
)
def test_no_key_no_list(more: dict[str, Any]) -> None:
    data = (
        listed()
        if more.get("keys") != [KEY[:-1]]
        else listed().replace(KEY.hex().encode(), KEY[:-1].hex().encode())
    )
    with pytest.raises(Misuse):
        read(data, **({"keys": [KEY]} | more))


BAD = [
    listed({**HEAD, "schema": "troth/machines/2"}, *ENTRIES),
    listed({**HEAD, "name": 1}, *ENTRIES),
    listed({**HEAD, "more": 1}, *ENTRIES),
    listed({**HEAD, "expires": "2026-W53-4"}, *ENTRIES),
    listed({**HEAD, "expires": "2026-02-30"}, *ENTRIES),
    listed({**HEAD, "expires": 20261231}, *ENTRIES),
    listed({**HEAD, "expires": None}, *ENTRIES),
    listed(*ENTRIES),
    listed(HEAD, entry(PPID)),
    listed(HEAD, entry(f"intel:tdx:ppid:{PPID.upper()}")),
    listed(HEAD, entry(f"intel:tdx:ppid:0x{PPID[2:]}")),
    listed(HEAD, entry(f"intel:tdx:ppid:{PPID[:-2]}")),
    listed(HEAD, entry(f"intel:tdx:ppid:{'00' * 16}")),
    listed(HEAD, entry(f"amd:snp:chipid:{PPID}")),
    listed(HEAD, entry(f"arm:cca:{PPID}")),
    listed(HEAD, entry(7)),
    listed(HEAD, entry(TDX, 0)),
    listed(HEAD, entry(TDX, 4)),
    listed(HEAD, entry(TDX, "1")),
    listed(HEAD, entry(TDX, True)),
    listed(HEAD, entry(TDX, 1.0)),
    listed(HEAD, entry(TDX, method=None)),
    listed(HEAD, {"id": TDX, "level": 1}),
    listed(HEAD, entry(TDX), entry(TDX, 2)),
    listed(HEAD, {**entry(TDX), "signature": ""}),
    listed(by=(SIGNER, SIGNER)),
    listed(by=()),
    listed() + lines(entry(SGX)),
    listed() + b"\n",
    listed()[:-1],
    b"",
    b"\n",
    b"[]\n",
    lines(HEAD) + b"7\n",
    b"\xff\n",
    listed().replace(b'"level": 2', b'"level": 2, "level": 3'),
    listed().replace(KEY.hex().encode(), KEY.hex().upper().encode()),
]


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_list(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data, keys=[KEY])


@given(at=st.integers(0, len(listed()) - 1), bit=st.integers(0, 7))
def test_no_changed_bit_is_accepted(at: int, bit: int) -> None:
    data = bytearray(listed())
    data[at] ^= 1 << bit
    try:
        found = read(bytes(data), keys=[KEY])
    except Malformed:
        return
    # White space around the signature is all that nobody signs.
    assert found == read(listed(), keys=[KEY])
    assert at >= len(lines(HEAD, *ENTRIES))


@given(cut=st.integers(0, len(listed()) - 1))
def test_no_cut_list_is_accepted(cut: int) -> None:
    with pytest.raises(Malformed):
        read(listed()[:cut], keys=[KEY])


@given(data=st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data, keys=[KEY])


def test_a_policy_counts_for_the_listed_machines_alone() -> None:
    found = read(listed(), keys=[KEY])
    guarded = onto(policy("tdx"), found)
    assert wrong(guarded, claims("tdx")) == {}
    assert wrong(guarded, claims("tdx", instance="0c" * 16)) == {}
    assert wrong(guarded, claims("tdx", instance="0d" * 16)) == {"P203": Outcome.FAILED}
    assert wrong(policy("tdx"), claims("tdx", instance="0d" * 16)) == {}
    named = onto(policy("tdx", machines={"0d" * 16}, min_evaluation_number=18), found)
    assert wrong(named, claims("tdx", instance="0d" * 16)) == {}
    assert named.asks("tdx").min_evaluation_number == 18
    assert Policy.from_toml(guarded.to_toml(), source="again") == guarded


def test_a_policy_for_a_platform_without_a_machine() -> None:
    """It would count for every machine of that platform, which nobody means."""
    found = read(listed(), keys=[KEY])
    with pytest.raises(Misuse, match="sgx"):
        onto(policy("sgx"), found)
    assert onto(policy("sgx", machines={PPID}), found).asks("sgx").machines == {PPID}


def test_a_policy_ends_with_its_list() -> None:
    found = read(listed(), keys=[KEY])
    end = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert onto(profile("production-2026-11"), found).expires == end
    sooner = Policy(name="sooner", expires=NOW)
    assert onto(sooner, found).expires == NOW
    later = Policy(name="later", expires=end + timedelta(days=1))
    assert onto(later, found).expires == end
    guarded = onto(policy("tdx"), found)
    assert made.verdict(guarded, claims("tdx"), end) == "accepted"
    past = wrong(guarded, claims("tdx"), end + timedelta(seconds=1))
    assert past == {"P105": Outcome.UNDECIDED}


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, seen, made_here = (tmp_path / name for name in ("p.toml", "seen.jsonl", "out.toml"))
    source.write_text(policy("tdx").to_toml())
    seen.write_bytes(listed())
    command = ["policy", "machines", str(source), str(seen), "--key", KEY.hex()]
    assert run([*command, "-o", str(made_here)]) == 0
    again = Policy.from_toml(made_here.read_text(), source="again")
    assert again == onto(policy("tdx"), read(listed(), keys=[KEY]))
    assert run(["policy", "check", str(made_here)]) == 0
    assert run([*command, "--level", "3"]) == 0
    assert "0c" * 16 in capsys.readouterr().out
    assert run([*command, "--level", "4"]) == 2
    assert run([*command[:-1], OTHER.hex()]) == 3
    assert run(command[:-2]) == 2
