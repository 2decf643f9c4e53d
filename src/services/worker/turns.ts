import { Turn } from "../../isolate/bridge/turn.ts";
import type { ServiceContext } from "../context.ts";

const turns: WeakMap<ServiceContext, Turn> = new WeakMap();

/** The one turn that all Workers of a shard share, so that a chain of Workers runs within one turn of the event loop. */
export function turnOf(context: ServiceContext): Turn {
  let turn = turns.get(context);
  if (turn === undefined) {
    turn = new Turn(context.now, context.isolates.softRssBytes);
    turns.set(context, turn);
  }
  return turn;
}
