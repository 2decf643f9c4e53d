import { TypedArrayLength, TypedArraySet, Uint8ArrayNative } from "./primordials.ts";

/**
 * The first `count` pieces one after the other, as a copy. The table they are in may be an array or an object without a
 * prototype.
 *
 * @param size their length together, which whoever gathers them has counted
 */
export function joinPieces(
  pieces: Readonly<Record<number, Uint8Array>>,
  count: number,
  size: number,
): Uint8Array<ArrayBuffer> {
  const whole = new Uint8ArrayNative(size);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const piece = pieces[i] as Uint8Array;
    TypedArraySet(whole, piece, at);
    at += TypedArrayLength(piece);
  }
  return whole;
}
