#!/bin/sh
# For the CI of a training project: code the newest checkpoint, and fail if it is not within the
# bound of the original, or if it takes more than a share of its bytes.
#
#     sh verify_in_ci.sh CHECKPOINT [ALPHA] [PER_CENT]
#
# Exit code 1: a bound is not met, or the file is too large. The report is CHECKPOINT.gcz.json.
set -eu
checkpoint=$1 alpha=${2:-1e-4} most=${3:-50}
gcodec encode -q -f "$checkpoint" --alpha "$alpha"
gcodec verify "$checkpoint.gcz" --against "$checkpoint" --json > "$checkpoint.gcz.json"
original=$(wc -c < "$checkpoint") coded=$(wc -c < "$checkpoint.gcz")
echo "$checkpoint: $((100 * coded / original)) % of $original bytes, alpha $alpha holds"
test $((100 * coded)) -le $((most * original))
