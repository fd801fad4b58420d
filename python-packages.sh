#!/bin/sh
# Installs Earshot with these extras into a virtual environment. PyTorch's build without CUDA, some gigabytes smaller, is
# taken where no NVIDIA GPU is found and PyTorch's own package index answers. TORCH=cpu and TORCH=cuda choose the build.
set -eu
environment=$1
extras=$2
python=$environment/bin/python
constraints=constraints.txt

nvidia_gpu() {
    [ -e /proc/driver/nvidia/version ] || [ -e /dev/dxg ] || command -v nvidia-smi >/dev/null 2>&1
}

needs_torch() {
    case ",$extras," in *,all,* | *,headless,* | *,local,* | *,workers,*) true ;; *) false ;; esac
}

build=${TORCH:-auto}
case $build in auto | cpu | cuda) ;; *) echo "TORCH must be cpu, cuda or auto, not $build" >&2; exit 2 ;; esac
if [ "$build" = auto ]; then
    if [ "$(uname -s)" = Linux ] && ! nvidia_gpu; then build=cpu; else build=cuda; fi
fi

if [ "$build" = cpu ] && needs_torch && ! "$python" -c "import torch" >/dev/null 2>&1; then
    "$python" -m pip install --quiet -c "$constraints" uv # it knows the indexes of PyTorch's builds
    "$environment/bin/uv" pip install --quiet --python "$python" --torch-backend cpu -c "$constraints" \
        torch torchvision torchaudio 2>/dev/null ||
        echo "PyTorch's build without CUDA is not available; installing the build with CUDA (6 GB, runs on the CPU too)" >&2
fi
"$python" -m pip install --quiet -c "$constraints" -e ".[$extras]"
