package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Serves on $PORT (8080 when absent):
//
//	/            the version, the process's name and the pod's name
//	/healthz     200, or $HEALTH_STATUS
//	/env?name=X  the value of the variable X, 404 when it is not set
//	/slow?for=1s answers after that time
//
// Any other path answers like /, so that every route of an app can be told by who answered.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	name := flags.String("name", "web", "what the answers call this process")
	_ = flags.Parse(args)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { introduce(w, *name, r.URL.Path) })
	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /env", showVariable)
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		delay, err := time.ParseDuration(r.FormValue("for"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		time.Sleep(delay)
		introduce(w, *name, r.URL.Path)
	})

	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	fmt.Printf("serve %s as %s on port %s\n", version, *name, port)
	return http.ListenAndServe(net.JoinHostPort("", port), mux)
}

func introduce(w io.Writer, name, path string) {
	host, _ := os.Hostname()
	fmt.Fprintf(w, "sample-app %s %s on %s says hello at %s\n", version, name, host, path)
}

func health(w http.ResponseWriter, _ *http.Request) {
	status := os.Getenv("HEALTH_STATUS")
	if status == "" || status == "200" {
		fmt.Fprintln(w, "ok")
		return
	}
	code, err := strconv.Atoi(status)
	if err != nil || code < 200 || code > 599 {
		code = http.StatusInternalServerError
	}
	http.Error(w, "told to answer "+status, code)
}

func showVariable(w http.ResponseWriter, r *http.Request) {
	value, set := os.LookupEnv(r.FormValue("name"))
	if !set {
		http.Error(w, "not set", http.StatusNotFound)
		return
	}
	fmt.Fprintln(w, value)
}
