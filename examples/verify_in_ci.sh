#!/bin/sh
# For the CI of a training project: code the newest checkpoint, and fail if it is not within the
# bound of the original, or if it takes more than a share of its bytes.
#
#     sh verify_in_ci.sh CHECKPOINT [ALPHA] [PER_CENT]
#
# CHECKPOINT is a file, or a folder of shards. Exit code 1: a bound is not met, or the coded file is
# too large. The report is CHECKPOINT.gcz.json. For checkpoints that are coded as changes from the
# one before, add --base FILE to encode, and to verify --base-dir with the folder of all of them.
set -eu
checkpoint=${1%/} alpha=${2:-1e-4} most=${3:-50}
gcodec encode -q -f "$checkpoint" --alpha "$alpha"
gcodec verify "$checkpoint.gcz" --against "$checkpoint" --json > "$checkpoint.gcz.json"
original=$(find -L "$checkpoint" -type f -exec cat {} + | wc -c) coded=$(wc -c < "$checkpoint.gcz")
echo "$checkpoint: $((100 * coded / original)) % of $original bytes, alpha $alpha holds"
test $((100 * coded)) -le $((most * original))
