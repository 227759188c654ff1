// The part of the Proxy-Wasm ABI 0.2.1 that this program uses.
// https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#define HOST(name) extern "C" __attribute__((import_module("env"), import_name(#name))) uint32_t name
#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

HOST(proxy_log)(uint32_t level, const char *text, size_t size);
HOST(proxy_get_buffer_bytes)(uint32_t type, size_t start, size_t max, char **data, size_t *size);
HOST(proxy_set_buffer_bytes)(uint32_t type, size_t start, size_t size, const char *data, size_t length);
HOST(proxy_get_header_map_value)(uint32_t map, const char *name, size_t size, char **value, size_t *length);
HOST(proxy_get_header_map_pairs)(uint32_t map, char **data, size_t *size);
HOST(proxy_replace_header_map_value)(uint32_t map, const char *name, size_t size, const char *value, size_t length);
HOST(proxy_add_header_map_value)(uint32_t map, const char *name, size_t size, const char *value, size_t length);
HOST(proxy_remove_header_map_value)(uint32_t map, const char *name, size_t size);
HOST(proxy_get_property)(const char *path, size_t size, char **value, size_t *length);
HOST(proxy_set_property)(const char *path, size_t size, const char *value, size_t length);
HOST(proxy_set_shared_data)(const char *key, size_t size, const char *value, size_t length, uint32_t cas);
HOST(proxy_get_shared_data)(const char *key, size_t size, char **value, size_t *length, uint32_t *cas);
HOST(proxy_define_metric)(uint32_t type, const char *name, size_t size, uint32_t *id);
HOST(proxy_increment_metric)(uint32_t id, int64_t by);
HOST(proxy_get_metric)(uint32_t id, uint64_t *value);
HOST(proxy_call_foreign_function)(const char *name, size_t size, const char *data, size_t length, char **result, size_t *result_size);
HOST(proxy_set_tick_period_milliseconds)(uint32_t period);
HOST(proxy_send_local_response)(uint32_t status, const char *details, size_t details_size, const char *body, size_t body_size, const char *pairs, size_t pairs_size, uint32_t grpc_status);
HOST(proxy_http_call)(const char *cluster, size_t cluster_size, const char *headers, size_t headers_size, const char *body, size_t body_size, const char *trailers, size_t trailers_size, uint32_t timeout_ms, uint32_t *token);
HOST(proxy_set_effective_context)(uint32_t context);
HOST(proxy_continue_stream)(uint32_t type);

// Maps, buffers and statuses by their numbers.
enum : uint32_t { REQUEST_HEADERS = 0, RESPONSE_HEADERS = 2, CALL_HEADERS = 6 };
enum : uint32_t { REQUEST_BODY = 0, RESPONSE_BODY = 1, CALL_BODY = 4, VM_CONFIG = 6, PLUGIN_CONFIG = 7 };
enum : uint32_t { OK = 0, CAS_MISMATCH = 8 };
enum : uint32_t { CONTINUE = 0, PAUSE = 1 };

// What the host has allocated through malloc, as a string that owns a copy.
inline std::string take(uint32_t status, char *data, size_t size) {
  if (status != OK) return "none";
  std::string text(data, size);
  free(data);
  return text;
}

inline std::string header(uint32_t map, std::string_view name) {
  char *data = nullptr;
  size_t size = 0;
  const uint32_t status = proxy_get_header_map_value(map, name.data(), name.size(), &data, &size);
  return take(status, data, size);
}

inline std::string buffer(uint32_t type) {
  char *data = nullptr;
  size_t size = 0;
  const uint32_t status = proxy_get_buffer_bytes(type, 0, SIZE_MAX, &data, &size);
  return take(status, data, size);
}

inline std::string property(std::string_view path) {
  char *data = nullptr;
  size_t size = 0;
  const uint32_t status = proxy_get_property(path.data(), path.size(), &data, &size);
  return take(status, data, size);
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

// The wire form of a header map: counts and lengths (little endian), then names and values, each with a NUL.
inline std::string encode(const Pairs &pairs) {
  std::string head, tail;
  const auto number = [&head](size_t value) { head.append({char(value), char(value >> 8), char(value >> 16), char(value >> 24)}); };
  number(pairs.size());
  for (const auto &[name, value] : pairs) {
    number(name.size());
    number(value.size());
    tail += name + '\0' + value + '\0';
  }
  return head + tail;
}

inline Pairs decode(const std::string &data) {
  Pairs pairs;
  const auto number = [&data](size_t at) {
    uint32_t value = 0;
    for (int i = 3; i >= 0; i--) value = value << 8 | uint8_t(data[at + i]);
    return value;
  };
  const uint32_t count = data.size() < 4 ? 0 : number(0);
  size_t at = 4 + count * 8;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t name = number(4 + i * 8), value = number(8 + i * 8);
    pairs.emplace_back(data.substr(at, name), data.substr(at + name + 1, value));
    at += name + value + 2;
  }
  return pairs;
}
