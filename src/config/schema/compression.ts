import { z } from "zod";
import { size } from "./common.ts";

const coding = z.enum(["zstd", "br", "gzip"]);

const level = (max: number, preset: number, name: string) =>
  z
    .int()
    .min(1)
    .max(max)
    .default(preset)
    .meta({ description: `Of ${name}: 1 is the fastest, ${max} the smallest.`, examples: [preset] });

export const compression = z
  .strictObject({
    codings: z
      .array(coding)
      .min(1, { error: "expected at least one coding" })
      .default(["zstd", "br", "gzip"])
      .meta({
        description: "What is made; of several that a client likes as well, the first.",
        examples: [["br", "gzip"]],
      }),
    types: z
      .array(
        z.string().regex(/^[\w.+-]+\/([\w.+-]+|\*(\+[\w.-]+)?)$/, {
          error: 'expected a media type, or one with a star such as "text/*" and "application/*+json"',
        }),
      )
      .min(1, { error: "expected at least one media type" })
      .default([
        "text/*",
        "application/json",
        "application/*+json",
        "application/javascript",
        "application/x-javascript",
        "application/ecmascript",
        "application/xml",
        "application/*+xml",
        "application/x-ndjson",
        "application/wasm",
        "image/svg+xml",
        "image/bmp",
        "image/x-icon",
        "image/vnd.microsoft.icon",
        "font/ttf",
        "font/otf",
        "application/vnd.ms-fontobject",
      ])
      .meta({
        description: "Media types that are worth it. Images, films and archives are compressed as they are.",
        examples: [["text/html", "application/json"]],
      }),
    minBytes: size.prefault(512).meta({
      description: "Bodies that are known to be shorter stay as they are.",
      examples: ["1KiB"],
    }),
    levels: z
      .strictObject({
        gzip: level(9, 5, "gzip"),
        br: level(9, 4, "br"),
        zstd: level(12, 3, "zstd"),
      })
      .prefault({})
      .meta({ description: "How hard each coding tries.", examples: [{ gzip: 6 }] }),
    concurrent: z
      .int()
      .min(1)
      .max(10_000)
      .default(256)
      .meta({
        description:
          "How many responses are compressed at a time, by each shard; each takes up to a MiB. Further ones go out as they are. An event " +
          "stream counts as long as it is open.",
        examples: [1000],
      }),
  })
  .meta({
    id: "Compression",
    title: "Compression",
    description:
      "Compresses responses with what Accept-Encoding likes best, as they stream: zstd, br or gzip. What is compressed already, a " +
      "range, or has Cache-Control: no-transform stays as it is.",
    examples: [{}],
  });
export type CompressionConfig = z.output<typeof compression>;
