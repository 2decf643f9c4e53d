import { defineInterface, illegalConstructor, internal } from "./webidl.ts";

/** HTML §8.9, as far as it makes sense without a browser. */
export class Navigator {
  constructor(token?: unknown) {
    if (token !== internal) throw illegalConstructor();
  }

  get userAgent(): string {
    return "Sluice";
  }

  get language(): string {
    return "en";
  }

  get languages(): readonly string[] {
    return ["en"];
  }

  get onLine(): boolean {
    return true;
  }

  /** None in particular, as in workerd. */
  get platform(): string {
    return "";
  }

  /** How many run at a time in one isolate. */
  get hardwareConcurrency(): number {
    return 1;
  }
}

defineInterface(Navigator, "Navigator");

export const navigator = new Navigator(internal);
