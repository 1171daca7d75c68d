"""What a good token of each service says: shapes of the real ones, made-up values."""

import base64
from collections.abc import Mapping
from typing import Any, Final

from troth.wire.jose import to_url

CODE = "5a" * 48
DIGEST = "c0" * 32
_CHAIN: Final[Mapping[str, Any]] = {
    "x-nvidia-cert-status": "valid",
    "x-nvidia-cert-ocsp-status": "good",
    "x-nvidia-cert-expiration-date": "9999-12-31T23:59:59Z",
    "x-nvidia-cert-revocation-reason": None,
}
RULES = bytes.fromhex("4e" * 32)


def maa_sgx(nonce: bytes) -> dict[str, Any]:
    """Azure's of an SGX enclave that bound the nonce as its runtime data."""
    return {
        "x-ms-ver": "1.0",
        "x-ms-attestation-type": "sgx",
        "x-ms-policy-hash": to_url(RULES),
        "x-ms-sgx-is-debuggable": False,
        "x-ms-sgx-mrenclave": DIGEST,
        "x-ms-sgx-mrsigner": "d1" * 32,
        "x-ms-sgx-product-id": 7,
        "x-ms-sgx-svn": 3,
        "x-ms-sgx-ehd": to_url(nonce),
        "x-ms-sgx-report-data": "00" * 64,
    }


def maa_snp(nonce: bytes) -> dict[str, Any]:
    """Azure's of an SEV-SNP guest without a paravisor."""
    return {
        "x-ms-ver": "1.0",
        "x-ms-attestation-type": "sevsnpvm",
        "x-ms-compliance-status": "azure-compliant-uvm",
        "x-ms-policy-hash": to_url(RULES),
        "x-ms-sevsnpvm-is-debuggable": False,
        "x-ms-sevsnpvm-launchmeasurement": CODE,
        "x-ms-sevsnpvm-hostdata": DIGEST,
        "x-ms-sevsnpvm-idkeydigest": "11" * 48,
        "x-ms-sevsnpvm-authorkeydigest": "00" * 48,
        "x-ms-sevsnpvm-familyId": "01" + "00" * 15,
        "x-ms-sevsnpvm-imageId": "02" + "00" * 15,
        "x-ms-sevsnpvm-reportid": "33" * 32,
        "x-ms-sevsnpvm-reportdata": "44" * 64,
        "x-ms-sevsnpvm-guestsvn": 2,
        "x-ms-sevsnpvm-vmpl": 0,
        "x-ms-sevsnpvm-migration-allowed": False,
        "x-ms-runtime": {"client-payload": {"nonce": to_url(nonce)}},
    }


def maa_tdx(nonce: bytes) -> dict[str, Any]:
    """Azure's of a TD."""
    return {
        "x-ms-ver": "1.0",
        "x-ms-attestation-type": "tdxvm",
        "x-ms-compliance-status": "azure-compliant-cvm",
        "x-ms-policy-hash": to_url(RULES),
        "attester_tcb_status": "UpToDate",
        "tdx_td_attributes_debug": False,
        "x-ms-runtime": {"client-payload": {"nonce": to_url(nonce)}},
        **_td(),
    }


def maa_azurevm(nonce: bytes) -> dict[str, Any]:
    """Azure's of a guest above a paravisor."""
    inner = maa_snp(nonce)
    inner["x-ms-compliance-status"] = "azure-compliant-cvm"
    return {
        "x-ms-ver": "1.0",
        "x-ms-attestation-type": "azurevm",
        "x-ms-policy-hash": to_url(RULES),
        "secureboot": True,
        "x-ms-azurevm-bootdebug-enabled": False,
        "x-ms-azurevm-kerneldebug-enabled": False,
        "x-ms-azurevm-ostype": "Linux",
        "x-ms-azurevm-vmid": "2DEDC52A-6832-46CE-9910-E8C9980BF5A7",
        "x-ms-isolation-tee": inner,
        "x-ms-runtime": {"client-payload": {"nonce": to_url(nonce)}},
    }


def gcs(nonce: bytes, *, audience: str = "https://verifier.example") -> dict[str, Any]:
    """Google's of a container in Confidential Space on a TD."""
    return {
        "aud": audience,
        "sub": "https://www.googleapis.com/compute/v1/projects/p/zones/z/instances/i",
        "eat_nonce": [nonce.hex(), "another-nonce"],
        "eat_profile": "https://cloud.google.com/confidential-computing/confidential-space/docs/reference/token-claims",
        "secboot": True,
        "oemid": 11129,
        "hwmodel": "GCP_INTEL_TDX",
        "swname": "CONFIDENTIAL_SPACE",
        "swversion": ["250300"],
        "dbgstat": "disabled-since-boot",
        "attester_tcb": ["INTEL"],
        "google_service_accounts": ["run@p.iam.gserviceaccount.com"],
        "submods": {
            "confidential_space": {"support_attributes": ["LATEST", "STABLE", "USABLE"]},
            "container": {
                "image_reference": "registry.example/app@sha256:" + DIGEST,
                "image_digest": "sha256:" + DIGEST,
                "restart_policy": "Never",
                "image_id": "sha256:" + "ee" * 32,
                "env": {"HOSTNAME": "i"},
                "args": ["/app"],
            },
            "gce": {
                "zone": "us-central1-a",
                "project_id": "p",
                "project_number": "1",
                "instance_name": "i",
                "instance_id": "7333251546816446069",
            },
        },
    }


def ita_tdx(nonce: bytes) -> dict[str, Any]:
    """Intel's of a TD, second version."""
    return {
        "ver": "2.0.0",
        "eat_profile": "https://portal.trustauthority.intel.com/eat_profile.html",
        "intuse": "generic",
        "dbgstat": "disabled",
        "tdx": {
            "attester_type": "TDX",
            "attester_tcb_status": "UpToDate",
            "dbgstat": "disabled",
            "tdx_is_debuggable": False,
            "tdx_td_attributes_debug": False,
            "verifier_nonce": {"val": _base64(nonce), "iat": "", "signature": ""},
            **_td(),
        },
    }


def ita_sgx(nonce: bytes) -> dict[str, Any]:
    """Intel's of an SGX enclave, first version."""
    return {
        "ver": "1.0.0",
        "attester_type": "SGX",
        "attester_tcb_status": "UpToDate",
        "dbgstat": "disabled",
        "sgx_is_debuggable": False,
        "sgx_mrenclave": DIGEST,
        "sgx_mrsigner": "d1" * 32,
        "sgx_isvprodid": 7,
        "sgx_isvsvn": 3,
        "sgx_report_data": "55" * 64,
        "verifier_nonce": {"val": _base64(nonce), "iat": "", "signature": ""},
    }


def gpu(number: int = 0) -> dict[str, Any]:
    """NVIDIA's of one Hopper GPU whose measurements the service has compared."""
    return {
        **_device(number),
        "hwmodel": "GH100 A01 GSP BROM",
        "x-nvidia-gpu-driver-version": "550.90.07",
        "x-nvidia-gpu-vbios-version": "96.00.9F.00.01",
        "x-nvidia-gpu-arch-check": True,
        "x-nvidia-gpu-attestation-report-nonce-match": True,
        "x-nvidia-gpu-attestation-report-signature-verified": True,
        "x-nvidia-gpu-attestation-report-cert-chain": dict(_CHAIN),
    }


def switch(number: int = 0) -> dict[str, Any]:
    """NVIDIA's of one switch."""
    return {
        **_device(1000 + number),
        "hwmodel": "LS_10 A01 FSP BROM",
        "x-nvidia-switch-bios-version": "96.10.55.00.01",
        "x-nvidia-switch-arch-check": True,
        "x-nvidia-switch-attestation-report-nonce-match": True,
        "x-nvidia-switch-attestation-report-cert-chain": dict(_CHAIN),
    }


def _device(number: int) -> dict[str, Any]:
    return {
        "ueid": str(4781763792860821866189484457873936473648021072 + number),
        "oemid": "5703",
        "secboot": True,
        "dbgstat": "disabled",
        "measres": "success",
        "x-nvidia-attestation-warning": None,
    }


def refused(code: int = 4010, message: str = "NONCE_NOT_MATCHING") -> dict[str, Any]:
    """NVIDIA's of a device that it turned down."""
    return {"x-nvidia-error-details": {"code": code, "message": message}}


def _td() -> dict[str, Any]:
    registers = {f"tdx_rtmr{index}": f"{0x60 + index:02x}" * 48 for index in range(4)}
    zero = ("mrconfigid", "mrowner", "mrownerconfig")
    return {
        "tdx_mrtd": CODE,
        "tdx_td_attributes_septve_disable": True,
        **registers,
        **{f"tdx_{name}": "00" * 48 for name in zero},
        "tdx_mrseam": "77" * 48,
        "tdx_mrsignerseam": "00" * 48,
        "tdx_report_data": "66" * 64,
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
