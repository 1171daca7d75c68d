"""M5: does an app's log name the code that runs?"""

from typing import Final

from troth.model.codes._code import Code

M501: Final = Code(
    "M501",
    "not-released",
    "no release in the log names what runs",
    "The policy takes code because a release in the app's log names it. One release must name every "
    "register that identifies code, with the values in the evidence, of all parts whose platforms it names; "
    "registers out of two releases are no release. No entry for this app does.",
    "Have the owners log the release, or look for what else is running there: `troth inspect` shows its "
    "registers. If the log at hand is old, fetch it anew.",
)
M502: Final = Code(
    "M502",
    "release-log-missing",
    "the log of releases is not at hand",
    "The policy takes code because a release in a log names it. Nobody gave the log, or what was given "
    "is not of the log that the policy names.",
    "Pass it with `--log`: a file, a folder, or the address of the log.",
)
M503: Final = Code(
    "M503",
    "release-log-not-genuine",
    "the log is not what its operator signed",
    "A log is believed whole or not at all: its operator's key signs how many entries it has and their "
    "root, and every entry must be there. Here the signature is missing or wrong, entries are missing or "
    "changed, or the operator signed two logs that contradict each other: then it shows different people "
    "different releases.",
    "Fetch the log from its own address. If the operator signed both, keep the two files: they are proof.",
)
M504: Final = Code(
    "M504",
    "release-log-not-witnessed",
    "too few witnesses have seen this log",
    "An operator alone could show a log of its own making to you alone. Witnesses see each new state of "
    "the log, refuse one that contradicts what they saw before, and sign with the time. The policy says "
    "which witnesses count and how many must have seen the newest state; times after the instant of "
    "judgement do not count.",
    "Fetch the log again later, or ask its operator to have it witnessed.",
)
M505: Final = Code(
    "M505",
    "release-log-not-current",
    "the witnesses saw this log too long ago",
    "In a log that was kept back, what came after is missing: a revocation, or a freeze. So the witnesses' "
    "newest times must not be older than the policy allows. Of the needed witnesses the one that saw "
    "it longest ago counts.",
    "Fetch the log anew, or judge as of an instant at which it was current with `--at`.",
)
M506: Final = Code(
    "M506",
    "release-not-signed",
    "the release that names what runs is not signed by enough owners",
    "Anybody may write into a log. A release counts when as many of the owners have signed it as the policy "
    "says, with the keys that the policy names; a signature by any other key says nothing.",
    "Let further owners sign: `troth release sign`, then `troth release publish`.",
)
M507: Final = Code(
    "M507",
    "release-waiting",
    "the release that names what runs is not active yet",
    "Between a release and its use lies the notice that the policy asks for, so that whoever watches the log "
    "can look at it first. It runs from the time at which enough witnesses had seen the release.",
    "Wait, or run the release before it.",
)
M508: Final = Code(
    "M508",
    "release-revoked",
    "the release that names what runs was revoked",
    "Enough owners wrote into the log that this release counts no longer. Every release of the same code "
    "that was logged before is meant as well.",
    "Run a newer release. If the same code shall count again, the owners log a new release of it.",
)
M509: Final = Code(
    "M509",
    "released-after-the-freeze",
    "the release that names what runs was logged after the code was frozen",
    "The owners wrote into the log that the code is frozen. That is for ever: no later release counts, "
    "whoever signs it.",
    "Run a release from before the freeze. Who wants another asks for another app, with a policy of its own.",
)
