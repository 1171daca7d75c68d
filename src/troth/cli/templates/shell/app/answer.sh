# One connection: read a request, answer it. socat starts this with the connection as input and output.
# No Python is in this app: a static busybox, socat, and the agent's socket.
set -eu
BB=/usr/bin/busybox
AGENT=/run/troth/agent.sock
CR=$($BB printf '\r')

agent() { # method, path, body -> the body of the agent's answer
    $BB printf '%s %s HTTP/1.1\r\nHost: agent\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
        "$1" "$2" "${#3}" "$3" |
        /usr/bin/socat -t 10 - "UNIX-CONNECT:$AGENT" |
        $BB sed "1,/^$CR\$/d"
}

answer() { # status, body
    $BB printf 'HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n' \
        "$1" "$((${#2} + 1))" "$2"
}

read -r -t 10 method path version || exit 0
lines=0
while read -r -t 10 header; do
    [ "$header" = "$CR" ] && break
    lines=$((lines + 1))
    [ "$lines" -lt 64 ] || { answer '431 Too Many Headers' '{"error":"too many headers"}'; exit 0; }
done

case "$method $path ${version%"$CR"}" in
    'GET /info HTTP/1.1') answer '200 OK' "$(agent GET /v1/info '')" ;;
    'GET /dice HTTP/1.1') answer '200 OK' "$(agent POST /v1/random '{"size":1}')" ;;
    *) answer '404 Not Found' '{"places":["/info","/dice"]}' ;;
esac
