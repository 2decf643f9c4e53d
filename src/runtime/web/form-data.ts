import { type Blob, blobBytes, type File, isBlob, isFile, makeFile } from "./blob.ts";
import {
  aliasIterator,
  definePairIterator,
  entries,
  forEachPair,
  keys,
  type PairSource,
  values,
} from "./pair-iterator.ts";
import { ArrayPush, ArraySplice } from "./primordials.ts";
import { defineInterface, isObject, requireArguments, toUSVString } from "./webidl.ts";

export type FormDataEntryValue = string | File;

/** Names and values in turn. */
class FormList implements PairSource {
  readonly items: FormDataEntryValue[] = [];

  count(): number {
    return this.items.length >> 1;
  }

  key(index: number): string {
    return this.items[index * 2] as string;
  }

  value(index: number): FormDataEntryValue {
    return this.items[index * 2 + 1] as FormDataEntryValue;
  }
}

const iterate = definePairIterator("FormData");

export let isFormData: (value: unknown) => value is FormData;
/** Names and values in turn; the list itself. */
export let formItems: (form: FormData) => FormDataEntryValue[];

/** XMLHttpRequest §5. */
export class FormData {
  readonly #list = new FormList();

  constructor(form?: undefined) {
    if (form !== undefined) throw new TypeError("cannot make FormData: there are no forms here");
  }

  append(name: string, value: string | Blob, filename?: string): void {
    requireArguments(arguments.length, 2, "FormData.append");
    const key = toUSVString(name);
    const entry = toEntry(value, filename, arguments.length > 2);
    ArrayPush(this.#list.items, key);
    ArrayPush(this.#list.items, entry);
  }

  delete(name: string): void {
    requireArguments(arguments.length, 1, "FormData.delete");
    removeFrom(this.#list.items, toUSVString(name), 0);
  }

  get(name: string): FormDataEntryValue | null {
    requireArguments(arguments.length, 1, "FormData.get");
    const key = toUSVString(name);
    const { items } = this.#list;
    for (let i = 0; i < items.length; i += 2) if (items[i] === key) return items[i + 1] as FormDataEntryValue;
    return null;
  }

  getAll(name: string): FormDataEntryValue[] {
    requireArguments(arguments.length, 1, "FormData.getAll");
    const key = toUSVString(name);
    const { items } = this.#list;
    const found: FormDataEntryValue[] = [];
    for (let i = 0; i < items.length; i += 2) {
      if (items[i] === key) ArrayPush(found, items[i + 1] as FormDataEntryValue);
    }
    return found;
  }

  has(name: string): boolean {
    requireArguments(arguments.length, 1, "FormData.has");
    const key = toUSVString(name);
    const { items } = this.#list;
    for (let i = 0; i < items.length; i += 2) if (items[i] === key) return true;
    return false;
  }

  set(name: string, value: string | Blob, filename?: string): void {
    requireArguments(arguments.length, 2, "FormData.set");
    const key = toUSVString(name);
    const entry = toEntry(value, filename, arguments.length > 2);
    const { items } = this.#list;
    for (let i = 0; i < items.length; i += 2) {
      if (items[i] !== key) continue;
      items[i + 1] = entry;
      removeFrom(items, key, i + 2);
      return;
    }
    ArrayPush(items, key);
    ArrayPush(items, entry);
  }

  entries(): IterableIterator<[string, FormDataEntryValue]> {
    return iterate(this.#list, entries);
  }

  keys(): IterableIterator<string> {
    return iterate(this.#list, keys);
  }

  values(): IterableIterator<FormDataEntryValue> {
    return iterate(this.#list, values);
  }

  forEach(
    callback: (value: FormDataEntryValue, name: string, parent: FormData) => unknown,
    thisArg?: unknown,
  ): void {
    forEachPair(this, this.#list, callback, thisArg);
  }

  declare [Symbol.iterator]: () => IterableIterator<[string, FormDataEntryValue]>;

  static {
    isFormData = (value): value is FormData => isObject(value) && #list in value;
    formItems = (form) => form.#list.items;
  }
}

function removeFrom(items: FormDataEntryValue[], key: string, from: number): void {
  for (let i = items.length - 2; i >= from; i -= 2) if (items[i] === key) ArraySplice(items, i, 2);
}

/** XMLHttpRequest §5, create an entry: a Blob becomes a File, a given filename a new one. */
function toEntry(value: unknown, filename: unknown, named: boolean): FormDataEntryValue {
  if (!isBlob(value)) {
    if (named) throw new TypeError("cannot add to FormData: a filename goes with a Blob only");
    return toUSVString(value);
  }
  if (filename === undefined && isFile(value)) return value;
  const name = filename === undefined ? "blob" : toUSVString(filename);
  return makeFile(blobBytes(value), name, value.type);
}

defineInterface(FormData, "FormData", 0, { append: 2, set: 2, forEach: 1 });
aliasIterator(FormData.prototype, FormData.prototype.entries);
