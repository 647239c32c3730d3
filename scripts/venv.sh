#!/usr/bin/env bash
# Creates build/venv with the Python packages that regenerate and check reference data; a second run does nothing.
#   scripts/venv.sh            numpy, safetensors, gguf, tokenizers, jinja2: file formats, tokenizers, chat templates
#   scripts/venv.sh --oracle   also transformers and PyTorch (a download of 0.6 GB): reference logits; sentencepiece
# PyTorch comes without the CUDA packages of its Linux wheel; scripts/torch_without_cuda.py makes it import.
set -euo pipefail
cd "$(dirname "$0")/.."

light=(numpy==2.4.6 safetensors==0.8.0 gguf==0.19.0 tokenizers==0.23.3 jinja2==3.1.6)
torch=2.15.0
oracle=(transformers==5.23.0 sentencepiece==0.2.3 protobuf==7.36.2 sympy networkx filelock fsspec typing_extensions)
case "${1:-}" in
  --oracle) wanted="oracle $torch ${light[*]} ${oracle[*]}" ;;
  "") wanted="light ${light[*]}" ;;
  *) echo "usage: scripts/venv.sh [--oracle]" >&2; exit 2 ;;
esac

mark=build/venv/wanted
if [ -f "$mark" ] && { [ "$(cat "$mark")" = "$wanted" ] || [ "$(cat "$mark")" = "oracle $torch ${light[*]} ${oracle[*]}" ]; }; then
  exit 0
fi
[ -x build/venv/bin/pip ] || python3 -m venv build/venv
pip=(build/venv/bin/pip install --quiet --disable-pip-version-check)
"${pip[@]}" "${light[@]}"
if [ "${1:-}" = --oracle ]; then
  "${pip[@]}" "${oracle[@]}"
  "${pip[@]}" --no-deps "torch==$torch"
  build/venv/bin/python scripts/torch_without_cuda.py
fi
echo "$wanted" > "$mark"
