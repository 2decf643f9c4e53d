import {
  defaultPort,
  encodeDomain,
  encodeHash,
  encodeHostname,
  encodeIPv6,
  encodeOpaquePathname,
  encodePassword,
  encodePathname,
  encodePort,
  encodeProtocol,
  encodeSearch,
  encodeUsername,
  isSpecialScheme,
} from "../url-pattern/canonical.ts";
import { Component, type ComponentResult } from "../url-pattern/component.ts";
import {
  matchesSpecialScheme,
  parseConstructorString,
  plainOptions,
} from "../url-pattern/constructor-string.ts";
import {
  type ComponentName,
  componentNames,
  emptyInit,
  hashOf,
  type Init,
  passwordOf,
  pathOf,
  portOf,
  processInit,
  readInit,
  searchOf,
  usernameOf,
} from "../url-pattern/init.ts";
import type { Options } from "../url-pattern/parts.ts";
import { ObjectCreate, StringSlice, StringStartsWith } from "../web/primordials.ts";
import { parseUrl } from "../web/url-record.ts";
import { defineInterface, isObject, toDictionary, toUSVString } from "../web/webidl.ts";

/** URLPatternResult (URL Pattern §1.1). */
export type URLPatternResult = { inputs: unknown[] } & Record<ComponentName, ComponentResult>;

type Components = Record<ComponentName, Component>;

/** URL Pattern §1.2. */
export class URLPattern {
  readonly #components: Components;

  constructor(input: unknown = {}, baseURL?: unknown, options?: unknown) {
    const hasBase = arguments.length > 2 || !(baseURL === undefined || baseURL === null || isObject(baseURL));
    const base = hasBase ? toUSVString(baseURL) : null;
    const isText = !(input === undefined || input === null || isObject(input));
    const given = isText ? toUSVString(input) : readInit(input, "input");
    const dictionary = toDictionary(hasBase ? options : baseURL, "options");
    const ignoreCase = dictionary !== null && !!dictionary.ignoreCase;
    let init: Init;
    if (typeof given === "string") {
      init = parseConstructorString(given);
      if (base === null && init.protocol === undefined) {
        throw new TypeError("cannot make a URLPattern: a relative pattern needs baseURL");
      }
      if (base !== null) init.baseURL = base;
    } else {
      if (base !== null) throw new TypeError("cannot make a URLPattern: baseURL goes with a string only");
      init = given;
    }
    this.#components = compile(processInit(init, true, undefined), ignoreCase);
  }

  get protocol(): string {
    return this.#components.protocol.pattern;
  }

  get username(): string {
    return this.#components.username.pattern;
  }

  get password(): string {
    return this.#components.password.pattern;
  }

  get hostname(): string {
    return this.#components.hostname.pattern;
  }

  get port(): string {
    return this.#components.port.pattern;
  }

  get pathname(): string {
    return this.#components.pathname.pattern;
  }

  get search(): string {
    return this.#components.search.pattern;
  }

  get hash(): string {
    return this.#components.hash.pattern;
  }

  get hasRegExpGroups(): boolean {
    const components = this.#components;
    for (let i = 0; i < componentNames.length; i++) {
      if (components[componentNames[i] as ComponentName].hasRegExpGroups) return true;
    }
    return false;
  }

  test(input: unknown = {}, baseURL?: unknown): boolean {
    const values = valuesOf(readInput(input, baseURL));
    if (values === null) return false;
    const components = this.#components;
    for (let i = 0; i < componentNames.length; i++) {
      const name = componentNames[i] as ComponentName;
      if (!components[name].matches(values[name] as string)) return false;
    }
    return true;
  }

  exec(input: unknown = {}, baseURL?: unknown): URLPatternResult | null {
    const given = readInput(input, baseURL);
    const values = valuesOf(given);
    if (values === null) return null;
    const matches = ObjectCreate(null) as Record<ComponentName, ComponentResult>;
    for (let i = 0; i < componentNames.length; i++) {
      const name = componentNames[i] as ComponentName;
      const match = this.#components[name].exec(values[name] as string);
      if (match === null) return null;
      matches[name] = match;
    }
    const inputs: unknown[] = [typeof given.input === "string" ? given.input : inputOf(given.input)];
    if (given.base !== null) inputs[1] = given.base;
    return { inputs, ...matches };
  }
}

/** What is to be matched. */
interface Given {
  readonly input: string | Init;
  readonly base: string | null;
}

function readInput(input: unknown, baseURL: unknown): Given {
  const isText = !(input === undefined || input === null || isObject(input));
  const given = isText ? toUSVString(input) : readInit(input, "input");
  const base = baseURL === undefined ? null : toUSVString(baseURL);
  if (typeof given !== "string" && base !== null) {
    throw new TypeError("cannot match: baseURL goes with a string only");
  }
  return { input: given, base };
}

/** The components of what is to be matched (URL Pattern §1.4); null when it is not valid. */
function valuesOf({ input, base }: Given): Init | null {
  return typeof input === "string" ? urlComponents(input, base) : initComponents(input);
}

/** A dictionary as scripts see it: the members that were given. */
function inputOf(init: Init): object {
  return { ...init };
}

function initComponents(init: Init): Init | null {
  try {
    return processInit(init, false, "");
  } catch {
    return null;
  }
}

function urlComponents(input: string, base: string | null): Init | null {
  const record = parseUrl(input, base);
  if (record === null) return null;
  const values = emptyInit();
  values.protocol = StringSlice(record.href, 0, record.protocolEnd - 1);
  values.username = usernameOf(record);
  values.password = passwordOf(record);
  values.hostname = StringSlice(record.href, record.hostStart, record.hostEnd);
  values.port = portOf(record);
  values.pathname = pathOf(record);
  values.search = searchOf(record);
  values.hash = hashOf(record);
  return values;
}

/** URL Pattern §1.3, the second half of "create". */
function compile(init: Init, ignoreCase: boolean): Components {
  for (let i = 0; i < componentNames.length; i++) init[componentNames[i] as ComponentName] ??= "*";
  const { protocol, username, password, hostname, pathname, search, hash } = init as Record<
    ComponentName,
    string
  >;
  let { port } = init as { port: string };
  if (isSpecialScheme(protocol) && port === defaultPort(protocol)) port = "";
  const scheme = new Component(protocol, encodeProtocol, plainOptions);
  const special = matchesSpecialScheme(scheme);
  const rest: Options = { delimiter: "", prefix: "", ignoreCase };
  const segments: Options = { delimiter: "/", prefix: "/", ignoreCase };
  return {
    protocol: scheme,
    username: new Component(username, encodeUsername, plainOptions),
    password: new Component(password, encodePassword, plainOptions),
    hostname: compileHostname(hostname, special),
    port: new Component(port, encodePort, plainOptions),
    pathname: special
      ? new Component(pathname, encodePathname, segments)
      : new Component(pathname, encodeOpaquePathname, rest),
    search: new Component(search, encodeSearch, rest),
    hash: new Component(hash, encodeHash, rest),
  };
}

const hostOptions: Options = { delimiter: ".", prefix: "", ignoreCase: false };

function compileHostname(pattern: string, special: boolean): Component {
  const isIPv6 =
    StringStartsWith(pattern, "[") || StringStartsWith(pattern, "{[") || StringStartsWith(pattern, "\\[");
  if (isIPv6 && pattern.length > 1) return new Component(pattern, encodeIPv6, hostOptions);
  return new Component(pattern, special ? encodeDomain : encodeHostname, hostOptions);
}

defineInterface(URLPattern, "URLPattern", 0, { test: 0, exec: 0 });
