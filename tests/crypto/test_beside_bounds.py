"""What is begun beside Python: bounded, given back once, and no other process's."""

import copy
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from troth.crypto import beside, keys, signature
from troth.crypto.beside import Asked

KEY = ec.derive_private_key(0x5EED << 200, ec.SECP384R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
MADE = KEY.sign(b"signed", ec.ECDSA(hashes.SHA384()))
GOOD = Asked(SPKI, keys.ECDSA_SHA384, MADE, b"signed")
needs_native = pytest.mark.native


@pytest.fixture(autouse=True)
def nothing_begun() -> Iterator[None]:
    beside._begun.clear()
    yield
    beside._begun.clear()


def bad(number: int, size: int = 32) -> Asked:
    return GOOD._replace(signed=number.to_bytes(8, "big") * (size // 8))


def python(text: str, *paths: Path) -> str:
    """What a process of its own prints."""
    path = os.pathsep.join((*map(str, paths), *sys.path))
    done = subprocess.run(
        [sys.executable, "-c", text],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


@needs_native
def test_an_answer_is_of_the_very_bytes() -> None:
    changed = [
        GOOD._replace(signed=b"signee"),
        GOOD._replace(signature=MADE[:-1] + bytes([MADE[-1] ^ 1])),
        GOOD._replace(spki=SPKI[:-1] + bytes([SPKI[-1] ^ 1])),
        GOOD._replace(algorithm=keys.P384_RAW),
        GOOD._replace(algorithm=keys.ECDSA_SHA256),
    ]
    for order in ([GOOD, *changed], [*changed, GOOD]):
        beside.begin(order)
        for asked in (*changed, GOOD, *changed):
            assert bool(beside.verifies(asked)) is (asked == GOOD)
    assert not beside._begun


@needs_native
def test_what_is_never_asked_for_is_bounded() -> None:
    for first in range(0, 4000, 40):
        beside.begin(bad(number, 8000) for number in range(first, first + 40))
        assert sum(len(asked.signed) for asked in beside._begun) <= 256 * 8000
    assert len(beside._begun) <= 256
    beside._begun.clear()
    beside.begin(bad(number) for number in range(5000))
    assert len(beside._begun) == 256


@needs_native
def test_one_batch_is_bounded() -> None:
    """One check that is not asked for holds the bytes of all that were begun with it."""
    beside.begin(bad(number, 32768) for number in range(40))
    assert len(beside._begun) == 4


@needs_native
@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1, 10**7])
def test_long_texts_are_left_to_the_other(size: int) -> None:
    text = bytes(size)
    made = KEY.sign(text, ec.ECDSA(hashes.SHA384()))
    asked = Asked(SPKI, keys.ECDSA_SHA384, made, text)
    beside.begin([asked, GOOD])
    assert beside.verifies(asked) is (True if size <= 64 * 1024 else None)
    assert signature.verify(*asked) == ""
    assert signature.verify(SPKI, keys.ECDSA_SHA384, text, b"signed") != ""


@needs_native
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_checks_under_way_are_not_copied(copied: object) -> None:
    """Two objects would give back the same memory."""
    assert callable(copied)
    beside.begin([GOOD])
    batch, _ = beside._begun[GOOD]
    with pytest.raises(TypeError, match="given back once"):
        copied(batch)
    assert beside.verifies(GOOD) is True


@needs_native
def test_many_who_ask_at_once() -> None:
    """Each begins and asks for the same; each is answered, and rightly."""
    wrong: list[Asked] = []

    def ask(seed: int) -> None:
        mine = [bad(number) for number in range(seed, seed + 30)]
        for _ in range(10):
            beside.begin([GOOD, *mine])
            wrong.extend(asked for asked in mine if beside.verifies(asked) is not False)
            if beside.verifies(GOOD) is not True:
                wrong.append(GOOD)

    threads = [threading.Thread(target=ask, args=(seed * 10,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@needs_native
def test_a_fork_asks_anew_and_begins_anew() -> None:
    many = [bad(number) for number in range(100)]
    for _ in range(20):
        beside.begin([*many, GOOD])
        child = os.fork()
        if child == 0:
            code = 1
            try:
                right = beside.verifies(GOOD) is None and signature.verify(*GOOD) == ""
                beside._begun.clear()
                beside.begin([*many, GOOD])
                right = right and beside.verifies(GOOD) is True
                code = 0 if right and signature.verify(*many[0]) else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert beside.verifies(GOOD) is True
        beside._begun.clear()


@needs_native
def test_a_child_of_the_same_number_is_another_process() -> None:
    """The first process of a container and that of a namespace inside are both number 1."""
    said = python(
        "import troth_native\n"
        "batch = troth_native.Batch([(1, b'', b'', b'')], beside=True)\n"
        "print(batch.answer(0))\n"
        "troth_native._library.troth_forked()  # as after a fork\n"
        "print(batch.answer(0))\n"
        "print(troth_native.Batch([(1, b'', b'', b'')], beside=True).answer(0))\n"
    )
    assert said.split() == ["False", "None", "False"]


@needs_native
def test_where_no_thread_can_be_made_nothing_piles_up() -> None:
    """Whoever asks does the work; batches that wait for threads in vain would stay for ever."""
    said = python(
        "import os, resource\n"
        "from pathlib import Path\n"
        "from troth_native import Batch\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n"
        "if os.getuid() == 0:\n"
        "    os.setuid(65534)  # root is not bound by that limit\n"
        "def held():\n"
        "    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096\n"
        "before = held()\n"
        "for _ in range(2000):\n"
        "    assert Batch([(1, b'', b'', bytes(50_000))], beside=True).answer(0) is False\n"
        "print(held() - before < 20_000_000, len(os.listdir('/proc/self/task')))\n"
    )
    assert said == "True 1"


@needs_native
def test_a_process_that_ends_with_checks_under_way() -> None:
    said = python(
        "import os\n"
        "from troth.crypto import beside, keys\n"
        "key = keys.P384_HEAD + bytes(96)\n"
        "beside.begin(\n"
        "    beside.Asked(key, keys.ECDSA_SHA384, bytes(70), os.urandom(500)) for _ in range(200)\n"
        ")\n"
        "print(len(beside._begun))\n"
    )
    assert said == "200"


@needs_native
def test_checks_that_are_given_back_when_names_are_gone() -> None:
    said = python(
        "import os, troth_native\n"
        "os.module = troth_native  # which is emptied before what was there earlier\n"
        "os.kept = troth_native.Batch([(1, b'', b'', b'')], beside=True)\n"
        "print(os.kept.answer(0))\n"
    )
    assert said == "False"


@pytest.mark.parametrize(
    "text",
    ["", "VERSION = 0\nBatch = object\n", "import ctypes\nctypes.CDLL(None).no_such_function\n"],
    ids=["empty", "another version", "another library"],
)
def test_what_is_not_that_library_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "troth_native.py").write_text(text)
    said = python("from troth.crypto import beside\nprint(beside.native())", tmp_path)
    assert said == "None"
