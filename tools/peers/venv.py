"""The venv of the Python engines, build/peers/venv. PyTorch, transformers, numpy and tokenizers are those of build/venv
(scripts/venv.sh --oracle), which it sees by a .pth file; what it adds has fixed versions and no further dependencies."""
import subprocess
import sys

from peers.common import PEERS, ROOT, must, say

VENV = PEERS / "venv"
PACKAGES = {"onnxruntime": "1.32.0", "onnx": "1.23.2", "onnxscript": "0.7.2", "onnx-ir": "1.1.0", "ml-dtypes": "0.6.0",
            "flatbuffers": "25.12.19", "openvino": "2026.4.1", "openvino-telemetry": "2025.2.0", "nncf": "3.4.0",
            "ctranslate2": "4.8.5", "faster-whisper": "1.2.1", "av": "18.1.0"}
OF_NNCF = ["pandas", "scikit-learn", "natsort", "tabulate", "psutil", "pydot", "jsonschema"]
SHOWN = ("onnxruntime", "openvino", "nncf", "ctranslate2", "faster-whisper")


def python():
    """The interpreter of the venv, made where it is missing."""
    must([ROOT / "scripts" / "venv.sh", "--oracle"])
    wanted = "\n".join([f"{name}=={version}" for name, version in PACKAGES.items()] + OF_NNCF) + "\n"
    mark = VENV / "wanted"
    if not mark.exists() or mark.read_text() != wanted:
        say("installing the Python engines into build/peers/venv")
        must([sys.executable, "-m", "venv", VENV])
        site = must([VENV / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
        oracle = must([ROOT / "build" / "venv" / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
        with open(f"{site}/oracle.pth", "w") as file:
            file.write(oracle + "\n")
        pip = [VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        must([*pip, "--no-deps", *(f"{name}=={version}" for name, version in PACKAGES.items())])
        must([*pip, *OF_NNCF])
        mark.write_text(wanted)
    return VENV / "bin" / "python"


def versions():
    from_oracle = subprocess.run([VENV / "bin" / "python", "-c", "import torch, transformers; print(torch.__version__, transformers.__version__)"],
                                 capture_output=True, text=True).stdout.split()
    return {**dict(zip(("torch", "transformers"), from_oracle)), **{name: PACKAGES[name] for name in SHOWN}}
