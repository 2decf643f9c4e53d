import { type RequestOptions, request } from "node:http";
import type { TestContext } from "node:test";
import { Origin } from "../support/origin.ts";
import type { TestProxy } from "./http-harness.ts";

export interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** One request on a connection of its own. */
export function ask(
  proxy: { readonly port: number },
  options: RequestOptions & { readonly body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: proxy.port, agent: false, ...options }, (response) => {
      let body = "";
      response.setEncoding("latin1");
      response.on("data", (text: string) => {
        body += text;
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    sent.on("error", reject);
    sent.end(options.body);
  });
}

/** Origins that answer with their own name: a, b, c … */
export async function namedOrigins(test: TestContext, count: number): Promise<Origin[]> {
  const origins: Origin[] = [];
  for (let i = 0; i < count; i++) {
    const name = String.fromCharCode(97 + i);
    origins.push(
      await Origin.start(test, (request, response) => request.resume().on("end", () => response.end(name))),
    );
  }
  return origins;
}

/** The bodies of so many requests, one after another. */
export async function answers(
  proxy: TestProxy,
  count: number,
  options: RequestOptions = {},
): Promise<string> {
  let text = "";
  for (let i = 0; i < count; i++) text += (await ask(proxy, options)).body;
  return text;
}

/** How often each character stands in a text. */
export function tally(text: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const each of text) counts[each] = (counts[each] ?? 0) + 1;
  return counts;
}
