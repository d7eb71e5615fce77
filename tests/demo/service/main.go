// SPDX-License-Identifier: MIT

// The demo's patient: a small service that keeps an eye on a container
// registry.  Four background jobs run at prime intervals, so that no two keep
// step; an inventory handler is the foreground load.  All share one
// http.Client, as services do.  Every response is read to its end and closed,
// but for one path in checkImage.
//
// It works for -for, then idles until SIGTERM (or for -idle), as a service
// does at night: what is still held then is held for ever.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math"
	"math/rand"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

type image struct{ name, tag string }

func (i image) String() string { return i.name + ":" + i.tag }

// What the service believes is deployed; tools/agent:3.2 has been removed.
var deployed = []image{
	{"library/web", "1.0"},
	{"library/db", "2.1"},
	{"tools/agent", "3.2"},
	{"tools/agent", "3.3"},
}

var repositories = []string{"library/web", "library/db", "tools/agent"}

type manifest struct {
	Config struct{ Digest string }
	Layers []struct{ Digest string }
}

// A registry remembers what each job was answered, for the last page of the
// log.
type registry struct {
	url     string
	client  *http.Client
	isFixed bool

	mu       sync.Mutex
	outcomes map[string]map[string]int // job -> "404" -> count
	logged   map[string]bool
	starting map[string]bool // jobs whose run has made no request yet

	etags map[string]string // by path; sync's alone
}

func (r *registry) do(job, method, path string, header ...string) (*http.Response, error) {
	req, err := http.NewRequest(method, r.url+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Leakproxy-Tag", "job="+job)
	if r.takeStart(job) {
		// So that leakproxy knows when the job runs.
		req.Header.Set("Leakproxy-Mark", job+";start")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.count(job, "error")
		return nil, err
	}
	r.count(job, fmt.Sprint(resp.StatusCode))
	return resp, nil
}

func (r *registry) count(job, outcome string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outcomes[job] == nil {
		r.outcomes[job] = map[string]int{}
	}
	r.outcomes[job][outcome]++
}

// start notes that a run of the job begins; takeStart, that it was told.
func (r *registry) start(job string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starting[job] = true
}

func (r *registry) takeStart(job string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	isFirst := r.starting[job]
	delete(r.starting, job)
	return isFirst
}

// Logs each complaint once: a job repeats itself.
func (r *registry) complain(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.logged[err.Error()] {
		r.logged[err.Error()] = true
		log.Print(err)
	}
}

// finish reads what is left, so that the connection can be used again.
func finish(body io.ReadCloser) {
	io.Copy(io.Discard, body)
	body.Close()
}

func (r *registry) getJSON(job, path string, into interface{}) error {
	resp, err := r.do(job, "GET", path, "Accept", manifestType)
	if err != nil {
		return err
	}
	defer finish(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", job, path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// ---- the jobs ----

func (r *registry) imagecheck() error {
	var failed error
	for _, img := range deployed {
		if err := r.checkImage(img); err != nil {
			failed = err
		}
	}
	return failed
}

// checkImage has the bug that the demo is about.  It looks right: there is a
// Close, and it is deferred.  But the early return stands before it, so each
// image that is not there costs a connection and two goroutines.
func (r *registry) checkImage(img image) error {
	resp, err := r.do("imagecheck", "GET",
		"/v2/"+img.name+"/manifests/"+img.tag, "Accept", manifestType)
	if err != nil {
		return err
	}
	if r.isFixed {
		defer resp.Body.Close() // the one-line fix
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("imagecheck: %s: %s", img, resp.Status)
	}
	defer resp.Body.Close()

	var m manifest
	return json.NewDecoder(resp.Body).Decode(&m)
}

// prune looks up how old each tag is; HEAD answers have no body.
func (r *registry) prune() error {
	for _, name := range repositories {
		var list struct{ Tags []string }
		if err := r.getJSON("prune", "/v2/"+name+"/tags/list", &list); err != nil {
			return err
		}
		for _, tag := range list.Tags {
			resp, err := r.do("prune", "HEAD",
				"/v2/"+name+"/manifests/"+tag, "Accept", manifestType)
			if err != nil {
				return err
			}
			finish(resp.Body)
		}
	}
	return nil
}

func (r *registry) metrics() error {
	resp, err := r.do("metrics", "GET", "/v2/")
	if err != nil {
		return err
	}
	finish(resp.Body)
	var catalog struct{ Repositories []string }
	return r.getJSON("metrics", "/v2/_catalog?n=100", &catalog)
}

// sync mirrors what has changed.  It asks for the removed image too, gets the
// same 404 as imagecheck, and closes it.
func (r *registry) sync() error {
	var failed error
	for _, img := range deployed {
		if err := r.syncImage(img); err != nil {
			failed = err
		}
	}
	return failed
}

func (r *registry) syncImage(img image) error {
	path := "/v2/" + img.name + "/manifests/" + img.tag
	header := []string{"Accept", manifestType}
	if etag := r.etags[path]; etag != "" {
		header = append(header, "If-None-Match", etag)
	}
	resp, err := r.do("sync", "GET", path, header...)
	if err != nil {
		return err
	}
	defer finish(resp.Body)
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		// Every other time the mirror starts afresh, to read layers too.
		delete(r.etags, path)
		return nil
	default:
		return fmt.Errorf("sync: %s: %s", img, resp.Status)
	}
	var m manifest
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		return err
	}
	for _, layer := range m.Layers {
		if err := r.readLayer(img, layer.Digest); err != nil {
			return err
		}
	}
	r.etags[path] = resp.Header.Get("ETag")
	return nil
}

func (r *registry) readLayer(img image, digest string) error {
	resp, err := r.do("sync", "GET", "/v2/"+img.name+"/blobs/"+digest)
	if err != nil {
		return err
	}
	defer finish(resp.Body)
	hash := sha256.New()
	if _, err := io.Copy(hash, resp.Body); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); got != digest {
		return fmt.Errorf("sync: %s: layer %s arrived as %s", img, digest, got)
	}
	return nil
}

// inventory is what one visitor's page costs.
func (r *registry) inventory() error {
	for _, name := range repositories {
		var list struct{ Tags []string }
		if err := r.getJSON("foreground", "/v2/"+name+"/tags/list", &list); err != nil {
			return err
		}
		for _, tag := range list.Tags {
			var m manifest
			if err := r.getJSON("foreground", "/v2/"+name+"/manifests/"+tag, &m); err != nil {
				return err
			}
			var config struct{ Architecture string }
			if err := r.getJSON("foreground", "/v2/"+name+"/blobs/"+m.Config.Digest, &config); err != nil {
				return err
			}
		}
	}
	return nil
}

// byDay returns visits as a working day has them: none at night, most at noon.
func (r *registry) byDay(day time.Duration) func() error {
	began := time.Now()
	return func() error {
		at := float64(time.Since(began)%day) / float64(day)
		if rand.Float64() > math.Sin(math.Pi*at) {
			return nil
		}
		return r.inventory()
	}
}

// ---- running them ----

// every runs the work at its interval.  It ends between two runs, never within
// one: a request cut short would be a different story.
func (r *registry) every(job string, interval time.Duration, over <-chan struct{}, work func() error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
			r.start(job)
			if err := work(); err != nil {
				r.complain(err)
			}
		}
	}
}

func (r *registry) printOutcomes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var jobs []string
	for job := range r.outcomes {
		jobs = append(jobs, job)
	}
	sort.Strings(jobs)
	for _, job := range jobs {
		var parts []string
		for outcome, n := range r.outcomes[job] {
			parts = append(parts, fmt.Sprintf("%s x%d", outcome, n))
		}
		sort.Strings(parts)
		fmt.Printf("  %-11s %s\n", job, strings.Join(parts, ", "))
	}
}

func main() {
	url := flag.String("registry", "https://registry.test", "registry's `URL`")
	work := flag.Duration("for", 20*time.Second, "how long to work")
	idle := flag.Duration("idle", 30*time.Second, "how long to idle afterwards, at most")
	unit := flag.Duration("unit", 0, "jobs at 47, 53, 59 and 67 of it; 0: at 0.7, 1.1, 1.3 and 1.7 s")
	day := flag.Duration("day", 0, "length of a day that the foreground load follows; 0: none")
	isFixed := flag.Bool("fixed", false, "with the one-line fix")
	flag.Parse()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)

	r := &registry{
		url:     *url,
		isFixed: *isFixed,
		// A clone of the default: proxy from the environment, two idle
		// connections a host.
		client: &http.Client{
			Transport: http.DefaultTransport.(*http.Transport).Clone(),
		},
		outcomes: map[string]map[string]int{},
		etags:    map[string]string{},
		logged:   map[string]bool{},
		starting: map[string]bool{},
	}

	var working sync.WaitGroup
	over := make(chan struct{})
	start := func(job string, interval time.Duration, work func() error) {
		working.Add(1)
		go func() {
			r.every(job, interval, over, work)
			working.Done()
			// Stays, so that it is in both counts of goroutines.
			select {}
		}()
	}
	interval := func(units, millis time.Duration) time.Duration {
		if *unit > 0 {
			return units * *unit
		}
		return millis * time.Millisecond
	}
	visits := r.inventory
	if *day > 0 {
		visits = r.byDay(*day)
	}
	start("imagecheck", interval(47, 700), r.imagecheck)
	start("prune", interval(53, 1100), r.prune)
	start("metrics", interval(59, 1300), r.metrics)
	start("sync", interval(67, 1700), r.sync)
	start("", 230*time.Millisecond, visits)
	start("", 310*time.Millisecond, visits)
	before := runtime.NumGoroutine()
	fmt.Printf("goroutines: %d\n", before)

	wait(stop, *work)
	close(over)
	working.Wait()
	fmt.Println("work is over:")
	r.printOutcomes()

	wait(stop, *idle)
	fmt.Printf("goroutines: %d -> %d\n", before, runtime.NumGoroutine())
}

func wait(stop <-chan os.Signal, patience time.Duration) {
	select {
	case <-stop:
	case <-time.After(patience):
	}
}
