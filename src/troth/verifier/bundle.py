"""A bundle: one file with which anyone repeats a judgement offline.

Canonical CBOR; one encoding only. It supplies evidence with what lies beside it: an event log,
endorsements, what the app signed. Each of these is bound to the evidence or signed by a vendor, whoever
hands it over. The policy, roots, nonce and instant in it are its *maker's*: they serve `replay`, which
shows what the maker saw and is undecided at best. Acceptance takes the caller's own.

Schema `troth/bundle/2` has the event log and the endorsements; without either it is `troth/bundle/1`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from troth.errors import Malformed, Misuse
from troth.model.check import Check, stamp, undecided
from troth.model.codes.fresh import R104
from troth.model.codes.policy import P104
from troth.model.collateral import NONE, Collateral, Kind
from troth.model.collateral import name as collateral_name
from troth.model.composite import Composite
from troth.model.evidence import Evidence
from troth.model.report import Report
from troth.model.roots import Root
from troth.policy import Policy
from troth.policy.appraise import Expectation
from troth.policy.document import DEFAULT_MAX_AGE
from troth.trust import collateral as files
from troth.trust import parse_roots
from troth.verifier.appraisal import appraise
from troth.verifier.judge import sensible, utc
from troth.verifier.receipt import Receipt
from troth.wire import cbor

SCHEMA: Final = "troth/bundle/1"
SCHEMA_2: Final = "troth/bundle/2"
MAX_BYTES: Final = 16 * 1024 * 1024
_KEYS: Final = frozenset({"schema", "evidence", "receipts", "maker"})
_KEYS_2: Final = _KEYS | {"event_log", "collateral"}
_MAKER_KEYS: Final = frozenset({"policy", "roots", "at", "nonce", "key", "binding", "report"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """What the maker of a bundle used and saw; never a judge for anybody else.

    Attributes:
        policy: TOML.
        roots: PEM of the roots that the maker added, or empty.
        at: the maker's instant.
        nonce, key, binding: what the maker expected, None where nothing.
        report: the maker's report as JSON, or empty.
    """

    policy: str
    roots: bytes
    at: datetime
    nonce: bytes | None
    key: bytes | None
    binding: bytes | None
    report: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Evidence, what lies beside it, and what the maker saw.

    Attributes:
        evidence: the platform's bytes.
        receipts: what was signed with the key in the evidence.
        maker: what the maker used, or None.
        event_log: what the guest logged, or None; never empty.
        collateral: endorsements with which the evidence can be judged. The maker chose them: of two
            that were current at once it may be the older, which a policy's `min_evaluation_number`
            and one's own `collateral`, of which the newest counts, are good against.
    """

    evidence: bytes
    receipts: tuple[Receipt, ...] = ()
    maker: Maker | None = None
    event_log: bytes | None = None
    collateral: Collateral = NONE

    def beside(self, own: Collateral) -> Collateral:
        """The caller's own collateral with the bundle's."""
        if not self.collateral.items:
            return own
        return own + self.collateral if own.items else self.collateral


def used(collateral: Collateral, report: Report) -> Collateral:
    """Of all collateral what a report rests on, to be packed: without paths of whoever had it."""
    names = set(report.collateral)
    return Collateral(
        items=tuple(
            item if item.source.startswith("https://") else replace(item, source="")
            for item in collateral.items
            if collateral_name(item) in names
            or (item.kind is Kind.INTEL_PCK_CHAIN and report.platform in ("sgx", "tdx"))
        )
    )


def looks_like(data: bytes) -> bool:
    """Whether these bytes begin as a bundle does: a map of four or six, the first key `maker`."""
    return data.startswith((b"\xa4\x65maker", b"\xa6\x65maker"))


def pack(bundle: Bundle) -> bytes:
    """The bundle's one encoding.

    Raises:
        Misuse: two receipts of one name, or collateral that has no file.
    """
    receipts = {r.name: [r.data, r.signature] for r in bundle.receipts}
    if len(receipts) != len(bundle.receipts):
        raise Misuse("two receipts have the same name")
    maker = bundle.maker
    return cbor.encode(
        {
            "schema": SCHEMA_2 if _has_more(bundle) else SCHEMA,
            "evidence": bundle.evidence,
            "receipts": receipts,
            "maker": None
            if maker is None
            else {
                "policy": maker.policy,
                "roots": maker.roots,
                "at": maker.at.isoformat(),
                "nonce": maker.nonce,
                "key": maker.key,
                "binding": maker.binding,
                "report": maker.report,
            },
        }
        | (_more(bundle) if _has_more(bundle) else {})
    )


def unpack(data: bytes) -> Bundle:
    """Reads a bundle.

    Raises:
        Malformed: not the one encoding of a bundle.
    """
    if len(data) > MAX_BYTES:
        raise Malformed(f"is larger than {MAX_BYTES} bytes", field="bundle", offset=0)
    value = cbor.decode(data, field="bundle")
    keys = {SCHEMA: _KEYS, SCHEMA_2: _KEYS_2}
    wanted = keys.get(_schema(value)) if isinstance(value, dict) else None
    if wanted is None or set(value) != wanted:
        raise Malformed(
            f"is not a bundle of schema {SCHEMA} or {SCHEMA_2}", field="bundle", offset=0
        )
    if cbor.encode(value) != data:
        raise Malformed("is not canonical", field="bundle")
    receipts = _typed(value, "receipts", dict)
    bundle = Bundle(
        evidence=_typed(value, "evidence", bytes),
        receipts=tuple(_receipt(name, item) for name, item in receipts.items()),
        maker=None if value["maker"] is None else _maker(value["maker"]),
        event_log=_optional(value, "event_log"),
        collateral=_collateral(_optional(value, "collateral")),
    )
    if len(value) == len(_KEYS_2) and not (_has_more(bundle) and bundle.event_log != b""):
        raise Malformed(f"has nothing that {SCHEMA} has not", field="bundle")
    return bundle


def replay(bundle: Bundle, *, name: str, parts: Composite | None = None) -> Report:
    """What the maker saw, judged again with the maker's own means; undecided at best.

    Args:
        bundle: evidence and what its maker used.
        name: for reports.
        parts: the evidence taken apart, where that is not the verifier's to do (a service's answers).

    Raises:
        Misuse: the bundle does not say what its maker used.
        Malformed: what the maker used cannot be read, or cannot have been used.
    """
    maker = bundle.maker
    if maker is None:
        raise Misuse("this bundle does not say what its maker used, so it cannot be replayed")
    return appraise(
        parts or Evidence(data=bundle.evidence, name=name),
        policy=_policy(maker),
        at=maker.at,
        nonce=maker.nonce,
        key=maker.key,
        binding=maker.binding,
        trust=parse_roots(maker.roots, source=f"{name}: roots") if maker.roots else (),
        collateral=bundle.collateral,
        event_log=bundle.event_log,
        receipts=bundle.receipts,
        as_of=True,
        extra=[undecided(P104, "replay", why="policy, roots and instant are the bundle's own")],
    )


def appraise_stored(
    bundle: Bundle,
    *,
    name: str,
    policy: Policy,
    now: datetime,
    trust: Sequence[Root] = (),
    collateral: Collateral = NONE,
) -> Report:
    """The report on a bundle for which the caller gives no instant.

    Evidence that is fresh now is judged now. Older evidence is judged as of its own time, and left
    undecided: nothing here can say that this time is true.

    Args:
        bundle: evidence and what was signed with its key.
        name: for reports.
        policy: the caller's own.
        now: the caller's clock.
        trust: roots that the caller adds by name.
        collateral: endorsements of the caller's, beside those of the bundle.
    """
    evidence = Evidence(data=bundle.evidence, name=name)
    together = bundle.beside(collateral)

    def judge(at: datetime, extra: Sequence[Check]) -> Report:
        return appraise(
            evidence,
            policy=policy,
            at=at,
            trust=trust,
            collateral=together,
            event_log=bundle.event_log,
            receipts=bundle.receipts,
            as_of=at != now,
            extra=extra,
        )

    report = judge(now, ())
    made = report.presented.timestamp if report.presented else None
    if made is None or made > now or now - made <= (policy.max_age or DEFAULT_MAX_AGE):
        return report
    return judge(made, [undecided(R104, "instant", presented=stamp(made))])


def _has_more(bundle: Bundle) -> bool:
    return bool(bundle.event_log) or bool(bundle.collateral.items)


def _more(bundle: Bundle) -> dict[str, bytes | None]:
    """What the second schema adds; collateral in the one form of its file."""
    items = bundle.collateral.items
    return {
        "event_log": bundle.event_log or None,
        "collateral": files.freeze(bundle.collateral) if items else None,
    }


def _schema(value: Mapping[Any, Any]) -> str:
    schema = value.get("schema")
    return schema if isinstance(schema, str) else ""


def _collateral(data: bytes | None) -> Collateral:
    if data is None:
        return NONE
    found = files.load(data, name="collateral")
    if not found.items or files.freeze(found) != data:
        raise Malformed(f"is not a file of schema {files.SCHEMA}", field="collateral")
    return found


def _policy(maker: Maker) -> Policy:
    """The maker's policy, when its other means are possible as well.

    Raises:
        Malformed: names the field. The file is wrong, not whoever replays it.
    """
    with _blaming("maker.policy"):
        policy = Policy.from_toml(maker.policy, source="policy")
    with _blaming("maker.at"):
        utc(maker.at)
    expected = {
        "maker.nonce": Expectation(nonce=maker.nonce),
        "maker.key": Expectation(key=maker.key),
        "maker.binding": Expectation(binding=maker.binding),
    }
    for field, expectation in expected.items():
        with _blaming(field):
            sensible(policy, expectation)
    return policy


@contextmanager
def _blaming(field: str) -> Iterator[None]:
    try:
        yield
    except Misuse as error:
        raise Malformed(
            str(error), field=field, fix="judge it by your own policy, without --replay"
        ) from None


def _receipt(name: Any, item: Any) -> Receipt:
    if not isinstance(name, str) or not isinstance(item, list) or len(item) != 2:
        raise Malformed("is not a name with data and signature", field="receipts")
    data, signature = item
    if not isinstance(data, bytes) or not isinstance(signature, bytes):
        raise Malformed("data and signature should be bytes", field=f"receipts.{name}")
    return Receipt(name=name, data=data, signature=signature)


def _maker(value: Any) -> Maker:
    if not isinstance(value, dict) or set(value) != _MAKER_KEYS:
        raise Malformed("has missing or unknown keys", field="maker")
    text = _typed(value, "at", str)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("is no instant", field="maker.at") from None
    if at.tzinfo is None or at.isoformat() != text:
        raise Malformed("is no instant with its zone in its one form", field="maker.at")
    return Maker(
        policy=_typed(value, "policy", str),
        roots=_typed(value, "roots", bytes),
        at=at,
        nonce=_optional(value, "nonce"),
        key=_optional(value, "key"),
        binding=_optional(value, "binding"),
        report=_typed(value, "report", bytes),
    )


def _typed(value: Mapping[Any, Any], key: str, kind: type) -> Any:
    if not isinstance(value[key], kind):
        raise Malformed(f"is not {kind.__name__}", field=key)
    return value[key]


def _optional(value: Mapping[Any, Any], key: str) -> bytes | None:
    item = value.get(key)
    if item is None or isinstance(item, bytes):
        return item
    raise Malformed("is neither bytes nor null", field=key)
