package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
)

// The service beside a server that stands for the agent and says what it was asked.
func start(t *testing.T) string {
	socket := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	}
	go http.Serve(listener, http.HandlerFunc(echo))
	server := httptest.NewServer(service(newAgent(socket)))
	t.Cleanup(func() { server.Close(); listener.Close() })
	return server.URL
}

func TestEachPlaceAsksTheAgent(t *testing.T) {
	address := start(t)
	for place, want := range map[string]string{
		"/":              "200 hello from go: GET /v1/info \n",
		"/random":        "200 POST /v1/random {\"size\":16}\n",
		"/identity":      "200 GET /v1/identity \n",
		"/evidence/00ff": "200 POST /v1/attest {\"nonce\":\"00ff\",\"app_data\":\"68656c6c6f2066726f6d20676f\"}\n",
		"/evidence/%22x": "400 the nonce is not hex\n",
		"/elsewhere":     "404 404 page not found\n",
	} {
		answer, err := http.Get(address + place)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if got := fmt.Sprintf("%d %s", answer.StatusCode, body); got != want {
			t.Errorf("%s: got %q, want %q", place, got, want)
		}
	}
}

func TestWithoutAnAgentItSaysSo(t *testing.T) {
	server := httptest.NewServer(service(newAgent(filepath.Join(t.TempDir(), "none"))))
	defer server.Close()
	answer, err := http.Get(server.URL + "/random")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d", answer.StatusCode)
	}
}
