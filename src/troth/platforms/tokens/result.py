"""Does the service itself say yes? NVIDIA signs its refusals, too, and sends them with HTTP 200."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from troth.model.check import Check, failed, passed
from troth.model.codes.binding import B502
from troth.model.codes.genuine import G703
from troth.platforms.tokens.format import Bundle
from troth.platforms.tokens.said import part, words

_OVERALL: Final = "x-nvidia-overall-att-result"
_ERROR: Final = "x-nvidia-error-details"
_VENDOR: Final = "x-nvidia-"
_CHAIN: Final = "-cert-chain"
_GOOD_CHAIN: Final = {"x-nvidia-cert-status": "valid", "x-nvidia-cert-ocsp-status": "good"}
_SUBJECT: Final = "NVIDIA-PLATFORM-ATTESTATION"


def checks(bundle: Bundle) -> Iterator[Check]:
    """The answer over all, each device's, and that no device was counted twice."""
    overall = bundle.overall.claims
    made = overall.get(_OVERALL)
    wrong = [] if made is True else [_reason(overall) or "the result over all is not yes"]
    if overall.get("sub", _SUBJECT) != _SUBJECT:
        wrong.append("the token over all is of another subject")
    yield _answer("overall", wrong)
    for name, token in bundle.devices.items():
        yield _answer(name, list(_troubles(token.claims)))
    ids = [word for one in bundle.devices.values() for word in words(one.claims.get("ueid"))]
    unnamed = len(ids) != len(bundle.devices)
    make = passed if len(set(ids)) == len(ids) and not unnamed else failed
    why = "a device has no id of its own (ueid)" if unnamed else ""
    yield make(B502, "ueid", presented=", ".join(ids)[:400], why=why)


def _answer(name: str, wrong: list[str]) -> Check:
    if wrong:
        return failed(G703, name, why="; ".join(wrong)[:800])
    return passed(G703, name)


def _troubles(device: Mapping[str, Any]) -> Iterator[str]:
    reason = _reason(device)
    if reason:
        yield reason
    if device.get("measres") != "success":
        yield f"measres is {device.get('measres')!r:.40}, should be 'success'"
    for name, value in sorted(device.items()):
        if name.startswith(_VENDOR) and value is False:
            yield f"{name} is false"
        if name.startswith(_VENDOR) and name.endswith(_CHAIN):
            for key, good in _GOOD_CHAIN.items():
                said = part(device, name).get(key)
                if said != good:
                    yield f"{name}: {key} is {said!r:.40}"


def _reason(claims: Mapping[str, Any]) -> str:
    if _ERROR not in claims:
        return ""
    details = part(claims, _ERROR)
    return f"{_ERROR}: {details.get('code')!r:.20} {details.get('message')!r:.120}"
