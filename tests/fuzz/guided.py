"""The properties again, guided by coverage: atheris looks for examples that reach code which none has reached before.

Run by ``make fuzz``; alone, ``python tests/fuzz/guided.py [PROPERTY] [-max_total_time=600]``. Without a property, each has its
time in turn.
"""

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROPERTIES = {
    "settings-bytes": "test_fuzz_settings:test_any_bytes_are_settings_or_refused_in_a_sentence",
    "settings-values": "test_fuzz_settings:test_any_values_of_real_settings_are_taken_or_refused_in_a_sentence",
    "settings-edited": "test_fuzz_settings:test_any_text_is_edited_or_refused_in_a_sentence",
    "source": "test_fuzz_names:test_any_text_is_a_source_or_refused_in_a_sentence",
    "broker": "test_fuzz_names:test_any_text_is_the_address_of_a_broker_or_refused_in_a_sentence",
    "password": "test_fuzz_names:test_a_password_in_an_address_is_never_shown",
    "recording": "test_fuzz_sound:test_any_bytes_are_a_recording_or_refused_in_a_sentence",
    "checkpoint": "test_fuzz_checkpoints:test_any_bytes_are_a_checkpoint_or_refused_in_a_sentence",
    "header": "test_fuzz_checkpoints:test_any_header_of_ours_is_taken_or_refused_in_a_sentence",
    "history": "test_fuzz_files:test_a_history_with_anything_in_it_is_read_or_refused_in_a_sentence",
    "table": "test_fuzz_files:test_any_table_is_read_or_refused_in_a_sentence",
    "mqtt": "test_fuzz_mqtt:test_any_message_only_turns_switches_and_clears_our_own_topics",
    "web": "test_fuzz_web:test_any_request_is_answered_or_refused_in_a_sentence",
}
SECONDS = 60


def guide(name: str, options: list[str]) -> None:
    """Try a property until the time is over, or an example fails, which is written into the current folder."""
    import atheris

    module, _, test = PROPERTIES[name].partition(":")
    with atheris.instrument_imports(
        include=["models", "streamer", "web", "tomllib"], enable_loader_override=False
    ):
        tests = importlib.import_module(module)
    atheris.Setup([sys.argv[0], *options], getattr(tests, test).hypothesis.fuzz_one_input)
    atheris.Fuzz()


def main() -> int:
    """Guide one property, or a process for each; the exit code of the first that fails."""
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]
    try:
        importlib.import_module("atheris")
    except ImportError:
        print("not guided by coverage: atheris is not installed (pip install -e '.[fuzz]')")
        return 0
    names = [word for word in sys.argv[1:] if not word.startswith("-")]
    options = [word for word in sys.argv[1:] if word.startswith("-")] or [f"-max_total_time={SECONDS}"]
    if len(names) == 1:
        guide(names[0], options)
    for name in names or PROPERTIES:
        print(f"== {name}", flush=True)
        with tempfile.TemporaryDirectory(
            prefix="earshot-fuzz-"
        ) as folder:  # atheris leaves no time to tidy up
            environment = os.environ | {"TMPDIR": folder}
            command = [sys.executable, __file__, name, *options]
            if code := subprocess.run(command, env=environment, check=False).returncode:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
