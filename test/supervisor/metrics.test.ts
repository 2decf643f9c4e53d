import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { catalog } from "../../src/observability/catalog.ts";
import { metricKey } from "../../src/observability/metric-key.ts";
import { Metrics } from "../../src/observability/traffic.ts";
import { MetricsLedger } from "../../src/supervisor/metrics-ledger.ts";
import { readLabels, renderMetrics } from "../../src/supervisor/metrics-page.ts";

function metricsWith(requests: number): Metrics {
  const metrics = new Metrics();
  const traffic = metrics.traffic("socket", "public");
  for (let i = 0; i < requests; i++) {
    traffic.begin();
    traffic.finish(200, 0.003);
  }
  traffic.begin();
  traffic.error("upstream_reset");
  metrics.gauges.add("sluice_isolate_cold_starts_total", 2);
  metrics.gauges.gauge("sluice_socket_connections", () => 5);
  return metrics;
}

test("counts are summed over shards, and stay when a shard ends", () => {
  const ledger = new MetricsLedger();
  ledger.update(1, metricsWith(3).snapshot());
  ledger.update(2, metricsWith(4).snapshot());
  const read = () => {
    const totals = ledger.totals();
    const cell = totals.traffic.get("socket public");
    return {
      answered: cell?.byClass[2],
      errors: cell?.errors.get("upstream_reset"),
      active: cell?.active,
      coldStarts: totals.counters.get("sluice_isolate_cold_starts_total"),
      connections: totals.gauges.get("sluice_socket_connections"),
    };
  };
  assert.deepEqual(read(), { answered: 7, errors: 2, active: 2, coldStarts: 4, connections: 10 });
  ledger.retire(1);
  assert.deepEqual(read(), { answered: 7, errors: 2, active: 1, coldStarts: 4, connections: 5 });
  ledger.update(3, metricsWith(1).snapshot());
  assert.deepEqual(read(), { answered: 8, errors: 3, active: 2, coldStarts: 6, connections: 10 });
});

test("a new snapshot of a shard replaces the one before", () => {
  const ledger = new MetricsLedger();
  ledger.update(1, metricsWith(3).snapshot());
  ledger.update(1, metricsWith(5).snapshot());
  assert.equal(ledger.totals().traffic.get("socket public")?.byClass[2], 5);
});

test("the page is Prometheus text with cumulative buckets", async () => {
  const ledger = new MetricsLedger();
  ledger.update(1, metricsWith(3).snapshot());
  const { body, contentType } = await renderMetrics(
    ledger.totals(),
    [["sluice_generation", 1]],
    () => "worker",
  );
  assert.match(contentType, /^text\/plain/);
  const lines = body.split("\n");
  const has = (line: string) => assert.ok(lines.includes(line), `${line} is missing in\n${body}`);
  has("# TYPE sluice_socket_requests_total counter");
  has('sluice_socket_requests_total{socket="public",class="2xx"} 3');
  has('sluice_socket_requests_total{socket="public",class="5xx"} 0');
  has('sluice_socket_errors_total{socket="public",code="upstream_reset"} 1');
  has("# TYPE sluice_socket_request_duration_seconds histogram");
  has('sluice_socket_request_duration_seconds_bucket{socket="public",le="0.0025"} 0');
  has('sluice_socket_request_duration_seconds_bucket{socket="public",le="0.005"} 3');
  has('sluice_socket_request_duration_seconds_bucket{socket="public",le="+Inf"} 3');
  has('sluice_socket_request_duration_seconds_count{socket="public"} 3');
  has("sluice_generation 1");
});

test("labels in a metric's key survive quotes, backslashes and braces", () => {
  const labels = { worker: 'a"b\\c}d,e="f', other: "x" };
  const key = metricKey("sluice_x", labels);
  assert.deepEqual(readLabels(key.slice(key.indexOf("{"))), labels);
});

test("docs/metrics.md lists each metric of the catalog with its labels, and no other", () => {
  const text = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  const rows = text.split("\n").filter((line) => line.startsWith("| `sluice_"));
  const expected = catalog.map(({ name, type, labels, help }) => {
    const shown = labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${shown} | ${help} |`;
  });
  assert.deepEqual(rows, expected);
});
