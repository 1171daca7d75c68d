"""Tinfoil's own client, as it comes from its package, with its roots and addresses replaced.

Runs under an interpreter that has `tinfoil`, and none of troth. Reads cases as JSON on standard input and
writes what became of each on standard output. What is replaced is what a deployment of one's own would
have to replace: AMD's and Intel's certificates, Sigstore's trusted root, and where releases and VCEKs are fetched.
"""

import json
import pathlib
import sys
import urllib.parse
import urllib.request

import tinfoil
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier
from tinfoil import github
from tinfoil import sigstore as releases
from tinfoil.attestation import collateral_tdx, intel_root_ca, verify_sev


def replace(given: dict) -> None:
    if "ark" in given:
        verify_sev.ARK_CERT = given["ark"].encode()
        verify_sev.ASK_CERT = given["ask"].encode()
        verify_sev._VCEKCertURL = lambda *_: f"{given['services']}/vcek"
    if "intel" in given:
        intel_root_ca.INTEL_SGX_ROOT_CA_PEM = given["intel"].encode()
        collateral_tdx._proxy_url = lambda url: given["services"] + urllib.parse.urlsplit(url).path
    github.GITHUB_PROXY = given["services"]
    root = given["trusted_root"]

    class Own(Verifier):
        @classmethod
        def production(cls, *, offline: bool = False) -> Verifier:
            assert not offline
            return Verifier(trusted_root=TrustedRoot.from_file(root))

    releases.Verifier = Own


def verified(case: dict) -> dict:
    client = tinfoil.SecureClient(
        enclave=case["enclave"], repo=case["repository"], transport=case.get("transport", "ehbp")
    )
    truth = client.verify()
    if case.get("transport") == "tls":
        client.make_secure_http_client().get(f"https://{case['enclave']}/nothing")
    return {"tls": truth.public_key, "hpke": truth.hpke_public_key}


def chat(case: dict) -> dict:
    client = tinfoil.TinfoilAI(enclave=case["enclave"], repo=case["repository"], api_key="none")
    messages = [{"role": "user", "content": case["words"]}]
    whole = client.chat.completions.create(model="echo", messages=messages)
    stream = client.chat.completions.create(model="echo", messages=messages, stream=True)
    pieces = [event.choices[0].delta.content or "" for event in stream]
    return {"whole": whole.choices[0].message.content, "pieces": pieces}


def main() -> None:
    given = json.load(sys.stdin)
    replace(given)
    results = {}
    for name, case in given["cases"].items():
        # The client keeps what it fetched; each case is to fetch its own.
        for kept in pathlib.Path.home().rglob("*.*"):
            if ".cache" in kept.parts and kept.is_file():
                kept.unlink()
        at = f"{given['services']}/case/{urllib.parse.quote(name)}"
        urllib.request.urlopen(at).read()  # noqa: S310 - loopback
        try:
            results[name] = {"chat": chat, "verify": verified}[case["do"]](case)
        except Exception as error:  # noqa: BLE001 - whatever it raises is its refusal
            results[name] = {"refused": f"{type(error).__name__}: {error}"}
    json.dump(results, sys.stdout)


main()
