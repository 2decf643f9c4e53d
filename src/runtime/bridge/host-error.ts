/** The error of something that failed on the host, which knows it again by its code if a handler lets it through. */
class HostError extends TypeError {
  readonly #code: string;

  constructor(code: string, message: string) {
    super(message);
    this.#code = code;
  }

  static codeOf(error: unknown): string {
    return typeof error === "object" && error !== null && #code in error ? error.#code : "";
  }
}

/** A fetch that failed. @param code all that a Worker learns of why */
export function fetchError(code: string): TypeError {
  return new HostError(code, `fetch failed: ${code}`);
}

/** A body that cannot be read. @param code empty when it is not the body that failed */
export function bodyError(code: string, message: string): TypeError {
  return new HostError(code, message);
}

/** The code of an error that the host gave, else an empty string. */
export function hostErrorCode(error: unknown): string {
  return HostError.codeOf(error);
}
