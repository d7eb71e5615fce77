// SPDX-License-Identifier: MIT

// A Go service with net/http/pprof at the address that is its argument; it
// leaks as often as it is told: each line on standard input is a URL to be
// got, and not closed.
package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
)

func main() {
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	go http.Serve(listener, nil)
	fmt.Println(listener.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		response, err := http.Get(lines.Text())
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(response.StatusCode) // and no Close
	}
}
