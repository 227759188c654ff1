;; Two plugins in one VM: context ids, how often each start callback runs, and what each sees of its configuration.
(global $counter (mut i32) (i32.const 0))
(func (export "proxy_on_context_create") (param $id i32) (param $parent i32) (call $say2 (str "create") (local.get $id) (local.get $parent)))
(func (export "proxy_on_vm_start") (param $id i32) (param $size i32) (result i32) (global.set $counter (i32.add (global.get $counter) (i32.const 1))) (call $say2 (str "vm_start") (local.get $id) (global.get $counter)) (i32.const 1))
(func (export "proxy_on_configure") (param $id i32) (param $size i32) (result i32)
  (call $say3 (str "configure") (local.get $id) (local.get $size) (global.get $counter)) (call $p_buffer (str "configuration") (i32.const 7) (i32.const 0) (i32.const 100)) (call $p_property (str "root_id") (str "plugin_root_id")) (i32.const 1))
(func (export "proxy_on_request_headers") (param $id i32) (param $n i32) (param $end i32) (result i32)
  (call $say2 (str "request") (i32.const 0) (global.get $counter)) (call $p_property (str "request.root_id") (str "plugin_root_id")) (call $p_property (str "request.vm_id") (str "plugin_vm_id")) (i32.const 0))
