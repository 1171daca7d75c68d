"""`troth inspect`: what does it say? Never a verdict."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from troth.cli import _judge, _log_shown, _service
from troth.cli._console import out, read_source
from troth.errors import Malformed, Misuse
from troth.render.escape import visible
from troth.wire import json as strict

if TYPE_CHECKING:
    from troth.channel.services import Asked
    from troth.model.platform import Platform
    from troth.wire.eif import Eif
    from troth.wire.eif_signature import Signature


def inspect(
    source: str,
    *,
    files: bool = False,
    diff: Path | None = None,
    surface: bool = False,
    json: bool = False,
) -> int:
    """What does it say? Evidence, a service, a log, a bundle, an image or a policy; never a verdict.

        troth inspect evidence.bin
        troth inspect app.eif --files
        troth inspect app.eif --diff rebuilt.eif
        troth inspect app.build.json --surface
        troth inspect /sys/firmware/acpi/tables/data/CCEL
        troth inspect app.pcr8
        troth inspect app.entry
        troth inspect receipt.troth --json
        troth inspect https://ai.example

    Args:
        source: a file, `-` for stdin, or the address of an attested service, which is then asked.
        files: of an image, list every file.
        diff: another image: tell which section, which file and which bytes differ, and which registers
            for that. Exit 1 if the two differ in anything, 0 if they are the same bytes.
        surface: of an image or a build record, what it holds that somebody could use, and what each
            megabyte is for. An image does not say which package brought a file; its build record does.
        json: print as JSON.
    """
    if surface:
        from troth.cli import _surface

        if files or diff is not None:
            raise Misuse("--surface is a report of its own", fix="leave --files and --diff away")
        return _surface.show(source, json=json)
    if diff is not None:
        from troth.cli import _diff

        if files:
            raise Misuse("--diff tells of files that differ", fix="leave --files away")
        return _diff.show(Path(source), diff, json=json)
    if _judge.is_live(source):
        from troth.channel import services

        document = _answers(services.ask(source, services.SERVICES))
    else:
        data = read_source(source, limit=1 << 30)
        logged = _log_shown.shown(data, field=source)
        document = _read(data, source, files=files) if logged is None else logged
    if json:
        out(strict.canonical(document).decode("utf-8"))
    else:
        _print(_with_meanings(document), "")
        out("nothing above was verified")
    return 0


def _read(data: bytes, source: str, *, files: bool, log: bytes | None = None) -> dict[str, Any]:
    from troth.cli import _logs
    from troth.platforms import assemble, detect
    from troth.platforms.nvidia import rim
    from troth.platforms.tdx import log as logs
    from troth.verifier import bundle
    from troth.wire import eif, eif_signature

    if data.startswith(eif.MAGIC):
        return _image(data, files=files)
    if data.startswith(eif_signature.FIRST_BYTES):
        return {"kind": "signature of an image", **_signature(eif_signature.read(data))}
    if bundle.looks_like(data):
        return _bundle(bundle.unpack(data))
    if _service.kept(data):
        return _kept(data)
    if rim.looks_like(data):
        return _reference_values(data)
    several = assemble(data)
    if several is not None:
        parts = {part.name: _read(part.evidence, source, files=files) for part in several.parts}
        return {"kind": "composite", "framing": several.framing or "none", "parts": parts}
    # Logs of dstack and evidence of NVIDIA's are lists in JSON, and only the second kind says so.
    found = detect(data) if data[:16].lstrip().startswith(b"[") else None
    if found is None and logs.looks_like(data):
        return _logs.document(data)
    found = found or detect(data)
    if found is not None:
        return _evidence(data, *found, log=log)
    if b"troth/policy/1" in data[:4096]:
        from troth.policy import Policy

        policy = Policy.from_toml(data.decode("utf-8", "replace"), source=Path(source).name)
        return {
            "kind": "policy",
            "sha256": policy.sha256,
            **strict.parse(policy.canonical(), field=""),
        }
    raise Malformed(
        "is no evidence, reference values, event log, bundle, image or policy that troth reads",
        field=source,
        offset=0,
    )


def _evidence(
    data: bytes, platform: "Platform", bare: bytes, framing: str, log: bytes | None = None
) -> dict[str, Any]:
    """The fields of evidence, and the event log that came in its framing or lay beside it."""
    from troth.cli import _logs

    document: dict[str, Any] = {
        "kind": "evidence",
        "platform": platform.title,
        "framing": framing or "none",
        "size": len(bare),
        "fields": _fields(platform.fields(bare)),
    }
    if log is None and platform.log_in is not None:
        log = platform.log_in(data)
    if log is not None:
        registers = platform.claims(platform.parse(bare), None).registers
        document["event_log"] = _logs.beside(log, registers=registers)
    return document


def _kept(data: bytes) -> dict[str, Any]:
    from troth.channel import services, transcript

    return _answers(services.read(transcript.unpack(data), services.SERVICES))


def _answers(asked: "Asked") -> dict[str, Any]:
    """What a service answered, and the evidence that was found in it."""
    found, told = asked.found, asked.transcript
    document: dict[str, Any] = {
        "kind": "service",
        "service": asked.service.title,
        "address": told.url,
        "nonce": told.nonce.hex(),
        "tls_key_sha256": "none" if told.key is None else hashlib.sha256(told.key).hexdigest(),
        "binding": str(found.binding),
        "answers": [
            {
                "asked": f"{one.method} {one.path}",
                "status": one.answer.status,
                "size": len(one.answer.body),
            }
            for one in told.exchanges
        ],
        "keys": {role: key.hex() for role, key in found.keys.items()},
        "parts": {
            part.name: _read(part.evidence, part.name, files=False, log=part.event_log)
            for part in found.composite.parts
        },
        "statements": {
            one.name: f"{one.status}{f' by {one.source}' if one.source else ''}: {one.why}"
            for one in found.statements
        },
        "not_bound": "\n".join(found.not_bound),
    }
    return document


def _reference_values(data: bytes) -> dict[str, Any]:
    """What a RIM document of NVIDIA's expects, index by index, and who is said to have signed it."""
    from troth.platforms.nvidia import rim

    found = rim.read(data)
    return {
        "kind": "reference values",
        "product": found.product,
        "edition": found.edition,
        "version": found.version,
        "values": {
            f"measurement[{index}]": sorted(value.hex() for value in values)
            for index, values in found.golden.items()
        },
        "signers": _fields(
            (f"certificate[{place}]", signer.der.hex())
            for place, signer in enumerate(found.signers)
        ),
    }


def _with_meanings(document: dict[str, Any]) -> dict[str, Any]:
    """For people: each field of evidence, also of that in a bundle, with what it means."""
    from troth.cli._meanings import meaning

    if document["kind"] == "bundle":
        return {**document, "evidence": _with_meanings(document["evidence"])}
    if document["kind"] in ("composite", "service"):
        parts = {name: _with_meanings(part) for name, part in document["parts"].items()}
        return {**document, "parts": parts}
    if document["kind"] != "evidence":
        return document
    fields = {}
    for name, value in document["fields"].items():
        words = meaning(document["platform"], name)
        fields[f"{name} ({words})" if words else name] = value
    return {**document, "fields": fields}


def _fields(rows: Any) -> dict[str, Any]:
    """Fields by name; certificates in words beside their bytes."""
    from troth.render.certificates import describe

    fields: dict[str, Any] = {}
    for name, value in rows:
        fields[name] = value
        if name.startswith(("cabundle[", "certificate")):
            try:
                row = describe(bytes.fromhex(value), field=name)
            except Malformed as error:
                fields[name] = {"der": value, "trouble": str(error)}
                continue
            fields[name] = {
                "subject": row.subject,
                "not_before": row.not_before.isoformat(),
                "not_after": row.not_after.isoformat(),
                "sha256": row.fingerprint,
            }
    return fields


def _bundle(packed: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "kind": "bundle",
        "evidence": _read(
            packed.evidence, "evidence in the bundle", files=False, log=packed.event_log
        ),
        "receipts": {
            r.name: {"data": r.data.decode("utf-8", "replace"), "signature": r.signature.hex()}
            for r in packed.receipts
        },
    }
    if packed.collateral.items:
        from troth.model.collateral import name

        document["collateral"] = [{"name": name(item)} for item in packed.collateral.items]
    if packed.maker is not None:
        document["maker"] = {
            "at": packed.maker.at.isoformat(),
            "policy": packed.maker.policy,
            "roots": packed.maker.roots.decode("utf-8", "replace"),
        }
    return document


def _image(data: bytes, *, files: bool) -> dict[str, Any]:
    from troth.image import describe
    from troth.platforms.nitro.measure import measure
    from troth.wire import eif

    image = eif.read(data)
    document: dict[str, Any] = {
        "kind": "image",
        "version": image.version,
        "architecture": image.architecture,
        "size": len(data),
        "command_line": bytes(image.command_line.data).decode("utf-8", "replace"),
        "sections": list(describe.sections(image)),
        "nitro": dict(measure(image).hex()),
    }
    if image.only(eif.Kind.SIGNATURE) is not None:
        document["signature"] = _signed(image, document["nitro"]["pcr0"])
    metadata = image.only(eif.Kind.METADATA)
    if metadata is not None:
        document["metadata"] = strict.parse(bytes(metadata.data), field="eif.metadata")
    if files:
        document["files"] = list(describe.files(image))
    return document


def _signed(image: "Eif", pcr0: str) -> dict[str, Any]:
    """Who signed an image, and for what no host would start it today."""
    from troth.cli._image import refusals
    from troth.platforms.nitro.measure import signature

    said = signature(image)
    assert said is not None  # noqa: S101 - the caller saw the section
    refused = "\n".join(problem.words for problem in refusals(image, pcr0)) or "no"
    return {**_signature(said), "refused_by_hosts": refused}


def _signature(said: "Signature") -> dict[str, Any]:
    from troth.platforms.nitro.measure import pcr8
    from troth.wire.eif_signature import ALGORITHMS

    return {
        "algorithm": ALGORITHMS[said.sign1.alg][0],
        "pcr0": said.value.hex(),
        "pcr8": pcr8(said.certificate).hex(),
        **_fields([("certificate", said.certificate.hex())]),
    }


def _print(value: dict[str, Any], indent: str) -> None:
    for key, item in value.items():
        if isinstance(item, dict):
            out(f"{indent}{visible(key)}:")
            _print(item, indent + "  ")
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            out(f"{indent}{visible(key)}:")
            for row in item:
                out(f"{indent}  " + "  ".join(visible(str(cell)) for cell in row.values()))
        elif isinstance(item, str) and "\n" in item:
            out(f"{indent}{visible(key)}:")
            for line in item.splitlines():
                out(f"{indent}  {visible(line)}")
        else:
            out(f"{indent}{visible(key)}: {visible(str(item))}")
