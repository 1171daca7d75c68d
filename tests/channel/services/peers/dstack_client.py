"""dstack's own client, unchanged, asked for everything that our guest agent answers.

Runs under an interpreter that has `dstack_sdk`, and none of troth. Reads what to ask as JSON on standard
input and writes the answers on standard output.
"""

import asyncio
import json
import sys

import dstack_sdk
from dstack_sdk import AsyncDstackClient, DstackClient


def asked(given: dict) -> dict:
    client = DstackClient(given["endpoint"])
    quote = client.get_quote(bytes.fromhex(given["report_data"]))
    info = client.info()
    return {
        "reachable": client.is_reachable(),
        "version": client.version().version,
        "keys": {
            name: client.get_key("wallet/eth", "wallet", name).model_dump()
            for name in ("secp256k1", "ed25519")
        },
        "quote": quote.model_dump(),
        "rtmrs": quote.replay_rtmrs(),
        "info": {"app_id": info.app_id, "compose": info.tcb_info.app_compose},
        "signed": {
            name: client.sign(name, bytes.fromhex(given["digest"])).model_dump()
            for name in ("ed25519", "secp256k1", "secp256k1_prehashed")
        },
        "attestation": client.attest(bytes.fromhex(given["report_data"])).attestation,
        "tls": client.get_tls_key("site", alt_names=["localhost"], usage_ra_tls=True).model_dump(),
    }


async def asked_again(given: dict) -> str:
    async with AsyncDstackClient(given["endpoint"]) as client:
        return (await client.get_key("wallet/eth", "wallet")).key


def main() -> None:
    given = json.load(sys.stdin)
    results = asked(given)
    results["asynchronous"] = asyncio.run(asked_again(given))
    results["composition"] = dstack_sdk.get_compose_hash(given["composition"])
    signed = given["environment"]
    results["signer"] = dstack_sdk.verify_env_encrypt_public_key(
        bytes.fromhex(signed["public_key"]),
        bytes.fromhex(signed["signature"]),
        signed["app_id"],
        signed["timestamp"],
        max_age_seconds=10**9,
    )
    json.dump(results, sys.stdout)


main()
