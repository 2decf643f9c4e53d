import { z } from "zod";
import { designator, duration, json } from "./common.ts";

export const binding = z.union([
  z.strictObject({ service: designator }),
  z.strictObject({ text: z.string() }),
  z.strictObject({ json }),
  z.strictObject({ env: z.string().min(1), optional: z.boolean().default(false) }),
  z.strictObject({ data: z.string().min(1) }),
]);
export type BindingConfig = z.output<typeof binding>;

export const workerLimits = z.strictObject({
  cpuMs: z.int().positive().default(50),
  memoryMb: z.int().min(8).default(128),
  subrequests: z.int().positive().default(1000),
  startupMs: z.int().positive().default(1000),
  wallMs: duration.default(0),
});
export type WorkerLimits = z.output<typeof workerLimits>;

export const worker = z.strictObject({
  main: z.string().min(1).optional(),
  script: z.string().min(1).optional(),
  compatibilityDate: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, "expected a date such as 2026-11-01"),
  compatibilityFlags: z.array(z.string()).default([]),
  bindings: z.record(z.string().min(1), binding).default({}),
  globalOutbound: designator.prefault("internet"),
  limits: workerLimits.prefault({}),
});
export type WorkerConfig = z.output<typeof worker>;
