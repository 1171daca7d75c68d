"""Event logs on the command line: verify, inspect, policy pin, and bundles that are judged elsewhere."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.platforms.tdx.make_dstack import HASH, runtime, system
from tests.verifier.logged import FIRMWARE, LOG, NOW, PINNED, pki, policy, quote, text

import troth
from troth.cli.main import run
from troth.trust.collateral import freeze
from troth.verifier import bundle as bundles

AT = ["--at", NOW.isoformat()]
NONCE = ["--nonce", bytes(range(64)).hex()]


@dataclass(frozen=True)
class Desk:
    """Files as a person has them."""

    folder: Path

    def put(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return str(self.folder / name)

    @property
    def means(self) -> list[str]:
        return ["--trust", str(self.folder / "root.pem"), *AT]

    @property
    def collateral(self) -> list[str]:
        return ["--collateral", str(self.folder / "collateral.json")]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.put("quote.bin", quote(*LOG))
    desk.put("log.json", text(*LOG))
    desk.put("root.pem", pki().roots_pem())
    desk.put("collateral.json", freeze(pki().collateral()))
    desk.put("mine.toml", policy(quote(*LOG), PINNED).to_toml().encode())
    return desk


def verify(desk: Desk, *more: str, source: str = "quote.bin", own: str = "mine.toml") -> int:
    named = ["--policy", str(desk.folder / own)]
    return run(["verify", str(desk.folder / source), *named, *desk.means, *NONCE, *more])


def test_a_log_beside_a_quote(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    log = ["--event-log", str(desk.folder / "log.json")]
    assert verify(desk, *desk.collateral, *log) == 0
    told = capsys.readouterr().out
    assert "events.compose_hash" in told.splitlines()[1]
    assert verify(desk, *desk.collateral) == 4
    assert "error" not in (told := capsys.readouterr().out)
    assert "undecided[M303]" in told and "--event-log FILE" in told
    other = desk.put("other.json", text(*FIRMWARE, *system(compose_hash=b"\5" * 32)))
    assert verify(desk, *desk.collateral, "--event-log", other) == 1
    assert "error[M301]" in capsys.readouterr().out
    assert verify(desk, *desk.collateral, "--event-log", desk.put("empty", b"")) == 3
    assert verify(desk, *desk.collateral, "--event-log", str(desk.folder / "none")) == 5


def test_the_line_to_do_it_again_names_the_log(desk: Desk) -> None:
    page = desk.folder / "page.html"
    log = str(desk.folder / "log.json")
    flags = ["--event-log", log, "--format", "html", "-o", str(page)]
    assert verify(desk, *desk.collateral, *flags) == 0
    assert f"--event-log {log}" in page.read_text()


def test_an_answer_is_evidence(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"quote": quote(*LOG).hex(), "event_log": text(*LOG).decode(), "vm_config": ""}
    path = desk.put("answer.json", json.dumps(answer).encode())
    assert verify(desk, *desk.collateral, source="answer.json") == 0
    capsys.readouterr()
    assert run(["inspect", path]) == 0
    told = capsys.readouterr().out
    assert "framing: dstack answer" in told
    assert "body.mrtd" in told
    assert f"compose_hash: {HASH.hex()}" in told
    assert told.count("as in the quote") == 4 and "NOT as" not in told
    assert told.endswith("nothing above was verified\n")
    answer["event_log"] = text(*LOG[:-1]).decode()
    assert run(["inspect", desk.put("cut.json", json.dumps(answer).encode())]) == 0
    assert "NOT as in the quote" in capsys.readouterr().out
    answer["event_log"] = "[1]"
    assert run(["inspect", desk.put("bad.json", json.dumps(answer).encode())]) == 0
    assert "trouble: event 0" in capsys.readouterr().out


def test_inspect_reads_logs_alone(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(desk.folder / "log.json")]) == 0
    told = capsys.readouterr().out
    assert "form: dstack" in told and "key_provider: kms" in told
    twice = text(*FIRMWARE, *system()[:3], runtime("compose-hash", bytes(32)), *system()[3:])
    assert run(["inspect", desk.put("twice.json", twice)]) == 0
    assert "trouble: event log" in capsys.readouterr().out
    assert run(["inspect", str(desk.folder / "log.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["says"]["storage_fs"] == "zfs"
    assert run(["inspect", desk.put("list.json", b"[1, 2]")]) == 3


def test_inspect_reads_real_logs(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = vectors / "tdx" / "eventlog"
    seen = 0
    for path in sorted(folder.iterdir()):
        if path.name.endswith((".expected.json", "nonce.bin")):
            continue
        assert run(["inspect", str(path)]) == 0, path.name
        told = capsys.readouterr().out
        assert "event_log" in told or "event log" in told
        assert "NOT as" not in told and "trouble" not in told
        seen += 1
    assert seen == 9


def test_pin_writes_the_events_and_not_the_register(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    log = ["--event-log", str(desk.folder / "log.json")]
    source = str(desk.folder / "quote.bin")
    pinned = desk.folder / "pinned.toml"
    means = [*desk.means, *desk.collateral]
    assert run(["policy", "pin", source, *log, *means, "-o", str(pinned)]) == 0
    written = pinned.read_text()
    assert f'events.compose_hash = ["{HASH.hex()}"]' in written
    assert "instance_id" not in written and "app_id" not in written and "rtmr3" not in written
    assert verify(desk, *desk.collateral, *log, own="pinned.toml") == 4  # unreviewed
    pinned.write_text(written.replace("unreviewed = true\n", ""))
    assert verify(desk, *desk.collateral, *log, own="pinned.toml") == 0
    # Another instance of the same application is as good; another application is not.
    for changed, code in (({"instance_id": b"\4" * 20}, 0), ({"compose_hash": b"\4" * 32}, 1)):
        entries = [*FIRMWARE, *system(**changed)]
        desk.put("other.bin", pki().quote(fields=_registers(entries)))
        other = ["--event-log", desk.put("other.json", text(*entries))]
        assert verify(desk, *desk.collateral, *other, source="other.bin", own="pinned.toml") == code
    bare = desk.folder / "bare.toml"
    assert run(["policy", "pin", source, *means, "-o", str(bare)]) == 0
    assert "rtmr3" in bare.read_text() and "events" not in bare.read_text()
    assert run(["policy", "pin", source, *means, *NONCE, "-o", str(desk.folder / "n.toml")]) == 0
    assert run(["policy", "pin", source, *means, "--nonce", "01" * 64]) == 1
    capsys.readouterr()
    cut = desk.put("cut.json", text(*LOG[:-1]))
    assert run(["policy", "pin", source, "--event-log", cut, *means]) == 1
    assert run(["policy", "pin", source, *log, *desk.means]) == 4  # no collateral: who knows


def _registers(entries: list[dict[str, object]]) -> dict[str, bytes]:
    from tests.platforms.tdx.make_dstack import replayed

    return {**replayed(*entries).registers, "reportdata": bytes(range(64))}


def test_pin_keeps_what_else_is_required(desk: Desk) -> None:
    base = desk.put(
        "base.toml",
        b'schema = "troth/policy/1"\n[tdx]\nmin_evaluation_number = 1\n[tdx.events]\nx = ["1"]\n',
    )
    source = str(desk.folder / "quote.bin")
    made = desk.folder / "made.toml"
    flags = ["--event-log", str(desk.folder / "log.json"), *desk.means, *desk.collateral]
    assert run(["policy", "pin", source, "--policy", base, *flags, "-o", str(made)]) == 0
    pinned = troth.Policy.from_toml(made.read_text(), source="made")
    assert pinned.asks("tdx").min_evaluation_number == 1
    assert pinned.asks("tdx").events.keys() == PINNED.keys()
    strict = desk.put(
        "strict.toml", b'schema = "troth/policy/1"\n[tdx]\nmin_evaluation_number = 9999\n'
    )
    assert run(["policy", "pin", source, "--policy", strict, *flags]) == 1


def test_a_bundle_is_judged_elsewhere(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    packed = desk.folder / "b.troth"
    flags = ["--event-log", str(desk.folder / "log.json"), "--bundle", str(packed)]
    assert verify(desk, *desk.collateral, *flags) == 0
    # Its reader has a policy and the root; not the collateral, not the log.
    assert verify(desk, source="b.troth") == 0
    assert run(["verify", str(packed), "--replay", "-q"]) == 4
    loose = desk.put("loose.toml", b'schema = "troth/policy/1"\n')
    assert verify(desk, source="b.troth", own="loose.toml") == 4
    assert run(["verify", str(packed), "--policy", loose, *AT, *NONCE, "-q"]) == 1  # no root
    bundle = bundles.unpack(packed.read_bytes())
    assert bundle.maker is not None and bundle.event_log == text(*LOG)
    capsys.readouterr()
    assert run(["inspect", str(packed)]) == 0
    told = capsys.readouterr().out
    assert told.count("as in the quote") == 4 and "intel-tcb-info sha256" in told
    from dataclasses import replace

    swapped = replace(bundle, event_log=text(*FIRMWARE, *system(instance_id=b"\6" * 20)))
    desk.put("swapped.troth", bundles.pack(swapped))
    assert verify(desk, source="swapped.troth") == 1
    # The reader's own log comes first.
    own = ["--event-log", str(desk.folder / "log.json")]
    assert verify(desk, *own, source="swapped.troth") == 0
    desk.put("none.troth", bundles.pack(replace(bundle, event_log=None)))
    assert verify(desk, source="none.troth") == 4
    # Without an instant it is judged now, when its collateral may be over, and never accepted.
    named = ["--policy", str(desk.folder / "mine.toml"), "--trust", str(desk.folder / "root.pem")]
    assert run(["verify", str(packed), *named, "-q"]) in (1, 4)


def test_a_live_source_takes_no_log(desk: Desk) -> None:
    log = str(desk.folder / "log.json")
    assert run(["verify", "https://127.0.0.1:1", "--event-log", log]) == 2


def test_watch_takes_logs_and_bundles(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = desk.folder / "fleet"
    evidence = fleet / "evidence"
    evidence.mkdir(parents=True)
    packed = desk.folder / "b.troth"
    log = ["--event-log", str(desk.folder / "log.json")]
    assert verify(desk, *desk.collateral, *log, "--bundle", str(packed), "-q") == 0
    (fleet / "policy.toml").write_bytes((desk.folder / "mine.toml").read_bytes())
    (fleet / "roots.pem").write_bytes(pki().roots_pem())
    (evidence / "one.bin").write_bytes((desk.folder / "quote.bin").read_bytes())
    (evidence / "one.nonce").write_text(bytes(range(64)).hex())
    watch = ["watch", "--once", str(fleet), *AT, "--json"]
    assert run(watch) == 4  # no collateral, no log
    (fleet / "collateral.json").write_bytes((desk.folder / "collateral.json").read_bytes())
    assert run(watch) == 4
    (evidence / "one.log").write_bytes(text(*LOG))
    assert run(watch) == 0
    (evidence / "one.log").write_bytes(text(*LOG[:-1]))
    assert run(watch) == 1
    for name in ("one.bin", "one.log"):
        (evidence / name).unlink()
    (fleet / "collateral.json").unlink()
    (evidence / "one.troth").write_bytes(packed.read_bytes())
    capsys.readouterr()
    assert run(watch) == 0
    (found,) = json.loads(capsys.readouterr().out)["evidence"]
    assert found["until"] is not None  # the end of what the bundle brought


def test_inspect_reads_logs_of_tpms(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = vectors / "tpm"
    assert run(["inspect", str(folder / "eventlog" / "rhel8-uefi.bin")]) == 0
    told = capsys.readouterr().out
    assert "form: TCG, bank sha256 of sha1, sha256, sha384" in told
    assert "secure_boot: on" in told and "replayed" in told
    assert run(["inspect", str(folder / "gce-cos-85" / "attestation.pb")]) == 0
    told = capsys.readouterr().out
    assert "as in the quote" in told
    assert told.count("NOT as in the quote") == 1  # IMA's register, which is in no boot log
