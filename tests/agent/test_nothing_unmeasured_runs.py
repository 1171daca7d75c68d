"""Twelve ways in, tried from inside a real run and from the host: nothing unmeasured runs."""

import pytest
from tests.agent.conftest import Probe

pytestmark = [pytest.mark.namespaces, pytest.mark.network]


def refused(answer: str) -> bool:
    return not answer.startswith("done")


def test_1_a_program_copied_to_tmp_does_not_execute(probe: Probe) -> None:
    assert "PermissionError" in probe.ask("exec_from_tmp")


def test_2_the_loader_does_not_run_it_either(probe: Probe) -> None:
    assert refused(probe.ask("loader_on_tmp"))


def test_3_nor_can_it_be_mapped_executable(probe: Probe) -> None:
    assert refused(probe.ask("map_from_tmp"))


def test_3a_nor_on_a_folder_that_the_recipe_gives_it(probe: Probe) -> None:
    assert not refused(probe.ask("write_to_scratch"))
    assert "PermissionError" in probe.ask("exec_from_scratch")
    assert "No space left" in probe.ask("fill_scratch")


def test_4_nor_run_from_memory(probe: Probe) -> None:
    assert refused(probe.ask("exec_from_memory"))
    assert refused(probe.ask("loader_on_sealed_memory"))
    assert refused(probe.ask("loader_on_own_output"))
    assert not refused(probe.ask("shared_memory"))  # data in memory stays possible


def test_5_nothing_of_the_image_is_writable(probe: Probe) -> None:
    assert refused(probe.ask("write_to_root"))
    assert refused(probe.ask("remount_root"))


def test_6_no_import_path_is_writable(probe: Probe) -> None:
    """Neither sitecustomize nor a .pth file nor a module can be put where Python looks."""
    assert probe.ask("writable_import_paths") == []
    assert refused(probe.ask("code_below_home"))


def test_7_the_environment_is_the_recipes_alone(probe: Probe) -> None:
    """PYTHONPATH, LD_PRELOAD and whatever else the host has set stay outside."""
    assert probe.ask("environment") == {
        "GREETING": "hello",
        "HOME": "/",
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }


def test_8_nothing_can_be_mounted_over_the_app(probe: Probe) -> None:
    assert refused(probe.ask("mount_over_app"))
    assert refused(probe.ask("new_user_namespace"))
    assert refused(probe.ask("become_root"))


def test_9_there_is_no_shell_and_no_package_manager(probe: Probe) -> None:
    assert probe.ask("shells") == []


def test_10_the_security_module_is_out_of_reach(probe: Probe) -> None:
    assert refused(probe.ask("open_nsm"))
    assert refused(probe.ask("connect_nsm"))


def test_11_the_agent_is_out_of_sight(probe: Probe) -> None:
    assert probe.ask("other_processes") == [1]  # the app's own reaper, which holds no secret
    assert refused(probe.ask("memory_of_first"))
    run, troth_folder = probe.ask("shared_folder")
    assert (run, troth_folder) == (["troth"], ["agent.sock"])
    status = probe.ask("capabilities")
    assert {v for k, v in status.items() if k.startswith("Cap")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def test_12_the_hosts_files_network_and_switches_are_out_of_reach(probe: Probe) -> None:
    assert set(probe.ask("host_files")) <= {
        *("app", "bin", "dev", "etc", "init", "lib", "lib64", "proc", "root-view", "run", "sbin"),
        *("sys", "tmp", "usr", "var"),
    }
    assert probe.ask("interfaces") == ["lo"]
    assert refused(probe.ask("network"))
    assert refused(probe.ask("vsock_of_its_own"))
    assert refused(probe.ask("sysctl"))
    assert set(probe.ask("descriptors")) <= {str(n) for n in range(8)}
