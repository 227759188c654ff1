;; Items that are put into a queue while the plugin is configured, on every VM: who hears of them, and how often.
(func (export "proxy_on_configure") (param i32 i32) (result i32)
  (drop (call $register_queue (str "early") (i32.const 8)))
  (call $say (str "enqueue") (call $enqueue (i32.load (i32.const 8)) (str "item")))
  (i32.const 1))
(func (export "proxy_on_queue_ready") (param i32 i32) (call $say (str "ready") (i32.const 0)))
