"""Does an event log replay to a TPM's registers, bank by bank?

Registers start at zeros, PCR 17 to 22 at ones. Where the firmware says that it was started at another
locality (`StartupLocality`, an event that extends nothing), PCR 0 starts at that number. What ties
payloads to digests is the same for all such logs: see `troth.platforms._tcg`.

Source: TCG PC Client Platform TPM Profile, section 4.6 (registers' start); Platform Firmware Profile
1.05, section 10.4.5.3 (StartupLocality).
"""

from typing import Final

from troth.errors import Malformed
from troth.platforms._tcg import Binding, Replay, ReplayedEvent, bind, extend
from troth.wire import tcg, tpm

REGISTERS: Final = tuple(f"pcr{index}" for index in range(tpm.PCRS))
_ONES: Final = range(17, 23)
_LOCALITY: Final = b"StartupLocality\0"
_LOCALITIES: Final = (0, 3, 4)
_NOWHERE: Final = "none"


def replay(log: tcg.EventLog, bank: int) -> Replay:
    """Replays a log's digests of one bank.

    Raises:
        Malformed: the log has no digests of that bank, an event would extend a register that no TPM has,
            or the locality is said twice, too late, or is none.
    """
    if bank not in log.spec_id.algorithms:
        has = ", ".join(tcg.ALGORITHMS.get(n, hex(n)) for n in log.spec_id.algorithms)
        raise Malformed(
            f"are of {has}, none is of {tpm.BANKS[bank]}", field="event log's algorithms"
        )
    start = {
        name: (b"\xff" if index in _ONES else b"\0") * tpm.DIGESTS[bank]
        for index, name in enumerate(REGISTERS)
    }
    start["pcr0"] = _locality(log).to_bytes(tpm.DIGESTS[bank], "big")
    events = (_event(number, event, bank) for number, event in enumerate(log.events))
    return extend(start, events, algorithm=tpm.BANKS[bank])


def _locality(log: tcg.EventLog) -> int:
    """What PCR 0 starts at: 0 unless the log says otherwise, once and before anything is in it."""
    found: int | None = None
    extended = False
    for event in log.events:
        if event.type == tcg.EV_NO_ACTION and event.data.startswith(_LOCALITY):
            said = event.data[len(_LOCALITY) :]
            if found is not None or extended or len(said) != 1 or said[0] not in _LOCALITIES:
                raise Malformed(
                    "is said twice, too late, or is none", field="locality", offset=event.offset
                )
            found = said[0]
        elif event.index == 0 and event.type != tcg.EV_NO_ACTION:
            extended = True
    return found or 0


def _event(number: int, event: tcg.Event, bank: int) -> ReplayedEvent:
    digest = event.digests[bank]
    binding, measured = bind(event.type, digest, event.data, algorithm=tpm.BANKS[bank])
    known = event.index < len(REGISTERS)
    if binding is not Binding.NOTHING and not known:
        raise Malformed(
            f"is {event.index}, should be 0 to {len(REGISTERS) - 1}",
            field="measurement index",
            offset=event.offset,
        )
    return ReplayedEvent(
        number=number,
        register=REGISTERS[event.index] if known else _NOWHERE,
        type=event.type,
        digest=digest,
        payload=event.data,
        binding=binding,
        measured=measured,
    )
