import type { ExecutionContext } from "../bridge/context.ts";
import { link } from "../bridge/rpc-link.ts";
import { currentFrame, enterExchange, setFrame } from "../web/async-context.ts";
import { ReflectApply } from "../web/primordials.ts";
import { quote } from "../web/webidl.ts";
import { invokeStub } from "./answer.ts";
import { follow } from "./path.ts";

/** @param isClass null for what is no entrypoint. */
interface Root {
  readonly value: unknown;
  readonly isClass: boolean | null;
}

/**
 * Goes to what a path leads to and calls it, or, without arguments, gives it. The Worker's code runs here.
 *
 * @param find gives what the path begins at. @param exchange on whose behalf. @param context of an entrypoint's event.
 * @throws TypeError when there is no such member, or it is no function, and what the Worker throws
 */
export function evaluate(
  find: () => Root,
  path: readonly string[],
  args: readonly unknown[] | null,
  exchange: number,
  context: ExecutionContext | null,
): unknown {
  const { outbound } = link;
  const before = outbound.current;
  const frame = currentFrame();
  outbound.current = exchange;
  enterExchange(exchange);
  try {
    const root = find();
    const kind = root.isClass === null ? "value" : root.isClass ? "entrypoint" : "handlers";
    const found = follow(root.value, path, kind);
    if (found.stub !== null) return invokeStub(found.stub, found.rest, args).take();
    const { self, value } = found;
    if (args === null) return value;
    if (typeof value !== "function") {
      throw new TypeError(
        `cannot call ${quote(path[path.length - 1] ?? "the object")}: it is not a function`,
      );
    }
    if (kind === "handlers" && path.length === 1) {
      // As in workerd: a function of a plain object is a handler, and gets `env` and `ctx` behind its argument.
      if (args.length !== 1) {
        throw new TypeError(
          `cannot call ${quote(path[0] as string)} with ${args.length} arguments: a handler of an object takes ` +
            "one; a class that extends WorkerEntrypoint has methods with any number",
        );
      }
      return ReflectApply(value as never, self, [args[0], link.handlers.env, context]);
    }
    return ReflectApply(value as never, self, args as never);
  } finally {
    outbound.current = before;
    setFrame(frame);
  }
}
