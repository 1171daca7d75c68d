"""B: is it bound to this question, this key, this channel?"""

from typing import Final

from troth.model.codes._code import Code

B101: Final = Code(
    "B101",
    "wrong-nonce",
    "the evidence does not carry your nonce",
    "The nonce was compared, byte for byte, with the one in the evidence. Another nonce, or none, "
    "means that the evidence answers somebody else's question: a replay.",
    "Ask again with a new nonce; if it stays so, somebody between you and the enclave replays.",
)
B201: Final = Code(
    "B201",
    "wrong-key",
    "the evidence does not bind the key you expect",
    "The key given was compared with the public key inside the evidence (its SubjectPublicKeyInfo, "
    "or the raw bytes the enclave put there).",
    "Check that the key belongs to this enclave and this start of it: keys made inside die with it.",
)
B202: Final = Code(
    "B202",
    "key-not-expected",
    "the policy requires a bound key and none was given",
    "The policy says that evidence counts only for a given key.",
    "Pass the key with `--key`, or give the expectation up by name with `--waive key`.",
)
B301: Final = Code(
    "B301",
    "wrong-binding",
    "the evidence is bound to something else than this session",
    "The agent binds a hash over a tag (channel, identity, app data), and the fields of that purpose. "
    "For a channel these are the TLS exporter of the session, the certificate's key and the nonce. "
    "Evidence made for another session, another key or another purpose, gives another hash.",
    "Connect directly to the enclave; if it stays so, somebody relays or splices the connection.",
)
B302: Final = Code(
    "B302",
    "channel-too-weak",
    "the way to the service is tied to the evidence more loosely than the policy takes",
    "There are four degrees. *session*: the evidence is over this very TLS session. *key*: what is sent "
    "goes only to a key in the evidence, and whoever gets hold of that key can stand in. *answer*: "
    "answers are signed by a key in the evidence, and what is sent may have been read by anybody. "
    "*none*: nothing on the way is tied to it. A policy takes *session* alone unless it names another; "
    "what a host offers never lowers that.",
    'If that is enough for what you send, write it into the policy: `[binding] channel = "key"` '
    "(or `answer`, or `none`).",
)
B401: Final = Code(
    "B401",
    "bad-receipt",
    "the receipt was not signed by the key in this evidence",
    "A receipt counts if the evidence binds an identity key under the identity tag, and that key "
    "signed exactly these bytes. It says that the measured code signed them, at some time after the "
    "enclave started; not that what they say is true.",
    "Ask for the receipt and its bundle again; one of the two was changed or belongs to another start.",
)
B501: Final = Code(
    "B501",
    "part-not-bound",
    "a part of the evidence does not belong to the others",
    "Evidence in several parts counts only together: each part must hold what binds it. That is a "
    "field that must be a hash over the other parts, the service's keys or your nonce; it was computed "
    "from what was presented beside it and compared with what the hardware signed. Where another part "
    "vouches for the key that signed this one, that key alone counts.",
    "Ask the service again, all parts in one answer. If it stays so, parts of two machines or of two "
    "times were put together.",
)
B502: Final = Code(
    "B502",
    "device-twice",
    "one device was counted twice",
    "Two parts name the same device by its hardware's own id. A machine that shows one GPU twice has "
    "one fewer than it says.",
    "Count the devices that the service really has, and ask it for evidence of each.",
)
B503: Final = Code(
    "B503",
    "fabric-disagrees",
    "the devices of this machine do not name each other",
    "GPUs in protected PCIe mode speak in the clear to each other through switches, so each GPU must be "
    "linked to the switches that were presented and to no other, and every switch to as many GPUs. Each "
    "device's own report says to which it is linked.",
    "Ask the machine for evidence of all its GPUs and all its switches in one answer.",
)
