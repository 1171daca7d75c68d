// Hello answers on a port inside an enclave, and asks troth's agent for what only the agent can give.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	agentSocket = "/run/troth/agent.sock"
	mostAnswer  = 1 << 20
	statement   = "hello from go" // what the evidence vouches for
)

// agent is the way to the enclave's agent: HTTP on a unix socket.
type agent struct{ http http.Client }

func newAgent(socket string) *agent {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &agent{http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dial}}}
}

// ask gives the agent's status and answer; an empty body makes it a GET.
func (a *agent) ask(path, body string) (int, []byte, error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := a.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, mostAnswer))
	return answer.StatusCode, data, err
}

func service(a *agent) http.Handler {
	pass := func(w http.ResponseWriter, before, path, body string) {
		status, data, err := a.ask(path, body)
		if err != nil {
			http.Error(w, "the agent does not answer", http.StatusBadGateway)
			return
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s%s\n", before, data)
	}
	places := http.NewServeMux()
	places.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		pass(w, statement+": ", "/v1/info", "")
	})
	places.HandleFunc("GET /random", func(w http.ResponseWriter, _ *http.Request) {
		pass(w, "", "/v1/random", `{"size":16}`)
	})
	places.HandleFunc("GET /identity", func(w http.ResponseWriter, _ *http.Request) {
		pass(w, "", "/v1/identity", "")
	})
	places.HandleFunc("GET /evidence/{nonce}", func(w http.ResponseWriter, r *http.Request) {
		nonce, err := hex.DecodeString(r.PathValue("nonce"))
		if err != nil {
			http.Error(w, "the nonce is not hex", http.StatusBadRequest)
			return
		}
		pass(w, "", "/v1/attest", fmt.Sprintf(`{"nonce":"%x","app_data":"%x"}`, nonce, statement))
	})
	return places
}

func main() {
	server := http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           service(newAgent(agentSocket)),
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
