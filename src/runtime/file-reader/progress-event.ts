import { Event, type EventInit } from "../web/events.ts";
import { defineInterface } from "../web/webidl.ts";

export interface ProgressEventInit extends EventInit {
  lengthComputable?: boolean;
  loaded?: number;
  total?: number;
}

/** XMLHttpRequest §5. */
export class ProgressEvent extends Event {
  readonly #lengthComputable: boolean;
  readonly #loaded: number;
  readonly #total: number;

  constructor(type: string, init?: ProgressEventInit) {
    super(type, init);
    this.#lengthComputable = !!init?.lengthComputable;
    this.#loaded = +(init?.loaded ?? 0) || 0;
    this.#total = +(init?.total ?? 0) || 0;
  }

  get lengthComputable(): boolean {
    return this.#lengthComputable;
  }

  get loaded(): number {
    return this.#loaded;
  }

  get total(): number {
    return this.#total;
  }
}

defineInterface(ProgressEvent, "ProgressEvent", 1);
