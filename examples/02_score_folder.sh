#!/usr/bin/env bash
# Score every film of a folder, two at a time, after a look at what it will take:
#     examples/02_score_folder.sh FOLDER [more options of gvm score-folder]
# GVM may name the program; unset it is `gvm` of the active environment.
set -euo pipefail
folder=${1:?name a folder of films}
shift
gvm=${GVM:-gvm}

"$gvm" score-folder "$folder" --dry-run "$@"
"$gvm" score-folder "$folder" --jobs 2 "$@" || echo "not all could be scored: the page says why"
echo "look at $folder/scored/report.html"

# Run it again after adding films: only what is new or was changed is made.
