export { FileReader } from "../file-reader/file-reader.ts";
export { ProgressEvent } from "../file-reader/progress-event.ts";
