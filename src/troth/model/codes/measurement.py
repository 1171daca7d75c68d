"""M: is it the image you expected?"""

from typing import Final

from troth.model.codes._code import Code

M101: Final = Code(
    "M101",
    "nothing-expected",
    "nothing says what this image should measure to",
    "Genuine evidence says that some code runs in an enclave. Which code is for you to expect: "
    "a register that identifies code and has no expected value leaves the answer open.",
    "Pass `--image app.eif`, `--measurement pcr0=…` or a policy; `troth policy pin` writes one from "
    "what is there now. To look at a document without an expectation: `--waive measurement`.",
)
M201: Final = Code(
    "M201",
    "wrong-measurement",
    "this is not the image you expected",
    "A register holds another value than the expected ones. Any change of the kernel, its command "
    "line, the root filesystem or the application changes a register.",
    "`troth build --check` rebuilds the image and compares; `troth inspect` shows what each of two "
    "images measures to. If the new image is meant, review it and update the policy.",
)
M202: Final = Code(
    "M202",
    "measurement-missing",
    "an expected register is not in the evidence",
    "The policy names a register that the evidence does not carry: it was never locked, or the "
    "platform has no such register.",
    "Lock the register inside the enclave before attesting, or correct the policy.",
)
M203: Final = Code(
    "M203",
    "register-not-pinned",
    "a register that identifies code is in the evidence and nothing expects a value of it",
    "Registers locked by the application (Nitro: PCR16 to PCR31) or unexpectedly set identify code or "
    "configuration, too. One that nobody pinned leaves the answer open.",
    "Add the register to the policy with its expected value, or to `measurements` on the command line.",
)
