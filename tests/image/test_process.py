"""What an image says of its program, as OCI means it; and what it may not say."""

import signal

import pytest

from troth.errors import Malformed, Misuse
from troth.image import process


def of(**inner: object) -> process.Process:
    return process.of_config({"config": inner})


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "expected"),
    [
        (["/a"], ["b", "c"], ("/a", "b", "c")),
        (["/a", "x"], None, ("/a", "x")),
        (None, ["b", "c"], ("b", "c")),
        ([], ["b"], ("b",)),
        (None, None, ()),
    ],
)
def test_entrypoint_and_cmd_are_one_command(entrypoint, cmd, expected) -> None:
    assert of(Entrypoint=entrypoint, Cmd=cmd).command == expected


def test_an_image_that_says_nothing() -> None:
    for config in ({}, {"config": None}, {"config": {}}):
        found = process.of_config(config)
        assert found == process.Process(command=(), environment={"PATH": process.PATH})
        assert (found.directory, found.stop_signal, found.said) == ("/", 15, ())


def test_environment() -> None:
    found = of(Env=["PATH=/opt/bin:/bin", "A=1", "B=x=y", "A=2", "C=", "PYTHONPATH=/app", "a.b=c"])
    assert dict(found.environment) == {
        "PATH": "/opt/bin:/bin",
        "A": "2",
        "B": "x=y",
        "C": "",
        "PYTHONPATH": "/app",
        "a.b": "c",
    }


@pytest.mark.parametrize(
    "row",
    [
        "PYTHONPATH=/tmp", "PYTHONPATH=/app:/tmp/x", "PATH=/bin:/run/bin", "LD_PRELOAD=/dev/shm/x.so",
        "NODE_OPTIONS=--require /tmp/x.js", "NODE_PATH=/var/run/x", "LD_LIBRARY_PATH=/proc/self/fd",
        "PYTHONPATH=//tmp", "PYTHONPATH=/app:/usr/../tmp/", "LD_PRELOAD=/./dev//shm/x.so", "PATH=tmp/bin",
        "PERL5OPT=-I/tmp/lib", "PERL5OPT=-w -I/tmp/lib", "BASH_ENV=/tmp", "JAVA_TOOL_OPTIONS=-javaagent:/tmp/x.jar", "HOME=/tmp",
    ],
)  # fmt: skip
def test_code_from_where_it_can_be_written(row: str) -> None:
    name = row.partition("=")[0]
    with pytest.raises(Misuse, match=f"sets {name} to .*can be written to"):
        of(Env=[row])


@pytest.mark.parametrize("row", ["PYTHONPATH=/template", "PATH=/runner/bin:/x/tmp", "CACHE=/tmp/c"])
def test_what_only_looks_like_it(row: str) -> None:
    of(Env=[row])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SIGTERM", 15), ("SIGQUIT", 3), ("quit", 3), ("INT", 2), ("9", 9), ("64", 64), (None, 15),
        ("", 15), ("SIGRTMIN", 34), ("SIGRTMIN+3", 37), ("RTMIN+30", 64), ("SIGWINCH", signal.SIGWINCH),
    ],
)  # fmt: skip
def test_stop_signals(text, number: int) -> None:
    assert of(StopSignal=text).stop_signal == number


def test_ports_are_a_hint() -> None:
    found = of(ExposedPorts={"8080/tcp": {}, "80": {}, "53/udp": {}, "0/tcp": {}, "99999": {}})
    assert found.exposed == (80, 8080)
    assert len(found.said) == 3
    assert "'53/udp', which leads nowhere" in " ".join(found.said)


def test_what_has_no_effect_is_said() -> None:
    assert of(User="root").said == of(User="0:0").said == of(User="1000:5").said == ()
    (said,) = of(User="postgres").said
    assert said == "its user is 'postgres'; here the app is always user 1000, and owns every file"
    (said,) = of(Volumes={"/data": {}, "/b": {}}).said
    assert said.startswith("its volumes '/b', '/data' cannot be written to")
    assert "scratch = [FOLDER, …]" in said
    volumes = {"config": {"Volumes": {"/data/": {}, "/b": {}}}}
    (said,) = process.of_config(volumes, scratch=("/data",)).said
    assert said.startswith("its volumes '/b' cannot be written to")


def test_no_code_from_a_folder_of_the_apps_own() -> None:
    process.check({"PYTHONPATH": "/database"}, ("/data",))
    for place in ("/data", "/data/x", "/usr/../data", "/opt:/data"):
        with pytest.raises(Misuse, match="can be written to"):
            process.check({"PYTHONPATH": place}, ("/data",))


@pytest.mark.parametrize(
    "inner",
    [
        {"Entrypoint": "/a"}, {"Cmd": [1]}, {"Cmd": ["a\0"]}, {"Env": ["A"]}, {"Env": ["=x"]},
        {"Env": ["A=\0"]}, {"Env": {}}, {"WorkingDir": "app"}, {"WorkingDir": "/a\0"},
        {"WorkingDir": 1}, {"StopSignal": "SIGNONE"}, {"StopSignal": "0"}, {"StopSignal": "65"},
        {"StopSignal": "RTMIN+31"}, {"StopSignal": 15}, {"ExposedPorts": []}, {"Volumes": [1]},
        {"User": 7},
    ],
)  # fmt: skip
def test_another_form(inner) -> None:
    with pytest.raises(Malformed, match=r"^config"):
        of(**inner)
    with pytest.raises(Malformed, match="is no object"):
        process.of_config({"config": [inner]})
