// The public entry to the streams, which are several files.

export { ReadableStreamBYOBRequest } from "./streams/byob-request.ts";
export { ReadableByteStreamController } from "./streams/byte-stream-controller.ts";
export { TextDecoderStream, TextEncoderStream } from "./streams/encoding-streams.ts";
export { FixedLengthStream, IdentityTransformStream } from "./streams/identity-stream.ts";
export { ReadableStreamDefaultController } from "./streams/readable-default.ts";
export { ReadableStream, type UnderlyingSource } from "./streams/readable-stream.ts";
export { ReadableStreamBYOBReader, ReadableStreamDefaultReader } from "./streams/readers.ts";
export {
  ByteLengthQueuingStrategy,
  CountQueuingStrategy,
  type QueuingStrategy,
} from "./streams/strategy.ts";
export {
  type Transformer,
  TransformStream,
  TransformStreamDefaultController,
} from "./streams/transform-stream.ts";
export {
  type UnderlyingSink,
  WritableStream,
  WritableStreamDefaultController,
  WritableStreamDefaultWriter,
} from "./streams/writable-stream.ts";
