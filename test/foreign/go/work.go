//go:build !tinygo

package main

import (
	"runtime"
	"strconv"
)

// What Go's runtime wants from its host: goroutines, memory that grows, collections.
func work() {
	sums := make(chan int)
	for i := 0; i < 4; i++ {
		go func() {
			total := 0
			for _, b := range make([]byte, 1<<20) {
				total += int(b) + 1
			}
			sums <- total
		}()
	}
	total := 0
	for i := 0; i < 4; i++ {
		total += <-sums
	}
	runtime.GC()
	note("work", strconv.Itoa(total))
}
