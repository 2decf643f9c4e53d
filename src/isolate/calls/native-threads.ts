import { GuestFailure } from "../guest-failure.ts";
import { deriveOnThread } from "../natives/crypto-derive.ts";
import { generateOnThread } from "../natives/crypto-keys.ts";
import { type CallOperation, CallResult, ThreadJob } from "./call.ts";

type Begin = (text: string, bytes: Buffer) => () => Promise<string | Uint8Array>;

const natives: ReadonlyMap<string, Begin> = new Map<string, Begin>([
  ...deriveOnThread,
  ["crypto.generateKeyPair", generateOnThread],
]);

/** A native that takes long, on a thread: the text is its name, a line feed, and its own text. */
export const nativeOnThread: CallOperation = (text, bytes) => {
  const end = text.indexOf("\n");
  const begin = natives.get(text.slice(0, end));
  if (begin === undefined) throw new GuestFailure("Error", "there is no such function on the host");
  const start = begin(text.slice(end + 1), Buffer.from(bytes));
  return new ThreadJob(async () => {
    let result: string | Uint8Array;
    try {
      result = await start();
    } catch {
      throw new GuestFailure("Error", "a parameter is not valid");
    }
    return typeof result === "string" ? new CallResult(result) : new CallResult("", result);
  });
};
