//! The program of ../program.ts in Rust, with the proxy-wasm crate. `P|name|value` lines are what is compared.
use proxy_wasm::hostcalls;
use proxy_wasm::traits::*;
use proxy_wasm::types::*;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, UNIX_EPOCH};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|_| -> Box<dyn RootContext> { Box::new(Root { counter: 0, ticked: false }) });
}}

fn note(name: &str, value: &str) {
    hostcalls::log(LogLevel::Info, &format!("P|{name}|{value}")).unwrap();
}

fn text(value: Option<Bytes>) -> String {
    value.map_or("none".to_string(), |bytes| String::from_utf8(bytes).unwrap())
}

struct Root {
    counter: u32,
    ticked: bool,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        note("vm", &text(self.get_vm_configuration()));
        true
    }

    fn on_configure(&mut self, _: usize) -> bool {
        note("config", &text(self.get_plugin_configuration()));
        note("env", &std::env::var("KEY").unwrap_or("none".to_string()));
        note("args", &std::env::args().count().to_string());
        let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        note("clock", &(now > Duration::from_secs(1_577_836_800)).to_string());
        // The standard library seeds its hash maps with random_get.
        note("random", &(RandomState::new().build_hasher().finish() != 0).to_string());
        println!("P|stdout|hello");
        eprintln!("P|stderr|oops");
        self.counter = hostcalls::define_metric(MetricType::Counter, "foreign_rust").unwrap();
        self.set_tick_period(Duration::from_millis(20));
        true
    }

    fn on_tick(&mut self) {
        if !self.ticked {
            note("tick", "first");
            self.ticked = true;
        }
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { counter: self.counter, path: String::new() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    counter: u32,
    path: String,
}

impl Stream {
    fn headers(&self) {
        note("header", &self.get_http_request_header("x-one").unwrap_or("none".to_string()));
        note("missing", &self.get_http_request_header("x-none").unwrap_or("none".to_string()));
        let pairs = self.get_http_request_headers();
        note("pairs", &pairs.iter().filter(|(name, _)| name.starts_with("x-t")).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(","));
        self.set_http_request_header("x-one", Some("changed"));
        self.set_http_request_header("x-two", None);
        self.add_http_request_header("x-foreign", "yes");
        note("property", &text(self.get_property(vec!["request", "path"])));
        note("noproperty", &text(self.get_property(vec!["request", "nothing"])));
        self.set_property(vec!["foreign"], Some(b"state"));
        note("state", &text(self.get_property(vec!["wasm.foreign"]).or_else(|| self.get_property(vec!["filter_state", "wasm.foreign"]))));
        self.set_shared_data("key", Some(b"value"), None).unwrap();
        let (value, cas) = self.get_shared_data("key");
        note("shared", &text(value));
        note("cas", if matches!(self.set_shared_data("key", Some(b"late"), Some(cas.unwrap() + 7)), Err(Status::CasMismatch)) { "mismatch" } else { "?" });
        hostcalls::increment_metric(self.counter, 2).unwrap();
        note("metric", &hostcalls::get_metric(self.counter).unwrap().to_string());
        let packed = self.call_foreign_function("compress", Some(b"round trip")).unwrap().unwrap();
        note("foreign", &text(self.call_foreign_function("uncompress", Some(&packed)).unwrap()));
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _: u32, _: usize, size: usize, _: usize) {
        let header = |name| self.get_http_call_response_header(name).unwrap_or("none".to_string());
        note("call", &format!("{} {} {}", header(":status"), header("x-callee"), text(self.get_http_call_response_body(0, size))));
        self.add_http_request_header("x-called", "yes");
        self.resume_http_request();
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.path = self.get_http_request_header(":path").unwrap();
        match self.path.as_str() {
            "/headers" => self.headers(),
            "/body" => {
                self.set_http_request_header("content-length", None);
                return Action::Pause;
            }
            "/call" => {
                self.dispatch_http_call("callee", vec![(":method", "POST"), (":path", "/from-foreign"), (":authority", "callee")], Some(b"ping"), vec![], Duration::from_secs(5)).unwrap();
                return Action::Pause;
            }
            "/reply" => {
                self.send_http_response(418, vec![("x-reply", "yes")], Some(b"teapot"));
                return Action::Pause;
            }
            "/panic" => panic!("on purpose"),
            _ => {}
        }
        Action::Continue
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if self.path != "/body" {
            return Action::Continue;
        }
        if !end {
            return Action::Pause;
        }
        let body = text(self.get_http_request_body(0, size));
        self.set_http_request_body(0, size, body.to_uppercase().as_bytes());
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        let status = self.get_http_response_header(":status").unwrap();
        self.add_http_response_header("x-seen-status", &status);
        self.set_http_response_header("content-length", None);
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if self.path != "/body" {
            return Action::Continue;
        }
        if !end {
            return Action::Pause;
        }
        let body = text(self.get_http_response_body(0, size));
        self.set_http_response_body(0, size, format!("{body}!").as_bytes());
        Action::Continue
    }

    fn on_log(&mut self) {
        let code = self.get_property(vec!["response", "code"]).map_or(0, |bytes| i64::from_le_bytes(bytes.try_into().unwrap()));
        note("log", &format!("{} {code}", self.path));
    }
}
