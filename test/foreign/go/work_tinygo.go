//go:build tinygo

package main

import (
	"runtime"
	"strconv"
)

// What TinyGo's runtime wants from its host: memory that grows, collections, goroutines (which run when a callback yields).
func work() {
	total := 0
	for i := 0; i < 4; i++ {
		for _, b := range make([]byte, 1<<20) {
			total += int(b) + 1
		}
	}
	runtime.GC()
	note("work", strconv.Itoa(total))
}
