/**
 * A failure of work that the host does for a guest: the guest throws it again, with this name and message. Of any other
 * error it learns only that the work failed.
 */
export class GuestFailure extends Error {
  /** @param name of an error class (`TypeError`, `RangeError`) or of a DOMException (`OperationError` …). */
  constructor(name: string, message: string) {
    super(message);
    this.name = name;
  }
}
