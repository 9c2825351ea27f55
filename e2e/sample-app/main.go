// Command sample-app is the application that the end-to-end scenarios and the demo run: one static binary
// that serves, releases, runs as a cron, and fails in each of the ways a real application fails.
//
// It stops at once on SIGTERM, without finishing its requests, as many frameworks' development servers do:
// a rolling update without a failed request is then the platform's merit alone.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Set by the build: -ldflags "-X main.version=1.1.0".
var version = "0.0.0"

const usage = `usage: sample-app [serve] [--name NAME]
       sample-app worker
       sample-app release|cron [--fail WORDS [--fail-in VERSION]] [--for DURATION] [--count-url URL]
       sample-app crash [--code N] [--after DURATION]
       sample-app oom
`

func main() {
	stopAtOnce()
	command, args := "serve", os.Args[1:]
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	var err error
	switch command {
	case "serve":
		err = serve(args)
	case "worker":
		err = work()
	case "release", "cron":
		err = runJob(command, args)
	case "crash":
		err = crash(args)
	case "oom":
		exhaustMemory()
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
		os.Exit(1)
	}
}

// The first process of a container gets no default action for signals, so the handler is our own.
func stopAtOnce() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		os.Exit(143)
	}()
}

// A process without a port.
func work() error {
	fmt.Printf("worker %s at work\n", version)
	select {}
}

// A release or a cron: counts itself outside of the cluster, takes its time, fails when told to.
func runJob(name string, args []string) error {
	flags := flag.NewFlagSet(name, flag.ExitOnError)
	fail := flags.String("fail", os.Getenv("JOB_FAIL"), "fail with these `words` (default $JOB_FAIL)")
	failIn := flags.String("fail-in", "", "fail only when this is the `version`")
	duration := flags.Duration("for", 0, "how long it takes")
	countURL := flags.String("count-url", os.Getenv("COUNT_URL"), "POST \"NAME VERSION\" to this `URL` first (default $COUNT_URL)")
	_ = flags.Parse(args)

	fmt.Printf("%s %s begins\n", name, version)
	if *countURL != "" {
		if err := count(*countURL, name); err != nil {
			return fmt.Errorf("failed to count this run: %w", err)
		}
	}
	time.Sleep(*duration)
	if *fail != "" && (*failIn == "" || *failIn == version) {
		return errors.New(*fail)
	}
	fmt.Printf("%s %s done\n", name, version)
	return nil
}

func crash(args []string) error {
	flags := flag.NewFlagSet("crash", flag.ExitOnError)
	code := flags.Int("code", 1, "exit code")
	after := flags.Duration("after", 0, "how long it lives")
	_ = flags.Parse(args)

	time.Sleep(*after)
	fmt.Fprintf(os.Stderr, "crash: told to exit with code %d\n", *code)
	os.Exit(*code)
	return nil
}

// Touches ever more memory until the kernel ends it.
func exhaustMemory() {
	const chunk = 8 << 20
	var held [][]byte
	for {
		block := make([]byte, chunk)
		for i := 0; i < chunk; i += os.Getpagesize() {
			block[i] = 1
		}
		held = append(held, block)
		fmt.Printf("oom: holding %d MiB\n", len(held)*chunk>>20)
	}
}

func count(url, name string) error {
	client := http.Client{Timeout: 10 * time.Second}
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(name+" "+version+"\n"))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	return nil
}
