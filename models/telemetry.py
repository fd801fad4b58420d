"""Usage statistics of libraries, which stay off: nothing leaves the machine."""

import os
import sys


def switch_off() -> None:
    """Keep libraries that are imported from now on, here and in child processes, from reporting home.

    OpenVINO reports each import, and NNCF each quantization, through the package `openvino_telemetry`. Both do without it where it can't
    be imported, which None among the modules ensures, and then also write no identifier into the user's home.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    os.environ["NNCF_CI"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
