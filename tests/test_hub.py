"""Tests of downloads from a Hub on loopback."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import close_session, constants
from safetensors.numpy import save_file
from support.hub_server import COMMIT, Hub, Misbehaviour, digest, point_at, serve
from support.program import ChildProcess
from support.reference_ced import ReferenceCed
from support.system import free_port
from support.waiting import wait_until

from models import hub
from models.catalogue import ENSEMBLES, PUBLISHED, published
from models.errors import HubError
from models.hub import api
from models.local import load_tagger
from models.selection.speed import config_of

ROOT = Path(__file__).parent.parent
ONE = "someone/one"
WEIGHTS_BYTES = 400_000


def make_repository(folder: Path, *, extractor: bool = True) -> Path:
    """Create a folder like a repository: a config, weights, and files that are not needed."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "audio-spectrogram-transformer"}))
    if extractor:
        (folder / "preprocessor_config.json").write_text(json.dumps({"mean": -4.0}))
    noise = np.random.default_rng(0).integers(0, 256, WEIGHTS_BYTES, np.uint8)
    save_file({"noise": noise}, folder / "model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"another format of the same")
    (folder / "README.md").write_text("words")
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield folder
    close_session()


@pytest.fixture
def server(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a Hub with one repository; the cache is empty."""
    del cache
    with serve({ONE: make_repository(tmp_path / "one")}) as running:
        point_at(monkeypatch, running.endpoint)
        yield running


def refusal(repository: str = ONE, **arguments: str | bool) -> str:
    """Return the message of a fetch that fails."""
    with pytest.raises(HubError) as caught:
        hub.fetch(repository, **arguments)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert ": " in sentence
    assert "\n" not in sentence
    return sentence


class TestFetching:
    def test_a_downloaded_model_is_found_again_without_a_request(self, server: Hub) -> None:
        assert hub.local(ONE) is None
        folder = hub.fetch(ONE)
        assert (folder / "model.safetensors").read_bytes() == (
            server.repositories[ONE] / "model.safetensors"
        ).read_bytes()
        assert json.loads((folder / "preprocessor_config.json").read_text()) == {"mean": -4.0}
        asked = len(server.requests)
        assert hub.local(ONE) == hub.fetch(ONE) == hub.fetch(ONE, offline=True) == folder
        assert len(server.requests) == asked

    def test_only_what_a_tagger_needs_is_fetched(self, server: Hub) -> None:
        folder = hub.fetch(ONE)
        wanted = {"config.json", "preprocessor_config.json", "model.safetensors"}
        assert {path.name for path in folder.iterdir()} == wanted
        assert {path.rpartition("/")[2] for method, path, _ in server.requests if method == "GET"} == {
            "one",
            *wanted,
        }

    def test_pickled_weights_are_taken_where_there_are_no_others(self, server: Hub) -> None:
        source = server.repositories[ONE]
        (source / "model.safetensors").unlink()
        torch.save({"weights": torch.zeros(10)}, source / "pytorch_model.bin")
        folder = hub.fetch(ONE)
        assert (folder / "pytorch_model.bin").is_file()
        assert hub.local(ONE) == folder

    def test_a_repository_without_an_extractor_is_complete(self, server: Hub) -> None:
        (server.repositories[ONE] / "preprocessor_config.json").unlink()
        folder = hub.fetch(ONE)
        assert hub.local(ONE) == folder

    def test_a_cache_without_the_extractor_is_incomplete(self, server: Hub) -> None:
        folder = hub.fetch(ONE)
        (folder / "preprocessor_config.json").unlink()
        assert hub.local(ONE) is None
        assert hub.fetch(ONE) == folder
        assert (folder / "preprocessor_config.json").is_file()
        assert len(server.ranges("model.safetensors")) == 1

    def test_huggingface_hub_finds_the_downloaded_files(self, server: Hub) -> None:
        from huggingface_hub import hf_hub_download, scan_cache_dir

        folder = hub.fetch(ONE)
        found = hf_hub_download(ONE, "model.safetensors", local_files_only=True)
        assert Path(found) == folder / "model.safetensors"
        (repository,) = scan_cache_dir().repos
        (revision,) = repository.revisions
        assert revision.commit_hash == COMMIT
        assert revision.refs == {"main"}
        assert server.requests

    def test_a_revision_can_be_named(self, server: Hub) -> None:
        folder = hub.fetch(ONE, revision=COMMIT)
        assert hub.local(ONE, revision=COMMIT) == folder
        assert hub.local(ONE) is None
        assert all("main" not in path for _, path, _ in server.requests)

    def test_a_disk_without_links_holds_the_files_themselves(
        self, server: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
        folder = hub.fetch(ONE)
        weights = folder / "model.safetensors"
        assert not weights.is_symlink()
        weights.write_bytes(weights.read_bytes()[:-10])
        assert hub.local(ONE) is None
        assert hub.fetch(ONE) == folder
        assert digest(weights) == digest(server.repositories[ONE] / "model.safetensors")

    def test_a_token_is_sent(self, server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_TOKEN", "hf_mine")
        hub.fetch(ONE)
        assert server.tokens == {"Bearer hf_mine"}

    def test_a_proxy_is_used(self, server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        point_at(monkeypatch, "http://hub.invalid")
        monkeypatch.setenv("HTTP_PROXY", server.endpoint)
        assert hub.answers()
        assert hub.fetch(ONE).is_dir()

    def test_progress_is_ten_lines_in_a_log_and_nothing_on_standard_output(
        self, server: Hub, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with caplog.at_level(logging.INFO, "models"):
            hub.fetch(ONE)
        assert f"fetching {ONE} from {server.endpoint}" in caplog.text
        assert "100 % fetched" in caplog.text
        assert len([record for record in caplog.records if record.name.startswith("models")]) <= 11
        assert capsys.readouterr().out == ""


class TestBreaks:
    def test_a_download_resumes_after_each_interruption(self, server: Hub) -> None:
        server.misbehaviour.cut_after = 150_000
        folder = hub.fetch(ONE)
        source = server.repositories[ONE] / "model.safetensors"
        assert (folder / source.name).read_bytes() == source.read_bytes()
        first, *others = server.ranges(source.name)
        assert first is None
        assert others
        assert all(re.fullmatch(r"bytes=[1-9]\d+-", span or "") for span in others)

    def test_a_download_without_progress_is_given_up(self, server: Hub) -> None:
        server.misbehaviour = Misbehaviour(cut_after=150_000, ignores_ranges=True)
        assert "can't be reached" in refusal()
        assert len(server.ranges("model.safetensors")) == 2
        server.misbehaviour = Misbehaviour()
        assert hub.fetch(ONE).is_dir()

    def test_a_killed_download_resumes(self, server: Hub, tmp_path: Path) -> None:
        server.misbehaviour.hold_after = 150_000
        home = tmp_path / "home"
        environment = os.environ | {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(home)}
        command = [sys.executable, "-c", f"from models import hub; print(hub.fetch({ONE!r}))"]
        weights = digest(server.repositories[ONE] / "model.safetensors")
        part = home / "hub" / "models--someone--one" / "blobs" / f"{weights}.incomplete"
        with ChildProcess[bytes](command, cwd=ROOT, env=environment) as process:
            try:
                wait_until(lambda: part.exists() and part.stat().st_size == 150_000, "a part of the weights")
            finally:
                process.kill()
        server.misbehaviour.hold_after = None
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        assert server.ranges("model.safetensors") == [None, "bytes=150000-"]
        assert digest(Path(done.stdout.strip()) / "model.safetensors") == weights
        assert not part.exists()

    def test_a_file_that_arrives_damaged_is_removed(self, server: Hub, cache: Path) -> None:
        server.misbehaviour.damaged = True
        assert "arrived damaged" in refusal()
        weights = digest(server.repositories[ONE] / "model.safetensors")
        assert not list((cache / "models--someone--one").rglob(f"{weights}*"))
        server.misbehaviour.damaged = False
        assert hub.fetch(ONE).is_dir()

    def test_a_download_stops_at_its_announced_size(self, server: Hub, cache: Path) -> None:
        server.misbehaviour.endless = True
        assert re.search(r"longer than the \d+ bytes that the Hub announces", refusal())
        assert not list(cache.rglob("*.incomplete"))

    @pytest.mark.parametrize(
        ("description", "endless"),
        [(b"{", True), (b'{"siblings":' + 100_000 * b"[", False), (b"[]", False), (b'"words"', False)],
        ids=["endless", "deeply nested", "a list", "a text"],
    )
    def test_a_description_that_is_none(self, server: Hub, description: bytes, endless: bool) -> None:
        server.misbehaviour = Misbehaviour(description=description, endless=endless)
        assert "does not answer like the Hub" in refusal()

    def test_a_huge_config_is_not_fetched(self, server: Hub) -> None:
        with (server.repositories[ONE] / "config.json").open("ab") as file:
            file.truncate(17 * 2**20)
        assert "its config.json takes 18 MB" in refusal()
        assert not server.ranges("config.json")

    def test_a_deeply_nested_config_is_refused(self, server: Hub) -> None:
        (server.repositories[ONE] / "config.json").write_text(100_000 * "[")
        assert "holds a model of type 'None'" in refusal()

    def test_a_repository_that_needs_its_own_code_is_refused(self, server: Hub) -> None:
        config = {"model_type": "dasheng", "auto_map": {"AutoModel": "modeling_dasheng.DashengModel"}}
        (server.repositories[ONE] / "config.json").write_text(json.dumps(config))
        assert "of type 'dasheng', which needs code that comes with it and is never run, not" in refusal()
        assert not server.ranges("model.safetensors")

    def test_a_ced_is_fetched_without_the_code_that_its_config_names(self, server: Hub) -> None:
        ReferenceCed(depth=1, classes=5).save(server.repositories[ONE])
        (server.repositories[ONE] / "modeling_ced.py").write_text("raise SystemExit")
        files = hub.fetch(ONE)
        assert not (files / "modeling_ced.py").exists()
        tagger = load_tagger(f"hub:{ONE}", device="cpu", offline=True)
        assert tagger.labels == tuple(f"sound {number}" for number in range(5))

    def test_weights_that_were_cut_off_on_the_disk_are_fetched_again(self, server: Hub) -> None:
        weights = hub.fetch(ONE) / "model.safetensors"
        blob = weights.resolve()
        blob.write_bytes(blob.read_bytes()[:-1])
        assert hub.local(ONE) is None
        assert "incomplete" in refusal(offline=True)
        assert hub.fetch(ONE) == weights.parent
        assert digest(weights) == digest(server.repositories[ONE] / "model.safetensors")


class TestRefusals:
    @pytest.mark.parametrize(
        ("misbehaviour", "words"),
        [
            (Misbehaviour(gated=True), "is gated"),
            (Misbehaviour(status=500), "fails (status 500)"),
            (Misbehaviour(status=503), "fails (status 503)"),
            (Misbehaviour(status=429), "limits the number of requests"),
            (Misbehaviour(status=404), "there is no repository"),
            (Misbehaviour(status=200), "does not answer like the Hub"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_each_status_has_its_message(self, server: Hub, misbehaviour: Misbehaviour, words: str) -> None:
        server.misbehaviour = misbehaviour
        assert words in refusal()

    def test_a_repository_that_is_missing_or_private(self, server: Hub) -> None:
        assert "there is no repository 'someone/else'" in refusal("someone/else")
        assert len(server.requests) == 1

    def test_a_revision_that_is_missing(self, server: Hub) -> None:
        assert "has no revision 'v9'" in refusal(revision="v9")
        assert len(server.requests) == 1

    @pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
    def test_a_repository_without_an_ast(self, server: Hub, missing: str) -> None:
        (server.repositories[ONE] / missing).unlink()
        (server.repositories[ONE] / "pytorch_model.bin").unlink()
        assert re.search(f"holds no AST or CED: it has no {missing}", refusal())

    @pytest.mark.parametrize("content", ['{"model_type": "bert"}', "[]", "not JSON"])
    def test_another_network_is_refused_before_its_weights_are_fetched(
        self, server: Hub, content: str
    ) -> None:
        (server.repositories[ONE] / "config.json").write_text(content)
        assert ", not 'audio-spectrogram-transformer'" in refusal()
        assert server.ranges("model.safetensors") == []

    def test_a_hub_that_refuses_connections(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        del cache
        point_at(monkeypatch, f"http://127.0.0.1:{free_port()}")
        assert not hub.answers()
        assert re.search(r"can't be reached \(.*refused\)", refusal())

    def test_a_hub_that_does_not_answer(self, server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        server.misbehaviour.silent = True
        monkeypatch.setattr(api, "_DESCRIPTION_SECONDS", 0.3)
        assert not hub.answers(0.3)
        assert "can't be reached" in refusal()

    @pytest.mark.parametrize("endpoint", ["huggingface.co", "http://[", "http://hub.invalid"])
    def test_an_invalid_address(self, cache: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
        del cache
        point_at(monkeypatch, endpoint)
        assert not hub.answers()
        assert endpoint in refusal()

    @pytest.mark.parametrize("name", ["one", "a/b/c", "../one", "a b/c", "https://huggingface.co/a/b", ""])
    def test_an_invalid_name(self, server: Hub, name: str) -> None:
        assert "is not a repository" in refusal(name)
        assert server.requests == []

    @pytest.mark.parametrize("revision", ["../../main", "", "a b", "-x"])
    def test_an_invalid_revision(self, server: Hub, revision: str) -> None:
        assert "is not a revision" in refusal(revision=revision)
        assert server.requests == []

    @pytest.mark.parametrize("way", ["argument", "environment"])
    def test_nothing_is_requested_while_offline(
        self, server: Hub, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", way == "environment")
        assert "not on this machine" in refusal(offline=way == "argument")
        assert hub.answers() == (way == "argument")
        assert [path for _, path, _ in server.requests] in ([], ["/"])


class TestDisk:
    def test_a_disk_that_is_too_small_is_reported_before_the_download(
        self, server: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil's
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(1000, 990, 10))
        assert "the disk is full: the download takes 0 MB" in refusal()
        assert server.ranges("config.json") == []

    def test_a_disk_that_gets_full_is_reported_too(self, server: Hub, cache: Path) -> None:
        weights = digest(server.repositories[ONE] / "model.safetensors")
        part = cache / "models--someone--one" / "blobs" / f"{weights}.incomplete"
        part.parent.mkdir(parents=True)
        part.symlink_to("/dev/full")
        assert "the disk is full at" in refusal()

    def test_a_cache_that_can_not_be_written(
        self, server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
        assert "can't be written" in refusal()
        assert server.ranges("config.json") == []


def test_a_late_answer_is_ignored(server: Hub) -> None:
    server.misbehaviour.silent = True
    began = time.monotonic()
    assert not hub.answers(0.2)
    assert time.monotonic() - began < 40, "the server is silent for a minute"


def test_an_error_of_the_server_is_no_answer(server: Hub) -> None:
    assert hub.answers()
    server.misbehaviour.status = 502
    assert not hub.answers()


class TestCatalogue:
    @pytest.mark.parametrize("name", PUBLISHED)
    def test_sizes_are_those_of_the_networks(self, name: str) -> None:
        entry = PUBLISHED[name]
        with torch.device("meta"):
            network = config_of(entry).network()
        parameters = sum(weights.numel() for weights in network.parameters())
        assert entry.megabytes == round(4 * parameters / 1e6)

    @pytest.mark.parametrize("name", ["base-10-10", "base-16-16", "speech-commands", "ced-tiny", "ced-base"])
    def test_costs_are_those_of_the_networks(self, name: str) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        entry = PUBLISHED[name]
        config = config_of(entry)
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            config.network()(torch.empty(1, config.input_tdim, config.input_fdim))
        assert entry.gigaflop == pytest.approx(counter.get_total_flops() / 1e9, rel=0.01)

    def test_aliases_and_ensembles_name_what_is_published(self) -> None:
        assert published("base") is PUBLISHED["base-10-10"]
        assert published("tiny") is None
        assert all(part in PUBLISHED for parts in ENSEMBLES.values() for part in parts)
