declare module "node-inspect-extracted" {
  interface Inspect {
    (value: unknown, ...rest: unknown[]): string;
    custom: symbol;
    defaultOptions: object;
    colors: Record<string, [number, number]>;
    styles: Record<string, string>;
  }
  const util: {
    inspect: Inspect;
    format(...parameters: unknown[]): string;
    formatWithOptions(options: object, ...parameters: unknown[]): string;
    stripVTControlCharacters(text: string): string;
  };
  export default util;
}

declare module "readable-stream/lib/stream.js" {
  const stream: Record<string, unknown>;
  export default stream;
}
