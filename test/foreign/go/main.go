// The program of ../program.ts in Go, with the Proxy-Wasm Go SDK. "P|name|value" lines are what is compared.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

func main() {}

func init() {
	proxywasm.SetVMContext(&vm{})
}

func note(name, value string) {
	proxywasm.LogInfo("P|" + name + "|" + value)
}

func text(value []byte, err error) string {
	if err != nil {
		return "none"
	}
	return string(value)
}

func header(value string, err error) string {
	if err != nil {
		return "none"
	}
	return value
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

type vm struct {
	types.DefaultVMContext
}

func (*vm) OnVMStart(int) types.OnVMStartStatus {
	note("vm", text(proxywasm.GetVMConfiguration()))
	return types.OnVMStartStatusOK
}

func (*vm) NewPluginContext(uint32) types.PluginContext {
	return &plugin{}
}

type plugin struct {
	types.DefaultPluginContext
	counter proxywasm.MetricCounter
	ticked  bool
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	note("config", text(proxywasm.GetPluginConfiguration()))
	note("env", os.Getenv("KEY"))
	note("args", strconv.Itoa(len(os.Args)))
	note("clock", strconv.FormatBool(time.Now().After(time.Unix(1_577_836_800, 0))))
	random := make([]byte, 8)
	_, err := rand.Read(random)
	must(err)
	note("random", strconv.FormatBool(binary.LittleEndian.Uint64(random) != 0))
	fmt.Println("P|stdout|hello")
	fmt.Fprintln(os.Stderr, "P|stderr|oops")
	p.counter = proxywasm.DefineCounterMetric("foreign_go")
	must(proxywasm.SetTickPeriodMilliSeconds(20))
	return types.OnPluginStartStatusOK
}

func (p *plugin) OnTick() {
	if !p.ticked {
		note("tick", "first")
		p.ticked = true
	}
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext {
	return &stream{counter: p.counter}
}

type stream struct {
	types.DefaultHttpContext
	counter proxywasm.MetricCounter
	path    string
}

func (s *stream) headers() {
	note("header", header(proxywasm.GetHttpRequestHeader("x-one")))
	note("missing", header(proxywasm.GetHttpRequestHeader("x-none")))
	pairs, err := proxywasm.GetHttpRequestHeaders()
	must(err)
	var found []string
	for _, pair := range pairs {
		if strings.HasPrefix(pair[0], "x-t") {
			found = append(found, pair[0]+"="+pair[1])
		}
	}
	note("pairs", strings.Join(found, ","))
	must(proxywasm.ReplaceHttpRequestHeader("x-one", "changed"))
	must(proxywasm.RemoveHttpRequestHeader("x-two"))
	must(proxywasm.AddHttpRequestHeader("x-foreign", "yes"))
	note("property", text(proxywasm.GetProperty([]string{"request", "path"})))
	note("noproperty", text(proxywasm.GetProperty([]string{"request", "nothing"})))
	must(proxywasm.SetProperty([]string{"foreign"}, []byte("state")))
	note("state", text(proxywasm.GetProperty([]string{"filter_state", "wasm.foreign"})))
	must(proxywasm.SetSharedData("key", []byte("value"), 0))
	value, cas, err := proxywasm.GetSharedData("key")
	note("shared", text(value, err))
	if errors.Is(proxywasm.SetSharedData("key", []byte("late"), cas+7), types.ErrorStatusCasMismatch) {
		note("cas", "mismatch")
	}
	s.counter.Increment(2)
	note("metric", strconv.FormatUint(s.counter.Value(), 10))
	packed, err := proxywasm.CallForeignFunction("compress", []byte("round trip"))
	must(err)
	note("foreign", text(proxywasm.CallForeignFunction("uncompress", packed)))
	work()
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.path, _ = proxywasm.GetHttpRequestHeader(":path")
	switch s.path {
	case "/headers":
		s.headers()
	case "/body":
		must(proxywasm.RemoveHttpRequestHeader("content-length"))
		return types.ActionPause
	case "/call":
		_, err := proxywasm.DispatchHttpCall("callee", [][2]string{{":method", "POST"}, {":path", "/from-foreign"}, {":authority", "callee"}}, []byte("ping"), nil, 5000, called)
		must(err)
		return types.ActionPause
	case "/reply":
		must(proxywasm.SendHttpResponse(418, [][2]string{{"x-reply", "yes"}}, []byte("teapot"), -1))
		return types.ActionPause
	case "/panic":
		panic("on purpose")
	}
	return types.ActionContinue
}

func called(_, size, _ int) {
	headers, err := proxywasm.GetHttpCallResponseHeaders()
	must(err)
	find := func(name string) string {
		for _, pair := range headers {
			if pair[0] == name {
				return pair[1]
			}
		}
		return "none"
	}
	note("call", find(":status")+" "+find("x-callee")+" "+text(proxywasm.GetHttpCallResponseBody(0, size)))
	must(proxywasm.AddHttpRequestHeader("x-called", "yes"))
	must(proxywasm.ResumeHttpRequest())
}

func (s *stream) OnHttpRequestBody(size int, end bool) types.Action {
	if s.path != "/body" {
		return types.ActionContinue
	}
	if !end {
		return types.ActionPause
	}
	must(proxywasm.ReplaceHttpRequestBody([]byte(strings.ToUpper(text(proxywasm.GetHttpRequestBody(0, size))))))
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	must(proxywasm.AddHttpResponseHeader("x-seen-status", header(proxywasm.GetHttpResponseHeader(":status"))))
	must(proxywasm.RemoveHttpResponseHeader("content-length"))
	return types.ActionContinue
}

func (s *stream) OnHttpResponseBody(size int, end bool) types.Action {
	if s.path != "/body" {
		return types.ActionContinue
	}
	if !end {
		return types.ActionPause
	}
	must(proxywasm.ReplaceHttpResponseBody([]byte(text(proxywasm.GetHttpResponseBody(0, size)) + "!")))
	return types.ActionContinue
}

func (s *stream) OnHttpStreamDone() {
	code, err := proxywasm.GetProperty([]string{"response", "code"})
	if err != nil {
		code = make([]byte, 8)
	}
	note("log", fmt.Sprintf("%s %d", s.path, binary.LittleEndian.Uint64(code)))
}
