#!/usr/bin/env bash
# Try edgerift with a Python and a set of versions, in a fresh environment: a selection of tests, then a small audit.
#
#   tools/try_stack.sh [--python PYTHON] [--constraints FILE] [--keep FOLDER] [TEST ...]
#
# PYTHON is python3 unless given, FILE constraints.txt; both are of the repository's root or absolute. The environment is made
# in a temporary folder and removed, or in FOLDER and kept. TESTS are what pytest takes; `all` is everything that `make test`
# runs. Set PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu for a PyTorch without CUDA.
set -euo pipefail
cd "$(dirname "$0")/.."

python=python3
constraints=constraints.txt
folder=
tests=()
while (($#)); do
  case "$1" in
    --python) python=${2:?--python needs an interpreter}; shift 2 ;;
    --constraints) constraints=${2:?--constraints needs a file}; shift 2 ;;
    --keep) folder=${2:?--keep needs a folder}; shift 2 ;;
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    -*) echo "unknown option $1; known: --python, --constraints, --keep" >&2; exit 2 ;;
    *) tests+=("$1"); shift ;;
  esac
done
[[ -f $constraints ]] || { echo "there is no file $constraints; give one as --constraints" >&2; exit 2; }
if ((${#tests[@]} == 0)); then
  tests=(tests/adapt/test_ptq.py tests/deploy/test_executorch.py tests/deploy/test_onnxruntime.py tests/deploy/test_twin.py)
elif [[ ${tests[0]} == all ]]; then
  tests=(--numprocesses auto --dist loadfile)
fi
if [[ -z $folder ]]; then
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
fi

"$python" -m venv "$folder"
bin=$folder/bin
"$bin/python" -m pip install --quiet --disable-pip-version-check \
  --editable '.[devices,executorch,litert,onnxruntime,ray,serve,signing,timm,tracking,dev]' --constraint "$constraints"
echo "$("$bin/python" --version), $("$bin/python" -m pip list --format=freeze --disable-pip-version-check |
  grep -E '^(torch|torchao|torchvision|executorch|onnxruntime|numpy)==' | tr '\n' ' ')"
du -sh "$folder" | sed 's/\t.*/ in the environment/'

"$bin/python" -m pytest -q "${tests[@]}"
# The gate of an undefended build fails: exit code 1 is its verdict, and another one a failure.
"$bin/edgerift" audit --threats evasion --epochs 4 --images 40 --steps 10 \
  --out "$folder/audit" --store "$folder/store" --json >"$folder/audit.log" || [[ $? -eq 1 ]]
"$bin/python" -c '
import json, sys
told = json.load(open(sys.argv[1]))
errors = next(rule["measured"] for rule in told["gate"] if rule["rule"] == "errors")
print("audit:", len(told["evasion"]["findings"]), "findings,", int(errors), "errors among the checks")
sys.exit(errors > 0)
' "$folder/audit/audit.json"
