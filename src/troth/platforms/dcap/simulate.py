"""A quoting enclave and its vendor in Python: true quotes and signed collateral under a development root.

What it makes is read by the same verifier as Intel's; the root alone tells them apart.

Does not isolate anything: whoever holds the development PKI signs what he likes.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from troth.model.collateral import Collateral, Item, Kind
from troth.model.roots import Root, RootClass
from troth.platforms.dcap import simulate_bodies as bodies
from troth.platforms.dcap import simulate_documents as documents
from troth.platforms.dcap import simulate_pki as pki
from troth.platforms.dcap.simulate_bodies import QuoteKind
from troth.platforms.dcap.simulate_pki import Holder

__all__ = ["DevelopmentPki", "Machine", "QuoteKind"]

DAY: Final = timedelta(days=1)
_ROOT_LIST_LIFE: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One platform: what its PCK certificate says, that certificate, and its key.

    Attributes:
        leaf: the PCK certificate and its key.
        authority: who issued it, the Platform or the Processor CA.
        ppid: 16 bytes.
        cpu_svn: 16 bytes.
        pce_svn: a number.
        pce_id: 2 bytes.
        fmspc: 6 bytes.
    """

    leaf: Holder
    authority: Holder
    ppid: bytes
    cpu_svn: bytes
    pce_svn: int
    pce_id: bytes
    fmspc: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopmentPki:
    """Everybody that Intel's part is played by. Change a member with `dataclasses.replace`.

    Attributes:
        root: the self-signed root.
        platform_ca, processor_ca: issue PCK certificates.
        signer: signs collateral.
        machine: the one that quotes come from by default.
        issued: first instant of collateral and lists.
        next_update: their last instant.
    """

    root: Holder
    platform_ca: Holder
    processor_ca: Holder
    signer: Holder
    machine: Machine = field(repr=False)
    issued: datetime
    next_update: datetime

    @classmethod
    def create(cls, now: datetime) -> Self:
        """Makes all keys and certificates; collateral is current from a day before `now` for a month."""
        begin = now.replace(microsecond=0) - DAY
        root = pki.issue(pki.ROOT, begin=begin, life=pki.ROOT_LIFE, authority=True, path_length=1)
        platform_ca, processor_ca = (
            pki.issue(
                name,
                begin=begin,
                life=pki.AUTHORITY_LIFE,
                above=root,
                authority=True,
                path_length=0,
            )
            for name in (pki.PLATFORM_CA, pki.PROCESSOR_CA)
        )
        signer = pki.issue(pki.SIGNER, begin=begin, life=pki.LEAF_LIFE, above=root)
        return cls(
            root=root,
            platform_ca=platform_ca,
            processor_ca=processor_ca,
            signer=signer,
            machine=make_machine(platform_ca, begin=begin),
            issued=begin,
            next_update=begin + pki.LIST_LIFE,
        )

    def roots_pem(self) -> bytes:
        """The root certificate alone, as `--trust` takes it."""
        return self.root.pem

    def roots(self, source: str = "a development PKI") -> tuple[Root, ...]:
        """The root as verifiers of SGX and TDX take it, of the development class."""
        spki = self.root.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return tuple(
            Root(
                platform=platform,
                sha256=hashlib.sha256(self.root.der).hexdigest(),
                key_sha256=hashlib.sha256(spki).hexdigest(),
                root_class=RootClass.DEVELOPMENT,
                source=source,
            )
            for platform in ("sgx", "tdx")
        )

    def new_machine(self, *, processor: bool = False, **says: Any) -> Machine:
        """Another machine of this family; `says` as for `make_machine`."""
        authority = self.processor_ca if processor else self.platform_ca
        return make_machine(authority, begin=self.issued, processor=processor, **says)

    def quote(
        self,
        kind: QuoteKind = QuoteKind.TDX_4,
        *,
        machine: Machine | None = None,
        certification: int = 5,
        chain: Sequence[bytes] | None = None,
        fields: Mapping[str, bytes] | None = None,
        qe: Mapping[str, bytes] | None = None,
        auth: bytes = bytes(range(32)),
        key: ec.EllipticCurvePrivateKey | None = None,
        qe_key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:
        """A quote.

        Args:
            kind: what is quoted, in which format.
            machine: where; `self.machine` if not given.
            certification: type of the certification data: 1 to 5, or 7.
            chain: PEM of each certificate for types 4 and 5, leaf first; the right ones if not given.
            fields: name to bytes of fields of the body that are to differ, such as `reportdata`.
            qe: the same for the quoting enclave's report.
            auth: authentication data of the quoting enclave.
            key: the attestation key; made if not given.
            qe_key: who signs the quoting enclave's report, if it is not the machine's PCK key.
        """
        machine = self.machine if machine is None else machine
        key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
        body = bodies.body(kind, fields or {})
        signed = bodies.head(kind) + body
        attestation_key = pki.point(key)
        report = self._quoting_enclave(attestation_key, auth, qe or {}, tdx=kind.tdx)
        named = _certification(certification, machine, self._chain(machine, certification, chain))
        vouched = (
            report
            + pki.raw(qe_key or machine.leaf.key, report)
            + _sized(auth, 2)
            + certification.to_bytes(2, "little")
            + _sized(named, 4)
        )
        if kind.version > 3:
            vouched = (6).to_bytes(2, "little") + _sized(vouched, 4)
        return signed + _sized(pki.raw(key, signed) + attestation_key + vouched, 4)

    def collateral(
        self,
        *,
        machine: Machine | None = None,
        info: Mapping[str, Any] | None = None,
        identity: Mapping[str, Any] | None = None,
        revoked: Sequence[Holder] = (),
        supply_chain: bool = False,
    ) -> Collateral:
        """Everything that a verifier of this machine's SGX and TDX quotes needs, all up to date.

        Args:
            machine: whose; `self.machine` if not given.
            info: what TCB Infos are to say otherwise; see `tcb_info`.
            identity: the same for QE identities; see `qe_identity`.
            revoked: whose certificates the lists name.
            supply_chain: whether the PCK chain is supplied, for quotes that carry none.
        """
        machine = self.machine if machine is None else machine
        says = {"fmspc": machine.fmspc, "pce_id": machine.pce_id} | dict(info or {})
        items = [self.tcb_info(tdx=tdx, **says) for tdx in (False, True)]
        items += [self.qe_identity(tdx=tdx, **dict(identity or {})) for tdx in (False, True)]
        items += [self.root_crl(revoked=revoked), self.pck_crl(machine.authority, revoked=revoked)]
        items += [self.pck_chain(machine)] if supply_chain else []
        return Collateral(items=tuple(items))

    def tcb_info(self, *, tdx: bool, early: bool = False, **says: Any) -> Item:
        """A signed TCB Info; `says` as for `simulate_documents.tcb_info`."""
        value = documents.tcb_info(tdx=tdx, **(self._window() | says))
        return self.document("tcbInfo", value, early=early)

    def qe_identity(self, *, tdx: bool, early: bool = False, **says: Any) -> Item:
        """A signed QE identity; `says` as for `simulate_documents.qe_identity`."""
        value = documents.qe_identity(tdx=tdx, **(self._window() | says))
        return self.document("enclaveIdentity", value, early=early)

    def evaluation_numbers(self, *, tdx: bool, numbers: Sequence[int]) -> Item:
        """A signed list of evaluation numbers."""
        value = documents.evaluation_numbers(tdx=tdx, numbers=numbers, **self._window())
        return self.document("tcbEvaluationDataNumbers", value)

    def document(
        self,
        member: str,
        value: Mapping[str, Any] | bytes,
        *,
        signer: Holder | None = None,
        chain: bytes | None = None,
        early: bool = False,
    ) -> Item:
        """Signs an inner object, given as a value or as its exact bytes.

        Args:
            member: `tcbInfo`, `enclaveIdentity` or `tcbEvaluationDataNumbers`.
            value: the inner object.
            signer: who signs it; `self.signer` if not given.
            chain: PEM that is sent along; signer and root if not given.
            early: whether it is of the next evaluation number.
        """
        signer = self.signer if signer is None else signer
        inner = value if isinstance(value, bytes) else documents.written(value)
        signature = pki.raw(signer.key, inner).hex().encode("ascii")
        return Item(
            kind=_KINDS[member],
            data=b'{"%s":%s,"signature":"%s"}' % (member.encode("ascii"), inner, signature),
            chain=signer.pem + self.root.pem if chain is None else chain,
            early=early,
            source="simulator",
        )

    def root_crl(
        self,
        *,
        revoked: Sequence[Holder] = (),
        begin: datetime | None = None,
        life: timedelta = _ROOT_LIST_LIFE,
    ) -> Item:
        """The root's list."""
        return self._list(Kind.INTEL_ROOT_CRL, self.root, revoked, begin, life)

    def pck_crl(
        self,
        authority: Holder | None = None,
        *,
        revoked: Sequence[Holder] = (),
        begin: datetime | None = None,
        life: timedelta = pki.LIST_LIFE,
    ) -> Item:
        """The list of a CA that issues PCK certificates; the Platform CA's if not given."""
        issuer = self.platform_ca if authority is None else authority
        return self._list(Kind.INTEL_PCK_CRL, issuer, revoked, begin, life)

    def pck_chain(self, machine: Machine | None = None) -> Item:
        """The PCK chain as it is supplied for quotes that carry none."""
        machine = self.machine if machine is None else machine
        chain = b"".join(self._chain(machine, 5, None))
        return Item(kind=Kind.INTEL_PCK_CHAIN, data=chain, source="simulator")

    def _list(
        self,
        kind: Kind,
        issuer: Holder,
        revoked: Sequence[Holder],
        begin: datetime | None,
        life: timedelta,
    ) -> Item:
        data = pki.revocation_list(
            issuer,
            begin=self.issued if begin is None else begin,
            life=life,
            revoked=[holder.serial for holder in revoked],
        )
        return Item(kind=kind, data=data, chain=issuer.pem + self.root.pem, source="simulator")

    def _window(self) -> dict[str, Any]:
        return {"issued": self.issued, "next_update": self.next_update}

    def _chain(
        self, machine: Machine, certification: int, chain: Sequence[bytes] | None
    ) -> Sequence[bytes]:
        if chain is not None:
            return chain
        if certification == 4:
            return (machine.leaf.pem,)
        return (machine.leaf.pem, machine.authority.pem, self.root.pem)

    def _quoting_enclave(
        self, attestation_key: bytes, auth: bytes, changes: Mapping[str, bytes], *, tdx: bool
    ) -> bytes:
        says = {
            "attributes": documents.QE_FLAGS,
            "mrenclave": bodies.digest("quoting enclave", 32),
            "mrsigner": documents.QE_SIGNERS[tdx],
            "isvprodid": documents.QE_PRODUCTS[tdx].to_bytes(2, "little"),
            "isvsvn": documents.QE_SVN.to_bytes(2, "little"),
            "reportdata": hashlib.sha256(attestation_key + auth).digest() + bytes(32),
        }
        return bodies.enclave(says, changes)


def make_machine(
    authority: Holder,
    *,
    begin: datetime,
    processor: bool = False,
    ppid: bytes | None = None,
    components: bytes = documents.COMPONENTS,
    pce_svn: int = documents.PCE_SVN,
    pce_id: bytes = documents.PCE_ID,
    fmspc: bytes = documents.FMSPC,
    sgx_type: int = 1,
    configuration: Sequence[bool] = (False, False, False),
    extension: bytes | None = None,
    name: str = pki.LEAF,
    life: timedelta = pki.LEAF_LIFE,
) -> Machine:
    """A machine with its PCK certificate.

    Args:
        authority: who issues the certificate.
        begin: first instant of its validity.
        processor: whether it is of the Processor CA's kind, which say less.
        ppid: names the machine; random if not given.
        components: the 16 security versions.
        pce_svn: security version of the provisioning enclave.
        pce_id: 2 bytes.
        fmspc: 6 bytes.
        sgx_type: 0, 1 or 2.
        configuration: dynamic platform, cached keys, SMT.
        extension: the SGX extension's content, where it is to be another than all this makes.
        name: common name.
        life: how long the certificate is valid.
    """
    ppid = secrets.token_bytes(16) if ppid is None else ppid
    if extension is None:
        extension = pki.sgx_extension(
            ppid=ppid,
            components=components,
            pce_svn=pce_svn,
            cpu_svn=components,
            pce_id=pce_id,
            fmspc=fmspc,
            sgx_type=0 if processor else sgx_type,
            platform_instance=None if processor else secrets.token_bytes(16),
            configuration=configuration,
        )
    leaf = pki.issue(name, begin=begin, life=life, above=authority, extension=extension)
    return Machine(
        leaf=leaf,
        authority=authority,
        ppid=ppid,
        cpu_svn=components,
        pce_svn=pce_svn,
        pce_id=pce_id,
        fmspc=fmspc,
    )


_KINDS: Final = {
    "tcbInfo": Kind.INTEL_TCB_INFO,
    "enclaveIdentity": Kind.INTEL_QE_IDENTITY,
    "tcbEvaluationDataNumbers": Kind.INTEL_EVALUATION_NUMBERS,
}


def _certification(kind: int, machine: Machine, chain: Sequence[bytes]) -> bytes:
    numbers = machine.cpu_svn + machine.pce_svn.to_bytes(2, "little") + machine.pce_id
    match kind:
        case 1:
            return machine.ppid + numbers
        case 2 | 3:  # encrypted to Intel: nobody else can read it
            return secrets.token_bytes(256 if kind == 2 else 384) + numbers
        case 4 | 5:
            return b"".join(chain)
        case _:
            return b"a platform manifest"


def _sized(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width, "little") + data
