import type { BuiltInConfigs, MiddlewareConfig } from "../../config/schema/middleware.ts";
import type { ServiceContext } from "../context.ts";
import { createBasicAuth } from "./basic-auth.ts";
import { createBodyLimit } from "./body-limit.ts";
import { createCompression } from "./compression/compression.ts";
import { createCors } from "./cors.ts";
import { createForwardAuth } from "./forward-auth.ts";
import { createHeaderRules } from "./header-rules.ts";
import { createIpFilter } from "./ip-filter.ts";
import { createJwt } from "./jwt/jwt.ts";
import { createMaintenance } from "./maintenance.ts";
import type { Middleware, MiddlewareFactory } from "./middleware.ts";
import { createRateLimit } from "./rate-limit.ts";
import { Refusals } from "./refusals.ts";
import { createRequestId } from "./request-id.ts";

/** Every built-in middleware. A new one is one file, one line here and one in src/config/schema/middleware.ts. */
const factories: { readonly [K in keyof BuiltInConfigs]: MiddlewareFactory<BuiltInConfigs[K]> } = {
  rateLimit: createRateLimit,
  basicAuth: createBasicAuth,
  jwt: createJwt,
  ip: createIpFilter,
  cors: createCors,
  compression: createCompression,
  headers: createHeaderRules,
  bodyLimit: createBodyLimit,
  requestId: createRequestId,
  maintenance: createMaintenance,
  forwardAuth: createForwardAuth,
};

/** Makes a built-in middleware of the kind that its config names. @param service that has it before itself */
export function createMiddleware(
  config: Exclude<MiddlewareConfig, { readonly service: unknown }>,
  service: string,
  context: ServiceContext,
): Middleware {
  const [kind, own] = Object.entries(config)[0] as [keyof BuiltInConfigs, never];
  return (factories[kind] as MiddlewareFactory<never>)(
    own,
    context,
    new Refusals(context.metrics, service, kind),
  );
}
