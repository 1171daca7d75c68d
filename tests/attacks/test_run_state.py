"""A state file that calls itself otherwise must not lead `clean` and `stop` to another folder."""

from pathlib import Path

import pytest

from troth.errors import Malformed
from troth.runtime import folders, runs, state
from troth.wire import json


@pytest.mark.usefixtures("home")
def test_a_run_is_called_as_its_folder_is() -> None:
    victim = folders.data() / "development" / "nitro"
    victim.mkdir(parents=True)
    (victim / "pki.pem").write_text("precious")
    place = state.root() / "app-000000"
    place.mkdir(parents=True)
    content = {
        "schema": state.SCHEMA,
        "id": "../development/nitro",
        "image": "x",
        "started": "x",
        "debug": False,
        "detached": True,
        "pcrs": [],
        "published": [],
        "status": "ended",
        "exit_code": 0,
        "supervisor": {"pid": 1, "began": 0, "boot": "x"},
    }
    Path(place, state.STATE).write_bytes(json.canonical(content))
    with pytest.raises(Malformed):
        state.read("app-000000")
    assert runs.clean() == ()
    assert (victim / "pki.pem").exists()
