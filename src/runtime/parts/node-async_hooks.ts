export { AsyncLocalStorage, AsyncResource, asyncHooks, track } from "../node/async-hooks.ts";
