;; Accepts its configuration in the canary VM and refuses it on the threads: Envoy then lets traffic pass without the filter.
(func (export "proxy_on_configure") (param i32 i32) (result i32)
  (call $mark)
  (if (i32.eqz (call $get_shared (str "seen") (i32.const 0) (i32.const 4) (i32.const 8))) (then (call $say (str "refused") (i32.const 0)) (return (i32.const 0))))
  (drop (call $set_shared (str "seen") (str "1") (i32.const 0)))
  (call $say (str "accepted") (i32.const 1)) (i32.const 1))
(func (export "proxy_on_request_headers") (param $id i32) (param $n i32) (param $end i32) (result i32) (call $say (str "request") (local.get $id)) (i32.const 0))
