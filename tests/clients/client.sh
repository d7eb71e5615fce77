#!/bin/sh
# SPDX-License-Identifier: MIT

# A labelled client with curl, a new one for each step; cases.py says what
# each manner means and how a client is driven.  "start", "pause", "resume"
# and "finish" are one step in parts.

manner=$1 target=$2 tags=$3 step=0

run_curl()
{
	exec curl --silent --header "Leakproxy-Tag: $tags" \
	    --output /dev/null "$@" --write-out \
	    "{\"step\":$step,\"status\":\"%{http_code}\",\"read\":%{size_download},\"error\":\"%{errormsg}\"}\n"
}

start()
{
	step=$((step + 1))
	case $manner in
	drain)
		run_curl "$target?step=$step" ;;
	drain_twice)
		run_curl "$target?step=$step" --next --silent \
		    --header "Leakproxy-Tag: $tags" --output /dev/null \
		    "$target?step=$step" ;;
	drain_slowly | pause_briefly | pause_long)
		run_curl --limit-rate 16M "$target?step=$step" ;;
	esac &
}

echo '{"ready":true}'
while read -r line; do
	case $line in
	step)	start; wait $! ;;
	start)	start; echo '{"started":true}' ;;
	pause)	kill -STOP $!; echo '{"paused":true}' ;;
	resume)	kill -CONT $!; echo '{"resumed":true}' ;;
	finish)	wait $! ;;
	esac
done
