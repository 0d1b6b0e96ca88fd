"""docs/deploy.md: its commands, its tables, its unit and its image agree with the service."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from served import ROOT
from stored_model import STORED

(TAGGER,) = STORED.glob("tagger-*")
PAGE = (ROOT / "docs/deploy.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
(DOCKERFILE,) = (text for kind, text in BLOCKS if kind == "dockerfile")
(UNIT,) = (text for kind, text in BLOCKS if kind == "ini")


def table(heading: str) -> list[list[str]]:
    """The cells of the rows of the first table below a heading."""
    rows = re.findall(r"^\| (.*) \|$", PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0], re.MULTILINE)
    return [row.split(" | ") for row in rows[1:]]


def test_the_tables_name_the_options_with_their_defaults_and_the_metrics() -> None:
    pytest.importorskip("fastapi")
    prometheus = pytest.importorskip("prometheus_client")
    from predictions import Limits
    from serve import Metrics

    defaults = {option.strip("`"): value.split()[0] for option, value, _ in table("Limits")}
    assert defaults == {f"--{name.replace('_', '-')}": str(value) for name, value in Limits()._asdict().items()}
    text = prometheus.generate_latest(Metrics().registry).decode()
    made = {name for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE) if not name.endswith("_created")}
    assert {name.strip("`") for name, _ in table("Monitoring")} == made


def test_the_unit_and_the_image_start_the_service_as_the_page_does() -> None:
    (started,) = (line for kind, text in BLOCKS for line in text.splitlines() if line.startswith("service/bin/python"))
    assert f"ExecStart=/srv/daguan/{started}\n" in UNIT
    copied = re.findall(r"examples/\w+\.py", DOCKERFILE)
    imports = {
        name for path in copied for name in re.findall(r"^from (\w+) import", (ROOT / path).read_text("utf-8"), re.M)
    }
    mine = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert {Path(path).stem for path in copied} == imports & mine | {"serve"}


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("there is no systemd-analyze")
    path = tmp_path / "daguan.service"
    path.write_text(UNIT.replace("/srv/daguan/service/bin/python", sys.executable), "utf-8")
    done = subprocess.run([verify, "verify", str(path)], capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "daguan.service" in line]) == (0, [])


@pytest.mark.services
def test_the_commands_lead_from_a_model_to_answers(tmp_path: Path) -> None:
    if "DAGUAN_SERVICES" not in os.environ:
        pytest.skip("scripts/test_services.sh has a network to install from")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    model = TAGGER / "fold0" / "model"
    names = {"RUN shipped": f"{model} shipped", "python -m daguan": f"{sys.executable} -m daguan", "8000": port}
    commands = "\n".join(text for kind, text in BLOCKS if kind == "bash")
    for name, value in names.items():
        commands = commands.replace(name, value)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    install, (start, *ask) = (
        commands.partition("\nservice/bin/python")[0],
        re.findall(r"^(?:service/bin/python|curl) .*", commands, re.M),
    )
    environment = os.environ | {"PIP_CONSTRAINT": str(ROOT / "requirements.txt"), "PIP_NO_COMPILE": "1"}
    subprocess.run(["bash", "-euc", install], cwd=tmp_path, env=environment, check=True)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    assert subprocess.run(
        [tmp_path / "service/bin/python", "-c", "import daguan"], env=clean, capture_output=True
    ).returncode
    process = subprocess.Popen(start.split(), cwd=tmp_path, env=clean)
    try:
        for _ in range(600):
            if subprocess.run(["bash", "-euc", ask[0]], capture_output=True).returncode == 0:
                break
            assert process.poll() is None
            time.sleep(0.1)
        health, by_tokens, by_text, metrics = (subprocess.check_output(["bash", "-euc", one], text=True) for one in ask)
    finally:
        process.terminate()
        process.wait()
    assert json.loads(health)["status"] == "ok"
    assert len(json.loads(by_tokens)["entities"]) == len(json.loads(by_text)["entities"]) == 2
    assert 'daguan_requests_total{status="200"} 2.0' in metrics
