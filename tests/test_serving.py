"""compose.yaml and its proxy say what is there, and keep each session on one replica."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli import main
from app.request_limits import UPLOAD_FRAME_BYTES

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
CADDYFILE = (ROOT / "Caddyfile").read_text("utf-8")


def directives(lines: list[str]) -> list[tuple[list[str], list[Any]]]:
    """Words of each directive and the directives of its block; takes the lines off the list."""
    found: list[tuple[list[str], list[Any]]] = []
    while lines:
        words = lines.pop(0).split()
        if words == ["}"]:
            break
        opens = words[-1:] == ["{"]
        found.append((words[:-1], directives(lines)) if opens else (words, []))
    return found


@pytest.fixture
def site() -> tuple[list[str], list[Any]]:
    lines = [line.split("#")[0].strip() for line in CADDYFILE.splitlines()]
    (only,) = directives([line for line in lines if line])
    return only


def test_every_request_of_a_browser_reaches_the_replica_of_its_cookie(
    site: tuple[list[str], list[Any]],
) -> None:
    _, inside = site
    by_name = {words[0]: (words[1:], block) for words, block in inside}
    # No matcher: uploads, queue, answers, files and logins all take the same way.
    assert set(by_name) == {"request_body", "respond", "reverse_proxy"}
    assert by_name["respond"][0] == ["/metrics", "404"]
    matcher, proxy = by_name["reverse_proxy"]
    assert matcher == []
    options = {words[0]: words[1:] for words, _ in proxy}
    policy, cookie, secret = options["lb_policy"]
    assert (policy, cookie) == ("cookie", "caiseg_replica")
    assert options["flush_interval"] == ["-1"], "answers are a stream of events"
    variables = COMPOSE["services"]["proxy"]["environment"]
    assert secret.strip("{}$") in variables
    assert site[0][0].strip("{}$") in variables


def test_the_proxy_lets_the_largest_upload_through_and_nothing_larger(
    site: tuple[list[str], list[Any]],
) -> None:
    ((matcher, limits),) = ((words[1:], b) for words, b in site[1] if words[0] == "request_body")
    assert matcher == []
    assert "--upload-mb" not in COMPOSE["services"]["caiseg"]["command"]
    default = inspect.signature(main).parameters["upload_mb"].default
    assert limits == [(["max_size", f"{default + UPLOAD_FRAME_BYTES // 2**20}MiB"], [])]


def test_the_proxy_asks_the_service_at_the_port_that_the_image_exposes(
    site: tuple[list[str], list[Any]],
) -> None:
    (proxy,) = (block for words, block in site[1] if words[0] == "reverse_proxy")
    (upstreams,) = (words[1:] for words, _ in proxy if words[0] == "dynamic")
    kind, service, port = upstreams
    assert kind == "a"
    assert service in COMPOSE["services"]
    assert COMPOSE["services"][service]["expose"] == [port]
    assert "ports" not in COMPOSE["services"][service], "it is reachable through the proxy only"
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert f"EXPOSE {port}" in dockerfile
    assert re.search(rf"HEALTHCHECK.*\n.*127\.0\.0\.1:{port}/health", dockerfile)


def test_the_replicas_are_started_with_accounts_and_options_that_the_app_has() -> None:
    service = COMPOSE["services"]["caiseg"]
    assert service["deploy"]["replicas"] > 1
    options = service["command"]
    offered = subprocess.run(
        [sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=120
    ).stdout
    for option in (option for option in options if option.startswith("--")):
        assert option in offered
    (secret,) = service["secrets"]
    assert options[options.index("--auth") + 1] == f"/run/secrets/{secret}"
    assert secret in COMPOSE["secrets"]


def test_only_the_proxy_is_published_and_only_to_healthy_replicas() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"proxy", "caiseg"}
    assert services["proxy"]["ports"] == ["80:80", "443:443"]
    assert services["proxy"]["depends_on"] == {"caiseg": {"condition": "service_healthy"}}
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text("utf-8")
    # Each runs what stands here: an image by its version, or the Dockerfile beside it.
    image, _, version = services["proxy"]["image"].partition(":")
    assert (image, version[0].isdigit()) == ("caddy", True)
    assert services["caiseg"]["build"] == "."
    for service in services.values():
        assert service["restart"] == "unless-stopped"


def test_a_replica_has_room_for_all_that_it_may_hold() -> None:
    service = COMPOSE["services"]["caiseg"]
    command, limit = service["command"], service["deploy"]["resources"]["limits"]["memory"]
    held = float(command[command.index("--memory-gb") + 1])
    reading, program = held / 2, 1.0
    assert limit.endswith("g")
    assert float(limit.removesuffix("g")) >= held + reading + program


def test_every_variable_has_a_default_or_says_how_to_make_it_and_is_documented() -> None:
    page = (ROOT / "docs" / "serving.md").read_text("utf-8")
    found = re.findall(r"\$(.)", (ROOT / "compose.yaml").read_text("utf-8"))
    variables = re.findall(
        r"\$\{(CAISEG_\w+):[-?][^}]+\}", (ROOT / "compose.yaml").read_text("utf-8")
    )
    assert len(variables) == len(found) == 3
    for variable in variables:
        assert f"{variable}=" in page, variable


def test_the_proxy_s_options_are_the_ones_that_it_needs(site: tuple[list[str], list[Any]]) -> None:
    (proxy,) = (block for words, block in site[1] if words[0] == "reverse_proxy")
    assert CADDYFILE.count("{") == CADDYFILE.count("}")
    assert {words[0]: words[1:] for words, block in proxy if not block} == {
        "lb_policy": ["cookie", "caiseg_replica", "{$CAISEG_COOKIE_SECRET}"],
        "lb_try_duration": ["5s"],
        "fail_duration": ["10s"],
        "flush_interval": ["-1"],
    }
    ((upstreams, refresh),) = ((words, block) for words, block in proxy if block)
    assert upstreams == ["dynamic", "a", "caiseg", "7860"]
    assert refresh == [(["refresh", "5s"], [])]


def test_what_the_proxy_mounts_exists() -> None:
    service, volumes = COMPOSE["services"]["proxy"], COMPOSE["volumes"]
    for source, *_ in (mount.split(":") for mount in service["volumes"]):
        assert (ROOT / source).is_file() if source.startswith(".") else source in volumes, source


def test_caddy_understands_it() -> None:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("no caddy on the path")
    environment = {"CAISEG_SITE": "localhost", "CAISEG_COOKIE_SECRET": "secret"}
    adapted = subprocess.run(
        [caddy, "adapt", "--validate", "--config", ROOT / "Caddyfile"],
        capture_output=True, text=True, timeout=60, env={**os.environ, **environment}, check=True,
    )  # fmt: skip
    assert "caiseg_replica" in json.dumps(json.loads(adapted.stdout))


def test_the_operators_page_names_every_metric() -> None:
    described = (ROOT / "docs" / "serving.md").read_text("utf-8")
    sources = "".join(
        (ROOT / "app" / name).read_text("utf-8") for name in ("metrics.py", "operator_pages.py")
    )
    names = set(re.findall(r'"(caiseg_\w+)"', sources))
    assert len(names) >= 9
    for name in names:
        assert name in described, name
