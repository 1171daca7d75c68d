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
    "`troth rebuild` makes the image again from its source, and shows the first file that differs; "
    "`troth inspect --diff` does so for two images. If the new image is meant, review it and update "
    "the policy.",
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
M301: Final = Code(
    "M301",
    "log-not-replayed",
    "the event log does not replay to the registers",
    "Each event of the log extends one register: the new value is the hash of the old one and the "
    "event's digest. Done over from the beginning, this must end at the values in the signed evidence. "
    "It does not, so the log is of another boot, was changed, or lacks events: nothing in it can be "
    "believed.",
    "Fetch the log from the machine at the same moment as the quote. If it is right, something extends "
    "the register without logging it: pin the register's value instead of what the log says.",
)
M302: Final = Code(
    "M302",
    "payload-not-measured",
    "an event's payload does not hash to its digest",
    "For some types of events the digest is over the event's own payload: firmware variables, partition "
    "tables, separators, boot loader commands, runtime events. There the payload must hash to the digest "
    "that was extended. It does not: somebody wrote another text beside a true digest.",
    "Treat the log as forged.",
)
M303: Final = Code(
    "M303",
    "event-log-missing",
    "what was asked about is in the event log, and there is no event log",
    "A register holds one hash over all events. What a single event says, such as an application's id or "
    "a kernel's command line, can only be shown with the log whose replay gives that hash.",
    "Pass it with `--event-log FILE`, or the guest agent's whole answer in place of the quote.",
)
M304: Final = Code(
    "M304",
    "wrong-event",
    "the event log does not say what you expected",
    "The policy names a value of the event log: an application's composition, its id, whether Secure Boot "
    "was on. The log says another one, or does not say it at all.",
    "If another composition is meant, review it and update the policy; `troth inspect` shows what a log "
    "says.",
)
M305: Final = Code(
    "M305",
    "ambiguous-log",
    "the event log replays, and says things in two ways or where they can't be said",
    "An event that names the application must come once, at its size, and before the system was ready: "
    "after that, anything in the guest may add events. In this log it is otherwise, so nothing tells which "
    "event is the system's.",
    "Treat what the log says as unknown. A guest whose system measures so cannot be told by its log: pin "
    "the register's value.",
)
M211: Final = Code(
    "M211",
    "register-left-out",
    "the quote leaves out registers that identify code",
    "Whoever asks a TPM for a quote chooses its registers. PCR 0 to 15 take up what was booted, so one "
    "that was not quoted may hold anything, and the answer stays open. So it does where none of them is "
    "set: then nothing measured what was booted.",
    "Ask for a quote over all registers: PCR 0 to 23 of one bank.",
)
M401: Final = Code(
    "M401",
    "not-the-reference-values",
    "the measurements are not the vendor's reference values",
    "NVIDIA publishes what a driver and a VBIOS of each version measure to, in signed RIM documents. Every "
    "index that they make active must have one of its values in the report; the two documents must not "
    "speak of the same index. Debug modes and changed firmware show here and nowhere else.",
    "Treat the device as not running the firmware that it names. If the documents at hand are of another "
    "project, fetch the right ones: `troth trust update --for EVIDENCE`.",
)
