import type { Report } from "./diagnostic.ts";
import { suggest } from "./suggestion.ts";
import { shown, type TextNode } from "./tree.ts";

/** The flags that change something here, with the one that says the opposite. */
const effective: ReadonlyMap<string, string> = new Map([
  ["nodejs_compat", "no_nodejs_compat"],
  ["no_nodejs_compat", "nodejs_compat"],
  ["websocket_standard_binary_type", "no_websocket_standard_binary_type"],
  ["no_websocket_standard_binary_type", "websocket_standard_binary_type"],
  ["web_socket_auto_reply_to_close", "web_socket_manual_reply_to_close"],
  ["web_socket_manual_reply_to_close", "web_socket_auto_reply_to_close"],
]);

/** Flags of workerd that ask for what Sluice does at every date, or for what does not exist here: nothing to say. */
const settled: ReadonlySet<string> = words(`
  allow_custom_ports allow_eval_during_startup allow_importable_env
  assets_navigation_prefers_asset_serving bind_asynclocalstorage_snapshot_to_request
  blob_standard_mime_type brotli_content_encoding cache_api_compat_flags
  cache_api_request_cf_overrides_cache_rules cache_no_cache_enabled cache_option_enabled
  capture_async_api_throws crypto_preserve_public_exponent disable_top_level_await_in_require
  dont_substitute_null_on_type_error durable_object_alarms durable_object_fetch_requires_full_url
  dynamic_dispatch_tunnel_exceptions enable_global_performance_classes enable_navigator_language
  enable_nodejs_console_module enable_nodejs_fs_module enable_nodejs_http2_module
  enable_nodejs_http_modules enable_nodejs_http_server_modules enable_nodejs_os_module
  enable_nodejs_process_v2 enable_nodejs_vm_module enable_request_signal
  enable_validate_workflow_entrypoint enable_weak_ref export_commonjs_default
  expose_global_message_channel fetch_refuses_unknown_protocols fetch_standard_url
  fetcher_no_get_put_delete fixup-transform-stream-backpressure formdata_parser_supports_files
  global_fetch_strictly_public global_navigator handle_cross_request_promise_resolution
  http_headers_getsetcookie internal_stream_byob_return_view internal_writable_stream_abort_clears_queue
  kv_direct_binding minimal_subrequests no_cf_botmanagement_default no_cots_on_external_fetch
  no_global_importscripts nodejs_als nodejs_compat_populate_process_env nodejs_compat_v2 nodejs_zlib
  pedantic_wpt queue_consumer_no_wait_for_wait_until queues_json_messages r2_list_honor_include
  r2_public_beta_bindings remove_nodejs_compat_eol remove_nodejs_compat_eol_v22
  remove_nodejs_compat_eol_v23 remove_nodejs_compat_eol_v24 request_cf_overrides_cache_rules
  request_signal_passthrough response_redirect_url_standard rpc set_event_target_this
  set_forwardable_email_full_headers set_tostring_tag streams_byob_reader_detaches_buffer
  streams_enable_constructors strict_compression_checks strict_crypto_checks
  strip_authorization_on_cross_origin_redirect tcp_sockets_support throw_on_unrecognized_import_assertion
  transformstream_enable_standard_constructor unique_ctx_per_invocation unwrap_custom_thenables
  upper_case_all_http_methods url_standard urlpattern_standard urlsearchparams_delete_has_value_arg
  vectorize_query_metadata_optional web_socket_compression websocket_close_reason_byte_limit workers_api_getters_setters_on_prototype
`);

/** Flags of workerd that ask for how something was before a certain date. Sluice never was so. */
const former: ReadonlySet<string> = words(`
  add_nodejs_compat_eol add_nodejs_compat_eol_v22 add_nodejs_compat_eol_v23 add_nodejs_compat_eol_v24
  assets_navigation_has_no_effect blob_legacy_mime_type cache_no_cache_disabled cache_option_disabled
  cf_botmanagement_default cots_on_external_fetch disable_global_performance_classes
  disable_navigator_language disable_nodejs_console_module disable_nodejs_fs_module
  disable_nodejs_http2_module disable_nodejs_http_modules disable_nodejs_http_server_modules
  disable_nodejs_os_module disable_nodejs_process_v2 disable_nodejs_vm_module disable_request_signal
  disable_validate_workflow_entrypoint disable_weak_ref disallow_eval_during_startup
  disallow_importable_env do_not_bind_asynclocalstorage_snapshot_to-request
  do_not_capture_async_api_throws do_not_set_tostring_tag durable_object_fetch_allows_relative_url
  dynamic_dispatch_treat_exceptions_as_500 enable_top_level_await_in_require export_commonjs_namespace
  fetch_legacy_url fetch_treats_unknown_protocols_as_http fetcher_has_get_put_delete
  formdata_parser_converts_files_to_strings global_fetch_private_origin global_importscripts
  html_rewriter_treats_esi_include_as_void_tag ignore_custom_ports ignore_unrecognized_import_assertion
  internal_stream_byob_return_undefined internal_writable_stream_abort_does_not_clear_queue
  no_brotli_content_encoding no_cache_api_compat_flags no_cache_api_request_cf_overrides_cache_rules
  no_crypto_preserve_public_exponent no_expose_global_message_channel no_global_navigator
  no_handle_cross_request_promise_resolution no_http_headers_getsetcookie no_minimal_subrequests
  no_nodejs_als no_nodejs_compat_v2 no_nodejs_zlib no_queues_json_messages
  no_request_cf_overrides_cache_rules no_request_signal_passthrough no_rpc no_set_event_target_this
  no_strict_compression_checks no_strict_crypto_checks no_unwrap_custom_thenables
  no_upper_case_all_http_methods no_urlsearchparams_delete_has_value_arg no_web_socket_compression no_websocket_close_reason_byte_limit
  nodejs_compat_do_not_populate_process_env non_pedantic_wpt
  nonclass_entrypoint_reuses_ctx_across_invocations original-transform-stream-backpressure
  queue_consumer_wait_for_wait_until r2_internal_beta_bindings response_redirect_url_original
  retain_authorization_on_cross_origin_redirect set_forwardable_email_single_headers
  streams_byob_reader_does_not_detach_buffer streams_disable_constructors substitute_null_on_type_error
  transformstream_disable_standard_constructor url_original urlpattern_original vectorize_query_original
  workers_api_getters_setters_on_instance
`);

/**
 * Reports flags that have no effect although their author expects one. That is a warning: Workers come from elsewhere,
 * with flags of newer or other runtimes.
 */
export function checkFlags(flags: readonly TextNode[], report: Report): void {
  const seen = new Set<string>();
  for (const flag of flags) {
    const opposite = effective.get(flag.value);
    if (opposite !== undefined && seen.has(opposite)) {
      report.error(
        flag.span,
        `cannot use compatibility flag ${shown(flag)}: "${opposite}" says the opposite`,
      );
    }
    seen.add(flag.value);
    if (opposite !== undefined || settled.has(flag.value) || flag.value === "") continue;
    if (former.has(flag.value)) {
      report.warning(
        flag.span,
        `compatibility flag ${shown(flag)} changes nothing: it asks for a former behaviour that Sluice does not have`,
      );
      continue;
    }
    const hint = flag.secret ? "" : suggest(flag.value, [...effective.keys(), ...settled]);
    report.warning(
      flag.span,
      `compatibility flag ${shown(flag)} changes nothing: it is not known${hint.replace(":", ",")}`,
    );
  }
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}
