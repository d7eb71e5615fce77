// SPDX-License-Identifier: MIT

// A labelled client in Go; cases.py says what each manner means and how a
// client is driven.  Standard library alone.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// timeout is longer than any patience of the proxy under test.
const timeout = 4 * time.Second

// A use is what the program does with a body; it returns how much it read.
type use func(response *http.Response) (int64, error)

type manner struct {
	use          use
	method       string // GET where empty
	timeout      time.Duration
	ownTransport bool // a new one for each request
	answers401   bool // leaves the 401's body, and asks again
}

var manners = map[string]manner{
	"drain":          {use: drain},
	"leave":          {use: leave},
	"read_10":        {use: readPart(10)},
	"read_all_but_1": {use: readAllButOne},
	"read_no_close":  {use: readNoClose},
	"close_no_read":  {use: closeNoRead},
	"limit_100":      {use: limit(100)},
	"limit_1M":       {use: limit(1 << 20)},
	"decode":         {use: decode},
	"head":           {use: drain, method: http.MethodHead},
	"answer_401":     {use: drain, answers401: true},
	"time_out":       {use: leave, timeout: timeout},
	"own_transport":  {use: drain, ownTransport: true},
}

func drain(response *http.Response) (int64, error) {
	defer response.Body.Close()
	return io.Copy(io.Discard, response.Body)
}

func leave(*http.Response) (int64, error) {
	return 0, nil
}

func readPart(bytes int64) use {
	return func(response *http.Response) (int64, error) {
		return io.CopyN(io.Discard, response.Body, bytes)
	}
}

func readAllButOne(response *http.Response) (int64, error) {
	return io.CopyN(io.Discard, response.Body, response.ContentLength-1)
}

func readNoClose(response *http.Response) (int64, error) {
	return io.Copy(io.Discard, response.Body)
}

func closeNoRead(response *http.Response) (int64, error) {
	return 0, response.Body.Close()
}

func limit(bytes int64) use {
	return func(response *http.Response) (int64, error) {
		return io.Copy(io.Discard, io.LimitReader(response.Body, bytes))
	}
}

// decode takes one JSON value, and does not look whether more follows.
func decode(response *http.Response) (int64, error) {
	decoder := json.NewDecoder(response.Body)
	var value any
	err := decoder.Decode(&value)
	return decoder.InputOffset(), err
}

func newTransport() *http.Transport {
	return http.DefaultTransport.(*http.Transport).Clone()
}

// A session is one program's life: its client, and what it leaves lying about.
type session struct {
	manner manner
	client *http.Client
	tags   string
	held   []*http.Response
}

func (s *session) fetch(url, authorization string) (*http.Response, error) {
	request, err := http.NewRequest(s.manner.method, url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Leakproxy-Tag", s.tags)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	if s.manner.ownTransport {
		s.client.Transport = newTransport()
	}
	response, err := s.client.Do(request)
	if err == nil {
		s.held = append(s.held, response)
	}
	return response, err
}

type outcome struct {
	Step   int    `json:"step"`
	Status int    `json:"status,omitempty"`
	Read   int64  `json:"read"`
	Error  string `json:"error,omitempty"`
}

func (s *session) step(url string) (result outcome) {
	response, err := s.fetch(url, "")
	if err == nil && s.manner.answers401 && response.StatusCode == 401 {
		response, err = s.fetch(url, "Bearer token")
	}
	if err == nil {
		result.Status = response.StatusCode
		result.Read, err = s.manner.use(response)
	}
	if err != nil {
		result.Error = err.Error()
	}
	return result
}

func main() {
	manner, isKnown := manners[os.Args[1]]
	if !isKnown {
		fmt.Fprintf(os.Stderr, "client: no manner %q\n", os.Args[1])
		os.Exit(2)
	}
	s := session{
		manner: manner,
		client: &http.Client{
			Transport: newTransport(),
			Timeout:   manner.timeout,
		},
		tags: os.Args[3],
	}
	out := json.NewEncoder(os.Stdout)
	out.Encode(map[string]bool{"ready": true})
	lines := bufio.NewScanner(os.Stdin)
	for step := 1; lines.Scan(); step++ {
		result := s.step(fmt.Sprintf("%s?step=%d", os.Args[2], step))
		result.Step = step
		out.Encode(result)
	}
}
