// The program of ../program.ts in C++, on the ABI itself, with libc++ and wasi-libc. "P|name|value" lines are compared.
#include "proxy_wasm.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <unistd.h>

static void note(const std::string &name, const std::string &value) {
  const std::string line = "P|" + name + "|" + value;
  proxy_log(2, line.data(), line.size());
}

struct Stream {
  std::string path;
};

static uint32_t counter = 0;
static bool ticked = false;
static std::map<uint32_t, std::unique_ptr<Stream>> streams;
static std::map<uint32_t, uint32_t> calls; // token to stream

EXPORT(proxy_abi_version_0_2_1) void proxy_abi_version_0_2_1() {}

EXPORT(proxy_on_vm_start) uint32_t on_vm_start(uint32_t, uint32_t) {
  note("vm", buffer(VM_CONFIG));
  return 1;
}

EXPORT(proxy_on_configure) uint32_t on_configure(uint32_t, uint32_t) {
  note("config", buffer(PLUGIN_CONFIG));
  const char *value = getenv("KEY");
  note("env", value == nullptr ? "none" : value);
  note("args", "0");
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  note("clock", now > std::chrono::seconds(1577836800) ? "true" : "false");
  uint64_t random = 0;
  note("random", getentropy(&random, sizeof random) == 0 && random != 0 ? "true" : "false");
  printf("P|stdout|hello\n");
  fflush(stdout);
  fprintf(stderr, "P|stderr|oops\n");
  proxy_define_metric(0, "foreign_cpp", strlen("foreign_cpp"), &counter);
  proxy_set_tick_period_milliseconds(20);
  return 1;
}

EXPORT(proxy_on_tick) void on_tick(uint32_t) {
  if (!ticked) note("tick", "first");
  ticked = true;
}

EXPORT(proxy_on_context_create) void on_context_create(uint32_t id, uint32_t parent) {
  if (parent != 0) streams[id] = std::make_unique<Stream>();
}

static std::string foreign(std::string_view name, const std::string &argument) {
  char *data = nullptr;
  size_t size = 0;
  const uint32_t status = proxy_call_foreign_function(name.data(), name.size(), argument.data(), argument.size(), &data, &size);
  return take(status, data, size);
}

static void edit_headers() {
  note("header", header(REQUEST_HEADERS, "x-one"));
  note("missing", header(REQUEST_HEADERS, "x-none"));
  char *data = nullptr;
  size_t size = 0;
  const uint32_t status = proxy_get_header_map_pairs(REQUEST_HEADERS, &data, &size);
  std::string found;
  for (const auto &[name, value] : decode(take(status, data, size))) {
    if (name.rfind("x-t", 0) == 0) found += (found.empty() ? "" : ",") + name + "=" + value;
  }
  note("pairs", found);
  proxy_replace_header_map_value(REQUEST_HEADERS, "x-one", 5, "changed", 7);
  proxy_remove_header_map_value(REQUEST_HEADERS, "x-two", 5);
  proxy_add_header_map_value(REQUEST_HEADERS, "x-foreign", 9, "yes", 3);
  note("property", property({"request\0path", 12}));
  note("noproperty", property({"request\0nothing", 15}));
  proxy_set_property("foreign", 7, "state", 5);
  note("state", property({"filter_state\0wasm.foreign", 25}));
  proxy_set_shared_data("key", 3, "value", 5, 0);
  uint32_t cas = 0;
  const uint32_t got = proxy_get_shared_data("key", 3, &data, &size, &cas);
  note("shared", take(got, data, size));
  note("cas", proxy_set_shared_data("key", 3, "late", 4, cas + 7) == CAS_MISMATCH ? "mismatch" : "?");
  proxy_increment_metric(counter, 2);
  uint64_t value = 0;
  proxy_get_metric(counter, &value);
  note("metric", std::to_string(value));
  note("foreign", foreign("uncompress", foreign("compress", "round trip")));
}

EXPORT(proxy_on_request_headers) uint32_t on_request_headers(uint32_t id, uint32_t, uint32_t) {
  Stream &stream = *streams[id];
  stream.path = header(REQUEST_HEADERS, ":path");
  if (stream.path == "/headers") edit_headers();
  if (stream.path == "/body") {
    proxy_remove_header_map_value(REQUEST_HEADERS, "content-length", 14);
    return PAUSE;
  }
  if (stream.path == "/call") {
    const std::string headers = encode({{":method", "POST"}, {":path", "/from-foreign"}, {":authority", "callee"}});
    uint32_t token = 0;
    proxy_http_call("callee", 6, headers.data(), headers.size(), "ping", 4, nullptr, 0, 5000, &token);
    calls[token] = id;
    return PAUSE;
  }
  if (stream.path == "/reply") {
    const std::string headers = encode({{"x-reply", "yes"}});
    proxy_send_local_response(418, nullptr, 0, "teapot", 6, headers.data(), headers.size(), UINT32_MAX);
    return PAUSE;
  }
  if (stream.path == "/panic") abort();
  return CONTINUE;
}

EXPORT(proxy_on_http_call_response) void on_http_call_response(uint32_t, uint32_t token, uint32_t, uint32_t, uint32_t) {
  note("call", header(CALL_HEADERS, ":status") + " " + header(CALL_HEADERS, "x-callee") + " " + buffer(CALL_BODY));
  proxy_set_effective_context(calls[token]);
  calls.erase(token);
  proxy_add_header_map_value(REQUEST_HEADERS, "x-called", 8, "yes", 3);
  proxy_continue_stream(0);
}

EXPORT(proxy_on_request_body) uint32_t on_request_body(uint32_t id, uint32_t size, uint32_t end) {
  if (streams[id]->path != "/body") return CONTINUE;
  if (!end) return PAUSE;
  std::string body = buffer(REQUEST_BODY);
  for (char &c : body) c = char(toupper(c));
  proxy_set_buffer_bytes(REQUEST_BODY, 0, size, body.data(), body.size());
  return CONTINUE;
}

EXPORT(proxy_on_response_headers) uint32_t on_response_headers(uint32_t, uint32_t, uint32_t) {
  const std::string status = header(RESPONSE_HEADERS, ":status");
  proxy_add_header_map_value(RESPONSE_HEADERS, "x-seen-status", 13, status.data(), status.size());
  proxy_remove_header_map_value(RESPONSE_HEADERS, "content-length", 14);
  return CONTINUE;
}

EXPORT(proxy_on_response_body) uint32_t on_response_body(uint32_t id, uint32_t size, uint32_t end) {
  if (streams[id]->path != "/body") return CONTINUE;
  if (!end) return PAUSE;
  const std::string body = buffer(RESPONSE_BODY) + "!";
  proxy_set_buffer_bytes(RESPONSE_BODY, 0, size, body.data(), body.size());
  return CONTINUE;
}

EXPORT(proxy_on_log) void on_log(uint32_t id) {
  const std::string code = property({"response\0code", 13});
  int64_t number = 0;
  if (code.size() == sizeof number) memcpy(&number, code.data(), sizeof number);
  note("log", streams[id]->path + " " + std::to_string(number));
}

EXPORT(proxy_on_done) uint32_t on_done(uint32_t) { return 1; }

EXPORT(proxy_on_delete) void on_delete(uint32_t id) { streams.erase(id); }
